import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.core import tokens
from tff_pipelines.data import (
  batching,
  irc_ubuntu,
  next_tokens,
  token_rows,
  typed_text,
  vocabularies,
)

NUMBERS = 'zero one two three four five six seven eight nine'.split()
PARTS = ('train', 'later', 'test', 'test_earlier', 'test_later')


def world(num_people: int = 20, num_texts: int = 10) -> typed_text.TypedText:
  """Person p's text t is `person<p> said <t>`, of everyone in turn."""
  pairs = [
    (f'p{p}', f'Person{p} said {NUMBERS[t]}.')
    for t in range(num_texts)
    for p in range(num_people)
  ]
  clients, texts = zip(*pairs, strict=True)
  return typed_text.TypedText(texts, clients, {'source': 'test'})


def build(typed=None, seed=1, vocabulary=None, **choices):
  choice = next_tokens.RowChoice(**{'length': 8, **choices})
  return next_tokens.build('test', typed or world(), choice, seed, vocabulary)


def said(dataset, part: str, person: str) -> list[str]:
  """The last words of a person's sentences, in the order of their rows."""
  clients = getattr(dataset, part)
  x, _ = clients.examples(clients.client_ids.index(person))
  full_stop = dataset.vocabulary.encode(['.'])[0]
  return dataset.vocabulary.decode(
    x[x != 0][np.roll(x[x != 0], -1) == full_stop]
  )


def all_words():
  return vocabularies.Vocabulary(
    ('.', 'said', *NUMBERS, *(f'person{p}' for p in range(20))), 'test'
  )


def test_people_and_time_are_held_out():
  dataset = build(held_out_people=0.25, later_fraction=0.3,
                  vocabulary=all_words())  # fmt: skip
  assert dataset.train.num_clients == 15
  assert dataset.test.num_clients == 5
  assert not set(dataset.train.client_ids) & set(dataset.test.client_ids)
  assert dataset.later.client_ids == dataset.train.client_ids
  assert dataset.test_earlier.client_ids == dataset.test.client_ids
  assert dataset.test_later.client_ids == dataset.test.client_ids
  for person in dataset.train.client_ids:
    assert said(dataset, 'train', person) == NUMBERS[:7]
    assert said(dataset, 'later', person) == NUMBERS[7:]
  for person in dataset.test.client_ids:
    assert said(dataset, 'test', person) == NUMBERS
    assert said(dataset, 'test_earlier', person) == NUMBERS[:7]
    assert said(dataset, 'test_later', person) == NUMBERS[7:]


def test_rows_are_of_their_person():
  dataset = build(vocabulary=all_words())
  for part in PARTS:
    clients = getattr(dataset, part)
    for client, name in enumerate(clients.client_ids):
      x, _ = clients.examples(client)
      starts = x == tokens.START
      names = x[:, 1:][starts[:, :-1]]
      assert set(dataset.vocabulary.decode(names)) == {f'person{name[1:]}'}


def test_rows_are_pairs_of_int32():
  dataset = build()
  for part in PARTS:
    spec = getattr(dataset, part).element_spec
    assert spec == (tf.TensorSpec([8], tf.int32), tf.TensorSpec([8], tf.int32))
  batches = dataset.train.batches(
    [0, 1], batching.Batching(3), seed=1, round_num=1
  )
  assert batches.num_examples == dataset.train.sizes[:2].sum()


def test_the_vocabulary_is_of_the_training_peoples_earlier_text():
  dataset = build(later_fraction=0.3, min_people_per_word=1)
  words = set(dataset.vocabulary.words)
  assert words == {'said', '.', *NUMBERS[:7]} | {
    f'person{name[1:]}' for name in dataset.train.client_ids
  }
  assert 'not private' in dataset.provenance['vocabulary']['source']


def test_words_of_one_person_are_not_learned_by_default():
  words = build().vocabulary.words
  assert not any(word.startswith('person') for word in words)


def test_a_given_vocabulary_is_used_as_it_is():
  given = vocabularies.Vocabulary(('said',), 'public list')
  dataset = build(vocabulary=given)
  assert dataset.vocabulary is given
  assert dataset.provenance['vocabulary'] == {
    'size': 5,
    'source': 'public list',
  }
  assert dataset.provenance['parts']['train']['share_unknown'] == 3 / 4


