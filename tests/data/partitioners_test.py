import collections
import itertools
import math
from typing import get_args

import numpy as np
import pytest
from scipy import special

from tff_pipelines.core import errors
from tff_pipelines.data import partitioners

SCHEMES = get_args(partitioners.Scheme)
# Those of which every example is dealt, whatever the labels.
EXHAUSTIVE = ('iid', 'dirichlet', 'shards', 'log_normal', 'power_law')
# 12 examples of label 0, 24 of label 1, 36 of label 2, in random order.
LABELS = np.random.default_rng(5).permutation(
  np.repeat([0, 1, 2], [12, 24, 36])
)


def hoeffding_bound(num_draws: int, false_alarm: float = 1e-9) -> float:
  """How far a mean of draws in [0, 1] strays with that probability at most.

  The same bound holds for the largest distance of an empirical distribution
  function from the true one (Dvoretzky, Kiefer, Wolfowitz; Massart 1990).
  """
  return math.sqrt(math.log(2 / false_alarm) / (2 * num_draws))


# Whoever changes these changes every run that was ever recorded.
@pytest.mark.parametrize(
  ('scheme', 'expected'),
  [
    ('iid', [[1, 2, 5], [3, 6, 7], [0, 4]]),
    ('dirichlet', [[2], [4], [0, 1, 3, 5, 6, 7]]),
    ('shards', [[1, 2, 6], [0, 4, 7], [3, 5]]),
    ('k_labels', [[2, 4], [0, 6], [1, 3, 5, 7]]),
    ('class_share', [[2, 4], [0, 6], [3, 7]]),
    ('log_normal', [[7], [0, 1, 3, 4, 5, 6], [2]]),
    ('power_law', [[1, 3, 4, 5, 6, 7], [0], [2]]),
  ],
)
def test_known_partitions(scheme, expected):
  parts = partitioners.Partitioner(3, scheme).partition(
    np.array([0, 1, 0, 1, 0, 1, 0, 1]), seed=0
  )
  assert {name: rows.tolist() for name, rows in parts.items()} == dict(
    zip(('client_0000', 'client_0001', 'client_0002'), expected, strict=True)
  )


@pytest.mark.parametrize('scheme', EXHAUSTIVE)
@pytest.mark.parametrize('num_clients', [1, 2, 7, 36])
def test_each_example_goes_to_exactly_one_client(scheme, num_clients):
  parts = partitioners.Partitioner(num_clients, scheme).partition(LABELS, 0)
  assert len(parts) == num_clients
  assert min(len(rows) for rows in parts.values()) >= 1
  dealt = np.concatenate(list(parts.values()))
  np.testing.assert_array_equal(np.sort(dealt), np.arange(72))
  for rows in parts.values():
    np.testing.assert_array_equal(rows, np.sort(rows))


@pytest.mark.parametrize('scheme', ['k_labels', 'class_share'])
@pytest.mark.parametrize('num_clients', [1, 2, 7, 24])
def test_no_example_goes_to_two_clients(scheme, num_clients):
  parts = partitioners.Partitioner(num_clients, scheme).partition(LABELS, 0)
  assert len(parts) == num_clients
  assert min(len(rows) for rows in parts.values()) >= 1
  dealt = np.concatenate(list(parts.values()))
  assert len(set(dealt)) == len(dealt)
  assert set(dealt) <= set(range(72))
  for rows in parts.values():
    np.testing.assert_array_equal(rows, np.sort(rows))


@pytest.mark.parametrize('scheme', EXHAUSTIVE)
def test_as_many_examples_as_clients_is_one_each(scheme):
  parts = partitioners.Partitioner(
    12, scheme, alpha=0.01, shards_per_client=1, sigma=20, exponent=0.05
  ).partition(LABELS[:12], 0)
  assert [len(rows) for rows in parts.values()] == [1] * 12


@pytest.mark.parametrize('scheme', SCHEMES)
def test_a_partition_is_a_pure_function_of_labels_and_seed(scheme):
  def dealt(seed):
    parts = partitioners.Partitioner(5, scheme).partition(LABELS, seed)
    return {name: rows.tolist() for name, rows in parts.items()}

  first = dealt(0)
  assert dealt(1) != first
  assert dealt(0) == first


def test_names_sort_as_the_clients_do():
  parts = partitioners.Partitioner(10_001).partition(np.zeros(10_001), 0)
  names = list(parts)
  assert names[0] == 'client_00000'
  assert names == sorted(names)


@pytest.mark.parametrize('num_clients', range(1, 13))
def test_iid_sizes_differ_by_one_at_most(num_clients):
  parts = partitioners.Partitioner(num_clients).partition(LABELS[:61], 0)
  sizes = [len(rows) for rows in parts.values()]
  assert max(sizes) - min(sizes) <= 1


