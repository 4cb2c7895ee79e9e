import dataclasses

import pytest

from tests import slow_cases
from tff_pipelines.secagg import errors, failure_probabilities, parameters

SecAggParameters = parameters.SecAggParameters
derive = parameters.derive_parameters


def test_complete_defaults():
  chosen = SecAggParameters(5, 3)
  assert chosen.degree is None
  assert chosen.max_dropouts == 2
  assert chosen.min_survivors == 3


def test_a_sparse_sum_has_as_many_survivors_as_stated():
  chosen = derive(1000, 0.3, 0.1, 'sparse')
  assert chosen.min_survivors == 700


def test_parameters_are_immutable():
  with pytest.raises(dataclasses.FrozenInstanceError):
    SecAggParameters(5, 3).threshold = 1


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'num_clients': 1, 'threshold': 1}, 'clients, found 1; the sum of one'),
    ({'num_clients': 2**25, 'threshold': 5}, 'Expected between 2 and'),
    ({'num_clients': 5, 'threshold': 1}, 'threshold between 2 and'),
    ({'num_clients': 5, 'threshold': 6}, 'found a threshold of 6 for 5'),
    (
      {'num_clients': 5, 'threshold': 3, 'max_corrupted': 3},
      'threshold above the number of corrupted clients, found 3',
    ),
    (
      {'num_clients': 5, 'threshold': 4, 'max_dropouts': 2},
      r'at least 4 clients \(the threshold\) to be left',
    ),
    (
      {'num_clients': 5, 'threshold': 4, 'max_dropouts': 5},
      'max_dropouts between 0 and num_clients - 1, found 5',
    ),
    (
      {'num_clients': 5, 'threshold': 4, 'max_corrupted': -1},
      'max_corrupted between 0 and',
    ),
    (
      {'num_clients': 50, 'threshold': 4, 'degree': 8},
      'max_dropouts between 0 and num_clients - 1, found None',
    ),
    (
      {'num_clients': 50, 'threshold': 4, 'degree': 7, 'max_dropouts': 5},
      'even degree between 2 and num_clients - 2, found 7',
    ),
    (
      {'num_clients': 9, 'threshold': 4, 'degree': 8, 'max_dropouts': 5},
      'found 8 for 9 clients; leave the degree out',
    ),
    (
      {'num_clients': 50, 'threshold': 9, 'degree': 8, 'max_dropouts': 5},
      'threshold of at most the degree',
    ),
    (
      {
        'num_clients': 1000,
        'threshold': 10,
        'degree': 20,
        'max_dropouts': 300,
        'max_corrupted': 100,
      },
      r'leaks with probability at most 2\^-40, found a bound of 2\^',
    ),
    (
      {
        'num_clients': 1000,
        'threshold': 90,
        'degree': 100,
        'max_dropouts': 300,
        'max_corrupted': 100,
      },
      r'aborts with probability at most 2\^-30',
    ),
    (
      {
        'num_clients': 50,
        'threshold': 4,
        'degree': 8,
        'max_dropouts': 1,
        'malicious': True,
      },
      'complete graph in the malicious variant, found a degree of 8',
    ),
  ],
)
def test_unsafe_parameters_are_refused(arguments, message):
  with pytest.raises(errors.ParameterError, match=message):
    SecAggParameters(**arguments)


@pytest.mark.parametrize(
  ('n', 'corrupted', 'least'),
  [(10, 0, 6), (11, 0, 6), (10, 1, 6), (10, 2, 7), (9, 3, 7)],
)
def test_the_malicious_variant_needs_more_than_half(n, corrupted, least):
  # 2 t > n + corrupted, by hand.
  options = {'malicious': True, 'max_corrupted': corrupted}
  SecAggParameters(n, least, **options)
  with pytest.raises(errors.ParameterError, match=f'at least {least} in the m'):
    SecAggParameters(n, least - 1, **options)


