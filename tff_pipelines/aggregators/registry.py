"""Aggregators by name: a row here is a choice of `--aggregator`."""

from collections.abc import Callable
import dataclasses

import tensorflow_federated as tff

from tff_pipelines.aggregators import (
  attackers,
  composition,
  compressed_means,
  coordinate_median,
  geometric_median,
  krum,
  norm_bound,
  secure_mean,
  trimmed_mean,
  zeroing,
)
from tff_pipelines.core import errors

Factory = (
  tff.aggregators.UnweightedAggregationFactory
  | tff.aggregators.WeightedAggregationFactory
)


class UnknownAggregatorError(errors.PipelineError):
  """A name that no aggregator has."""


class UnknownCohortError(errors.PipelineError):
  """An aggregator of single updates without a largest cohort."""


@dataclasses.dataclass(frozen=True)
class Setting:
  """What an aggregator may have to know; each takes what it needs.

  Attributes:
    max_clients: The largest cohort of a round.
    tolerated_attackers: Clients that may send anything; None for a quarter of
      the largest cohort, rounded down.
    norm_bound: Of an update; None for the median of each round's norms.
    compression: Of updates that travel compressed.
  """

  max_clients: int | None = None
  tolerated_attackers: int | None = None
  norm_bound: float | None = None
  compression: compressed_means.Compression = dataclasses.field(
    default_factory=compressed_means.Compression
  )

  @property
  def cohort(self) -> int:
    """The largest cohort.

    Raises:
      UnknownCohortError: If it was not given.
    """
    if self.max_clients is None:
      raise UnknownCohortError(
        'Expected the largest cohort of a round for an aggregator that '
        'compares single updates, found none; give num_clients.'
      )
    return self.max_clients

  @property
  def tolerated(self) -> int:
    """The tolerated attackers; raises as `cohort`."""
    if self.tolerated_attackers is None:
      return attackers.default_tolerated(self.cohort)
    return self.tolerated_attackers


@dataclasses.dataclass(frozen=True)
class Aggregator:
  """A row of the registry.

  Attributes:
    description: One line for `--help`.
    build: Makes the factory.
    stack: Its layers, for `composition.check`, which refuses none at all.
  """

  description: str
  build: Callable[[Setting], Factory]
  stack: composition.Stack = ()


def _compressed(name: str, description: str) -> Aggregator:
  return Aggregator(
    description,
    lambda setting: compressed_means.build(
      name,
      dataclasses.replace(setting.compression, max_clients=setting.max_clients),
    ),
    compressed_means.build(name).stack,
  )


