"""Threshold and graph of a session, chosen safely or refused.

Sources: Bonawitz et al. 2017, "Practical Secure Aggregation for
Privacy-Preserving Machine Learning", section 6 (complete graph); Bell et al.
2020, "Secure Single-Server Aggregation with (Poly)Logarithmic Overhead",
section 3 (sparse graph).
"""

import dataclasses
import functools
import math
from typing import Literal, get_args

import numpy as np

from tff_pipelines.secagg import errors, failure_probabilities

Graph = Literal['complete', 'sparse']

# Evaluation points are index + 1 and have to stay small; see `polynomials`.
_MAX_CLIENTS = 2**24


@dataclasses.dataclass(frozen=True)
class SecAggParameters:
  """Who shares secrets with whom, and how many it takes to give them back.

  Refuses what is unsafe or cannot work. Sources: Bonawitz et al. 2017, section
  6; Bell et al. 2020, section 3.

  Attributes:
    num_clients: n, the clients that are asked.
    threshold: t, the shares that give a secret back.
    degree: k, the neighbours of each client; None for the complete graph.
    malicious: Whether the server may deviate from the protocol: adds the
      consistency check and signatures. Complete graph only.
    max_dropouts: The most clients that may drop out. None is n - t in the
      complete graph; the sparse graph has to state it.
    max_corrupted: The most clients that collude (with the server).
    security_bits: sigma; the sparse graph leaks to max_corrupted clients with
      probability at most 2^-sigma.
    correctness_bits: eta; a session on the sparse graph aborts although no more
      than max_dropouts drop out with probability at most 2^-eta.

  Raises:
    ParameterError: If the choice is unsafe or impossible.
  """

  num_clients: int
  threshold: int
  degree: int | None = None
  malicious: bool = False
  max_dropouts: int | None = None
  max_corrupted: int = 0
  security_bits: float = 40.0
  correctness_bits: float = 30.0

  def __post_init__(self) -> None:
    if not 2 <= self.num_clients <= _MAX_CLIENTS:
      raise errors.ParameterError(
        f'Expected between 2 and {_MAX_CLIENTS} clients, found '
        f'{self.num_clients}; the sum of one client is its input.'
      )
    if not 2 <= self.threshold <= self.num_clients:
      raise errors.ParameterError(
        'Expected a threshold between 2 and num_clients, found a threshold of '
        f'{self.threshold} for {self.num_clients} clients; use '
        'derive_parameters to choose one.'
      )
    if self.degree is None and self.max_dropouts is None:
      object.__setattr__(
        self, 'max_dropouts', self.num_clients - self.threshold
      )
    self._check_counts()
    if self.malicious:
      self._check_malicious()
    if self.degree is None:
      self._check_complete()
    else:
      self._check_sparse(self.degree)

  @property
  def min_survivors(self) -> int:
    """The fewest inputs in a sum (Bonawitz, fig. 4; Bell, alg. 2)."""
    if self.degree is None:
      return self.threshold
    assert self.max_dropouts is not None  # For mypy: __post_init__ checks.
    return max(self.threshold, self.num_clients - self.max_dropouts)

  def _check_counts(self) -> None:
    for name in ('max_dropouts', 'max_corrupted'):
      count = getattr(self, name)
      if count is None or not 0 <= count < self.num_clients:
        raise errors.ParameterError(
          f'Expected {name} between 0 and num_clients - 1, found {count} of '
          f'{self.num_clients} clients; state how many the session has to bear.'
        )

  def _check_malicious(self) -> None:
    if self.degree is not None:
      raise errors.ParameterError(
        'Expected the complete graph in the malicious variant, found a degree '
        f'of {self.degree}; leave the degree out.'
      )
    # Bonawitz et al. 2017, theorem 6.5: two sets of t honest answers for two
    # different sets of survivors must be impossible.
    least = (self.num_clients + self.max_corrupted) // 2 + 1
    if self.threshold < least:
      raise errors.ParameterError(
        f'Expected a threshold of at least {least} in the malicious variant '
        f'with {self.num_clients} clients, {self.max_corrupted} of them '
        f'corrupted, found {self.threshold}; raise the threshold.'
      )

  def _check_complete(self) -> None:
    assert self.max_dropouts is not None
    if self.threshold <= self.max_corrupted:
      raise errors.ParameterError(
        'Expected a threshold above the number of corrupted clients, found '
        f'{self.threshold} with {self.max_corrupted} corrupted; raise the '
        'threshold.'
      )
    if self.num_clients - self.max_dropouts < self.threshold:
      raise errors.ParameterError(
        f'Expected at least {self.threshold} clients (the threshold) to be '
        f'left after max_dropouts, found {self.num_clients - self.max_dropouts}'
        '; lower the threshold or max_dropouts.'
      )

  def _check_sparse(self, degree: int) -> None:
    assert self.max_dropouts is not None
    if degree % 2 or not 2 <= degree < self.num_clients - 1:
      raise errors.ParameterError(
        'Expected an even degree between 2 and num_clients - 2, found '
        f'{degree} for {self.num_clients} clients; leave the degree out for '
        'the complete graph.'
      )
    if self.threshold > degree:
      raise errors.ParameterError(
        'Expected a threshold of at most the degree in a sparse graph, found a '
        f'threshold of {self.threshold} and a degree of {degree}; use '
        'derive_parameters to choose both.'
      )
    security, correctness = _sparse_failures(
      self.num_clients, degree, self.max_dropouts, self.max_corrupted
    )
    for name, found, bits in (
      ('leaks', security[self.threshold], self.security_bits),
      ('aborts', correctness[self.threshold], self.correctness_bits),
    ):
      if found > 2.0**-bits:
        raise errors.ParameterError(
          f'Expected a sparse graph that {name} with probability at most '
          f'2^-{bits:g}, found a bound of 2^{math.log2(found):.1f} with '
          f'{degree} neighbours and threshold {self.threshold}; use '
          'derive_parameters to choose both.'
        )


