"""Flags of compression become codes; those without effect are refused."""

import re

from absl import flags
from absl.testing import flagsaver
import pytest

from tff_pipelines.aggregators import (
  compressed_means,
  encoded_mean,
  registry,
  sketched_mean,
)
from tff_pipelines.cli import compression_flags, flag_groups
from tff_pipelines.core import seeds
from tff_pipelines.numerics import codes


@pytest.fixture(autouse=True)
def registry_of_flags():
  with flagsaver.flagsaver():
    yield


def chosen(*arguments: str, seed: int = 0) -> list[registry.Factory]:
  """Factories of the aggregators of a command line, for cohorts of 8."""
  group = flag_groups.FlagGroup('What the server makes of the updates')
  names = group.define('aggregator', ['mean'], 'which')
  compression = compression_flags.CompressionFlags(group)
  flags.FLAGS(['program', *arguments])
  group.check()
  return [
    registry.build(name, 8, compression=compression.choice(name, seed))
    for name in names.value
  ]


@pytest.mark.parametrize('name', compressed_means.CODES)
def test_nothing_else_has_to_be_said(name):
  (factory,) = chosen(f'--aggregator={name}')
  assert factory.code == compressed_means.build(name).code


@pytest.mark.parametrize(
  'arguments, code',
  [
    ('quantized --compression_bits=4', 'Quantization(bits=4, rotate=True)'),
    (
      'quantized --compression_fraction=0.25',
      'Chain(first=Subsampling(fraction=0.25, is_scaled=True), '
      'second=Quantization(bits=2, rotate=True))',
    ),
    (
      'subsampled --compression_sampling=coin --compression_fraction=0.1',
      'CoinSubsampling(fraction=0.1)',
    ),
    (
      'low_rank --compression_rank=5',
      'LowRank(rank=5, is_scaled=False)',
    ),
    (
      'count_sketch --sketch_rows=5',
      "CountSketch(fraction=0.0625, rows=5, estimate='median')",
    ),
  ],
)
def test_flags_arrive(arguments, code):
  name, *rest = arguments.split()
  (factory,) = chosen(f'--aggregator={name}', *rest)
  assert repr(factory.code) == code


def test_silence_arrives():
  (factory,) = chosen('--aggregator=drive', '--silent_below_norm=0.5')
  assert factory.silent_below == 0.5


def test_a_common_code_arrives():
  masked, drive = chosen('--aggregator=masked_update,drive', '--common_code')
  assert isinstance(masked, sketched_mean.SketchedMeanFactory)
  assert isinstance(drive, encoded_mean.EncodedMeanFactory)


def test_what_is_measured_arrives():
  quantized, drive = chosen('--aggregator=quantized,drive', '--measure_entropy')
  assert quantized.measure_entropy and not drive.measure_entropy


def test_several_take_what_has_an_effect_on_them():
  drive, sketch, rank = chosen(
    '--aggregator=drive,count_sketch,low_rank',
    '--secure_compression',
    '--compression_fraction=0.5',
  )
  assert isinstance(drive, encoded_mean.EncodedMeanFactory)
  assert isinstance(drive.code, codes.Chain)
  for factory in (sketch, rank):
    assert isinstance(factory, sketched_mean.SketchedMeanFactory)
    assert factory.stack[-1].max_clients is not None


def test_the_seed_is_the_runs():
  (factory,) = chosen('--aggregator=drive', seed=5)
  assert factory.seed == seeds.derive(5, 'compression') % 2**63


@pytest.mark.parametrize(
  'name, useless',
  [
    ('mean', '--compression_bits=2'),
    ('drive', '--compression_bits=2'),
    ('low_rank', '--compression_fraction=0.5'),
    ('quantized', '--compression_rank=2'),
    ('subsampled', '--sketch_rows=2'),
    ('masked_update', '--compression_sampling=coin'),
    ('count_sketch', '--silent_below_norm=1'),
    ('top_k', '--secure_compression'),
    ('drive', '--secure_compression'),
    ('drive', '--common_code'),
    ('drive', '--measure_entropy'),
  ],
)
def test_flags_without_effect_are_refused(name, useless):
  flag = re.match(r'--(\w+)', useless)[1]
  with pytest.raises(
    flag_groups.FlagError,
    match=f'where --{flag} is given, found --aggregator={name}, with which it',
  ):
    chosen(f'--aggregator={name}', useless)


def test_coins_and_a_secure_sum_are_refused_with_the_reason():
  with pytest.raises(
    sketched_mean.NonlinearCodeError, match='each has to be decoded by itself'
  ):
    chosen(
      '--aggregator=subsampled',
      '--compression_sampling=coin',
      '--secure_compression',
    )