AGGREGATORS: dict[str, Aggregator] = {
  'mean': Aggregator(
    'mean of the updates, weighted by examples',
    lambda _: tff.aggregators.MeanFactory(),
    (composition.WEIGHT, composition.PLAIN_SUM),
  ),
  'uniform_mean': Aggregator(
    'mean of the updates, every client alike',
    lambda _: tff.aggregators.UnweightedMeanFactory(),
    (composition.PLAIN_SUM,),
  ),
  'zeroing_clipping': Aggregator(
    "TFF's robust mean: updates of extreme size are zeroed, large ones are "
    'clipped, both at adaptive norms; weighted by examples',
    lambda _: tff.learning.robust_aggregator(zeroing=True, clipping=True),
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
    lambda _: secure_mean.SecureMeanFactory(),
    secure_mean.SecureMeanFactory().stack,
  ),
  'secure_uniform_mean': Aggregator(
    'mean of the updates, every client alike, from one secure sum of 16-bit '
    'coordinates at adaptive ranges',
    lambda _: secure_mean.SecureUniformMeanFactory(),
    secure_mean.SecureUniformMeanFactory().stack,
  ),
  'median': Aggregator(
    'median of each coordinate of the updates, every client alike',
    lambda setting: coordinate_median.CoordinateMedianFactory(setting.cohort),
    coordinate_median.CoordinateMedianFactory(1).stack,
  ),
  'trimmed_mean': Aggregator(
    'mean of each coordinate without its largest and smallest values, as many '
    'of either as attackers are tolerated, every client alike',
    lambda setting: trimmed_mean.TrimmedMeanFactory(
      setting.cohort, setting.tolerated
    ),
    trimmed_mean.TrimmedMeanFactory(1, 0).stack,
  ),
  'krum': Aggregator(
    'the one update that has the most others near it',
    lambda setting: krum.KrumFactory(setting.cohort, setting.tolerated),
    krum.KrumFactory(3, 0).stack,
  ),
  'multi_krum': Aggregator(
    'mean of the updates that have the most others near them, of all but the '
    'tolerated attackers',
    lambda setting: krum.MultiKrumFactory(setting.cohort, setting.tolerated),
    krum.MultiKrumFactory(3, 0).stack,
  ),
  'geometric_median': Aggregator(
    'the vector of the least sum of distances from the updates, every client '
    'alike',
    lambda setting: geometric_median.UniformGeometricMedianFactory(
      setting.cohort
    ),
    geometric_median.UniformGeometricMedianFactory(1).stack,
  ),
  'norm_bound': Aggregator(
    'mean of the updates clipped to a norm that is given, or to the median of '
    "the round's norms, every client alike",
    lambda setting: (
      norm_bound.MedianNormBoundFactory(setting.cohort)
      if setting.norm_bound is None
      else norm_bound.NormBoundFactory(setting.norm_bound)
    ),
    norm_bound.MedianNormBoundFactory(1).stack,
  ),
  'zeroing': Aggregator(
    'mean of the updates whose norm is at most 3 times the median of the '
    "round's, every client alike",
    lambda setting: zeroing.MedianZeroingFactory(setting.cohort),
    zeroing.MedianZeroingFactory(1).stack,
  ),
  'quantized': _compressed(
    'quantized',
    'mean, weighted by examples, of updates that travel rotated and rounded at '
    'random to few bits a coordinate',
  ),
  'drive': _compressed(
    'drive',
    'mean, weighted by examples, of updates of which the signs travel, after '
    'two rotations, and a scale: one bit a coordinate',
  ),
  'subsampled': _compressed(
    'subsampled',
    'mean, weighted by examples, of updates of which random coordinates '
    'travel, scaled so that their mean stays',
  ),
  'masked_update': _compressed(
    'masked_update',
    'mean, weighted by examples, of updates inside of a random mask, in which '
    'clients of fed_avg and fed_prox train; others leave the rest behind',
  ),
  'low_rank': _compressed(
    'low_rank',
    'mean, weighted by examples, of updates whose matrices are a product of a '
    'random factor and one that travels, in which clients of fed_avg and '
    'fed_prox train; others leave the rest behind',
  ),
  'count_sketch': _compressed(
    'count_sketch',
    'mean, weighted by examples, through a count sketch that all clients of a '
    'round share',
  ),
  'top_k': _compressed(
    'top_k',
    'mean, weighted by examples, of updates of which the largest coordinates '
    'travel; biased',
  ),
}


def build(
  name: str,
  num_clients: int | None = None,
  *,
  tolerated_attackers: int | None = None,
  norm_bound: float | None = None,
  compression: compressed_means.Compression | None = None,
) -> Factory:
  """Returns the aggregation factory of the given name.

  Args:
    name: A row of the registry.
    num_clients: The largest cohort, for which its layers are checked.
    tolerated_attackers: As `Setting`; only some have an effect.
    norm_bound: As `Setting`; only some have an effect.
    compression: As `Setting`; only some have an effect.

  Raises:
    UnknownAggregatorError: If there is none.
    CompositionError: If its layers do not fit together, or the cohort.
    UnknownCohortError: If it needs the largest cohort.
    TooManyAttackersError: If that does not tolerate so many attackers.
    NormBoundError: If the bound is none.
    CodeError: If a code of that compression cannot be.
    CompressionError: If its choices do not fit together.
    NonlinearCodeError: If codes are to be summed that cannot be.
  """
  if name not in AGGREGATORS:
    raise UnknownAggregatorError(
      f'Expected an aggregator out of {", ".join(AGGREGATORS)}, found {name!r}.'
    )
  row = AGGREGATORS[name]
  if num_clients is not None:
    composition.check(row.stack, num_clients)
  return row.build(
    Setting(
      num_clients,
      tolerated_attackers,
      norm_bound,
      compression or compressed_means.Compression(),
    )
  )
