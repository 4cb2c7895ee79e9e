import itertools

import numpy as np
import pytest

from tff_pipelines.core import errors
from tff_pipelines.data import text_records


def records(
  texts: str, clients: tuple[str, ...] | None = None
) -> text_records.TextRecords:
  """A record a letter; its label is its position."""
  return text_records.TextRecords(
    texts=tuple(texts),
    labels=np.arange(len(texts), dtype=np.int32),
    clients=clients,
    label_names=('ham', 'spam'),
    provenance={'source': 'letters'},
  )


def test_take_keeps_texts_labels_and_clients_together():
  taken = records('abcd', ('zoe', 'abe', 'zoe', 'kim')).take(np.array([3, 0]))
  assert taken.texts == ('d', 'a')
  np.testing.assert_array_equal(taken.labels, [3, 0])
  assert taken.clients == ('kim', 'zoe')
  assert taken.label_names == ('ham', 'spam')
  assert taken.provenance == {'source': 'letters'}
  assert len(taken) == 2


def test_take_of_nothing_is_empty():
  taken = records('ab', ('zoe', 'abe')).take([])
  assert (taken.texts, taken.clients, len(taken.labels)) == ((), (), 0)


def test_without_clients_there_are_none_after_take():
  assert records('abcd').take([1]).clients is None


@pytest.mark.parametrize(
  'fields',
  [
    {'labels': np.zeros(3, np.int32), 'clients': None},
    {'labels': np.zeros(2, np.int32), 'clients': ('zoe',)},
  ],
)
def test_unequal_lengths_are_refused(fields):
  with pytest.raises(ValueError) as raised:
    text_records.TextRecords(
      texts=('a', 'b'), label_names=(), provenance={}, **fields
    )
  assert str(raised.value) == (
    'Expected one label (and one client) for each text.'
  )


# 8 distinct letters in 16 records.
TEXTS = 'abcadbefaghbbacc'


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize(('fraction', 'num_test'), [(0.25, 2), (0.5, 4)])
def test_no_text_is_on_both_sides(fraction, num_test, seed):
  source = records(TEXTS, clients=tuple('xyxyxyxyxyxyxyxy'))
  train, test = text_records.split_by_distinct_text(source, fraction, seed)
  assert not set(train.texts) & set(test.texts)
  assert len(set(test.texts)) == num_test
  assert len(set(train.texts)) == 8 - num_test


def test_every_record_is_on_one_side_in_the_order_of_the_source():
  sides = text_records.split_by_distinct_text(records(TEXTS), 0.4, 0)
  labels = [side.labels.tolist() for side in sides]
  assert sorted(itertools.chain(*labels)) == list(range(16))
  for side, found in zip(sides, labels, strict=True):
    assert found == sorted(found)
    assert ''.join(side.texts) == ''.join(TEXTS[label] for label in found)


def test_the_split_is_a_pure_function_of_texts_and_seed():
  def test_texts(seed):
    source = records('abcdefghijklmnopqrstuvwxyz')
    return text_records.split_by_distinct_text(source, 0.5, seed)[1].texts

  first = test_texts(0)
  assert test_texts(1) != first
  assert test_texts(0) == first


@pytest.mark.parametrize(
  ('texts', 'fraction', 'num_distinct'),
  [('abab', 0.0, 2), ('abab', 1.0, 2), ('aaaa', 0.5, 1), ('', 0.5, 0)],
)
def test_an_empty_side_of_a_random_split_is_refused(
  texts, fraction, num_distinct
):
  with pytest.raises(text_records.SplitError) as raised:
    text_records.split_by_distinct_text(records(texts), fraction, 0)
  assert str(raised.value) == (
    'Expected distinct texts on both sides of the split, found '
    f'{num_distinct} distinct texts at a test fraction of {fraction}; give '
    'more texts or another fraction.'
  )
  assert isinstance(raised.value, errors.PipelineError)


def test_split_first_cuts_in_the_order_of_the_source():
  train, test = text_records.split_first(records('abcaabcabc'), 0.3)
  assert ''.join(train.texts) == 'abc'
  assert ''.join(test.texts) == 'aabcabc'
  np.testing.assert_array_equal(test.labels, range(3, 10))


@pytest.mark.parametrize(('texts', 'fraction'), [('ab', 0.0), ('ab', 1.0)])
def test_an_empty_side_of_a_first_split_is_refused(texts, fraction):
  with pytest.raises(text_records.SplitError) as raised:
    text_records.split_first(records(texts), fraction)
  assert str(raised.value) == (
    'Expected records on both sides of the split, found 2 records at a '
    f'training fraction of {fraction}.'
  )
