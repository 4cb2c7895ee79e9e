"""The people of the textbook's pictures, in the real protocol."""

import dataclasses
import decimal

import numpy as np

from tff_pipelines.secagg import (
  layout,
  messages,
  packing,
  parameters,
  simulation,
  textbook,
)

MODULUS = 2**16
_STEPS = 1000  # Of a fraction: 0.1 is 100 of them.


@dataclasses.dataclass(frozen=True)
class TextbookSession:
  """What the server got (Bonawitz et al. 2017, figure 4).

  Attributes:
    steps: How many integers a unit has: a fraction is sent as a multiple.
    received: The masked input of each participant, in [0, MODULUS).
    integer_sum: What the protocol gave.
  """

  steps: int
  received: tuple[int, ...]
  integer_sum: int

  @property
  def total(self) -> textbook.Number:
    """The sum in the participants' units (Bonawitz et al. 2017, fig. 4)."""
    if self.steps == 1:
      return self.integer_sum
    return decimal.Decimal(self.integer_sum) / self.steps


def run(example: textbook.MaskingExample) -> TextbookSession:
  """Sums the hidden numbers through the protocol, nobody drops out.

  Every call draws new masks. Source: Bonawitz et al. 2017, figure 4.
  """
  hidden = [participant.hidden for participant in example.participants]
  steps = 1 if all(isinstance(n, int) for n in hidden) else _STEPS
  result = simulation.run_session(
    [[np.array([int(number * steps)])] for number in hidden],
    [MODULUS],
    parameters.derive_parameters(len(hidden), 0.0, 0.0),
    record_transcript=True,
  )
  assert result.transcript is not None  # Asked for.
  received = {}
  for message in result.transcript.messages():
    if isinstance(message, messages.MaskedInput):
      unpacker = packing.Unpacker(layout.Group(MODULUS, 1))
      received[message.client] = int(unpacker.unpack(message.vectors[0])[0])
  return TextbookSession(
    steps,
    tuple(received[client] for client in sorted(received)),
    int(result.sums[0][0]),
  )
