"""Which clients take part in which round.

One value states it for everyone: the selector draws cohorts from it and the
privacy ledger accounts for it, so the two cannot disagree.
"""

import dataclasses
from typing import Literal, get_args

import numpy as np

from tff_pipelines.core import errors, seeds

Scheme = Literal['uniform', 'poisson', 'cyclic', 'everyone', 'diurnal']


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
      `everyone`: the whole population in every round;
      `diurnal`: a subset of exactly `clients_per_round` of those who are awake,
        drawn as by `uniform`. Clients live around the globe in their order and
        are awake for `awake_share` of a day, so who is awake moves on from
        round to round and is the same a day later: block-cyclic data, as in
        Eichner et al. 2019, arXiv 1904.10120, sections 1 and 2, with blocks
        that overlap. Where neighbours hold alike data, the mix of the data
        drifts within a day.
    day_rounds: Rounds in a day, for `diurnal`.
    awake_share: Share of the day that a client is awake, and of the population
      that is awake at once, for `diurnal`.
  """

  population_size: int
  clients_per_round: int
  scheme: Scheme = 'uniform'
  day_rounds: int = 24
  awake_share: float = 0.25

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
    if self.scheme == 'diurnal':
      self._check_day()

  def _check_day(self) -> None:
    if self.day_rounds < 1:
      raise ParticipationError(
        f'Expected a day of at least 1 round, found {self.day_rounds}.'
      )
    if not 0 < self.awake_share <= 1:
      raise ParticipationError(
        'Expected clients who are awake for a share of the day above 0 and up '
        f'to 1, found {self.awake_share}.'
      )
    if self.clients_per_round > self.num_awake:
      raise ParticipationError(
        f'Expected at most the {self.num_awake} of {self.population_size} '
        'clients who are awake at once in a round, found '
        f'{self.clients_per_round}; choose fewer, or let them be awake for '
        'longer.'
      )

  @property
  def num_awake(self) -> int:
    """Clients that can be chosen in one round."""
    if self.scheme != 'diurnal':
      return self.population_size
    return num_awake(self.population_size, self.awake_share)

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

  def awake(self, round_num: int) -> np.ndarray:
    """Returns who can be chosen in a round, int64[num_awake], from 1."""
    hour = (round_num - 1) % self.day_rounds if self.scheme == 'diurnal' else 0
    first = hour * self.population_size // self.day_rounds
    return (first + np.arange(self.num_awake)) % self.population_size

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
    if self.scheme == 'diurnal':
      awake = self.awake(round_num)
      return awake[
        rng.choice(len(awake), self.clients_per_round, replace=False)
      ]
    return rng.choice(
      self.population_size, self.clients_per_round, replace=False
    )


def num_awake(population_size: int, awake_share: float) -> int:
  """Returns how many clients are awake at once; one at the least."""
  return max(1, round(awake_share * population_size))
