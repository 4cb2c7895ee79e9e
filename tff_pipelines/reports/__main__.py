"""Redraws the report of a run: python -m tff_pipelines.reports RUN_DIR."""

import argparse
from collections.abc import Sequence
import pathlib
import sys

from tff_pipelines.core import errors
from tff_pipelines.reports import page


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
  for run_dir in parser.parse_args(argv).run_dir:
    try:
      print(page.write(run_dir))
    except (errors.PipelineError, OSError) as error:
      print(error, file=sys.stderr)
      return 2
  return 0


if __name__ == '__main__':
  sys.exit(main())
