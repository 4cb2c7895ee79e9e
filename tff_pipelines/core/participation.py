"""Which clients take part in which round.

One value states it for everyone: the selector draws cohorts from it and the
privacy ledger accounts for it, so the two cannot disagree.
"""

import dataclasses
from typing import Literal, get_args

import numpy as np

from tff_pipelines.core import errors, seeds

Scheme = Literal['uniform', 'poisson', 'cyclic', 'everyone']


class ParticipationError(errors.PipelineError):
  """A participation scheme that cannot be carried out."""


@dataclasses.dataclass(frozen=True)
class Participation:
  """How cohorts are drawn from a population.

  Attributes:
    population_size: Number of clients that can be chosen.
    clients_per_round: Cohort size; for `poisson` its expectation.
    scheme: One of
      `uniform`: a subset of exactly `clients_per_round`, without replacement,
        independent between rounds;
      `poisson`: every client independently with probability
        `clients_per_round / population_size`, so cohorts differ in size and
        can be empty;
      `cyclic`: a fixed random order, cut into consecutive cohorts and walked
        round and round, so that two rounds of one client are at least
        `separation` apart;
      `everyone`: the whole population in every round.
  """

  population_size: int
  clients_per_round: int
  scheme: Scheme = 'uniform'

  def __post_init__(self) -> None:
    if self.scheme not in get_args(Scheme):
      raise ParticipationError(
        f'Expected a participation scheme out of {", ".join(get_args(Scheme))},'
        f' found {self.scheme!r}.'
      )
    if not 1 <= self.clients_per_round <= self.population_size:
      raise ParticipationError(
        'Expected between 1 and population_size clients per round, found '
        f'{self.clients_per_round} clients per round of a population of '
        f'{self.population_size}; choose fewer.'
      )
    if (
      self.scheme == 'everyone'
      and self.clients_per_round != self.population_size
    ):
      raise ParticipationError(
        'Expected clients_per_round to be the population of '
        f'{self.population_size} under the scheme everyone, found '
        f'{self.clients_per_round}; choose the scheme uniform for fewer.'
      )

  @property
  def sampling_rate(self) -> float:
    """The (expected) share of the population in one round."""
    return self.clients_per_round / self.population_size

  @property
  def max_clients_per_round(self) -> int:
    """The largest cohort that there can be."""
    if self.scheme == 'poisson':
      return self.population_size
    return self.clients_per_round

  @property
  def separation(self) -> int:
    """Rounds between two participations of one client, at the least."""
    if self.scheme == 'cyclic':
      return self.population_size // self.clients_per_round
    return 1

  def select(self, seed: int, round_num: int, attempt: int = 0) -> np.ndarray:
    """Returns the cohort of a round, a pure function of its arguments.

    Args:
      seed: The run's seed.
      round_num: The round, from 1.
      attempt: How often the round has failed before. Each attempt has a cohort
        of its own, except where the scheme fixes the round's.

    Returns:
      Distinct client indices, int64[cohort], in the order of the draw.

    Raises:
      ValueError: If the round is below 1.
    """
    if round_num < 1:
      raise ValueError(
        f'Expected a round_num of at least 1, found {round_num}.'
      )
    if self.scheme == 'everyone':
      return np.arange(self.population_size)
    if self.scheme == 'cyclic':
      # The remainder of the population that fills no whole cohort stays out.
      order = seeds.generator(seed, 'selection').permutation(
        self.population_size
      )
      start = (round_num - 1) % self.separation * self.clients_per_round
      return order[start : start + self.clients_per_round]
    again = (attempt,) if attempt else ()
    rng = seeds.generator(seed, 'selection', round_num, *again)
    if self.scheme == 'poisson':
      chosen = rng.random(self.population_size) < self.sampling_rate
      return np.flatnonzero(chosen)
    return rng.choice(
      self.population_size, self.clients_per_round, replace=False
    )
