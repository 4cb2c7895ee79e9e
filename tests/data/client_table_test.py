import itertools

import numpy as np

from tff_pipelines.data import client_table, population


def side(**labels_by_client: list[int]) -> population.ArrayPopulation:
  """A population whose examples are given by their labels."""
  labels = np.array(list(itertools.chain(*labels_by_client.values())), np.int32)
  ends = np.cumsum([len(owned) for owned in labels_by_client.values()])
  rows = np.split(np.arange(len(labels)), ends[:-1])
  return population.ArrayPopulation(
    (np.zeros([len(labels), 2]), labels),
    dict(zip(labels_by_client, rows, strict=True)),
  )


def four_people() -> population.FederatedDataset:
  return population.FederatedDataset(
    name='four people',
    train=side(alice=[0, 1, 0], bob=[1], carol=[]),
    test=side(dave=[0, 0], alice=[1]),
    label_names=('ham', 'spam'),
    provenance={},
  )


def test_label_counts_have_a_row_a_client_and_a_column_a_label():
  counts = client_table.label_counts(side(a=[0, 2, 0], b=[], c=[2]), 4)
  np.testing.assert_array_equal(
    counts, [[2, 0, 1, 0], [0, 0, 0, 0], [0, 0, 1, 0]]
  )
  assert counts.dtype == np.int64


def test_summary_of_four_people_by_hand():
  assert client_table.summary(four_people()) == (
    'train  3 clients, 4 examples (a client: min 0, median 1, max 3); '
    'ham 50.0%, spam 50.0%\n'
    '       share of spam a client: min 0%, median 33%, max 100%\n'
    'test   2 clients, 3 examples (a client: min 1, median 1.5, max 2); '
    'ham 66.7%, spam 33.3%'
  )


def test_table_of_four_people_by_hand():
  assert client_table.to_csv(four_people()) == (
    'client_id,train_examples,test_examples,'
    'train:ham,train:spam,test:ham,test:spam\n'
    'alice,3,1,2,1,0,1\n'
    'bob,1,0,0,1,0,0\n'
    'carol,0,0,0,0,0,0\n'
    'dave,0,2,0,0,2,0\n'
  )


def test_a_name_with_a_comma_is_quoted():
  dataset = population.FederatedDataset(
    name='',
    train=side(**{'Doe, "J"': [0]}),
    test=side(x=[0]),
    label_names=('a,b',),
    provenance={},
  )
  assert client_table.to_csv(dataset) == (
    'client_id,train_examples,test_examples,"train:a,b","test:a,b"\n'
    '"Doe, ""J""",1,0,1,0\n'
    'x,0,1,0,1\n'
  )


def test_a_side_without_examples_has_no_shares():
  dataset = population.FederatedDataset(
    name='',
    train=side(alice=[]),
    test=side(bob=[]),
    label_names=('ham', 'spam'),
    provenance={},
  )
  assert client_table.summary(dataset).splitlines()[0] == (
    'train  1 clients, 0 examples (a client: min 0, median 0, max 0); '
    'ham 0.0%, spam 0.0%'
  )


def test_many_labels_have_no_single_share_worth_telling():
  dataset = population.FederatedDataset(
    name='',
    train=side(alice=[0, 1, 2, 2]),
    test=side(bob=[1]),
    label_names=('0', '1', '2'),
    provenance={},
  )
  assert client_table.summary(dataset) == (
    'train  1 clients, 4 examples (a client: min 4, median 4, max 4); '
    '0 25.0%, 1 25.0%, 2 50.0%\n'
    'test   1 clients, 1 examples (a client: min 1, median 1, max 1); '
    '0 0.0%, 1 100.0%, 2 0.0%'
  )


def test_labels_that_are_floats_are_counted():
  owned = population.ArrayPopulation(
    (np.zeros([3, 2]), np.array([0.0, 1.0, 1.0], np.float32)),
    {'alice': np.arange(3)},
  )
  np.testing.assert_array_equal(client_table.label_counts(owned, 2), [[1, 2]])


def test_measurements_have_no_labels_to_count():
  measured = population.ArrayPopulation(
    (np.zeros([2, 2]), np.array([-3.5, 21.0], np.float32)),
    {'alice': np.arange(2)},
  )
  dataset = population.FederatedDataset('', measured, measured, (), {})
  assert client_table.summary(dataset).splitlines()[0] == (
    'train  1 clients, 2 examples (a client: min 2, median 2, max 2)'
  )
  assert client_table.to_csv(dataset) == (
    'client_id,train_examples,test_examples\nalice,2,2\n'
  )