def test_iid_deals_every_hand_equally_often():
  num_seeds = 2000
  dealer = partitioners.Partitioner(2)
  counts = collections.Counter(
    tuple(dealer.partition(np.zeros(4), seed)['client_0000'])
    for seed in range(num_seeds)
  )
  bound = hoeffding_bound(num_seeds)  # 0.073 of 1/6; 6 false alarms in 1e9
  for hand in itertools.combinations(range(4), 2):
    assert abs(counts[hand] / num_seeds - 1 / 6) < bound


def test_shards_leave_each_client_two_labels_at_most():
  labels = np.random.default_rng(1).permutation(np.repeat(np.arange(10), 20))
  # 20 shards of 10 examples: none holds two labels.
  parts = partitioners.Partitioner(10, 'shards').partition(labels, 0)
  for rows in parts.values():
    assert len(rows) == 20
    assert len(set(labels[rows])) <= 2
  # Dealt at random: all 10 pairs alike has probability 1 / (19 * 17 * ...).
  assert any(len(set(labels[rows])) == 2 for rows in parts.values())


def test_one_shard_a_client_is_a_sort_by_label():
  parts = partitioners.Partitioner(6, 'shards', shards_per_client=1).partition(
    LABELS, 0
  )
  found = sorted(LABELS[rows].tolist() for rows in parts.values())
  assert found == [[0] * 12, *[[1] * 12] * 2, *[[2] * 12] * 3]


def test_every_shard_goes_to_every_client_equally_often():
  num_seeds = 2000
  dealer = partitioners.Partitioner(2, 'shards', shards_per_client=1)
  # The shards are {1, 2}, sorted first, and {0}.
  hands = [
    tuple(dealer.partition(np.array([1, 0, 0]), seed)['client_0000'])
    for seed in range(num_seeds)
  ]
  assert set(hands) == {(0,), (1, 2)}
  frequency = hands.count((0,)) / num_seeds
  assert abs(frequency - 1 / 2) < hoeffding_bound(num_seeds)


def test_shards_cut_a_label_at_random():
  num_seeds = 2000
  dealer = partitioners.Partitioner(2, 'shards', shards_per_client=1)
  counts = collections.Counter(
    tuple(dealer.partition(np.zeros(4), seed)['client_0000'])
    for seed in range(num_seeds)
  )
  bound = hoeffding_bound(num_seeds)  # 6 false alarms in 1e9
  for hand in itertools.combinations(range(4), 2):
    assert abs(counts[hand] / num_seeds - 1 / 6) < bound


NUM_SHARES = 2000
K = np.arange(1, 99)


def share_distribution(dealer: partitioners.Partitioner) -> np.ndarray:
  """P(client 0 of 2 has at most k of 100 examples) found for k = 1 to 98.

  Below and above, the example that an empty client is given blurs it.
  """
  sizes = np.array(
    [
      len(dealer.partition(np.zeros(100), seed)['client_0000'])
      for seed in range(NUM_SHARES)
    ]
  )
  return np.mean(sizes[:, np.newaxis] <= K, axis=0)


@pytest.mark.parametrize('alpha', [0.3, 1.0, 5.0])
def test_the_share_of_one_of_two_clients_has_a_beta_distribution(alpha):
  found = share_distribution(
    partitioners.Partitioner(2, 'dirichlet', alpha=alpha)
  )
  expected = special.betainc(alpha, alpha, (K + 0.5) / 100)
  # One false alarm in 1e9 for a distance of 0.073.
  assert np.max(np.abs(found - expected)) < hoeffding_bound(NUM_SHARES)


@pytest.mark.parametrize('sigma', [0.5, 2.0])
def test_the_ratio_of_two_log_normal_sizes_is_log_normal(sigma):
  found = share_distribution(
    partitioners.Partitioner(2, 'log_normal', sigma=sigma)
  )
  share = (K + 0.5) / 100
  # ln(share / (1 - share)) is the difference of two normals.
  expected = special.ndtr(special.logit(share) / (sigma * math.sqrt(2)))
  assert np.max(np.abs(found - expected)) < hoeffding_bound(NUM_SHARES)


@pytest.mark.parametrize('exponent', [0.5, 2.0])
def test_the_ratio_of_two_sizes_of_a_power_law_is_log_laplace(exponent):
  found = share_distribution(
    partitioners.Partitioner(2, 'power_law', exponent=exponent)
  )
  share = (K + 0.5) / 100
  # The logarithm of a Pareto draw is exponential, of rate `exponent`; the
  # difference of two has a Laplace distribution.
  log_ratio = exponent * special.logit(share)
  tail = 0.5 * np.exp(-np.abs(log_ratio))
  expected = np.where(log_ratio < 0, tail, 1 - tail)
  assert np.max(np.abs(found - expected)) < hoeffding_bound(NUM_SHARES)


