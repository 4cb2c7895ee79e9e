"""Names become codes, and codes that are summed securely."""

import dataclasses

import pytest
import tensorflow_federated as tff

from tff_pipelines.aggregators import (
  composition,
  compressed_means,
  encoded_mean,
  secure_mean,
  sketched_mean,
)
from tff_pipelines.numerics import (
  codes,
  count_sketch,
  drive,
  low_rank,
  quantization,
  subsampling,
  top_k,
)


@pytest.mark.parametrize(
  'name, choice, code',
  [
    ('quantized', {}, quantization.Quantization(2)),
    ('quantized', {'bits': 5}, quantization.Quantization(5)),
    (
      'quantized',
      {'fraction': 0.5},
      codes.Chain(subsampling.Subsampling(0.5), quantization.Quantization(2)),
    ),
    ('drive', {'fraction': 1.0}, drive.Drive()),
    (
      'drive',
      {'fraction': 0.5},
      codes.Chain(subsampling.Subsampling(0.5), drive.Drive()),
    ),
    ('subsampled', {}, subsampling.Subsampling(1 / 16)),
    (
      'subsampled',
      {'sampling': 'coin', 'fraction': 0.5},
      subsampling.CoinSubsampling(0.5),
    ),
    ('masked_update', {}, subsampling.Subsampling(1 / 16, is_scaled=False)),
    ('low_rank', {'rank': 3}, low_rank.LowRank(3, is_scaled=False)),
    (
      'count_sketch',
      {'fraction': 0.5, 'sketch_rows': 3},
      count_sketch.CountSketch(0.5, 3),
    ),
    ('top_k', {'fraction': 0.5}, top_k.TopK(0.5)),
  ],
)
def test_each_code_takes_what_it_needs(name, choice, code):
  factory = compressed_means.build(name, compressed_means.Compression(**choice))
  assert factory.code == code


@pytest.mark.parametrize('name', compressed_means.CODES)
def test_clients_have_seeds_of_their_own_but_for_sketches(name):
  factory = compressed_means.build(name, compressed_means.Compression(seed=7))
  assert factory.seed == 7
  assert isinstance(factory, tff.aggregators.WeightedAggregationFactory)
  assert isinstance(factory, sketched_mean.SketchedMeanFactory) == (
    name == 'count_sketch'
  )
  composition.check(factory.stack)


@pytest.mark.parametrize('name', compressed_means.CODES)
def test_those_that_are_linear_can_be_summed_securely(name):
  choice = compressed_means.Compression(secure=True, max_clients=20)
  if name not in compressed_means.LINEAR:
    with pytest.raises(sketched_mean.NonlinearCodeError):
      compressed_means.build(name, choice)
    return
  factory = compressed_means.build(name, choice)
  assert isinstance(factory.inner, secure_mean.SecureMeanFactory)
  assert factory.inner.config.max_clients == 20
  assert factory.stack[-1].kind is composition.Kind.SECURE_SUM
  composition.check(factory.stack, 20)


def test_a_common_code_is_summed_in_the_clear():
  factory = compressed_means.build(
    'masked_update', compressed_means.Compression(common=True, seed=7)
  )
  assert isinstance(factory, sketched_mean.SketchedMeanFactory)
  assert isinstance(factory.inner, tff.aggregators.MeanFactory)
  assert factory.subspaces.is_common and factory.subspaces.seed == 7


@pytest.mark.parametrize('name', compressed_means.CODES)
def test_masks_and_low_ranks_are_subspaces_to_train_in(name):
  factory = compressed_means.build(name)
  assert (factory.subspaces is not None) == (
    name in ('masked_update', 'low_rank')
  )


def test_a_secure_sum_of_one_client_is_refused():
  choice = compressed_means.Compression(secure=True, max_clients=1)
  with pytest.raises(composition.CompositionError, match='at least 2 clients'):
    compressed_means.build('low_rank', choice)


def test_coins_cannot_be_summed_securely():
  choice = compressed_means.Compression(sampling='coin', secure=True)
  with pytest.raises(sketched_mean.NonlinearCodeError, match='CoinSubsampling'):
    compressed_means.build('subsampled', choice)


def test_silence_is_for_clients_that_are_decoded_one_by_one():
  silent = compressed_means.Compression(silent_below=0.5)
  factory = compressed_means.build('drive', silent)
  assert isinstance(factory, encoded_mean.EncodedMeanFactory)
  assert factory.silent_below == 0.5
  for name, choice in (
    ('count_sketch', silent),
    ('low_rank', dataclasses.replace(silent, secure=True)),
  ):
    with pytest.raises(compressed_means.CompressionError) as raised:
      compressed_means.build(name, choice)
    assert str(raised.value) == (
      f'Expected every client to speak in a sum of codes ({name}), found '
      'silence below a norm of 0.5: the sum has a place for each; leave it out.'
    )
