"""What every code satisfies, and what is true of two in a row."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests import slow_cases
from tests.numerics import code_samples as samples
from tff_pipelines.numerics import (
  bit_packing,
  codes,
  count_sketch,
  drive,
  entropy_coding,
  low_rank,
  quantization,
  subsampling,
  top_k,
)

SHAPES = [[5, 4], [3], [2, 3, 2], []]
SIZE = 36
CODES = {
  '1 bit': quantization.Quantization(1),
  '3 bits, not rotated': quantization.Quantization(3, rotate=False),
  '8 bits': quantization.Quantization(8),
  'DRIVE': drive.Drive(),
  'DRIVE, least error': drive.Drive('least_error'),
  'subsampling': subsampling.Subsampling(0.3),
  'everything': subsampling.Subsampling(1.0),
  'mask': subsampling.Subsampling(0.3, is_scaled=False),
  'coins': subsampling.CoinSubsampling(0.3),
  'count sketch': count_sketch.CountSketch(0.4),
  'count sketch, median': count_sketch.CountSketch(0.7, 3),
  'count sketch, mean': count_sketch.CountSketch(0.7, 2, 'mean'),
  'low rank': low_rank.LowRank(2),
  'low rank, nearest': low_rank.LowRank(2, is_scaled=False),
  'top k': top_k.TopK(0.3),
  'subsampling, then 2 bits': codes.Chain(
    subsampling.Subsampling(0.5), quantization.Quantization(2)
  ),
}
LINEAR = [n for n, code in CODES.items() if isinstance(code, codes.LinearCode)]
SEED = tf.constant([3, 141], tf.int64)
VECTOR = samples.normals(SIZE)


def sent(code, vector=VECTOR, seed=SEED):
  return code.encode(tf.constant(vector), seed, SHAPES)


def received(code, message, seed=SEED):
  return code.decode(message, seed, SHAPES).numpy()


_ALWAYS_RUN = ('1 bit',)


@pytest.mark.parametrize('name', slow_cases.all_but(_ALWAYS_RUN, CODES))
def test_compiled_as_not(name):
  code = CODES[name]

  @tf.function(jit_compile=True)
  def both(vector, seed):
    message = code.encode(vector, seed, SHAPES)
    return message, code.decode(message, seed, SHAPES)

  message = sent(code)
  found, decoded = both(tf.constant(VECTOR), SEED)
  tf.nest.map_structure(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
    found,
    message,
  )
  assert decoded.shape == [SIZE]
  np.testing.assert_allclose(
    decoded, received(code, message), rtol=1e-5, atol=1e-5
  )


@pytest.mark.parametrize('name', CODES)
def test_bytes_are_those_of_the_tensors(name):
  code = CODES[name]
  message = sent(code)
  expected = sum(t.numpy().nbytes for t in tf.nest.flatten(message))
  if name == 'coins':
    expected = 4 * np.count_nonzero(message.values)
  assert int(code.message_bytes(message)) == expected


@pytest.mark.parametrize('name', CODES)
def test_zeros_stay_zeros(name):
  code = CODES[name]
  message = sent(code, np.zeros([SIZE], np.float32))
  assert not received(code, message).any()


@pytest.mark.parametrize('name', CODES)
@pytest.mark.parametrize('size', [1, 7])
def test_the_smallest_updates_travel_too(name, size):
  code, vector = CODES[name], samples.normals(size)
  message = code.encode(tf.constant(vector), SEED, [[size]])
  decoded = code.decode(message, SEED, [[size]]).numpy()
  assert decoded.shape == (size,)
  assert np.isfinite(decoded).all()


@pytest.mark.parametrize('name', LINEAR)
def test_messages_of_one_seed_add_up_to_that_of_the_sum(name):
  code, other = CODES[name], samples.normals(SIZE, 1)
  one = sent(code) + sent(code, other)
  assert one.shape == [code.encoded_size(SHAPES)]
  np.testing.assert_allclose(one, sent(code, VECTOR + other), atol=1e-5)


# DRIVE claims it for the limit of large blocks: see its own test.
@pytest.mark.parametrize(
  'name',
  slow_cases.all_but(
    ['subsampling, then 2 bits'],
    [n for n, c in CODES.items() if c.is_unbiased and n != 'DRIVE'],
  ),
)
def test_the_mean_over_seeds_is_the_vector(name):
  found = samples.errors(CODES[name], VECTOR, 4000, SHAPES)
  # 36 means within 6 standard errors: a false alarm in 10^7. Those that are
  # exact are within the rounding of float32.
  assert (np.abs(found.mean) <= 6 * found.stderr + 1e-6).all()


@pytest.mark.parametrize(
  'name',
  slow_cases.all_but(
    ['mask'], ['mask', 'top k', 'DRIVE, least error', 'low rank, nearest']
  ),
)
def test_those_that_are_biased_say_so(name):
  assert not CODES[name].is_unbiased
  found = samples.errors(CODES[name], VECTOR, 500, SHAPES)
  assert (np.abs(found.mean) > 6 * found.stderr + 1e-3).any()


CONTRACTIONS = [n for n, code in CODES.items() if code.is_contraction]


def test_those_that_lose_less_than_there_is():
  assert CONTRACTIONS == [
    '8 bits', 'DRIVE', 'DRIVE, least error', 'everything', 'mask',
    'low rank, nearest', 'top k',
  ]  # fmt: skip
  assert not codes.Chain(CODES['mask'], CODES['1 bit']).is_contraction
  assert codes.Chain(CODES['mask'], CODES['DRIVE']).is_contraction


@pytest.mark.parametrize(
  'name', slow_cases.all_but(['mask', 'top k'], CONTRACTIONS)
)
def test_contractions_lose_less_than_there_is(name):
  mean, stderr = samples.errors(CODES[name], VECTOR, 500, SHAPES).mean_square()
  assert mean + 6 * stderr < 1


PROJECTIONS = ('mask', 'low rank, nearest')


@pytest.mark.parametrize('name', PROJECTIONS)
def test_what_is_projected_passes_as_it_is(name):
  code = CODES[name]
  assert code.is_projection
  tensors = [
    tf.reshape(part, shape)
    for part, shape in zip(
      tf.split(VECTOR, [20, 3, 12, 1]), SHAPES, strict=True
    )
  ]
  inside = code.projector(SHAPES, SEED)(tensors)
  vector = tf.concat([tf.reshape(t, [-1]) for t in inside], axis=0)
  # Of the vector itself the code leaves the same.
  np.testing.assert_allclose(
    received(code, sent(code)), vector, rtol=1e-5, atol=1e-5
  )
  np.testing.assert_allclose(
    received(code, sent(code, vector.numpy())), vector, rtol=1e-5, atol=1e-5
  )
  assert np.abs(vector - VECTOR).max() > 0.1
  # The nearest: what is lost is across what is left.
  assert abs(np.sum((vector - VECTOR) * vector)) < 1e-4


@pytest.mark.parametrize('name', ['subsampling', 'low rank', 'count sketch'])
def test_others_do_not_project(name):
  assert not CODES[name].is_projection
  with pytest.raises(
    codes.CodeError, match=r'^Expected a code that projects, found .*; take on'
  ):
    CODES[name].projector(SHAPES, SEED)


def test_entropy_coding_makes_uneven_levels_shorter():
  rng = np.random.default_rng(0)
  vector = rng.normal(size=4096).astype(np.float32)
  code = quantization.Quantization(3)
  message = code.encode(tf.constant(vector), SEED, [[4096]])
  levels = bit_packing.unpack(message.levels, 4096).numpy()
  # A table of seven counts, and range and lowest of a block.
  expected = entropy_coding.arithmetic_bytes(levels) + 7 * 4 + 8
  found = float(code.entropy_coded_bytes(message))
  assert abs(found - expected) <= 1
  assert found < int(code.message_bytes(message))
  chain = codes.Chain(subsampling.Subsampling(1.0), code)
  message = chain.encode(tf.constant(vector), SEED, [[4096]])
  assert float(chain.entropy_coded_bytes(message)) < 4096 * 3 / 8


def test_places_as_a_set_take_fewer_bytes():
  code = top_k.TopK(64 / 4096)
  message = code.encode(tf.constant(samples.normals(4096)), SEED, [[4096]])
  sets = math.log2(math.comb(4096, 64))
  assert code.entropy_coded_bytes(message) == 4 * 64 + math.ceil(sets / 8)
  assert int(code.message_bytes(message)) == 4 * 64 + 12 * 8


def test_codes_without_integers_are_as_long_as_they_are():
  code = CODES['subsampling']
  message = sent(code)
  assert code.entropy_coded_bytes(message) == code.message_bytes(message)


def test_errors_of_different_seeds_average_out():
  found = samples.errors(CODES['subsampling, then 2 bits'], VECTOR, 256, SHAPES)
  single, _ = found.mean_square()
  of_mean = np.sum(found.mean**2) / np.sum(VECTOR**2)
  # A sum of 36 squares of about normal numbers, each 1 / 256 of that of one
  # message; the largest share of one coordinate in it is below a half, so below
  # 1 + 6 sqrt(2 / 2) = 7 times its mean.
  assert of_mean <= 7 * single / 256


def test_two_codes_of_a_chain_multiply_what_they_save():
  chain = codes.Chain(
    subsampling.Subsampling(1 / 16), quantization.Quantization(2)
  )
  message = chain.encode(tf.zeros([2**18]), SEED, [[2**18]])
  # 2^14 coordinates of 2 bits, 4 blocks with 8 bytes each.
  assert chain.message_bytes(message) == 2**14 // 4 + 4 * 8
  assert chain.is_unbiased
  assert not codes.Chain(
    subsampling.Subsampling(0.5, is_scaled=False), drive.Drive()
  ).is_unbiased


@pytest.mark.parametrize('fraction', [0.0, -0.1, 1.1, float('nan')])
@pytest.mark.parametrize(
  'make',
  [
    subsampling.Subsampling,
    subsampling.CoinSubsampling,
    count_sketch.CountSketch,
    top_k.TopK,
  ],
)
def test_a_fraction_is_a_part(make, fraction):
  with pytest.raises(
    codes.CodeError,
    match=f'a fraction above 0, at most 1, found {fraction}; it is the part',
  ):
    make(fraction)


@pytest.mark.parametrize('size, part', [(1, 1), (7, 1), (100, 5), (20, 1)])
def test_a_part_is_never_nothing(size, part):
  assert codes.part(size, 0.05) == part
  assert codes.part(size, 1.0) == size
