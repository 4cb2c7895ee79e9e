"""One session with random inputs: is its sum exact, and what does it cost?"""

from collections.abc import Mapping
import dataclasses

import numpy as np

from tff_pipelines.core import seeds
from tff_pipelines.secagg import (
  costs,
  dropouts,
  errors,
  expected_costs,
  layout,
  parameters,
  phases,
  simulation,
)


@dataclasses.dataclass(frozen=True)
class RandomSum:
  """What came of a session (Bonawitz et al. 2017, tables 1 to 3).

  Attributes:
    parameters: Threshold and graph.
    modulus: Of the sum: large enough that it does not wrap.
    dropouts: By client the phase before whose message it left.
    survivors: The clients in the sum.
    is_exact: Whether the sum is that of the survivors' inputs.
    costs: For each role and phase; a client's are means over the clients that
      answered in the phase, so that they add up to what one pays that stays.
    clear_bytes: What a client would send without the protocol.
    paper_bytes: Up and down of a client by the paper's formula.
  """

  parameters: parameters.SecAggParameters
  modulus: int
  dropouts: dict[int, phases.Phase]
  survivors: tuple[int, ...]
  is_exact: bool
  costs: tuple[costs.CostRow, ...]
  clear_bytes: float
  paper_bytes: float

  @property
  def client_bytes(self) -> float:
    """Up and down of a client that stays to the end (Bonawitz, table 1)."""
    return sum(
      row.sent_bytes + row.received_bytes
      for row in self.costs
      if row.role == 'client'
    )


def run(
  chosen: parameters.SecAggParameters,
  *,
  length: int,
  bits: int,
  rates: Mapping[phases.Phase | str, float],
  seed: int,
) -> RandomSum:
  """Sums random inputs through the protocol.

  Source: Bonawitz et al. 2017, section 7.

  Args:
    chosen: Threshold and graph.
    length: Entries of a client's input.
    bits: Bits of an entry.
    rates: By phase the chance that a client leaves before its message.
    seed: Of inputs and dropouts; keys and masks come from the operating system.

  Raises:
    InputError: If the sum would need more than 62 bits, or inputs are empty.
    BelowThresholdError: If too few clients are left; nothing is revealed.
  """
  num_clients = chosen.num_clients
  sum_bits = bits + (num_clients - 1).bit_length()
  most = layout.MAX_MODULUS.bit_length() - 1
  if not 1 <= bits <= sum_bits <= most or length < 1:
    raise errors.InputError(
      'Expected inputs of at least 1 entry of at least 1 bit, whose sum fits '
      f'{most} bits, found {length} entries of {bits} bits, of which '
      f'{num_clients} clients can make a sum of {sum_bits} bits; take '
      'between 1 and '
      f'{most - (num_clients - 1).bit_length()} bits.'
    )
  inputs = seeds.generator(seed, 'secure sum inputs').integers(
    2**bits,
    size=(num_clients, length),
    dtype=np.uint32 if bits <= 32 else np.uint64,
  )
  leaving = dropouts.draw_dropouts(num_clients, rates, seed)
  result = simulation.run_session(
    [[vector] for vector in inputs], [2**sum_bits], chosen, dropouts=leaving
  )
  expected = inputs[list(result.survivors)].sum(axis=0, dtype=np.uint64)
  neighbourhood = num_clients if chosen.degree is None else chosen.degree + 1
  return RandomSum(
    parameters=chosen,
    modulus=2**sum_bits,
    dropouts=leaving,
    survivors=result.survivors,
    is_exact=bool(np.array_equal(result.sums[0], expected.astype(np.int64))),
    costs=_mean_costs(result.costs, malicious=chosen.malicious),
    clear_bytes=length * bits / 8,
    paper_bytes=expected_costs.paper_client_bytes(
      neighbourhood, length, 2**sum_bits
    ),
  )


def _mean_costs(
  ledger: costs.CostLedger, *, malicious: bool
) -> tuple[costs.CostRow, ...]:
  """Returns the ledger's rows, those of the clients divided by their number."""
  rows = []
  for row in ledger.rows():
    if row.phase not in phases.phases_of(malicious=malicious):
      continue
    if row.role == 'client':
      answered = np.count_nonzero(ledger.upload_bytes[row.phase])
      row = dataclasses.replace(
        row,
        sent_bytes=round(row.sent_bytes / answered),
        received_bytes=round(row.received_bytes / answered),
        seconds=row.seconds / answered,
      )
    rows.append(row)
  return tuple(rows)
