"""Aggregators in FedAvg and alone: XLA gives what TFF's runtime gives."""

import collections
import itertools
import math
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tff_pipelines.aggregators import (
  central_dp,
  clip_norms,
  compressed_means,
  coordinate_median,
  distributed_dp,
  geometric_median,
  krum,
  local_dp,
  norm_bound,
  randomized_counts,
  server_noise,
  trimmed_mean,
  zeroing,
)
from tff_pipelines.execution import contexts
from tff_pipelines.execution.xla import context
from tff_pipelines.numerics import banded_factorization

_aggregators = tff.aggregators
_private = tff.aggregators.DifferentiallyPrivateFactory

VALUE_TYPE = tff.types.to_type(
  collections.OrderedDict(
    matrix=tff.TensorType(np.float32, [3, 2]),
    # Not in alphabetical order.
    bias=tff.TensorType(np.float32, [3]),
  )
)
RECORD_SPECS = collections.OrderedDict(
  matrix=tf.TensorSpec([3, 2]), bias=tf.TensorSpec([3])
)


def _tree(build, noise_multiplier, **options):
  # With a seed, since TFF takes it from the clock otherwise.
  return build(
    noise_multiplier=noise_multiplier,
    clients_per_round=4.0,
    record_specs=RECORD_SPECS,
    noise_seed=7,
    **options,
  )


def _central(noise, clip=None):
  return central_dp.CentralDpFactory(
    clip or clip_norms.FixedClip(0.5), noise, denominator=4.0, test_seed=7
  )


def _distributed(mechanism):
  return distributed_dp.DistributedDpFactory(
    distributed_dp.DistributedDpConfig(mechanism, 0.5, 1.0, 4, 6, 4.0),
    test_seed=7,
  )


FACTORIES = {
  'mean': _aggregators.MeanFactory,
  'unweighted mean': _aggregators.UnweightedMeanFactory,
  'sum': _aggregators.SumFactory,
  'zeroing': lambda: _aggregators.zeroing_factory(1.0, _mean()),
  'fixed clipping': lambda: _aggregators.clipping_factory(0.5, _mean()),
  'adaptive clipping': lambda: _aggregators.clipping_factory(
    _aggregators.PrivateQuantileEstimationProcess.no_noise(0.5, 0.5, 0.2),
    _mean(),
  ),
  'robust': tff.learning.robust_aggregator,
  'robust, unweighted': lambda: tff.learning.robust_aggregator(weighted=False),
  'compression': tff.learning.compression_aggregator,
  'secure': tff.learning.secure_aggregator,
  'secure, unweighted': lambda: tff.learning.secure_aggregator(weighted=False),
  'secure modular sum': lambda: _aggregators.UnweightedMeanFactory(
    _integer_sum()
  ),
  'fixed DP': lambda: _private.gaussian_fixed(0.0, 4.0, 0.5),
  'adaptive DP': lambda: _private.gaussian_adaptive(0.0, 4.0),
  'tree DP': lambda: _tree(_private.tree_aggregation, 0.0, l2_norm_clip=0.5),
  # Its noise is a function of the state.
  'tree DP with noise': lambda: _tree(
    _private.tree_aggregation, 1.0, l2_norm_clip=0.5
  ),
  'DP with zeroing': lambda: tff.learning.dp_aggregator(0.0, 4.0),
  # Their noise is a function of the test seed, the round and the update.
  'local Gaussian noise': lambda: local_dp.LocalDpFactory(
    0.5, 0.5, 4.0, test_seed=7
  ),
  'local Laplace noise': lambda: local_dp.LocalDpFactory(
    0.5, 0.5, 4.0, 'laplace', test_seed=7
  ),
  # Their noise is a function of the test seed and the round.
  'central DP': lambda: _central(server_noise.IndependentNoise(1.0)),
  'central DP, adaptive': lambda: _central(
    server_noise.IndependentNoise(1.0),
    clip_norms.AdaptiveClip(count_noise_stddev=1.0),
  ),
  'central DP, tree': lambda: _central(server_noise.TreeNoise(1.0, 2)),
  'central DP, banded': lambda: _central(
    server_noise.BandedNoise(
      1.0, banded_factorization.square_root_strategy(3, 2)
    )
  ),
  # The largest cohort below is of 6.
  'median': lambda: coordinate_median.CoordinateMedianFactory(6),
  'trimmed mean': lambda: trimmed_mean.TrimmedMeanFactory(6, 1),
  # Of the cohorts of 4 and 1, the median.
  'Krum': lambda: krum.KrumFactory(6, 1),
  'Multi-Krum': lambda: krum.MultiKrumFactory(6, 1),
  'geometric median': lambda: geometric_median.UniformGeometricMedianFactory(6),
  'geometric median, weighted': lambda: geometric_median.GeometricMedianFactory(
    6
  ),
  'norm bound': lambda: norm_bound.NormBoundFactory(0.5),
  'norm bound, median': lambda: norm_bound.MedianNormBoundFactory(6),
  'zeroing, fixed': lambda: zeroing.ZeroingFactory(0.5),
  'zeroing, median': lambda: zeroing.MedianZeroingFactory(6),
  # Its noise is a function of the test seed, the round and the update.
  'distributed DP, discrete Gaussian': lambda: _distributed(
    'discrete_gaussian'
  ),
  'distributed DP, Skellam': lambda: _distributed('skellam'),
  # Their codes are functions of the seed, the round and the update.
  'quantized': lambda: _compressed('quantized', bits=4),
  'quantized, subsampled': lambda: _compressed('quantized', fraction=0.5),
  'DRIVE': lambda: _compressed('drive', silent_below=0.5),
  'subsampled': lambda: _compressed('subsampled', fraction=0.5),
  'subsampled by coins': lambda: _compressed(
    'subsampled', fraction=0.5, sampling='coin'
  ),
  'subsampled, secure': lambda: _compressed(
    'subsampled', fraction=0.5, secure=True
  ),
  'masked update': lambda: _compressed('masked_update', fraction=0.5),
  'low rank': lambda: _compressed('low_rank', rank=1),
  'low rank, secure': lambda: _compressed('low_rank', rank=1, secure=True),
  'count sketch': lambda: _compressed(
    'count_sketch', fraction=0.7, sketch_rows=3
  ),
  'count sketch, secure': lambda: _compressed(
    'count_sketch', fraction=0.5, secure=True
  ),
  'top k': lambda: _compressed('top_k', fraction=0.5),
}


