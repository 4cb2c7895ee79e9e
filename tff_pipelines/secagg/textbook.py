"""The pictures of secure aggregation in textbooks, computed.

Three people sit in a circle. Neighbours agree on a number: each adds the one
that it shares with the next and subtracts the one that it shares with the one
before, so all numbers cancel in the sum. There is no modulus and no protection:
`client` is the real thing.

Source: the pairwise masks of Bonawitz et al. 2017, section 4, in small.
"""

from collections.abc import Sequence
import dataclasses
import decimal
from typing import TypeAlias

Number: TypeAlias = int | decimal.Decimal


@dataclasses.dataclass(frozen=True)
class Mask:
  """What one pair agreed on (Bonawitz et al. 2017, section 4).

  Attributes:
    adder: Who adds the number.
    subtracter: Who subtracts it.
    number: The number.
  """

  adder: str
  subtracter: str
  number: Number


@dataclasses.dataclass(frozen=True)
class Participant:
  """One person or device (Bonawitz et al. 2017, section 4).

  Attributes:
    name: For the label.
    hidden: What must not be seen.
    added: The number shared with the next.
    subtracted: The number shared with the one before.
  """

  name: str
  hidden: Number
  added: Number
  subtracted: Number

  @property
  def sent(self) -> Number:
    """What the server sees (y_u of Bonawitz et al. 2017, section 4)."""
    return self.hidden + self.added - self.subtracted


@dataclasses.dataclass(frozen=True)
class MaskingExample:
  """A circle of participants (Bonawitz et al. 2017, section 4)."""

  participants: tuple[Participant, ...]
  masks: tuple[Mask, ...]

  @property
  def sent(self) -> tuple[Number, ...]:
    """What the server sees, in order."""
    return tuple(participant.sent for participant in self.participants)

  @property
  def total(self) -> Number:
    """The sum of what was sent, and of what is hidden."""
    return sum(self.sent)

  @property
  def mean(self) -> Number:
    """The total divided by the number of participants."""
    return decimal.Decimal(self.total) / len(self.participants)


def build_circle(
  names: Sequence[str],
  hidden: Sequence[Number],
  numbers: Sequence[Number],
) -> MaskingExample:
  """Returns participants who share numbers[i] between i and i + 1.

  Source: Bonawitz et al. 2017, section 4.
  """
  participants = tuple(
    # Index -1 closes the circle.
    Participant(name, value, number, numbers[i - 1])
    for i, (name, value, number) in enumerate(
      zip(names, hidden, numbers, strict=True)
    )
  )
  masks = tuple(
    Mask(name, names[(i + 1) % len(names)], number)
    for i, (name, number) in enumerate(zip(names, numbers, strict=True))
  )
  return MaskingExample(participants, masks)


def three_people() -> MaskingExample:
  """5, 4 and 8 are sent as 4, 9 and 4; the total is 17."""
  return build_circle(('A', 'B', 'C'), (5, 4, 8), (2, 7, 3))


def three_devices() -> MaskingExample:
  """0.1, 0.5 and 0.9 are sent as 0.3, 0.2 and 1.0; the mean is 0.5."""
  tenths = [decimal.Decimal(n) / 10 for n in (1, 5, 9)]
  numbers = [decimal.Decimal(n) / 10 for n in (4, 1, 2)]
  return build_circle(('device 1', 'device 2', 'device 3'), tenths, numbers)
