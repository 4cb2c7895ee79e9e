"""Secure sums through the masking protocol are the sums of the survivors.

Against TFF's test context, which sums in the clear, on the clients that stay.
"""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tff_pipelines.aggregators import distributed_dp
from tff_pipelines.execution import masked_sums
from tff_pipelines.execution.xla import context
from tff_pipelines.secagg import errors

RATES = {'advertise': 0.05, 'share': 0.05, 'mask': 0.1, 'unmask': 0.05}
COHORTS = ([3, 0, 8, 1, 5, 2], [4, 4], [1, 9, 2, 6, 3, 7, 5, 2])


def _fed_avg(**options):
  return tff.learning.algorithms.build_weighted_fed_avg(
    samples.hand_written_model(),
    tff.learning.optimizers.build_sgdm(0.1),
    tff.learning.optimizers.build_sgdm(1.0),
    **options,
  )


def _secure():
  return _fed_avg(model_aggregator=tff.learning.secure_aggregator())


def _both():
  return _fed_avg(
    model_aggregator=tff.learning.secure_aggregator(),
    metrics_aggregator=tff.learning.metrics.secure_sum_then_finalize,
  )


def _distributed():
  # Of so little noise that there is none, at the finest scale: rounding of the
  # updates differs between contexts, so noise out of them would.
  config = distributed_dp.DistributedDpConfig(
    'skellam', 1.0, 1e-13, 1, 20, 5.0, bits=32
  )
  return tff.learning.algorithms.build_unweighted_fed_avg(
    samples.hand_written_model(),
    tff.learning.optimizers.build_sgdm(0.1),
    tff.learning.optimizers.build_sgdm(1.0),
    model_aggregator=distributed_dp.DistributedDpFactory(config, test_seed=7),
  )


PROCESSES = {
  'distributed DP': _distributed,
  'aggregator': _secure,
  'both': _both,
}


@pytest.fixture(
  scope='module', params=slow_cases.all_but(['aggregator'], PROCESSES)
)
def process(request):
  return PROCESSES[request.param]()


@pytest.fixture(scope='module')
def reference():
  reference = samples.Reference()
  yield reference
  reference.close()


def _masked(**config):
  summation = masked_sums.MaskedSum(masked_sums.MaskedSumConfig(**config))
  return context.XlaContext(threads=2, secure_sums=summation), summation


def _survivors(config, round_num, num_clients):
  """The clients that a round's sums hold, found out by themselves."""
  summation = masked_sums.MaskedSum(config)
  summation.begin_round(round_num)
  return summation.expected(num_clients)


@pytest.mark.slow
def test_rounds_are_those_of_tff(reference, process):
  xla, _ = _masked()
  rounds = [samples.batches(s, seed=r) for r, s in enumerate(COHORTS)]
  samples.Pair(reference, xla).same_rounds(process, rounds)
  assert xla.explain(process.next).way == 'xla'
  assert 'masked' in xla.explain(process.next).reason


def test_rounds_with_dropouts_are_those_of_tff_with_the_survivors(
  reference, process
):
  xla, summation = _masked(dropout_rates=RATES, tolerated_dropout=0.49, seed=4)
  sizes = [5, 3, 8, 1, 5, 2, 4, 6, 7, 3]
  found = samples.run(xla, process.initialize)
  expected = samples.run(reference, process.initialize)
  total_left = 0
  for round_num in range(1, 4):
    data = samples.batches(sizes, seed=round_num).datasets()
    stay = _survivors(summation.config, round_num, len(sizes))
    summation.begin_round(round_num)
    found = samples.run(xla, process.next, samples.state(found), data)
    expected = samples.run(
      reference,
      process.next,
      samples.state(expected),
      [data[c] for c in stay],
    )
    samples.assert_same(found, expected)
    assert summation.last_cost.num_clients == len(sizes)
    assert summation.last_cost.survivors == len(stay)
    total_left += len(sizes) - len(stay)
  assert total_left > 0


INTS = tff.types.to_type(
  collections.OrderedDict(b=np.int32, a=tff.TensorType(np.int32, [2]))
)


@tff.federated_computation(tff.FederatedType(INTS, tff.CLIENTS))
def _all_kinds(values):
  modular = tff.aggregators.SecureModularSumFactory(13).create(INTS)
  return (
    tff.federated_secure_sum(values, 1000),
    tff.federated_secure_sum_bitwidth(values['a'], 10),
    modular.next(modular.initialize(), values).result,
    tff.federated_sum(values['b']),
  )


def _ints(count):
  rng = np.random.default_rng(0)
  return [
    collections.OrderedDict(
      b=int(rng.integers(0, 1000)), a=rng.integers(0, 1000, 2).astype(np.int32)
    )
    for _ in range(count)
  ]


@pytest.mark.parametrize('graph, count', [('complete', 5), ('sparse', 60)])
def test_every_kind_of_secure_sum_is_exact(reference, graph, count):
  xla, _ = _masked(graph=graph, tolerated_dropout=0.1)
  samples.Pair(reference, xla).same(_all_kinds, _ints(count))


