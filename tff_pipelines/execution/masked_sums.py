"""Secure sums of TFF computations by the protocol of `secagg/`.

TFF's `federated_secure_sum`, `federated_secure_sum_bitwidth` and
`federated_secure_modular_sum` say what is to be summed, not how.
"""

from collections.abc import Mapping, Sequence
import dataclasses

import numpy as np

from tff_pipelines.core import errors, seeds
from tff_pipelines.secagg import dropouts as dropouts_lib
from tff_pipelines.secagg import errors as secagg_errors
from tff_pipelines.secagg import parameters as parameters_lib
from tff_pipelines.secagg import phases, simulation

# Before their masked input: those who leave here are in no sum of the round.
_BEFORE_INPUT = (
  phases.Phase.ADVERTISE,
  phases.Phase.SHARE,
  phases.Phase.MASK,
)
_MAX_MODULUS = 2**62

# What a failed session raises; nothing is revealed then.
SessionAbortedError = secagg_errors.AbortError


class SecureSumError(errors.PipelineError):
  """A secure sum that cannot be carried out."""


@dataclasses.dataclass(frozen=True)
class Summand:
  """One tensor that each client hands to a secure sum.

  Attributes:
    modulus: Of a modular sum, whose inputs may be any integers.
    max_input: Of another sum: inputs are 0 to this.
  """

  modulus: int | None = None
  max_input: int | None = None

  def modulus_for(self, num_clients: int) -> int:
    """Returns a modulus that the sum of so many inputs is exact with.

    Raises:
      SecureSumError: If there is none of 62 bits.
    """
    if self.modulus is not None:
      return self.modulus
    assert self.max_input is not None
    modulus = num_clients * self.max_input + 1
    if modulus > _MAX_MODULUS:
      raise SecureSumError(
        f'Expected secure sums below 2^62, found {num_clients} clients with '
        f'inputs up to {self.max_input}; take fewer bits or fewer clients.'
      )
    return max(2, modulus)


@dataclasses.dataclass(frozen=True)
class SecureTotal:
  """What came of the secure sums of a round.

  Attributes:
    sums: One int64 array a summand.
    survivors: The clients in them, by their position in the cohort.
  """

  sums: tuple[np.ndarray, ...]
  survivors: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class MaskedSumConfig:
  """How a round's session of secure aggregation is set up.

  Attributes:
    graph: `complete`, or `sparse` for cohorts of many hundreds.
    tolerated_dropout: Share of the clients that may drop out.
    tolerated_corrupted: Share of the clients that may collude with the server.
    malicious: Whether the server may deviate from the protocol.
    dropout_rates: By phase, the chance that a client leaves before its message:
      a simulation's dropouts.
    seed: Of those dropouts. Masks and keys come from the operating system.
  """

  graph: parameters_lib.Graph = 'complete'
  tolerated_dropout: float = 0.3
  tolerated_corrupted: float = 0.0
  malicious: bool = False
  dropout_rates: Mapping[phases.Phase, float] | Mapping[str, float] = (
    dataclasses.field(default_factory=dict)
  )
  seed: int = 0

  def __post_init__(self) -> None:
    dropouts_lib.draw_dropouts(1, self.dropout_rates, 0)  # Checks the rates.
    parameters_lib.derive_parameters(
      1000,
      self.tolerated_dropout,
      self.tolerated_corrupted,
      self.graph,
      self.malicious,
    )


@dataclasses.dataclass(frozen=True)
class SessionCost:
  """What the last session took.

  Attributes:
    num_clients: Clients that were asked.
    survivors: Clients in the sum.
    seconds: Of everybody, on this machine.
    client_seconds: Mean of a client.
    server_seconds: Of the server.
    upload_bytes: Mean of a client.
    download_bytes: Mean of a client.
  """

  num_clients: int
  survivors: int
  seconds: float
  client_seconds: float
  server_seconds: float
  upload_bytes: float
  download_bytes: float


