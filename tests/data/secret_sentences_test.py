"""Canary sentences and the population that types them."""

import numpy as np
import pytest

from tff_pipelines.core import errors, tokens
from tff_pipelines.data import batching, population, secret_sentences

LENGTH = 8
WORDS = np.arange(10, 60)
PREFIX = (4, 5)
CHOICE = secret_sentences.SecretChoice(
  groups=((1, 1), (2, 3), (0, 0)),
  canaries_per_group=2,
  num_words=3,
  num_alternatives=50,
)


def choose(choice=CHOICE, *, prefix=PREFIX, words=WORDS, clients=12, seed=0):
  return secret_sentences.choose(choice, prefix, words, clients, seed)


@pytest.fixture
def people() -> population.ArrayPopulation:
  """Twelve people with 0 to 11 rows; row i begins with the token i + 4."""
  x = np.tile(np.arange(66, dtype=np.int32)[:, np.newaxis] + 4, (1, LENGTH))
  starts = np.cumsum([0, *range(11)])
  return population.ArrayPopulation(
    (x, x + 1),
    {f'p{k}': np.arange(s, s + k) for k, s in enumerate(starts)},
  )


def test_a_choice_is_a_pure_function_of_the_seed():
  first, again, other = choose(), choose(), choose(seed=1)
  np.testing.assert_array_equal(first.words, again.words)
  np.testing.assert_array_equal(first.alternatives, again.alternatives)
  for a, b in zip(first.clients, again.clients, strict=True):
    np.testing.assert_array_equal(a, b)
  assert not np.array_equal(first.words, other.words)


def test_groups_say_how_many_type_a_canary_and_how_often():
  secrets = choose()
  assert secrets.groups.tolist() == [0, 0, 1, 1, 2, 2]
  assert [len(c) for c in secrets.clients] == [1, 1, 2, 2, 0, 0]
  assert secrets.copies.tolist() == [1, 1, 3, 3, 0, 0]
  typing = np.concatenate(secrets.clients)
  assert len(set(typing.tolist())) == 6  # Nobody types two.


def test_people_type_two_canaries_only_where_there_are_too_few():
  secrets = choose(clients=4)  # For six.
  assert set(np.concatenate(secrets.clients).tolist()) == {0, 1, 2, 3}
  for clients in secrets.clients:
    assert len(set(clients.tolist())) == len(clients)


def test_all_sentences_are_different_and_of_the_words():
  secrets = choose()
  both = np.concatenate([secrets.words, secrets.alternatives])
  assert both.shape == (56, 3) and both.dtype == np.int32
  assert len(np.unique(both, axis=0)) == 56
  assert set(both.ravel().tolist()) <= set(WORDS.tolist())


def test_canaries_are_drawn_as_alternatives_are():
  """Each of 5 words is as likely in both, at every place: chi-squared."""
  choice = secret_sentences.SecretChoice(
    groups=((1, 1),),
    canaries_per_group=300,
    num_words=8,
    num_alternatives=300,
  )
  secrets = choose(choice, words=np.arange(10, 15))
  for words in (secrets.words, secrets.alternatives):
    counts = np.bincount(words.ravel() - 10, minlength=5)
    # 2,400 words, 480 of each; 4 degrees of freedom: above 18.5 once in 1,000.
    assert np.sum((counts - 480) ** 2 / 480) < 18.5


def test_rows_by_hand():
  secrets = choose()
  x, y = secrets.rows(np.array([[10, 11, 12]], np.int32), LENGTH)
  start, end = tokens.START, tokens.END
  assert x.tolist() == [[start, 4, 5, 10, 11, 12, 0, 0]]
  assert y.tolist() == [[4, 5, 10, 11, 12, end, 0, 0]]
  assert x.dtype == y.dtype == np.int32
  x, y = secrets.scored_rows(np.array([[10, 11, 12]], np.int32), LENGTH)
  assert x.tolist() == [[start, 4, 5, 10, 11, 12, 0, 0]]
  assert y.tolist() == [[0, 0, 10, 11, 12, 0, 0, 0]]


