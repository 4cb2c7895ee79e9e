"""When a run stops before its last round.

Rules see what has been released so far and nothing else, so that a resumed run
stops where the uninterrupted one would have (wall time excepted).
"""

from collections.abc import Callable, Sequence
import dataclasses
import math
from typing import Protocol

from tff_pipelines.core import errors

History = Sequence[dict[str, float]]


class StopRuleError(errors.PipelineError):
  """A stop rule that can never apply."""


class StopRule(Protocol):
  """Decides after each round."""

  def reason(self, history: History, elapsed_seconds: float) -> str | None:
    """Returns why to stop now, in words, or None to go on."""


@dataclasses.dataclass(frozen=True)
class MetricTarget:
  """Stops when a metric reaches a value from below.

  Attributes:
    metric: A column of metrics.csv.
    target: The value.
  """

  metric: str
  target: float

  def reason(self, history: History, elapsed_seconds: float) -> str | None:
    """See `StopRule`."""
    del elapsed_seconds  # Unused.
    values = _values(self.metric, history)
    if values and values[-1] >= self.target:
      return f'{self.metric} reached {values[-1]:.4f} (target {self.target})'
    return None


@dataclasses.dataclass(frozen=True)
class Plateau:
  """Stops when a metric has not become better for a while.

  Attributes:
    metric: A column of metrics.csv; higher is better.
    evaluations: How many evaluations in a row may bring nothing.
    min_delta: By how much a value has to exceed the best to count.
  """

  metric: str
  evaluations: int
  min_delta: float = 0.0

  def __post_init__(self) -> None:
    if self.evaluations < 1:
      raise StopRuleError(
        'Expected a plateau of at least 1 evaluation, found '
        f'{self.evaluations}.'
      )

  def reason(self, history: History, elapsed_seconds: float) -> str | None:
    """See `StopRule`."""
    del elapsed_seconds  # Unused.
    best, since = float('-inf'), 0
    for value in _values(self.metric, history):
      if value > best + self.min_delta:
        best, since = value, 0
      else:
        since += 1
    if since >= self.evaluations:
      return (
        f'{self.metric} has not exceeded {best:.4f} for {since} evaluations'
      )
    return None


@dataclasses.dataclass(frozen=True)
class WallTime:
  """Stops after a time, counted over all sessions of the run."""

  seconds: float

  def reason(self, history: History, elapsed_seconds: float) -> str | None:
    """See `StopRule`."""
    del history  # Unused.
    if elapsed_seconds >= self.seconds:
      return f'{elapsed_seconds:.0f} s are over (limit {self.seconds:.0f} s)'
    return None


@dataclasses.dataclass(frozen=True)
class EpsilonBudget:
  """Stops before the round that would spend more than a budget.

  Attributes:
    epsilon: The budget, which is never exceeded.
    last_round: The last round of the program, after which none is asked about.
    next_epsilon: What everything released so far and one round more spend; as
      the other rules, a function of what has been released.
  """

  epsilon: float
  last_round: int
  next_epsilon: Callable[[], float]

  def __post_init__(self) -> None:
    check_budget(self.epsilon)

  def reason(self, history: History, elapsed_seconds: float) -> str | None:
    """See `StopRule`."""
    del elapsed_seconds  # Unused.
    if history and history[-1]['round_num'] >= self.last_round:
      return None
    predicted = self.next_epsilon()
    if predicted <= self.epsilon:
      return None
    return (
      f'the next round would bring epsilon to {predicted:.4g} (budget '
      f'{self.epsilon:g})'
    )


def check_budget(epsilon: float) -> None:
  """Raises StopRuleError unless it is a finite number above 0."""
  if not 0.0 < epsilon < math.inf:
    raise StopRuleError(
      f'Expected a finite epsilon above 0 to stop at, found {epsilon}.'
    )


def _values(metric: str, history: History) -> list[float]:
  values = [row[metric] for row in history if metric in row]
  # The row of the initial state has no metrics of training yet.
  if len(history) > 1 and not values:
    names = sorted({name for row in history for name in row})
    raise StopRuleError(
      f'Expected the metric of a stop rule among {", ".join(names)}, found '
      f'{metric!r}.'
    )
  return values
