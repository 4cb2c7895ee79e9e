"""What kinds of clients there are in experiments about who takes part."""

import enum
from typing import Self

from tff_pipelines.core import errors


class UnknownClientKindError(errors.PipelineError):
  """A name that no kind of client has."""


class ClientKind(enum.IntEnum):
  """A kind of client; `text` is its name in files, flags and messages.

  Attributes:
    HONEST: Trains on what it has seen.
    OUTLIER: Trains as others do, on data that contradict theirs.
    LABEL_FLIPPER: Trains on wrong labels on purpose.
    RANDOM_UPDATE: Sends noise in place of an update.
    BOOSTED_BACKDOOR: Sends a multiple of an update that serves its own end.
    SIGN_FLIPPER: Sends the opposite of its update.
  """

  HONEST = 0
  OUTLIER = 1
  LABEL_FLIPPER = 2
  RANDOM_UPDATE = 3
  BOOSTED_BACKDOOR = 4
  SIGN_FLIPPER = 5

  @property
  def text(self) -> str:
    """The name in lower case."""
    return self.name.lower()

  @classmethod
  def from_text(cls, text: str) -> Self:
    """Returns the kind of that name.

    Raises:
      UnknownClientKindError: If there is none.
    """
    for kind in cls:
      if kind.text == text:
        return kind
    raise UnknownClientKindError(
      f'Expected a kind of client out of {", ".join(KINDS)}, found {text!r}.'
    )


# Their names, in the order of their numbers.
KINDS = tuple(kind.text for kind in ClientKind)
