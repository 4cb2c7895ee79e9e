"""Aggregators by name: a row here is a choice of `--aggregator`."""

from collections.abc import Callable
import dataclasses

import tensorflow_federated as tff

from tff_pipelines.aggregators import composition, secure_mean
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
    stack: Its layers, for `composition.check`, which refuses none at all.
  """

  description: str
  build: Callable[[], Factory]
  stack: composition.Stack = ()


AGGREGATORS: dict[str, Aggregator] = {
  'mean': Aggregator(
    'mean of the updates, weighted by examples',
    tff.aggregators.MeanFactory,
    (composition.WEIGHT, composition.PLAIN_SUM),
  ),
  'uniform_mean': Aggregator(
    'mean of the updates, every client alike',
    tff.aggregators.UnweightedMeanFactory,
    (composition.PLAIN_SUM,),
  ),
  'zeroing_clipping': Aggregator(
    "TFF's robust mean: updates of extreme size are zeroed, large ones are "
    'clipped, both at adaptive norms; weighted by examples',
    lambda: tff.learning.robust_aggregator(zeroing=True, clipping=True),
    (
      composition.ZERO,
      composition.CLIP_NORM,
      composition.WEIGHT,
      composition.PLAIN_SUM,
    ),
  ),
  'secure_mean': Aggregator(
    'mean of the updates, weighted by examples, from one secure sum of 16-bit '
    'coordinates at adaptive ranges',
    secure_mean.SecureMeanFactory,
    secure_mean.SecureMeanFactory().stack,
  ),
  'secure_uniform_mean': Aggregator(
    'mean of the updates, every client alike, from one secure sum of 16-bit '
    'coordinates at adaptive ranges',
    secure_mean.SecureUniformMeanFactory,
    secure_mean.SecureUniformMeanFactory().stack,
  ),
}


def build(name: str, num_clients: int | None = None) -> Factory:
  """Returns the aggregation factory of the given name.

  Args:
    name: A row of the registry.
    num_clients: The largest cohort, for which its layers are checked.

  Raises:
    UnknownAggregatorError: If there is none.
    CompositionError: If its layers do not fit together, or the cohort.
  """
  if name not in AGGREGATORS:
    raise UnknownAggregatorError(
      f'Expected an aggregator out of {", ".join(AGGREGATORS)}, found {name!r}.'
    )
  row = AGGREGATORS[name]
  if num_clients is not None:
    composition.check(row.stack, num_clients)
  return row.build()
