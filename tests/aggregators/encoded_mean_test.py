"""The mean of what clients' codes are decoded as."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import (
  composition,
  encoded_mean,
  random_subspaces,
  value_types,
)
from tff_pipelines.execution import contexts
from tff_pipelines.numerics import drive, quantization, subsampling

WEIGHT = tff.TensorType(np.float32)
VALUE = tff.types.to_type(
  collections.OrderedDict(
    matrix=tff.TensorType(np.float32, [20, 10]),
    bias=tff.TensorType(np.float64, [56]),
  )
)
SIZE = 256


@pytest.fixture(scope='module', autouse=True)
def runtime():
  with contexts.using('xla') as context:
    yield context


def update(seed: int, scale: float = 1.0) -> collections.OrderedDict:
  vector = scale * np.random.default_rng(seed).normal(size=SIZE)
  return collections.OrderedDict(
    matrix=vector[:200].reshape(20, 10).astype(np.float32), bias=vector[200:]
  )


def flat(value) -> np.ndarray:
  return np.concatenate([np.ravel(value['matrix']), value['bias']])


def created(code, **options) -> tff.templates.AggregationProcess:
  factory = encoded_mean.EncodedMeanFactory(code, **options)
  return factory.create(VALUE, WEIGHT)


@pytest.fixture(scope='module')
def exact():
  """8 bits: within 2^-8 of the range of an update."""
  return created(quantization.Quantization(8), silent_below=1.0)


def mean(values, weights):
  return np.average([flat(v) for v in values], axis=0, weights=weights)


def test_the_result_is_the_weighted_mean_within_a_step(exact):
  values, weights = [update(0), update(1)], [1.0, 3.0]
  output = exact.next(exact.initialize(), values, weights)
  step = 2 * 6 / 255  # A range of 6 stddevs of a rotated coordinate, at most.
  error = flat(output.result) - mean(values, weights)
  assert 0 < np.linalg.norm(error) < step * np.sqrt(SIZE)
  assert output.result['matrix'].dtype == np.float32
  assert output.result['bias'].dtype == np.float64
  assert output.state.round_num == 1


def test_bytes_are_those_of_code_seed_and_weight(exact):
  output = exact.next(exact.initialize(), [update(0)] * 3, [1.0] * 3)
  # One block of 256 levels, its range, half a seed, a weight.
  num_bytes = 256 + 8 + 8 + 4
  assert output.measurements == {
    'uplink_bytes_per_client': num_bytes,
    'uplink_compression': np.float32((200 * 4 + 56 * 8 + 4) / num_bytes),
    'silent_clients': 0.0,
    'non_finite_clients': 0.0,
  }


@pytest.mark.slow
def test_entropy_coded_bytes_are_beside_those_that_travel():
  process = created(quantization.Quantization(8), measure_entropy=True)
  output = process.next(process.initialize(), [update(0)] * 3, [1.0] * 3)
  found = output.measurements
  assert found['uplink_bytes_per_client'] == 276
  # 256 numbers hardly repeat a level: the table of counts is what it costs.
  assert 255 * 4 < found['entropy_coded_bytes_per_client'] < 276 + 255 * 4


@pytest.mark.slow
def test_a_client_knows_what_the_server_lacks(signs, runtime):
  factory = encoded_mean.EncodedMeanFactory(drive.Drive(), seed=5)
  quiet = encoded_mean.EncodedMeanFactory(
    drive.Drive(), seed=5, silent_below=1e3
  )
  state_type = signs.initialize.type_signature.result.member

  def lost(factory, state):
    @tff.tensorflow.computation(VALUE, WEIGHT, state_type)
    def of_client(value, weight, state):
      return factory.remainder(VALUE)(value, weight, state)

    return flat(of_client(update(0), 2.0, state))

  state = signs.initialize()
  for _ in range(2):
    output = signs.next(state, [update(0)], [2.0])
    np.testing.assert_allclose(
      flat(output.result) + lost(factory, state), flat(update(0)), atol=1e-5
    )
    state = output.state
  np.testing.assert_allclose(
    lost(quiet, state), flat(update(0)), rtol=1e-6, atol=1e-6
  )


def test_an_update_of_a_subspace_passes_as_it_is():
  code = subsampling.Subsampling(0.25, is_scaled=False)
  factory = encoded_mean.EncodedMeanFactory(code, seed=5)
  subspaces = factory.subspaces
  located = tff.types.to_type(
    random_subspaces.Located(VALUE, tff.TensorType(np.int64))
  )
  process = factory.create(located, WEIGHT)
  sent, expected = [], np.zeros(SIZE)
  for client in range(2):
    seed = subspaces.seed_of(tf.constant(0), tf.constant(client, tf.int64))
    inside = subspaces.projection(update(client), seed)(update(client))
    sent.append(subspaces.sent(inside, seed))
    expected += flat(tf.nest.map_structure(np.asarray, inside)) / 2
  output = process.next(process.initialize(), sent, [1.0, 1.0])
  np.testing.assert_allclose(flat(output.result), expected, atol=1e-6)
  assert output.measurements['uplink_bytes_per_client'] == 64 * 4 + 8 + 4


def test_silent_clients_count_as_zero_and_send_their_weight(exact):
  values = [update(0), update(1, 0.001)]
  output = exact.next(exact.initialize(), values, [1.0, 3.0])
  alone = exact.next(exact.initialize(), values[:1], [1.0])
  np.testing.assert_allclose(
    flat(output.result), flat(alone.result) / 4, atol=1e-6
  )
  assert output.measurements['silent_clients'] == 1
  assert output.measurements['uplink_bytes_per_client'] == (276 + 4) / 2
  # The mean is off by less than the norm of silence, times its weight.
  error = flat(output.result) - mean(values, [1.0, 3.0])
  assert np.linalg.norm(error) < 1.0


@pytest.mark.parametrize(
  'broken, weight', [(np.nan, 1.0), (np.inf, 1.0), (0.0, np.nan), (0.0, -1.0)]
)
def test_clients_that_are_not_finite_are_left_out(exact, broken, weight):
  values = [update(0), update(1)]
  values[1]['bias'][3] += broken
  output = exact.next(exact.initialize(), values, [2.0, weight])
  alone = exact.next(exact.initialize(), values[:1], [1.0])
  np.testing.assert_allclose(
    flat(output.result), flat(alone.result), rtol=1e-5, atol=1e-6
  )
  assert output.measurements['non_finite_clients'] == 1
  assert output.measurements['uplink_bytes_per_client'] == 276


def test_no_weight_gives_zero(exact):
  output = exact.next(exact.initialize(), [update(0)], [0.0])
  assert not flat(output.result).any()


@pytest.fixture(scope='module')
def signs():
  return created(drive.Drive(), seed=5)


def test_errors_of_clients_average_out(signs):
  # Alike to 10^-6, so that their seeds differ and their errors are about equal.
  values = [
    collections.OrderedDict(update(0), bias=update(0)['bias'] + 1e-6 * client)
    for client in range(64)
  ]
  one = signs.next(signs.initialize(), values[:1], [1.0]).result
  all_of_them = signs.next(signs.initialize(), values, [1.0] * 64).result
  single, of_mean = (
    np.sum((flat(found) - flat(values[0])) ** 2) for found in (one, all_of_them)
  )
  # Of 256 coordinates, squares are within 6 * 9 % of their mean, in both.
  assert 0.4 / 64 < of_mean / single < 2.3 / 64


def test_errors_of_rounds_average_out(signs):
  state, results = signs.initialize(), []
  for _ in range(16):
    output = signs.next(state, [update(0)], [1.0])
    state = output.state
    results.append(flat(output.result))
  single = np.mean([np.sum((r - flat(update(0))) ** 2) for r in results])
  of_mean = np.sum((np.mean(results, axis=0) - flat(update(0))) ** 2)
  assert 0.4 / 16 < of_mean / single < 2.3 / 16


@pytest.mark.slow
def test_a_run_can_be_repeated_and_another_seed_draws_anew(signs):
  def first(process):
    return flat(process.next(process.initialize(), [update(0)], [1.0]).result)

  np.testing.assert_array_equal(first(signs), first(signs))
  assert (first(signs) != first(created(drive.Drive(), seed=6))).any()


@pytest.mark.slow
def test_bytes_of_coins_are_a_mean():
  process = created(subsampling.CoinSubsampling(0.25))
  values = [update(seed) for seed in range(16)]
  output = process.next(process.initialize(), values, [1.0] * 16)
  found = (output.measurements['uplink_bytes_per_client'] - 12) / 4
  # 16 * 256 coins: within 6 standard errors.
  assert abs(found - 64) < 6 * np.sqrt(256 * 0.25 * 0.75 / 16)
  assert output.measurements['uplink_compression'] == pytest.approx(
    1252 / (4 * found + 12)
  )


def test_it_is_compiled(runtime, signs):
  assert runtime.explain(signs.next).way == 'xla'


def test_under_a_secure_sum_it_is_refused_in_a_sentence():
  stack = encoded_mean.EncodedMeanFactory(drive.Drive()).stack
  composition.check(stack)
  with pytest.raises(
    composition.CompositionError,
    match='codes that differ between clients cannot be added',
  ):
    composition.check(
      (*stack[:2], composition.QUANTIZE, composition.secure_sum(255, 2**32))
    )


def test_integers_are_refused():
  with pytest.raises(value_types.ValueTypeError):
    encoded_mean.EncodedMeanFactory(drive.Drive()).create(
      tff.TensorType(np.int32, [3]), WEIGHT
    )


@pytest.mark.parametrize('norm', [-1.0, np.nan, np.inf])
def test_silence_needs_a_norm(norm):
  with pytest.raises(encoded_mean.EncodedMeanError) as raised:
    encoded_mean.EncodedMeanFactory(drive.Drive(), silent_below=norm)
  assert str(raised.value) == (
    f'Expected a finite norm from 0 for silence, found {norm}.'
  )
