"""Flags of a file of one's own, of whatever it holds."""

from collections.abc import Sequence
import pathlib
from typing import Any

from absl import flags

from tff_pipelines.cli import flag_groups


def given_path(flag: flags.FlagHolder, where: str) -> pathlib.Path:
  """Returns the path that a flag has to give there.

  Raises:
    FlagError: If it gives none.
  """
  if not flag.value:
    raise flag_groups.FlagError(
      f'Expected --{flag.name} with {where}, found none; give the path of the '
      'file.'
    )
  return pathlib.Path(flag.value).expanduser()


class FileFlags:
  """`--csv_path`, `--jsonl_path`, `--csv_encoding` and `--skip_bad_rows`.

  In the group of a data set, whose `--dataset` names the format.
  """

  def __init__(self, group: flag_groups.FlagGroup, formats: Sequence[str]):
    """Declares the flags.

    Args:
      group: The group that they belong to.
      formats: Out of `csv` and `jsonl`.
    """
    kinds = {
      'csv': 'the file, comma separated (tabs if it ends in .tsv), with a '
      'header',
      'jsonl': 'the file',
    }
    self._paths = {
      name: group.define(
        f'{name}_path', None, kinds[name], only_with=('dataset', (name,))
      )
      for name in formats
    }
    files = ('dataset', tuple(formats))
    self._encoding = group.define(
      'csv_encoding', 'utf-8', 'encoding of the file', only_with=files
    )
    self._skip_bad_rows = group.define(
      'skip_bad_rows',
      False,
      'leave malformed rows out, and count them, instead of stopping',
      only_with=files,
    )

  def source(self, name: str) -> dict[str, Any]:
    """Returns path, encoding and skip_bad_rows of the file of a format.

    Raises:
      FlagError: If no path was given.
    """
    return {
      'path': given_path(self._paths[name], f'--dataset={name}'),
      'encoding': self._encoding.value,
      'skip_bad_rows': self._skip_bad_rows.value,
    }