def test_clients_keep_their_rows_and_type_canaries_after_them(people):
  secrets = choose()
  typed = secret_sentences.SecretPopulation(people, secrets)
  assert typed.client_ids == people.client_ids
  assert typed.num_clients == people.num_clients
  assert typed.element_spec == people.element_spec
  rows = secrets.rows(secrets.words, LENGTH)
  for client in range(people.num_clients):
    x, y = typed.examples(client)
    count = people.sizes[client]
    assert len(x) == len(y) == typed.sizes[client]
    np.testing.assert_array_equal(x[:count], people.examples(client)[0])
    np.testing.assert_array_equal(y[:count], people.examples(client)[1])
    expected = [
      canary
      for canary, clients in enumerate(secrets.clients)
      if client in clients
      for _ in range(secrets.copies[canary])
    ]
    np.testing.assert_array_equal(x[count:], rows[0][expected])
    np.testing.assert_array_equal(y[count:], rows[1][expected])
  # 2 x 1 x 1 + 2 x 2 x 3 more.
  assert typed.num_examples == people.num_examples + 14


def test_rows_come_in_the_order_they_are_asked_for(people):
  secrets = choose()
  typed = secret_sentences.SecretPopulation(people, secrets)
  client = int(secrets.clients[2][0])  # Has three copies.
  everything = typed.examples(client)
  last = int(typed.sizes[client]) - 1
  for rows in ([last, 0, last - 1], [last], []):
    for all_rows, found in zip(
      everything, typed.examples(client, np.array(rows, np.int64)), strict=True
    ):
      np.testing.assert_array_equal(found, all_rows[rows])


def test_batches_hold_canaries(people):
  secrets = choose()
  typed = secret_sentences.SecretPopulation(people, secrets)
  clients = secrets.clients[2]
  batches = typed.batches(clients, batching.Batching(4, 1), seed=0, round_num=1)
  x = np.asarray(batches.elements[0])
  canary = secrets.rows(secrets.words[2:3], LENGTH)[0][0]
  assert np.sum(np.all(x == canary, axis=-1)) == 6  # Two people, three times.
  assert batches.batch_sizes.sum() == typed.sizes[clients].sum()


def test_a_canary_that_nobody_types_changes_nothing(people):
  secrets = choose(
    secret_sentences.SecretChoice(
      groups=((0, 0),), num_words=3, num_alternatives=9
    )
  )
  typed = secret_sentences.SecretPopulation(people, secrets)
  np.testing.assert_array_equal(typed.sizes, people.sizes)


@pytest.mark.parametrize(
  ('knobs', 'expected'),
  [
    ({'canaries_per_group': 0}, 'canaries_per_group of at least 1, found 0'),
    ({'num_words': 0}, 'num_words of at least 1, found 0'),
    ({'num_alternatives': 0}, 'num_alternatives of at least 1, found 0'),
    ({'groups': ()}, 'groups of at least 1 person'),
    ({'groups': ((1, 0),)}, 'groups of at least 1 person'),
    ({'groups': ((-1, -1),)}, 'groups of at least 1 person'),
  ],
)
def test_choices_of_nothing_are_refused(knobs, expected):
  with pytest.raises(secret_sentences.SecretError, match=expected):
    secret_sentences.SecretChoice(**knobs)
  assert issubclass(secret_sentences.SecretError, errors.PipelineError)


@pytest.mark.parametrize(
  ('knobs', 'expected'),
  [
    ({'prefix': (tokens.UNKNOWN,)}, 'ids of prefix from 4 on, found 1'),
    ({'words': [0, 9]}, 'ids of words from 4 on, found 0'),
    # 2 * 56 of 4 ** 3.
    ({'words': [6, 7, 8, 9]}, 'at least 112 different sentences .* found 64'),
    ({'clients': 1}, 'at most 1 people, all there are, found 2'),
  ],
)
def test_secrets_that_cannot_be_drawn_are_refused(knobs, expected):
  with pytest.raises(secret_sentences.SecretError, match=expected):
    choose(**knobs)


def test_populations_that_cannot_type_them_are_refused(people):
  secrets = choose()
  short = population.ArrayPopulation(
    (np.zeros([1, 5], np.int32), np.zeros([1, 5], np.int32)),
    {f'p{k}': np.array([0]) for k in range(12)},
  )
  with pytest.raises(
    secret_sentences.SecretError, match=r'at least 6 places .* found 5'
  ):
    secret_sentences.SecretPopulation(short, secrets)
  pictures = population.ArrayPopulation(
    (np.zeros([1, 8, 8], np.float32), np.zeros([1], np.int32)),
    {'a': np.array([0])},
  )
  with pytest.raises(secret_sentences.SecretError, match='two rows of tokens'):
    secret_sentences.SecretPopulation(pictures, secrets)
  with pytest.raises(
    secret_sentences.SecretError, match='clients 0 to 11, found client'
  ):
    secret_sentences.SecretPopulation(people, choose(clients=400))
