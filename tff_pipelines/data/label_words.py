"""Words that stand for one of two labels in a user's own file."""

import dataclasses
import functools
from typing import Any

from tff_pipelines.data import row_files


@dataclasses.dataclass(frozen=True)
class LabelWords:
  """What stands for label 1 and what for label 0, in upper or lower case.

  Attributes:
    positive: Words for 1.
    negative: Words for 0.
    positive_flag: Name of the flag that gives `positive`, for errors.
    negative_flag: Name of the flag that gives `negative`.
  """

  positive: tuple[str, ...]
  negative: tuple[str, ...]
  positive_flag: str = 'positive_labels'
  negative_flag: str = 'negative_labels'

  def __post_init__(self) -> None:
    positive, negative = map(_all_folded, (self.positive, self.negative))
    flags = f'--{self.positive_flag} and --{self.negative_flag}'
    if not positive or not negative:
      raise row_files.InvalidSourceError(
        f'Expected at least one label each in {flags}, found {len(positive)} '
        f'and {len(negative)}.'
      )
    if positive & negative:
      raise row_files.InvalidSourceError(
        f'Expected no label in both {flags}, found '
        f'{row_files.listed(sorted(positive & negative))} in both.'
      )

  @functools.cached_property
  def _meanings(self) -> dict[str, int]:
    meanings = dict.fromkeys(_all_folded(self.negative), 0)
    return meanings | dict.fromkeys(_all_folded(self.positive), 1)

  def meaning(self, value: str | int | float | bool) -> int | None:
    """Returns the label of a word, a number or a boolean; None if unknown."""
    if isinstance(value, float) and value.is_integer():
      value = int(value)
    return self._meanings.get(_folded(str(value)))

  def complaint(self, column: str, found: Any) -> str:
    """Returns what to say of a value without a meaning."""
    return (
      f'expected {column!r} to be one of {row_files.listed(self.negative)} or '
      f'one of {row_files.listed(self.positive)}, found '
      f'{row_files.shown(found)}; correct it, or pass --{self.negative_flag} '
      f'and --{self.positive_flag}'
    )


def _folded(word: str) -> str:
  return word.strip().casefold()


def _all_folded(words: tuple[str, ...]) -> set[str]:
  return {_folded(word) for word in words}
