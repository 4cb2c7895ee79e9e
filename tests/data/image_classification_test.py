import collections
import itertools

import numpy as np
import pytest

from tff_pipelines.core import errors
from tff_pipelines.data import (
  feature_shift,
  image_classification,
  image_records,
  mnist,
  partitioners,
)


def records(
  labels: list[int], writers: str | None, first: int = 0
) -> image_records.ImageRecords:
  """Image i is full of first + i."""
  values = first + np.arange(len(labels), dtype=np.uint8)
  return image_records.ImageRecords(
    np.repeat(values, 4).reshape(-1, 2, 2),
    np.array(labels, np.int32),
    writers and tuple(writers),
  )


def source(writers: bool = True) -> image_records.ImageSource:
  return image_records.ImageSource(
    train=records([0, 1, 2] * 4, 'zzabbbzzacaa' if writers else None),
    test=records([2, 1, 0, 2, 1], 'ddedd' if writers else None, first=100),
    max_value=200,
    label_names=('zero', 'one', 'two'),
    provenance={'source': 'by hand'},
  )


def build(**choices):
  defaults = {
    'partitioner': partitioners.Partitioner(3),
    'test_clients': 2,
    'seed': 0,
  }
  return image_classification.build('hand', source(), **(defaults | choices))


def images(population, client: int) -> list[int]:
  """Which images a client holds."""
  pixels, _ = population.examples(client)
  return np.round(pixels[:, 0] * 200).astype(int).tolist()


def test_an_example_is_flat_pixels_from_0_to_1_and_a_label():
  x, y = build().train.batch_spec
  assert (x.shape.as_list(), x.dtype) == ([None, 4], 'float32')
  assert (y.shape.as_list(), y.dtype) == ([None], 'int32')
  pixels, labels = build(partitioner=None).test.examples(1)
  # Writer e drew the third test image, of value 102 of 200.
  np.testing.assert_allclose(pixels, [[0.51] * 4], rtol=1e-7)
  np.testing.assert_array_equal(labels, [0])


def test_each_writer_has_their_own_images_in_order():
  dataset = build(partitioner=None)
  assert dataset.train.client_ids == ('z', 'a', 'b', 'c')
  assert [images(dataset.train, c) for c in range(4)] == [
    [0, 1, 6, 7], [2, 8, 10, 11], [3, 4, 5], [9],
  ]  # fmt: skip
  assert dataset.test.client_ids == ('d', 'e')
  assert images(dataset.test, 0) == [100, 101, 103, 104]
  assert dataset.provenance == {'source': 'by hand', 'partition': 'writer'}


def test_a_partitioner_deals_the_training_images():
  dealer = partitioners.Partitioner(4, 'shards', shards_per_client=1)
  dataset = build(partitioner=dealer)
  expected = dealer.partition(source().train.labels, 0)
  assert dataset.train.client_ids == tuple(expected)
  for client, rows in enumerate(expected.values()):
    assert images(dataset.train, client) == rows.tolist()
  assert dataset.provenance['partition'] == {
    'num_clients': 4,
    'scheme': 'shards',
    'alpha': 0.3,
    'shards_per_client': 1,
    'labels_per_client': 1,
    'class_share': 0.9,
    'sigma': 1.0,
    'exponent': 1.5,
  }


@pytest.mark.parametrize('test_clients', [1, 2, 5])
def test_test_images_are_dealt_evenly_to_clients_of_other_names(test_clients):
  dataset = build(test_clients=test_clients)
  assert dataset.test.client_ids == tuple(
    f'test_000{c}' for c in range(test_clients)
  )
  assert not set(dataset.test.client_ids) & set(dataset.train.client_ids)
  held = [images(dataset.test, c) for c in range(test_clients)]
  assert sorted(itertools.chain(*held)) == [100, 101, 102, 103, 104]
  sizes = [len(owned) for owned in held]
  assert max(sizes) - min(sizes) <= 1


def test_training_clients_do_not_depend_on_the_test_clients():
  one, other = build(test_clients=1).train, build(test_clients=5).train
  assert [images(one, c) for c in range(3)] == [
    images(other, c) for c in range(3)
  ]