def test_dirichlet_deals_each_label_in_proportions_of_its_own():
  labels = np.repeat([0, 1], 500)
  dealer = partitioners.Partitioner(2, 'dirichlet', alpha=1.0)
  num_seeds = 2000
  counts = np.array(
    [
      np.bincount(
        labels[dealer.partition(labels, seed)['client_0000']], minlength=2
      )
      for seed in range(num_seeds)
    ]
  )
  # Independent: the client has the larger part of both labels a quarter of
  # the time, not half. A share is rounded to 1/500: P(more than 250) is
  # 0.499, P(both) 0.249.
  both = np.mean(np.all(counts > 250, axis=1))
  assert abs(both - 0.499**2) < hoeffding_bound(num_seeds)


def test_a_huge_alpha_deals_each_label_evenly():
  labels = np.repeat([0, 1], 500)
  parts = partitioners.Partitioner(5, 'dirichlet', alpha=1e6).partition(
    labels, 0
  )
  for rows in parts.values():
    # A share of 500 has standard deviation 500 sqrt(0.16 / 5e6) = 0.09, and
    # both of its ends are rounded: beyond 2 is 11 standard deviations.
    for count in np.bincount(labels[rows]):
      assert abs(count - 100) <= 2


TEN = np.random.default_rng(1).permutation(np.repeat(np.arange(10), 20))


def label_counts(dealer: partitioners.Partitioner, labels: np.ndarray):
  """Returns int[num_clients, num_labels]."""
  return np.array(
    [
      np.bincount(labels[rows], minlength=labels.max() + 1)
      for rows in dealer.partition(labels, 0).values()
    ]
  )


@pytest.mark.parametrize('num_labels', [1, 2, 3, 10])
@pytest.mark.parametrize('num_clients', [10, 13, 20])
def test_k_labels_are_k_labels(num_labels, num_clients):
  counts = label_counts(
    partitioners.Partitioner(
      num_clients, 'k_labels', labels_per_client=num_labels
    ),
    TEN,
  )
  np.testing.assert_array_equal((counts > 0).sum(1), num_labels)
  # Someone has each label, and all of them together have all of it, evenly.
  np.testing.assert_array_equal(counts.sum(0), 20)
  for of_label in counts.T:
    held = of_label[of_label > 0]
    assert held.max() - held.min() <= 1


def test_a_label_that_nobody_has_is_not_dealt():
  counts = label_counts(partitioners.Partitioner(3, 'k_labels'), TEN)
  np.testing.assert_array_equal(counts[:, :3], 20 * np.eye(3))
  assert counts[:, 3:].sum() == 0


def test_the_further_labels_of_a_client_are_drawn_evenly():
  labels = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2])
  num_seeds = 500
  dealer = partitioners.Partitioner(3, 'k_labels', labels_per_client=2)
  second = [
    1 in labels[dealer.partition(labels, seed)['client_0000']]
    for seed in range(num_seeds)
  ]
  assert abs(np.mean(second) - 1 / 2) < hoeffding_bound(num_seeds)


@pytest.mark.parametrize(
  ('num_clients', 'labels_per_client', 'message'),
  [
    (
      2,
      4,
      'Expected at most the 3 labels that there are a client, found '
      'labels_per_client 4; choose fewer.',
    ),
    (
      13,
      3,
      'Expected at least 13 examples of label 0, one for each client who has '
      'it, found 12; choose fewer clients or labels a client.',
    ),
  ],
)
def test_labels_that_there_are_not_are_refused(
  num_clients, labels_per_client, message
):
  dealer = partitioners.Partitioner(
    num_clients, 'k_labels', labels_per_client=labels_per_client
  )
  with pytest.raises(partitioners.PartitionError) as raised:
    dealer.partition(LABELS, 0)
  assert str(raised.value) == message


def test_all_of_one_class_is_label_k_on_client_k():
  dealer = partitioners.Partitioner(10, 'class_share', class_share=1.0)
  np.testing.assert_array_equal(label_counts(dealer, TEN), 20 * np.eye(10))


def test_the_share_of_a_class_by_hand():
  # 11 of 20 have the own label, one each the 9 others.
  dealer = partitioners.Partitioner(10, 'class_share', class_share=0.55)
  np.testing.assert_array_equal(label_counts(dealer, TEN), 1 + 10 * np.eye(10))


def test_a_tenth_of_one_of_ten_classes_is_even():
  dealer = partitioners.Partitioner(10, 'class_share', class_share=0.1)
  np.testing.assert_array_equal(label_counts(dealer, TEN), 2)


