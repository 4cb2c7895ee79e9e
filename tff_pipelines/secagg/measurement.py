"""How long and how many bytes a session takes, without simulating it all.

The server gets a real message of every client in every phase, and gives the
exact sum. Masks of two clients that both survive cancel in it, so most clients
leave them out (n^2 expansions that measure nothing) and only the measured ones
do all of a client's work.

Source: Bonawitz et al. 2017, section 7.2 (tables 2 and 3).
"""

from collections.abc import Iterable, Iterator
import contextlib
import dataclasses
import gc

import numpy as np

from tff_pipelines.core import seeds
from tff_pipelines.secagg import client as clients
from tff_pipelines.secagg import (
  masks,
  parameters,
  phases,
  server,
  simulation,
)
from tff_pipelines.secagg import session as sessions


@dataclasses.dataclass(frozen=True)
class Measurement:
  """Costs of one session (Bonawitz et al. 2017, tables 2 and 3).

  Attributes:
    client_seconds: All phases of the measured clients, on average.
    server_seconds: All phases.
    client_bytes: Up and down, on average over the survivors.
    server_phase_seconds: By phase.
    num_survivors: How many inputs are in the sum.
    is_exact: Whether the sum was that of the survivors' inputs.
  """

  client_seconds: float
  server_seconds: float
  client_bytes: float
  server_phase_seconds: dict[phases.Phase, float]
  num_survivors: int
  is_exact: bool


class _BriefClient(clients.Client):
  """A client that only adds the masks which do not cancel. Insecure."""

  needed: frozenset[int] = frozenset()

  def _add_pair_masks(
    self, masked: masks.MaskedSum, neighbours: Iterable[int]
  ) -> None:
    super()._add_pair_masks(masked, [i for i in neighbours if i in self.needed])


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
  """Keeps Python from walking a thousand clients on the server's time."""
  was_enabled = gc.isenabled()
  gc.disable()
  try:
    yield
  finally:
    if was_enabled:
      gc.enable()


def measure(
  chosen: parameters.SecAggParameters,
  num_entries: int = 100_000,
  input_bits: int = 24,
  num_dropouts: int = 0,
  num_measured: int = 3,
  seed: int = 0,
) -> Measurement:
  """Measures a session in which clients drop out after sharing their keys.

  The modulus is 2^(input_bits + ceil(log2 n)), so that sums do not wrap. Needs
  a few minutes for a thousand clients.
  Source: Bonawitz et al. 2017, section 7.2.

  Args:
    chosen: Threshold and graph; semi-honest variant.
    num_entries: m.
    input_bits: Bits of an input's entry.
    num_dropouts: The last clients disappear before their masked input.
    num_measured: So many of the first clients do all the work.
    seed: Of the inputs and of the public graph.
  """
  num_clients = chosen.num_clients
  modulus = 2 ** (input_bits + (num_clients - 1).bit_length())
  session = sessions.open_session(
    chosen,
    [modulus],
    [num_entries],
    graph_seed=seeds.derive(seed, 'measured graph').to_bytes(32, 'big'),
  )
  dropped = range(num_clients - num_dropouts, num_clients)
  _BriefClient.needed = frozenset([*range(num_measured), *dropped])
  # A few distinct inputs, so that a thousand clients fit into the memory.
  distinct = seeds.generator(seed, 'measured inputs').integers(
    2**input_bits, size=(8, num_entries)
  )
  parties = {
    i: (clients.Client if i < num_measured else _BriefClient)(
      session, i, [distinct[i % 8]]
    )
    for i in range(num_clients)
  }
  simulated = simulation.Simulation(session, server.Server(session), parties)
  with _without_collector():
    result = simulated.run(dict.fromkeys(dropped, phases.Phase.MASK))
  counts = np.bincount([i % 8 for i in result.survivors], minlength=8)
  ledger = result.costs
  return Measurement(
    client_seconds=float(ledger.total_client_seconds[:num_measured].mean()),
    server_seconds=ledger.total_server_seconds,
    client_bytes=float(
      ledger.total_client_bytes[list(result.survivors)].mean()
    ),
    server_phase_seconds=ledger.server_seconds,
    num_survivors=len(result.survivors),
    is_exact=bool(np.array_equal(result.sums[0], counts @ distinct % modulus)),
  )
