"""Results of the parts of a long work, so that a killed run repeats few."""

from collections.abc import Callable
import json
import pathlib
from typing import Any

from tff_pipelines.programs import files


class KeptResults:
  """Plain values by name, one file each, whole or not there."""

  def __init__(self, folder: pathlib.Path):
    """Initializes them.

    Args:
      folder: Of one run, whose configuration does not change; made with the
        first result.
    """
    self._folder = folder

  def get(self, name: str, compute: Callable[[], Any]) -> Any:
    """Returns the result of that name; computes and keeps it if there is none.

    A file that cannot be read counts as none.

    Args:
      name: Letters, digits, commas and spaces; different for every part.
      compute: Returns plain values, as JSON has them.

    Raises:
      SavingFailedError: If it cannot be written.
    """
    path = self._folder / f'{name.replace(",", "").replace(" ", "_")}.json'
    try:
      return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError):
      value = compute()
      files.write_json(path, value)
      return value