@pytest.mark.parametrize('num_clients', [1, 2, 3, 4, 5, 9, 20])
@pytest.mark.parametrize('class_share', [0.1, 0.5, 0.9, 1.0])
def test_a_class_share_is_the_same_for_all_and_wastes_little(
  num_clients, class_share
):
  dealer = partitioners.Partitioner(
    num_clients, 'class_share', class_share=class_share
  )
  counts = label_counts(dealer, LABELS)
  (size,) = set(counts.sum(1))
  own = np.arange(num_clients) * min(num_clients, 3) // num_clients
  mine = counts[np.arange(num_clients), own]
  np.testing.assert_array_equal(mine, round(class_share * size))
  for client, label in enumerate(own):
    others = np.delete(counts[client], label)
    assert others.max() - others.min() <= 1
  # One more example a client, and some label would not suffice. Rounding takes
  # at most one of a label and client more.
  owners = np.bincount(own, minlength=3)
  wanted = (size + 1) * (
    class_share * owners + (1 - class_share) * (num_clients - owners) / 2
  )
  assert np.any(wanted + num_clients > [12, 24, 36])


def test_clients_of_a_label_are_neighbours():
  dealer = partitioners.Partitioner(7, 'class_share', class_share=1.0)
  held = [int(np.flatnonzero(row)[0]) for row in label_counts(dealer, LABELS)]
  assert held == [0, 0, 0, 1, 1, 2, 2]


def test_one_class_alone_is_dealt_evenly():
  dealer = partitioners.Partitioner(3, 'class_share')
  assert label_counts(dealer, np.zeros(10, int)).tolist() == [[3], [3], [3]]


def test_a_class_share_without_examples_of_a_label_is_refused():
  dealer = partitioners.Partitioner(40, 'class_share')
  with pytest.raises(partitioners.PartitionError) as raised:
    dealer.partition(LABELS, 0)
  assert str(raised.value) == (
    'Expected examples of every label for 40 clients who each have 90% of one '
    'label, found 12 of the rarest; choose fewer clients.'
  )


def test_by_column_keeps_the_order_of_first_appearance():
  rows = partitioners.by_column(['zoe', 'abe', 'zoe', 'kim', 'zoe'])
  assert {name: r.tolist() for name, r in rows.items()} == {
    'zoe': [0, 2, 4],
    'abe': [1],
    'kim': [3],
  }
  assert list(rows) == ['zoe', 'abe', 'kim']


def test_by_column_of_nothing_is_nobody():
  assert partitioners.by_column([]) == {}


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (
      {'scheme': 'random'},
      'Expected a partition out of iid, dirichlet, shards, k_labels, '
      "class_share, log_normal, power_law, found 'random'.",
    ),
    ({'num_clients': 0}, 'Expected num_clients above 0, found 0.'),
    ({'alpha': 0.0}, 'Expected alpha above 0, found 0.0.'),
    ({'alpha': math.nan}, 'Expected alpha above 0, found nan.'),
    (
      {'labels_per_client': -1},
      'Expected labels_per_client above 0, found -1.',
    ),
    (
      {'shards_per_client': 0},
      'Expected shards_per_client above 0, found 0.',
    ),
    ({'sigma': -0.5}, 'Expected sigma above 0, found -0.5.'),
    ({'exponent': 0.0}, 'Expected exponent above 0, found 0.0.'),
    ({'class_share': 0.0}, 'Expected class_share above 0, found 0.0.'),
    (
      {'class_share': 90.0},
      'Expected a class_share of at most 1, found 90.0; 0.9 is 90 %.',
    ),
  ],
)
def test_what_makes_no_partitioner_is_refused(arguments, message):
  with pytest.raises(partitioners.PartitionError) as raised:
    partitioners.Partitioner(**({'num_clients': 3} | arguments))
  assert str(raised.value) == message
  assert isinstance(raised.value, errors.PipelineError)


@pytest.mark.parametrize(
  ('scheme', 'needed'),
  [
    ('iid', 4),
    ('dirichlet', 4),
    ('shards', 8),
    ('log_normal', 4),
    ('power_law', 4),
  ],
)
def test_too_few_examples_are_refused(scheme, needed):
  dealer = partitioners.Partitioner(4, scheme)
  with pytest.raises(partitioners.PartitionError) as raised:
    dealer.partition(LABELS[: needed - 1], 0)
  assert str(raised.value) == (
    f'Expected at least {needed} examples for 4 clients, found {needed - 1}; '
    'choose fewer clients.'
  )
  assert len(dealer.partition(LABELS[:needed], 0)) == 4