def _compressed(name, **choice):
  return compressed_means.build(name, compressed_means.Compression(**choice))


def _mean():
  return _aggregators.MeanFactory()


def _integer_sum():
  return _aggregators.SecureSumFactory(
    upper_bound_threshold=8.0, lower_bound_threshold=-8.0
  )


def _create(factory):
  if isinstance(factory, _aggregators.WeightedAggregationFactory):
    return factory.create(VALUE_TYPE, tff.TensorType(np.float32))
  return factory.create(VALUE_TYPE)


def _values(round_num, num_clients):
  """Updates of clients; the last is far larger than the others."""
  rng = np.random.default_rng([round_num, num_clients])
  return [
    collections.OrderedDict(
      matrix=scale * rng.normal(size=[3, 2]).astype(np.float32),
      bias=scale * rng.normal(size=[3]).astype(np.float32),
    )
    for scale in np.linspace(0.1, 2.0, num_clients, dtype=np.float32)
  ]


def _rounds(context, process):
  """The initial state and the outputs of three rounds."""
  is_weighted = len(process.next.type_signature.parameter) == 3
  outputs = [samples.run(context, process.initialize)]
  for round_num, num_clients in enumerate((4, 1, 6)):
    arguments = [_values(round_num, num_clients)]
    if is_weighted:
      arguments.append([float(c) for c in range(1, num_clients + 1)])
    outputs.append(
      samples.run(context, process.next, samples.state(outputs[-1]), *arguments)
    )
  return outputs


# Of each kind one: a mean, zeroing, a sum that is secure, noise of the server
# in one round and over rounds, noise of the clients, robust statistics.
_ALWAYS_RUN = (
  'secure modular sum',
  'tree DP with noise',
  'local Gaussian noise',
  'central DP, banded',
  'median',
  'Krum',
  'quantized',
)


@pytest.mark.parametrize('name', slow_cases.all_but(_ALWAYS_RUN, FACTORIES))
def test_three_rounds_are_those_of_tff(pair, name):
  process = _create(FACTORIES[name]())
  samples.assert_same(
    _rounds(pair.xla, process), _rounds(pair.reference, process)
  )
  assert pair.way(process.next) == 'xla'


@pytest.mark.parametrize(
  'method',
  slow_cases.all_but(
    ['optimized_unary'], ['randomized_response', 'unary', 'optimized_unary']
  ),
)
def test_randomized_counts_are_those_of_tff(pair, method):
  process = randomized_counts.RandomizedResponseCountFactory(
    5, 1.0, method, test_seed=7
  ).create(tff.TensorType(np.int32))
  cohorts = [[np.int32(c) for c in clients] for clients in ([0, 4, 2, 2], [3])]
  pair.same_rounds(process, cohorts)
  assert pair.way(process.next) == 'xla'


@pytest.mark.slow
def test_adaptive_tree_dp_gives_the_results_of_tff(pair):
  # TFF takes one of the seeds in its state from the clock.
  process = _create(
    _tree(_private.tree_adaptive, 0.0, clipped_count_stddev=0.0)
  )
  found, expected = (
    [(output.result, output.measurements) for output in outputs[1:]]
    for outputs in (
      _rounds(pair.xla, process),
      _rounds(pair.reference, process),
    )
  )
  samples.assert_same(found, expected)
  assert pair.way(process.next) == 'xla'