def test_sums_outside_of_xla_are_masked_too(reference):
  @tff.tensorflow.computation(tff.TensorType(np.int32))
  def drawing(value):
    return value + 0 * tf.cast(tf.random.poisson([], 3.0), tf.int32)

  @tff.federated_computation(tff.FederatedType(np.int32, tff.CLIENTS))
  def total(values):
    return tff.federated_secure_sum(tff.federated_map(drawing, values), 100)

  xla, summation = _masked()
  samples.Pair(reference, xla).same(total, [3, 4, 5])
  assert xla.explain(total).way == 'function'
  assert summation.last_cost.upload_bytes > 0


def test_clients_that_leave_after_their_input_are_in_all_sums():
  xla, summation = _masked(dropout_rates={'unmask': 0.2}, seed=2)
  data = _ints(10)
  found = samples.run(xla, _all_kinds, data)
  assert found[0]['b'] == found[3] == sum(d['b'] for d in data)
  assert summation.last_cost.survivors == 10


@pytest.mark.parametrize('phase', ['advertise', 'share', 'mask', 'unmask'])
def test_a_round_below_the_threshold_fails_with_its_name(phase):
  xla, summation = _masked(dropout_rates={phase: 0.9}, seed=1)
  with pytest.raises(errors.BelowThresholdError):
    samples.run(xla, _all_kinds, _ints(6))
  # The next attempt draws its own dropouts, and the context goes on.
  summation.config.dropout_rates[phase] = 0.0
  summation.begin_round(1, attempt=1)
  assert samples.run(xla, _all_kinds, [_ints(1)[0]] * 3)[3] > 0


def test_dropouts_depend_on_the_round_and_the_attempt_only():
  config = masked_sums.MaskedSumConfig(dropout_rates={'mask': 0.5}, seed=7)

  def drawn(round_num, attempt=0):
    summation = masked_sums.MaskedSum(config)
    summation.begin_round(round_num, attempt)
    return summation.expected(40)

  assert drawn(3) == drawn(3)
  assert len({drawn(3), drawn(4), drawn(3, 1)}) == 3
  counted = masked_sums.MaskedSum(config)
  assert [counted.expected(40) for _ in range(2)] == [drawn(1), drawn(2)]
  counted.begin_round(9)
  assert [counted.expected(40) for _ in range(2)] == [drawn(9), drawn(10)]


@pytest.mark.parametrize('count', [0, 1])
def test_a_sum_that_hides_nobody_is_refused(count):
  xla, _ = _masked()
  with pytest.raises(errors.ParameterError, match=f'found {count}: '):
    samples.run(xla, _all_kinds, _ints(count))


@pytest.mark.parametrize('value', [-1, 101])
def test_an_input_out_of_range_is_refused(value):
  @tff.federated_computation(tff.FederatedType(np.int32, tff.CLIENTS))
  def total(values):
    return tff.federated_secure_sum(values, 100)

  xla, _ = _masked()
  with pytest.raises(
    masked_sums.SecureSumError, match=f'0 to 100 .* found {value} .*client 1 '
  ):
    samples.run(xla, total, [5, value, 7])


def test_a_sum_that_can_pass_62_bits_is_refused():
  @tff.federated_computation(tff.FederatedType(np.int64, tff.CLIENTS))
  def total(values):
    return tff.federated_secure_sum_bitwidth(values, 61)

  xla, _ = _masked()
  assert samples.run(xla, total, [2**60, 2**60]) == 2**61
  with pytest.raises(masked_sums.SecureSumError, match=r'below 2\^62, found 3'):
    samples.run(xla, total, [1, 2, 3])


def test_in_the_clear_is_said_so(reference):
  xla = context.XlaContext(secure_sums='insecure')
  assert 'insecure' in xla.explain(_all_kinds).reason
  samples.Pair(reference, xla).same(_all_kinds, _ints(1))


@pytest.mark.slow
def test_without_secure_sums_nothing_is_said_of_them():
  xla, summation = _masked()
  process = _fed_avg()
  assert 'secure' not in xla.explain(process.next).reason
  samples.run(
    xla,
    process.next,
    samples.run(xla, process.initialize),
    samples.batches([3]),
  )
  assert summation.last_cost is None


@pytest.mark.parametrize(
  'config, error',
  [
    ({'dropout_rates': {'lunch': 0.1}}, 'a phase out of'),
    ({'dropout_rates': {'mask': 1.5}}, r'rate in \[0, 1\]'),
    ({'tolerated_dropout': 1.0}, r'dropout_fraction in \[0, 1\)'),
    ({'graph': 'ring'}, 'a graph out of'),
    ({'graph': 'sparse', 'malicious': True}, 'complete graph'),
  ],
)
def test_a_configuration_is_checked_when_it_is_made(config, error):
  with pytest.raises(errors.ParameterError, match=error):
    masked_sums.MaskedSumConfig(**config)


def test_the_cost_is_that_of_the_session():
  xla, summation = _masked()
  samples.run(xla, _all_kinds, _ints(5))
  cost = summation.last_cost
  assert (cost.num_clients, cost.survivors) == (5, 5)
  assert cost.seconds == pytest.approx(
    5 * cost.client_seconds + cost.server_seconds
  )
  # 8 numbers of at most 14 bits, and what the protocol adds: keys and shares.
  assert 4 * 2 * 50 < cost.upload_bytes < 4000
