"""Aggregators by name: a row here is a choice of `--aggregator`."""

from collections.abc import Callable
import dataclasses

import tensorflow_federated as tff

from tff_pipelines.core import errors

Factory = (
  tff.aggregators.UnweightedAggregationFactory
  | tff.aggregators.WeightedAggregationFactory
)


class UnknownAggregatorError(errors.PipelineError):
  """A name that no aggregator has."""


@dataclasses.dataclass(frozen=True)
class Aggregator:
  """A row of the registry.

  Attributes:
    description: One line for `--help`.
    build: Makes the factory.
  """

  description: str
  build: Callable[[], Factory]


AGGREGATORS: dict[str, Aggregator] = {
  'mean': Aggregator(
    'mean of the updates, weighted by examples',
    tff.aggregators.MeanFactory,
  ),
  'uniform_mean': Aggregator(
    'mean of the updates, every client alike',
    tff.aggregators.UnweightedMeanFactory,
  ),
  'zeroing_clipping': Aggregator(
    "TFF's robust mean: updates of extreme size are zeroed, large ones are "
    'clipped, both at adaptive norms; weighted by examples',
    lambda: tff.learning.robust_aggregator(zeroing=True, clipping=True),
  ),
}


def build(name: str) -> Factory:
  """Returns the aggregation factory of the given name.

  Raises:
    UnknownAggregatorError: If there is none.
  """
  if name not in AGGREGATORS:
    raise UnknownAggregatorError(
      f'Expected an aggregator out of {", ".join(AGGREGATORS)}, found {name!r}.'
    )
  return AGGREGATORS[name].build()