def test_the_quantized_sum_is_within_the_rounding_of_the_sum(pair):
  # Rounding is drawn: equal results cannot be asked for. (The aggregator above
  # quantizes tensors of more than 20,000 elements only.)
  process = _create(
    _aggregators.EncodedSumFactory.quantize_above_threshold(
      quantization_bits=8, threshold=1
    )
  )
  clients = _values(0, 4)
  output = samples.run(
    pair.xla,
    process.next,
    samples.run(pair.xla, process.initialize),
    clients,
  )
  assert pair.way(process.next) != 'native'
  for name, found in output.result.items():
    of_clients = np.stack([c[name] for c in clients])
    steps = [(v.max() - v.min()) / 255 for v in of_clients]
    error = np.abs(found - of_clients.sum(axis=0)).max()
    assert 0 < error <= sum(steps) * (1 + samples.RELATIVE)


# Noise of 4000 coordinates with standard deviation s: the sample variance is
# within 6 standard errors, s^2 * sqrt(2 / 4000) each, of s^2, except with
# probability 2e-9.
_DIMENSION = 4000
_STANDARD_ERRORS = 6 * math.sqrt(2 / _DIMENSION)
_CLIP, _MULTIPLIER, _CLIENTS = 0.5, 2.0, 4.0


def _noise(build, **options):
  process = build(_MULTIPLIER, _CLIENTS, **options).create(
    tff.TensorType(np.float32, [_DIMENSION])
  )
  zeros = [np.zeros([_DIMENSION], np.float32)] * 4
  return process, zeros


def _two_rounds_of_noise(context, process, zeros):
  first = samples.run(
    context, process.next, samples.run(context, process.initialize), zeros
  )
  second = samples.run(context, process.next, first.state, zeros)
  return first.result, second.result


_NOISY = {
  'fixed': (_private.gaussian_fixed, {'clip': _CLIP}),
  'adaptive': (
    _private.gaussian_adaptive,
    {
      'initial_l2_norm_clip': _CLIP,
      'learning_rate': 0.0,
      # Without part of the budget for the clipping norm.
      'clipped_count_stddev': 1e6,
    },
  ),
}


@pytest.mark.parametrize('kind', _NOISY)
def test_the_noise_has_its_variance_and_is_fresh_in_every_round(pair, kind):
  build, options = _NOISY[kind]
  process, zeros = _noise(build, **options)
  expected = (_MULTIPLIER * _CLIP / _CLIENTS) ** 2
  first, second = _two_rounds_of_noise(pair.xla, process, zeros)
  assert pair.way(process.next) == 'xla'
  for noise in (first, second):
    assert abs(np.var(noise) / expected - 1) < _STANDARD_ERRORS
  # Independent rounds: the difference has the sum of the variances.
  assert abs(np.var(first - second) / (2 * expected) - 1) < _STANDARD_ERRORS


def test_processes_and_contexts_draw_different_noise(pair):
  process, zeros = _noise(_private.gaussian_fixed, clip=_CLIP)
  other_process, _ = _noise(_private.gaussian_fixed, clip=_CLIP)
  other_context = context.XlaContext(threads=2)
  draws = [
    *_two_rounds_of_noise(pair.xla, process, zeros),
    *_two_rounds_of_noise(pair.xla, other_process, zeros),
    *_two_rounds_of_noise(other_context, process, zeros),
  ]
  for one, other in itertools.combinations(draws, 2):
    assert not np.any(one == other)


def test_privacy_noise_does_not_come_from_xlas_generator(pair):
  process, _ = _noise(_private.gaussian_fixed, clip=_CLIP)
  explanation = pair.xla.explain(process.next)
  assert explanation.way == 'xla'
  assert "XLA's" not in explanation.randomness
  assert 'The server draws random numbers' in explanation.randomness


# A program that draws noise of its own, as the test does in this process.
_DRAWING = """
import numpy as np
import tensorflow_federated as tff
from tff_pipelines.execution import contexts
contexts.install('xla')
process = tff.aggregators.DifferentiallyPrivateFactory.gaussian_fixed(
  1.0, 1.0, 1.0
).create(tff.TensorType(np.float32, [4]))
output = process.next(process.initialize(), [np.zeros([4], np.float32)])
print(*output.result)
"""


@pytest.mark.slow
def test_two_programs_draw_different_noise():
  program = subprocess.run(
    [sys.executable, '-W', 'ignore', '-c', _DRAWING],
    cwd=pathlib.Path(__file__).parents[2],
    capture_output=True,
    check=True,
    text=True,
  )
  theirs = program.stdout.split()
  with contexts.using('xla'):
    process = _private.gaussian_fixed(1.0, 1.0, 1.0).create(
      tff.TensorType(np.float32, [4])
    )
    output = process.next(process.initialize(), [np.zeros([4], np.float32)])
  ours = [str(v) for v in output.result]
  assert len(theirs) == len(ours) == 4
  assert not set(theirs) & set(ours)