@functools.lru_cache(maxsize=256)
def _sparse_failures(
  num_clients: int, degree: int, max_dropouts: int, max_corrupted: int
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the probabilities to leak and to abort, for t = 0..degree + 1."""
  security = failure_probabilities.too_many_corrupted(
    num_clients, degree, max_corrupted
  ) + failure_probabilities.disconnected(
    num_clients, degree, min(num_clients, max_dropouts + max_corrupted)
  )
  correctness = failure_probabilities.too_few_survivors(
    num_clients, degree, max_dropouts
  )
  return np.minimum(security, 1.0), correctness


def _derive_complete(
  num_clients: int, max_dropouts: int, max_corrupted: int, malicious: bool
) -> SecAggParameters:
  if malicious:
    threshold = (num_clients + max_corrupted) // 2 + 1
  else:
    threshold = min(num_clients // 2 + 1, num_clients - max_dropouts)
    threshold = max(threshold, max_corrupted + 1, 2)
  return SecAggParameters(
    num_clients,
    threshold,
    malicious=malicious,
    max_dropouts=max_dropouts,
    max_corrupted=max_corrupted,
  )


def _derive_sparse(
  num_clients: int,
  max_dropouts: int,
  max_corrupted: int,
  security_bits: float,
  correctness_bits: float,
) -> SecAggParameters:
  for degree in range(4, num_clients - 1, 2):
    security, correctness = _sparse_failures(
      num_clients, degree, max_dropouts, max_corrupted
    )
    safe = (security <= 2.0**-security_bits) & (
      correctness <= 2.0**-correctness_bits
    )
    thresholds = np.flatnonzero(safe[2 : degree + 1]) + 2
    if thresholds.size:
      return SecAggParameters(
        num_clients,
        # The most private of those that are correct often enough.
        int(thresholds[-1]),
        degree=degree,
        max_dropouts=max_dropouts,
        max_corrupted=max_corrupted,
        security_bits=security_bits,
        correctness_bits=correctness_bits,
      )
  raise errors.ParameterError(
    'Expected a sparse graph that is safe for '
    f'{max_dropouts} dropouts and {max_corrupted} corrupted clients, found '
    f'none with fewer than {num_clients - 1} neighbours; use the complete '
    'graph.'
  )


def derive_parameters(
  num_clients: int,
  dropout_fraction: float,
  corrupted_fraction: float,
  graph: Graph = 'complete',
  malicious: bool = False,
  *,
  security_bits: float = 40.0,
  correctness_bits: float = 30.0,
) -> SecAggParameters:
  """Returns the cheapest parameters that bear the stated fractions.

  Complete graph: t is just above half of the clients, lower where more may drop
  out and higher where more are corrupted; in the malicious variant just above
  (n + corrupted) / 2 (Bonawitz et al. 2017, section 6). It never fails within
  the fractions, so the bits do not matter.
  Sparse graph: the smallest even degree for which a threshold keeps both
  failure probabilities (Bell et al. 2020, section 3).

  Args:
    num_clients: n.
    dropout_fraction: delta; at most floor(delta n) clients drop out.
    corrupted_fraction: gamma; at most floor(gamma n) clients are corrupted.
    graph: `complete` or `sparse`.
    malicious: Whether the server may deviate from the protocol.
    security_bits: sigma, see `SecAggParameters`.
    correctness_bits: eta, see `SecAggParameters`.

  Raises:
    ParameterError: If no choice is safe.
  """
  if graph not in get_args(Graph):
    raise errors.ParameterError(
      f'Expected a graph out of {", ".join(get_args(Graph))}, found {graph!r}.'
    )
  for name, fraction in (
    ('dropout_fraction', dropout_fraction),
    ('corrupted_fraction', corrupted_fraction),
  ):
    if not 0 <= fraction < 1:
      raise errors.ParameterError(
        f'Expected {name} in [0, 1), found {fraction}; state a share of the '
        'clients.'
      )
  max_dropouts = math.floor(dropout_fraction * num_clients)
  max_corrupted = math.floor(corrupted_fraction * num_clients)
  if graph == 'complete':
    return _derive_complete(num_clients, max_dropouts, max_corrupted, malicious)
  if malicious:
    raise errors.ParameterError(
      'Expected the complete graph in the malicious variant, found the graph '
      "'sparse'; choose the graph 'complete'."
    )
  return _derive_sparse(
    num_clients, max_dropouts, max_corrupted, security_bits, correctness_bits
  )
