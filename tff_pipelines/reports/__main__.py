"""Redraws the report of a run: python -m tff_pipelines.reports RUN_DIR."""

import argparse
from collections.abc import Sequence
import pathlib
import sys

from tff_pipelines.core import errors
from tff_pipelines.reports import animation, page


def main(argv: Sequence[str] | None = None) -> int:
  """Writes report.html and figures/ into every directory that is named.

  Args:
    argv: The arguments, those of the process if None.

  Returns:
    The exit status: 0, or 2 if a directory cannot be read as a run
    or not be written to.
  """
  parser = argparse.ArgumentParser(
    prog='python -m tff_pipelines.reports',
    description='Redraws the report of a run, from the files in its directory.',
  )
  parser.add_argument('run_dir', nargs='+', type=pathlib.Path)
  parser.add_argument(
    '--animate',
    action='store_true',
    help='also writes the merges of heat maps as a GIF, and as an MP4 if there '
    'is a program that can',
  )
  arguments = parser.parse_args(argv)
  for run_dir in arguments.run_dir:
    try:
      print(page.write(run_dir))
      if arguments.animate:
        _animate(run_dir)
    except (errors.PipelineError, OSError) as error:
      print(error, file=sys.stderr)
      return 2
  return 0


def _animate(run_dir: pathlib.Path) -> None:
  print(animation.write_gif(run_dir))
  try:
    print(animation.write_mp4(run_dir))
  except animation.NoEncoderError as error:
    # The GIF is there: no reason to fail.
    print(error, file=sys.stderr)


if __name__ == '__main__':
  sys.exit(main())
