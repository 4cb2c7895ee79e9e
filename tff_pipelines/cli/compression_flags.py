"""Flags of aggregators whose updates travel compressed."""

from typing import get_args

from tff_pipelines.aggregators import compressed_means
from tff_pipelines.cli import flag_groups
from tff_pipelines.core import seeds

_OF_A_PART = tuple(n for n in compressed_means.CODES if n != 'low_rank')
# Whose updates travel each with a code of its own.
ENCODED = tuple(n for n in compressed_means.CODES if n != 'count_sketch')


class CompressionFlags:
  """Those flags, in the group that has `--aggregator`."""

  def __init__(self, group: flag_groups.FlagGroup):
    usual, define = compressed_means.Compression(), group.define
    self._bits = define(
      'compression_bits',
      usual.bits,
      'bits of a coordinate, 1 to 8',
      only_with=('aggregator', ('quantized',)),
    )
    self._fraction = define(
      'compression_fraction',
      None,
      'part of the numbers that travels; by default a sixteenth, and all of '
      'those of quantized and drive, which otherwise are subsampled first',
      kind=float,
      only_with=('aggregator', _OF_A_PART),
    )
    self._rank = define(
      'compression_rank',
      usual.rank,
      'rank of the matrices',
      only_with=('aggregator', ('low_rank',)),
    )
    self._sketch_rows = define(
      'sketch_rows',
      usual.sketch_rows,
      'rows among which the buckets of a count sketch are divided; of their '
      'estimates the median is taken',
      only_with=('aggregator', ('count_sketch',)),
    )
    self._sampling = define(
      'compression_sampling',
      usual.sampling,
      'how coordinates are drawn: a fixed number, or each by a coin',
      choices=get_args(compressed_means.Sampling),
      only_with=('aggregator', ('subsampled',)),
    )
    self._silent_below_norm = define(
      'silent_below_norm',
      usual.silent_below,
      'norm of an update below which a client sends nothing but its weight',
      only_with=('aggregator', ENCODED),
    )
    self._secure_compression = define(
      'secure_compression',
      usual.secure,
      'one code for all clients of a round, so that the server sees nothing '
      'but a secure sum of it',
      only_with=('aggregator', compressed_means.LINEAR),
    )

    self._common_code = define(
      'common_code',
      usual.common,
      'one code for all clients of a round, without a secure sum: they train '
      'in the same subspace, and errors of clients do not average out',
      only_with=('aggregator', compressed_means.LINEAR),
    )
    self._measure_entropy = define(
      'measure_entropy',
      usual.measure_entropy,
      'measure, beside the bytes that travel, those of an ideal entropy coder',
      only_with=('aggregator', compressed_means.PACKED),
    )

  def choice(self, name: str, seed: int) -> compressed_means.Compression:
    """Returns what was chosen for an aggregator; others leave it unused.

    Args:
      name: The aggregator.
      seed: The run's seed.
    """
    return compressed_means.Compression(
      bits=self._bits.value,
      fraction=self._fraction.value,
      rank=self._rank.value,
      sketch_rows=self._sketch_rows.value,
      sampling=self._sampling.value,
      # One of several aggregators may be another, without these.
      silent_below=self._silent_below_norm.value if name in ENCODED else 0.0,
      secure=self._secure_compression.value and name in compressed_means.LINEAR,
      common=self._common_code.value and name in compressed_means.LINEAR,
      measure_entropy=self._measure_entropy.value
      and name in compressed_means.PACKED,
      seed=seeds.derive(seed, 'compression') % 2**63,
    )
