"""Means of compressed updates by name, with what a user can choose of them."""

from collections.abc import Callable
import dataclasses
from typing import Literal

import tensorflow_federated as tff

from tff_pipelines.aggregators import (
  composition,
  encoded_mean,
  secure_mean,
  secure_mean_config,
  sketched_mean,
)
from tff_pipelines.core import errors
from tff_pipelines.numerics import (
  codes,
  count_sketch,
  drive,
  low_rank,
  quantization,
  subsampling,
  top_k,
)

Sampling = Literal['without_replacement', 'coin']

# What travels of an update where nothing else is said.
DEFAULT_FRACTION = 1 / 16


class CompressionError(errors.PipelineError):
  """Compression that does not fit together."""


@dataclasses.dataclass(frozen=True)
class Compression:
  """What can be chosen; each code takes what it needs.

  Attributes:
    bits: Of a quantized coordinate.
    fraction: Of the numbers that travel; None for a sixteenth, or for all of
      those that are quantized.
    rank: Of matrices.
    sketch_rows: Of a count sketch.
    sampling: How coordinates are drawn.
    silent_below: Norm of an update below which a client is silent.
    secure: Whether codes are added by a secure sum, of 16 bits a number and as
      many more as the cohort and its weights need.
    max_clients: The largest cohort of that sum; None for the usual one.
    common: Whether all clients of a round have one code, so that its messages
      are added before they are decoded; always so in a secure sum.
    measure_entropy: Whether to measure what entropy coding would save.
    seed: Of all codes of a run.
  """

  bits: int = 2
  fraction: float | None = None
  rank: int = 8
  sketch_rows: int = 1
  sampling: Sampling = 'without_replacement'
  silent_below: float = 0.0
  secure: bool = False
  max_clients: int | None = None
  common: bool = False
  measure_entropy: bool = False
  seed: int = 0

  @property
  def part(self) -> float:
    """The fraction of codes that are nothing but one."""
    return DEFAULT_FRACTION if self.fraction is None else self.fraction

  def after_subsampling(self, code: codes.Code) -> codes.Code:
    """Returns a code of all numbers, or of the fraction of them."""
    if self.fraction is None or self.fraction == 1.0:
      return code
    return codes.Chain(subsampling.Subsampling(self.fraction), code)

  def subsampled(self) -> codes.Code:
    """Returns the code of some coordinates, unbiased."""
    if self.sampling == 'coin':
      return subsampling.CoinSubsampling(self.part)
    return subsampling.Subsampling(self.part)


CODES: dict[str, Callable[[Compression], codes.Code]] = {
  'quantized': lambda c: c.after_subsampling(quantization.Quantization(c.bits)),
  'drive': lambda c: c.after_subsampling(drive.Drive()),
  'subsampled': lambda c: c.subsampled(),
  'masked_update': lambda c: subsampling.Subsampling(c.part, is_scaled=False),
  'low_rank': lambda c: low_rank.LowRank(c.rank, is_scaled=False),
  'count_sketch': lambda c: count_sketch.CountSketch(c.part, c.sketch_rows),
  'top_k': lambda c: top_k.TopK(c.part),
}
# Whose integers entropy coding makes shorter.
PACKED = ('quantized', 'top_k')
# Codes that a sum can add, secure or not.
LINEAR = ('subsampled', 'masked_update', 'low_rank', 'count_sketch')


def build(
  name: str, choice: Compression | None = None
) -> encoded_mean.EncodedMeanFactory | sketched_mean.SketchedMeanFactory:
  """Returns the mean of updates compressed by the code of that name.

  Each client has a seed of its own, so that errors average out over clients,
  unless codes are added before they are decoded: in a secure sum, and always in
  a count sketch, whose error is that of the mean update.

  Raises:
    CompressionError: If clients are to be silent in a sum of codes.
    CodeError: If a number is out of its range.
    NonlinearCodeError: If codes are to be added that cannot be.
    CompositionError: If the secure sum is too small for the cohort.
  """
  choice = choice or Compression()
  code = CODES[name](choice)
  if not (choice.secure or choice.common or name == 'count_sketch'):
    return encoded_mean.EncodedMeanFactory(
      code,
      seed=choice.seed,
      silent_below=choice.silent_below,
      measure_entropy=choice.measure_entropy,
    )
  if choice.silent_below:
    raise CompressionError(
      f'Expected every client to speak in a sum of codes ({name}), found '
      f'silence below a norm of {choice.silent_below}: the sum has a place for '
      'each; leave it out.'
    )
  if not choice.secure:
    return sketched_mean.SketchedMeanFactory(
      code,
      tff.aggregators.MeanFactory(),
      (composition.WEIGHT, composition.PLAIN_SUM),
      seed=choice.seed,
    )
  config = secure_mean_config.SecureMeanConfig()
  if choice.max_clients is not None:
    # A sum of one client is refused below.
    config = dataclasses.replace(config, max_clients=max(2, choice.max_clients))
  secure = secure_mean.SecureMeanFactory(config)
  factory = sketched_mean.SketchedMeanFactory(
    code, secure, secure.stack, seed=choice.seed
  )
  composition.check(factory.stack, choice.max_clients)
  return factory
