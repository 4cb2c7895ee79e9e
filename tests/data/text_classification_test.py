import dataclasses

import numpy as np
import pytest

from tff_pipelines.core import errors
from tff_pipelines.data import (
  messages,
  partitioners,
  text_classification,
  text_features,
  text_records,
)

FEATURES = text_features.TextFeatures(num_buckets=64, max_features=16)
HASHED = text_classification.FeatureChoice(FEATURES)


@pytest.fixture(scope='module')
def tiny() -> text_records.TextRecords:
  return messages.generate_tiny(0)


def unnamed(records: text_records.TextRecords) -> text_records.TextRecords:
  return dataclasses.replace(records, clients=None)


def build(records, **choices) -> text_classification.TextDataset:
  defaults = {
    'split': 'random',
    'test_fraction': 0.25,
    'partitioner': None,
    'choice': HASHED,
    'seed': 0,
  }
  return text_classification.build('tiny', records, **(defaults | choices))


def held(population, client: int) -> list[tuple[bytes, int]]:
  """The examples of a client in comparable form."""
  x, y = population.examples(client)
  rows = zip(x['ids'], y, strict=True)
  return [(ids.tobytes(), int(label)) for ids, label in rows]


def test_people_keep_their_messages(tiny):
  dataset = build(tiny)
  train, test = text_records.split_by_distinct_text(tiny, 0.25, 0)
  for side, records in ((dataset.train, train), (dataset.test, test)):
    assert side.client_ids == ('alice', 'bob', 'carol')
    for client, name in enumerate(side.client_ids):
      mine = records.take(
        [r for r, c in enumerate(records.clients) if c == name]
      )
      ids = FEATURES.compute(mine.texts)['ids']
      assert held(side, client) == [
        (row.tobytes(), int(label))
        for row, label in zip(ids, mine.labels, strict=True)
      ]


def test_the_batch_is_features_and_label(tiny):
  x, y = build(tiny).train.batch_spec
  assert x['ids'].shape.as_list() == x['weights'].shape.as_list() == [None, 16]
  assert (x['ids'].dtype, x['weights'].dtype) == ('int32', 'float32')
  assert (y.shape.as_list(), y.dtype) == ([None], 'int32')


def test_the_first_30_percent_train(tiny):
  dataset = build(tiny, split='first_30_percent')
  # 11 of 36 records: all of alice's but the last; none of bob's.
  assert dataset.train.client_ids == ('alice',)
  np.testing.assert_array_equal(dataset.train.sizes, [11])
  assert dataset.test.client_ids == ('alice', 'bob', 'carol')
  np.testing.assert_array_equal(dataset.test.sizes, [1, 12, 12])
  assert dataset.provenance['test_fraction'] is None


def test_texts_of_nobody_are_dealt(tiny):
  dealer = partitioners.Partitioner(4, 'dirichlet', alpha=0.5)
  dataset = build(unnamed(tiny), partitioner=dealer)
  train, test = text_records.split_by_distinct_text(unnamed(tiny), 0.25, 0)
  expected = dealer.partition(train.labels, 0)
  assert dataset.train.client_ids == tuple(expected)
  for client, rows in enumerate(expected.values()):
    np.testing.assert_array_equal(
      dataset.train.examples(client)[1], train.labels[rows]
    )
  # The test texts are dealt evenly.
  assert dataset.test.num_examples == len(test)
  assert dataset.test.sizes.max() - dataset.test.sizes.min() <= 1
  assert dataset.provenance['partition'] == {
    'num_clients': 4,
    'scheme': 'dirichlet',
    'alpha': 0.5,
    'shards_per_client': 2,
    'labels_per_client': 1,
    'class_share': 0.9,
    'sigma': 1.0,
    'exponent': 1.5,
  }


def test_fewer_test_texts_than_clients_are_one_each(tiny):
  dealer = partitioners.Partitioner(20)
  dataset = build(unnamed(tiny), partitioner=dealer)
  assert dataset.train.num_clients == 20
  assert dataset.test.num_clients == dataset.test.num_examples < 20


def test_hashed_features_collect_nothing(tiny):
  dataset = build(tiny)
  assert dataset.features == FEATURES
  assert dataset.label_names == ('ham', 'spam')
  assert dataset.name == 'tiny'
  assert dataset.provenance == {
    'source': 'tiny messages (generated)',
    'sha256_of_texts': tiny.provenance['sha256_of_texts'],
    'split': 'random',
    'test_fraction': 0.25,
    'partition': 'people',
    'features': {
      'num_buckets': 64,
      'vocabulary': None,
      'max_features': 16,
      'pairs': True,
      'weighting': 'binary',
      'vocabulary_source': ('none: features are hashed, nothing is collected'),
      'training_texts_cut': 0,
    },
  }


def test_training_texts_that_are_cut_are_counted(tiny):
  # 'want some tea': a length, three words, two pairs.
  choice = text_classification.FeatureChoice(
    text_features.TextFeatures(num_buckets=64, max_features=5)
  )
  train, _ = text_records.split_by_distinct_text(tiny, 0.25, 0)
  long = sum(len(text.split()) > 2 for text in train.texts)
  found = build(tiny, choice=choice).provenance['features']
  assert 0 < found['training_texts_cut'] == long < len(train)


def test_the_vocabulary_is_that_of_the_training_clients():
  records = text_records.TextRecords(
    texts=('tea pie', 'pie tea', 'tea', 'cake', 'cake', 'soda', 'soda'),
    labels=np.zeros(7, np.int32),
    clients=('zoe', 'abe', 'abe', 'kim', 'zoe', 'kim', 'zoe'),
    label_names=('ham', 'spam'),
    provenance={},
  )
  # The first 30 % are two texts; both of their words are common, and pie comes
  # first in the alphabet.
  dataset = build(
    records,
    split='first_30_percent',
    choice=text_classification.FeatureChoice(FEATURES, vocabulary_size=1),
  )
  assert dataset.features == dataclasses.replace(FEATURES, vocabulary=('pie',))
  assert dataset.provenance['features']['vocabulary'] == 1
  assert dataset.provenance['features']['vocabulary_source'] == (
    'words of at least 2 training clients, counted without privacy'
  )
  np.testing.assert_array_equal(dataset.train.examples(0)[0]['ids'][:, 0], [1])
  # Nobody writes of pie in the test texts.
  assert not np.any(dataset.test.pooled().examples(0)[0]['ids'])


def test_a_data_set_is_a_pure_function_of_its_arguments(tiny):
  def all_held(seed):
    dataset = build(tiny, seed=seed)
    return [
      held(side, client)
      for side in (dataset.train, dataset.test)
      for client in range(side.num_clients)
    ]

  first = all_held(0)
  assert all_held(1) != first
  assert all_held(0) == first


@pytest.mark.parametrize('both', [True, False])
def test_either_the_source_or_a_partition_makes_clients(tiny, both):
  records = tiny if both else unnamed(tiny)
  dealer = partitioners.Partitioner(3) if both else None
  with pytest.raises(text_classification.PersonColumnError) as raised:
    build(records, partitioner=dealer)
  assert str(raised.value) == (
    'Expected tiny to name the people or a partition to make clients, found '
    f'{"both" if both else "neither"}.'
  )
  assert isinstance(raised.value, errors.PipelineError)