@pytest.mark.parametrize('unknown', ['train', 'test', 'both'])
def test_unknown_writers_are_refused(unknown):
  known, nameless = source(), source(writers=False)
  mixed = image_records.ImageSource(
    train=(known if unknown == 'test' else nameless).train,
    test=(known if unknown == 'train' else nameless).test,
    max_value=200,
    label_names=known.label_names,
    provenance={},
  )
  with pytest.raises(image_classification.NoWritersError) as raised:
    image_classification.build(
      'hand', mixed, partitioner=None, test_clients=1, seed=0
    )
  assert str(raised.value) == (
    'Expected a data set that names the writers of its images, found hand; '
    'choose another data set or partition.'
  )
  assert isinstance(raised.value, errors.PipelineError)


def test_more_clients_than_images_are_refused():
  with pytest.raises(
    partitioners.PartitionError, match=r'^Expected at least 13 examples for 13'
  ):
    build(partitioner=partitioners.Partitioner(13))
  with pytest.raises(
    partitioners.PartitionError, match=r'^Expected at least 6 examples for 6'
  ):
    build(test_clients=6)


# Images that differ to look at.


SHIFT = feature_shift.FeatureShift('brightness', 1.0)


def test_shifted_clients_hold_the_same_digits():
  plain, shifted = build(), build(shift=SHIFT)
  assert shifted.train.client_ids == plain.train.client_ids
  for client in range(3):
    before, labels = plain.train.examples(client)
    after, same_labels = shifted.train.examples(client)
    np.testing.assert_array_equal(same_labels, labels)
    assert np.any(after != before)
  assert shifted.provenance['feature_shift'] == {
    'kind': 'brightness',
    'strength': 1.0,
  }


def test_shifted_test_images_do_not_depend_on_who_is_dealt_them():
  """Otherwise the number of test clients would matter to metrics."""
  shifted = build(shift=SHIFT, test_clients=1)
  pixels, _ = shifted.test.examples(0)
  plain, _ = build(test_clients=1).test.examples(0)
  # Each has a shift of its own: no two of these five grow alike.
  assert len(set((pixels - plain)[:, 0].round(6))) == 5


def test_a_test_writer_has_one_shift():
  shifted = build(shift=SHIFT, partitioner=None)
  plain = build(partitioner=None)
  pixels, _ = shifted.test.examples(0)
  before, _ = plain.test.examples(0)
  contrasts = np.diff(pixels[:, 0]) / np.diff(before[:, 0])
  assert np.ptp(contrasts) < 1e-3
  assert np.all((contrasts > 0.5) & (contrasts < 2))


# The populations that experiments are made on.


@pytest.fixture(scope='module')
def real(real_data_dir) -> image_records.ImageSource:
  return mnist.load(real_data_dir, writers=True)


def deal(real, partitioner):
  return image_classification.build(
    'mnist', real, partitioner=partitioner, test_clients=10, seed=0
  )


def test_3383_clients_have_17_or_18_images_each(real):
  dataset = deal(real, partitioners.Partitioner(3383))
  # 60,000 = 3,383 * 17 + 2,489.
  assert collections.Counter(dataset.train.sizes) == {18: 2489, 17: 894}
  assert dataset.test.sizes.tolist() == [1000] * 10


def test_two_shards_of_600_clients_leave_most_with_two_labels(real):
  dealer = partitioners.Partitioner(100, 'shards', shards_per_client=2)
  dataset = deal(real, dealer)
  assert dataset.train.sizes.tolist() == [600] * 100
  labels = [len(np.unique(dataset.train.examples(c)[1])) for c in range(100)]
  # 200 shards of 300; at most 9 of them hold a border between two labels.
  assert sum(count > 2 for count in labels) <= 9
  assert max(labels) <= 4


@pytest.mark.parametrize('class_share', [0.9, 1.0])
def test_ten_clients_have_a_digit_each(real, class_share):
  dealer = partitioners.Partitioner(10, 'class_share', class_share=class_share)
  dataset = deal(real, dealer)
  # As many as there are fives, the rarest digit.
  assert dataset.train.sizes.tolist() == [5421] * 10
  shares = [
    np.mean(dataset.train.examples(digit)[1] == digit) for digit in range(10)
  ]
  np.testing.assert_allclose(shares, class_share, atol=1 / 5421)


def test_writers_draw_every_digit(real):
  dataset = deal(real, None)
  assert (dataset.train.num_clients, dataset.test.num_clients) == (539, 297)
  assert dataset.train.num_examples == 60_000
  assert dataset.test.num_examples == 10_000
  labels = [len(np.unique(dataset.train.examples(c)[1])) for c in range(539)]
  assert np.median(labels) == 10