def test_who_is_held_out_depends_on_the_seed_only():
  before = build()
  for change in ({'max_clients': 3}, {'length': 5}, {'later_fraction': 0.5},
                 {'max_sentences_per_client': 4}):  # fmt: skip
    assert build(**change).test.client_ids == before.test.client_ids
  held_out = {build(seed=s).test.client_ids for s in range(8)}
  assert len(held_out) > 1


def test_more_clients_are_the_same_and_others():
  few, more = build(max_clients=3), build(max_clients=9)
  assert few.train.num_clients == 3
  assert set(few.train.client_ids) < set(more.train.client_ids)
  left_out = more.provenance['rows_left_out']
  assert left_out['people_beyond_max_clients'] == 20 - 2 - 9


def test_the_last_sentences_are_kept_of_those_who_have_more():
  dataset = build(max_sentences_per_client=4, later_fraction=0.25,
                  vocabulary=all_words())  # fmt: skip
  person = dataset.train.client_ids[0]
  assert said(dataset, 'train', person) == NUMBERS[6:9]
  assert said(dataset, 'later', person) == NUMBERS[9:]
  left_out = dataset.provenance['rows_left_out']
  assert left_out['sentences_beyond_max_per_client'] == 20 * 6


def test_people_with_few_sentences_are_left_out_and_counted():
  typed = world()
  typed = dataclasses.replace(
    typed,
    texts=(*typed.texts, 'Hello. World.', 'Just this'),
    clients=(*typed.clients, 'brief', 'briefer'),
  )
  dataset = build(typed, min_sentences_per_client=3)
  everyone = dataset.train.client_ids + dataset.test.client_ids
  assert sorted(everyone) == sorted({f'p{p}' for p in range(20)})
  assert dataset.provenance['people'] == 22
  assert dataset.provenance['sentences'] == 203
  assert dataset.provenance['rows_left_out'] == {
    'people_with_few_sentences': 2,
    'sentences_of_people_with_few': 3,
    'sentences_beyond_max_per_client': 0,
    'people_beyond_max_clients': 0,
  }


def test_who_has_too_little_for_a_later_part_gives_none():
  typed = world(10)
  typed = dataclasses.replace(
    typed,
    texts=(*typed.texts, *['Just this.'] * 30),
    clients=(*typed.clients, *(f'q{i}' for i in range(30))),
  )
  dataset = build(typed, min_sentences_per_client=1, held_out_people=0.5)
  assert any(name[0] == 'q' for name in dataset.train.client_ids)
  assert any(name[0] == 'q' for name in dataset.test.client_ids)
  for part in ('later', 'test_earlier', 'test_later'):
    assert all(name[0] == 'p' for name in getattr(dataset, part).client_ids)
  assert dataset.test_earlier.client_ids == dataset.test_later.client_ids


def evenly(sizes: list[int], limit: int) -> list[int]:
  people = {f'p{i}': list(range(n)) for i, n in enumerate(sizes)}
  kept = next_tokens._evenly(people, limit, seed=0)
  for name, own in kept.items():
    assert own == people[name][-len(own) :]  # The last ones.
  return [len(kept.get(name, ())) for name in people]


@pytest.mark.parametrize(
  ('sizes', 'limit', 'expected'),
  [
    ([5, 5, 5], 15, [5, 5, 5]),
    ([5, 5, 5], 99, [5, 5, 5]),
    ([5, 5, 5], 6, [2, 2, 2]),
    ([1, 9, 9], 7, [1, 3, 3]),
    ([9, 1, 2], 8, [5, 1, 2]),
  ],
)
def test_test_sentences_are_shared_evenly(sizes, limit, expected):
  assert evenly(sizes, limit) == expected


@pytest.mark.parametrize('limit', range(1, 40))
def test_no_test_sentence_is_lost_and_shares_differ_by_one(limit):
  sizes = [3, 9, 1, 9, 6, 2, 9]
  kept = evenly(sizes, limit)
  assert sum(kept) == min(limit, sum(sizes))
  cut = [k for k, n in zip(kept, sizes, strict=True) if k < n]
  assert not cut or max(kept) - min(cut) <= 1


def test_test_and_later_are_capped_and_the_rest_is_not():
  whole, capped = build(), build(max_test_sentences=7)
  counted = capped.provenance['parts']
  assert counted['test']['sentences'] == counted['later']['sentences'] == 7
  for part in ('train', 'test_earlier', 'test_later'):
    assert counted[part] == whole.provenance['parts'][part]