@pytest.mark.parametrize(
  ('n', 'delta', 'gamma', 'threshold'),
  [
    (10, 0.0, 0.0, 6),
    (10, 0.3, 0.1, 6),
    (10, 0.6, 0.1, 4),
    (10, 0.2, 0.7, 8),
    (2, 0.0, 0.0, 2),
    (1000, 0.3, 0.1, 501),
  ],
)
def test_complete_thresholds_by_hand(n, delta, gamma, threshold):
  assert derive(n, delta, gamma).threshold == threshold


@pytest.mark.parametrize(
  ('n', 'delta', 'gamma', 'threshold'),
  [(10, 0.3, 0.0, 6), (10, 0.3, 0.2, 7), (9, 0.2, 0.33, 6)],
)
def test_malicious_thresholds_by_hand(n, delta, gamma, threshold):
  chosen = derive(n, delta, gamma, malicious=True)
  assert chosen.threshold == threshold
  assert chosen.malicious


@pytest.mark.parametrize(
  ('delta', 'gamma', 'malicious'),
  [(0.6, 0.5, False), (0.5, 0.0, True), (0.3, 0.5, True)],
)
def test_too_many_dropouts_and_corrupted_are_refused(delta, gamma, malicious):
  with pytest.raises(errors.ParameterError, match='lower the threshold or max'):
    derive(10, delta, gamma, malicious=malicious)


def test_about_a_hundred_neighbours_as_in_bell_et_al():
  # Bell et al. 2020: about 100 for 1,000 clients, 0.1 corrupted, 0.3 dropped.
  assert derive(1000, 0.3, 0.1, 'sparse').degree == 100


@pytest.mark.parametrize(
  ('n', 'delta', 'gamma'),
  [
    (1000, 0.1, 0.1),
    (1000, 0.05, 0.3),
    slow_cases.slow((10_000, 0.3, 0.1)),
    (300, 0.1, 0.05),
  ],
)
def test_derived_sparse_graphs_keep_both_probabilities(n, delta, gamma):
  chosen = derive(n, delta, gamma, 'sparse')
  dropouts, corrupted = int(delta * n), int(gamma * n)
  leak = failure_probabilities.too_many_corrupted(n, chosen.degree, corrupted)
  split = failure_probabilities.disconnected(
    n, chosen.degree, dropouts + corrupted
  )
  abort = failure_probabilities.too_few_survivors(n, chosen.degree, dropouts)
  assert leak[chosen.threshold] + split <= 2**-40
  assert abort[chosen.threshold] <= 2**-30
  # And no smaller degree does.
  with pytest.raises(errors.ParameterError):
    for threshold in range(2, chosen.degree - 1):
      dataclasses.replace(chosen, degree=chosen.degree - 2, threshold=threshold)


def test_weaker_promises_need_fewer_neighbours():
  strong = derive(1000, 0.1, 0.1, 'sparse')
  weak = derive(1000, 0.1, 0.1, 'sparse', security_bits=20, correctness_bits=10)
  assert weak.degree < strong.degree


@pytest.mark.slow
def test_the_degree_grows_slowly_with_the_clients():
  # Polylogarithmic: ten times the clients cost a few neighbours.
  degrees = [derive(n, 0.1, 0.1, 'sparse').degree for n in (1000, 10_000)]
  assert degrees[0] < degrees[1] < 1.5 * degrees[0]


def test_small_sessions_have_no_safe_sparse_graph():
  with pytest.raises(errors.ParameterError, match='use the complete graph'):
    derive(10, 0.3, 0.1, 'sparse')


def test_a_malicious_sparse_graph_is_refused():
  with pytest.raises(
    errors.ParameterError, match="choose the graph 'complete'"
  ):
    derive(1000, 0.1, 0.1, 'sparse', malicious=True)


def test_unknown_graphs_are_refused():
  with pytest.raises(errors.ParameterError, match="complete, sparse, found 's"):
    derive(10, 0.1, 0.1, 'star')


@pytest.mark.parametrize('fraction', [-0.1, 1.0, 2.0])
def test_fractions_out_of_range_are_refused(fraction):
  with pytest.raises(errors.ParameterError, match='dropout_fraction in'):
    derive(10, fraction, 0.1)
  with pytest.raises(errors.ParameterError, match='corrupted_fraction in'):
    derive(10, 0.1, fraction)
