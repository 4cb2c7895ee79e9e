"""Results of the parts of a long work, so that a killed run repeats few."""

from collections.abc import Callable, Sequence
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
    return self.get_all([name], lambda _: [compute()])[0]

  def get_all(
    self,
    names: Sequence[str],
    compute: Callable[[list[str]], Sequence[Any]],
  ) -> list[Any]:
    """Returns the results of these names; computes those missing together.

    Args:
      names: As `get` takes them.
      compute: From the names of the missing to their results, in that order.

    Raises:
      SavingFailedError: If one cannot be written.
    """
    found = {}
    for name in names:
      try:
        found[name] = json.loads(self._path(name).read_text(encoding='utf-8'))
      except (OSError, ValueError):
        continue
    missing = [name for name in names if name not in found]
    if missing:
      for name, value in zip(missing, compute(missing), strict=True):
        files.write_json(self._path(name), value)
        found[name] = value
    return [found[name] for name in names]

  def _path(self, name: str) -> pathlib.Path:
    return self._folder / f'{name.replace(",", "").replace(" ", "_")}.json'