class MaskedSum:
  """Secure aggregation: the server learns the survivors' sum and no more.

  Simulated on one machine, it shows what the protocol costs and how it fails;
  it protects nobody from the machine's owner (`secagg/README.md`).

  Attributes:
    config: How sessions are set up.
    last_cost: Of the round's last session, or None.
  """

  def __init__(self, config: MaskedSumConfig | None = None):
    self.config = config or MaskedSumConfig()
    self.last_cost: SessionCost | None = None
    self._round = (0, 0)
    self._announced: tuple[int, int] | None = None
    self._dropouts: dict[int, phases.Phase] = {}

  def begin_round(self, round_num: int, attempt: int = 0) -> None:
    """Says which round comes next, so that its dropouts are its own.

    Without it, rounds are counted from 1.
    """
    self._announced = (round_num, attempt)
    self.last_cost = None

  def expected(self, num_clients: int) -> tuple[int, ...]:
    """Starts a round; returns the clients that will hand in integers."""
    self._round = self._announced or (self._round[0] + 1, 0)
    self._announced = None
    self._dropouts = dropouts_lib.draw_dropouts(
      num_clients,
      self.config.dropout_rates,
      seeds.derive(self.config.seed, 'dropouts', *self._round),
    )
    return tuple(
      c
      for c in range(num_clients)
      if self._dropouts.get(c) not in _BEFORE_INPUT
    )

  def total(
    self,
    num_clients: int,
    inputs: Mapping[int, Sequence[np.ndarray]],
    summands: Sequence[Summand],
  ) -> SecureTotal:
    """Sums the inputs of the round that `expected` started.

    Args:
      num_clients: The clients of the round, those that leave included.
      inputs: One integer array a summand, by each client that was expected.
      summands: What each of them may hold.

    Raises:
      SecureSumError: If an input is out of range, or moduli are too large.
      SessionAbortedError: If the session fails; nothing is revealed then.
    """
    parameters = self._parameters(num_clients)
    if not inputs:
      raise secagg_errors.BelowThresholdError(
        f'Expected clients that hand in their masked input, found none of '
        f'{num_clients}: all have dropped out.'
      )
    moduli = [s.modulus_for(num_clients) for s in summands]
    reduced = {
      i: _in_range(i, own, summands, moduli) for i, own in inputs.items()
    }
    shapes = [value.shape for value in next(iter(reduced.values()))]
    # Clients that left before are part of the session, with nothing to say.
    nothing = [np.zeros(shape, np.int64) for shape in shapes]
    result = simulation.run_session(
      [
        [value.ravel() for value in reduced.get(c, nothing)]
        for c in range(num_clients)
      ],
      moduli,
      parameters,
      dropouts=self._dropouts,
      round_num=self._round[0],
    )
    self.last_cost = _cost(num_clients, result)
    return SecureTotal(
      tuple(
        total.reshape(shape)
        for total, shape in zip(result.sums, shapes, strict=True)
      ),
      result.survivors,
    )

  def _parameters(self, num_clients: int) -> parameters_lib.SecAggParameters:
    if num_clients < 2:
      raise secagg_errors.ParameterError(
        'Expected at least 2 clients in a round with secure sums, found '
        f'{num_clients}: a sum of one client is its input; take larger cohorts '
        "or the summation 'insecure'."
      )
    return parameters_lib.derive_parameters(
      num_clients,
      self.config.tolerated_dropout,
      self.config.tolerated_corrupted,
      self.config.graph,
      self.config.malicious,
    )


def _in_range(
  client: int,
  values: Sequence[np.ndarray],
  summands: Sequence[Summand],
  moduli: Sequence[int],
) -> list[np.ndarray]:
  """Returns a client's integers in [0, modulus)."""
  reduced = []
  for value, summand, modulus in zip(values, summands, moduli, strict=True):
    integers = np.asarray(value).astype(np.int64)
    if summand.modulus is not None:
      integers = integers % modulus
    elif integers.size and not (
      integers.min() >= 0 and integers.max() <= summand.max_input
    ):
      raise SecureSumError(
        f'Expected inputs of 0 to {summand.max_input} to a secure sum, found '
        f'{integers.min()} to {integers.max()} at client {client} of the '
        'cohort; clip them in the work of the clients.'
      )
    reduced.append(integers)
  return reduced


def _cost(num_clients: int, result: simulation.SessionResult) -> SessionCost:
  ledger = result.costs
  client_seconds = float(np.sum(ledger.total_client_seconds))
  upload = sum(np.sum(b) for b in ledger.upload_bytes.values())
  download = sum(np.sum(b) for b in ledger.download_bytes.values())
  return SessionCost(
    num_clients=num_clients,
    survivors=len(result.survivors),
    seconds=client_seconds + ledger.total_server_seconds,
    client_seconds=client_seconds / num_clients,
    server_seconds=ledger.total_server_seconds,
    upload_bytes=float(upload) / num_clients,
    download_bytes=float(download) / num_clients,
  )
