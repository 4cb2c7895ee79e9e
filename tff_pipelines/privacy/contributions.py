"""How often, and how far apart, one client can have contributed."""

from collections.abc import Iterable
import dataclasses

import numpy as np

from tff_pipelines.core import errors
from tff_pipelines.core import participation as participation_lib


class ContributionLimitsError(errors.PipelineError):
  """Limits that no participation keeps."""


@dataclasses.dataclass(frozen=True)
class ContributionLimits:
  """Bounds on every client, whatever the cohorts were.

  Attributes:
    max_participations: Rounds of one client, at the most.
    min_separation: Rounds from one of them to the next, at the least; 1 means
      that consecutive rounds are allowed.
  """

  max_participations: int
  min_separation: int = 1

  def __post_init__(self) -> None:
    if self.max_participations < 0 or self.min_separation < 1:
      raise ContributionLimitsError(
        'Expected at least 0 participations and a separation of at least 1 '
        f'round, found {self.max_participations} and {self.min_separation}.'
      )

  def participations_in(self, num_rounds: int) -> int:
    """Returns how often a client can take part in so many rounds."""
    possible = -(-num_rounds // self.min_separation)
    return min(self.max_participations, possible)


def planned_limits(
  participation: participation_lib.Participation, num_rounds: int
) -> ContributionLimits:
  """Returns what the scheme itself ensures: cyclic cohorts are far apart.

  The other schemes can draw a client in every round.
  """
  separation = participation.separation
  return ContributionLimits(-(-num_rounds // separation), separation)


def max_total(weights: np.ndarray, limits: ContributionLimits) -> np.ndarray:
  """Returns the largest sum of weights over rounds that one client can take.

  Args:
    weights: float64[num_rounds, m], at least 0; what each round costs.
    limits: How often and how far apart.

  Returns:
    float64[m], each column maximized for itself.
  """
  num_rounds, width = weights.shape
  count = limits.participations_in(num_rounds)
  if count == num_rounds:
    return np.sum(weights, axis=0)
  if limits.min_separation == 1:
    return np.sum(np.sort(weights, axis=0)[num_rounds - count :], axis=0)
  # best[t]: the most that k participations in the first t rounds can cost.
  best = np.zeros((num_rounds + 1, width))
  for _ in range(count):
    later = np.zeros_like(best)
    for t in range(1, num_rounds + 1):
      before = best[max(0, t - limits.min_separation)]
      later[t] = np.maximum(later[t - 1], before + weights[t - 1])
    best = later
  return best[num_rounds]


class ParticipationHistory:
  """What participation really happened, from the cohorts of each round.

  State of 16 bytes a client that took part; a resumed run feeds it the cohorts
  of the rounds before again, or keeps `state`.
  """

  def __init__(self) -> None:
    self._counts: dict[int, int] = {}
    self._last_rounds: dict[int, int] = {}
    self._max_participations = 0
    self._min_separation: int | None = None

  def add(self, round_num: int, clients: Iterable[int]) -> None:
    """Adds a round's contributors; rounds come in order.

    A client named twice in one round counts twice, and the separation is 0.

    Raises:
      ContributionLimitsError: If a client was seen in a later round before.
    """
    for client in map(int, clients):
      last = self._last_rounds.get(client)
      if last is not None:
        gap = round_num - last
        if gap < 0:
          raise ContributionLimitsError(
            f'Expected rounds in order, found round {round_num} after {last}.'
          )
        self._min_separation = min(gap, self._min_separation or gap)
        if gap == 0:
          raise ContributionLimitsError(
            f'Expected every client once in a round, found client {client} '
            f'twice in round {round_num}: its clip norm would be exceeded.'
          )
      self._last_rounds[client] = round_num
      self._counts[client] = self._counts.get(client, 0) + 1
      self._max_participations = max(
        self._max_participations, self._counts[client]
      )

  def limits_with(
    self, round_num: int, clients: Iterable[int]
  ) -> ContributionLimits:
    """Returns the `limits` that `add` would lead to, and adds nothing.

    For distinct clients, in a round after all that were added.
    """
    most, nearest = self._max_participations, self._min_separation
    for client in map(int, clients):
      most = max(most, self._counts.get(client, 0) + 1)
      last = self._last_rounds.get(client)
      if last is not None:
        nearest = min(round_num - last, nearest or round_num - last)
    return ContributionLimits(most, nearest or 1)

  @property
  def limits(self) -> ContributionLimits:
    """The tightest limits that every client has kept so far.

    If nobody came twice, the separation is 1: nothing speaks about it.
    """
    return ContributionLimits(
      self._max_participations, self._min_separation or 1
    )

  @property
  def state(self) -> np.ndarray:
    """int64[clients, 3]: client, count, last round, for a checkpoint."""
    rows = [
      (client, count, self._last_rounds[client])
      for client, count in sorted(self._counts.items())
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 3)

  @classmethod
  def from_state(
    cls, state: np.ndarray, limits: ContributionLimits
  ) -> 'ParticipationHistory':
    """Restores a history from `state` and `limits` of the same moment."""
    history = cls()
    for client, count, last in state.tolist():
      history._counts[client] = count
      history._last_rounds[client] = last
    history._max_participations = limits.max_participations
    if limits.max_participations > 1:
      history._min_separation = limits.min_separation
    return history