def test_characters_are_windows_of_the_joined_text():
  dataset = build(level='character', length=10, later_fraction=0.3)
  assert dataset.vocabulary == vocabularies.alphabet()
  name = dataset.train.client_ids[0]
  x, y = dataset.train.examples(0)
  text = '\n'.join(f'Person{name[1:]} said {n}.' for n in NUMBERS[:7])
  assert ''.join(dataset.vocabulary.decode(x[x > 0])) == text[:-1]
  assert ''.join(dataset.vocabulary.decode(y[y > 0])) == text[1:]
  counted = build(level='character', vocabulary_size=10).vocabulary
  assert counted.size == 10
  assert counted.source.startswith('counted centrally')


def test_cased_words_are_other_words():
  assert 'Said' not in build().vocabulary.words
  typed = world()
  typed = dataclasses.replace(
    typed, texts=tuple(t.replace('said', 'Said') for t in typed.texts)
  )
  assert 'Said' in build(typed, cased=True).vocabulary.words
  assert build(typed, cased=True).sentences.cased


def test_provenance_is_plain_and_counts_everything():
  dataset = build(length=4)
  provenance = json.loads(json.dumps(dataset.provenance))
  assert provenance['source'] == 'test'
  assert provenance['rows']['length'] == 4
  # 18 people with 8 earlier sentences of 4 words, cut to 4 places.
  assert provenance['parts']['train'] == {
    'people': 18,
    'sentences': 144,
    'rows': 144,
    'tokens': 576,
    'tokens_cut': 0,
    'share_unknown': 1 / 4,  # The names.
    'row_fill': 1.0,
  }


@pytest.mark.parametrize(
  ('choice', 'message'),
  [
    ({'held_out_people': 0}, 'Expected held_out_people above 0 and below 1'),
    ({'held_out_people': 1.0}, 'Expected held_out_people above 0 and below 1'),
    ({'later_fraction': 1.5}, 'Expected later_fraction above 0 and below 1'),
    ({'max_clients': 0}, 'Expected max_clients of at least 1, found 0'),
    ({'max_test_sentences': 0}, 'Expected max_test_sentences of at least 1'),
    ({'min_sentences_per_client': 0}, 'Expected min_sentences_per_client of'),
    (
      {'min_sentences_per_client': 9, 'max_sentences_per_client': 8},
      'not to be below min_sentences_per_client, found 8 and 9',
    ),
  ],
)
def test_choices_that_contradict_themselves(choice, message):
  with pytest.raises(next_tokens.RowChoiceError, match=message):
    next_tokens.RowChoice(**choice)


def test_a_row_has_at_least_two_places():
  with pytest.raises(token_rows.RowLengthError, match='found 1'):
    next_tokens.RowChoice(length=1)


def test_too_few_people_are_an_error():
  with pytest.raises(next_tokens.NoPeopleError, match='to hold out, found 1 '):
    build(world(num_people=1))
  with pytest.raises(next_tokens.NoPeopleError, match='found 0 with at least'):
    build(min_sentences_per_client=11)
  with pytest.raises(next_tokens.NoPeopleError, match="in 'later' of test"):
    build(world(num_texts=2))


def test_a_vocabulary_of_another_level_is_an_error():
  with pytest.raises(next_tokens.RowChoiceError, match='found one of char'):
    build(vocabulary=vocabularies.alphabet())


def test_the_chat_of_a_channel(real_data_dir):
  chat = irc_ubuntu.load(real_data_dir)
  chat = dataclasses.replace(
    chat, texts=chat.texts[:20_000], clients=chat.clients[:20_000]
  )
  dataset = next_tokens.build(
    'irc_ubuntu',
    chat,
    next_tokens.RowChoice(
      length=20,
      vocabulary_size=2_000,
      min_sentences_per_client=10,
      max_sentences_per_client=200,
      held_out_people=0.1,
    ),
    seed=1,
  )
  assert dataset.vocabulary.size == 2_000
  num_people = dataset.train.num_clients + dataset.test.num_clients
  assert dataset.test.num_clients == round(0.1 * num_people)
  counted = dataset.provenance['parts']['train']
  assert 0.05 < counted['share_unknown'] < 0.15
  assert counted['row_fill'] > 0.9
