"""N-gram rows, later text, people and suggestions, of rows made by hand."""

import collections
import csv
import json

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.cli import comparison, next_word_results
from tff_pipelines.core import tokens
from tff_pipelines.data import next_tokens, typed_text, vocabularies
from tff_pipelines.execution import contexts
from tff_pipelines.models import language_models, ngrams
from tff_pipelines.programs import results, run_directory

WORDS = ('a', 'b', 'c', 'd', 'e')
A, B, C, D, E = range(tokens.FIRST_WORD, tokens.FIRST_WORD + 5)
SIZE, LENGTH = E + 1, 6


class Table:
  """A model that knows the last token only: its weights are the logits."""

  name = 'table'
  num_parameters = SIZE * SIZE

  def __init__(self, vocabulary_size: int = SIZE, length: int = LENGTH):
    self.vocabulary_size, self.length = vocabulary_size, length

  def initial_weights(self, seed: int = 0):
    del seed
    return (np.zeros([self.vocabulary_size] * 2, np.float32),)

  def logits(self, weights, tokens, unrolled=False):
    del unrolled
    return tf.gather(weights[0], tokens)


def knows(*likeliest: int) -> np.ndarray:
  """Logits after a token, float32[SIZE]: the first word best, others at -9."""
  row = np.full(SIZE, -9.0, np.float32)
  row[list(likeliest)] = np.arange(len(likeliest), 0, -1)
  return row


def weights() -> tuple[np.ndarray]:
  """After the start a; after a: b, d, e, c; after that the end."""
  (table,) = Table().initial_weights()
  table[tokens.START] = knows(A, B, C)
  table[A] = knows(B, D, E, C)
  table[B] = table[C] = knows(tokens.END, A)
  return (table,)


# Everyone begins with a; a fifth of the sentences, the last ones, is later.
SAID = {
  f'p{p}': ['a b'] * (6 + 3 * p) + ['a c'] * (p + 1) + ['a'] for p in range(6)
}


def build(level='word', length=LENGTH, words=WORDS, **choices):
  pairs = [(p, text) for p, own in SAID.items() for text in own]
  clients, texts = zip(*pairs, strict=True)
  return next_tokens.build(
    'test',
    typed_text.TypedText(texts, clients, {}),
    next_tokens.RowChoice(
      level=level, length=length, held_out_people=0.34, **choices
    ),
    seed=0,
    vocabulary=vocabularies.Vocabulary(words, 'test', level),
  )


def share(word: str, sentences: list[str]) -> float:
  """How much of what was said is this word."""
  words = collections.Counter(' '.join(sentences).split())
  return words[word] / words.total()


def recall(sentences: list[str]) -> float:
  """Top-1 of `weights`, which is right about every word but c."""
  return 1 - share('c', sentences)


def fitted(dataset) -> dict[str, ngrams.NgramModel]:
  x, y = dataset.train.pooled().examples(0)
  return {
    name: ngrams.fit(x, y, order, dataset.vocabulary.size)
    for name, order in (('unigram', 1), ('trigram', 3))
  }


def outcome(by_system) -> comparison.Outcome:
  return comparison.Outcome(
    columns=list(next_word_results.COLUMNS),
    rows=[
      results.row(system, {'top1_recall': 0.5}, next_word_results.COLUMNS)
      for system in ('local', *by_system)
    ],
    notes=['told before'],
    weights=None,
    weights_by_system=by_system,
  )


def complete(dataset, path, by_system, of_ngrams=fitted) -> comparison.Outcome:
  model = language_models.build(Table(dataset.vocabulary.size, dataset.length))
  with contexts.using('xla'):
    return next_word_results.complete(
      outcome(by_system),
      dataset,
      model,
      lambda: of_ngrams(dataset),
      directory=run_directory.RunDirectory(path),
    )


@pytest.fixture(scope='module')
def dataset() -> next_tokens.LanguageDataset:
  found = build()
  assert (found.train.num_clients, found.test.num_clients) == (4, 2)
  return found


@pytest.fixture(scope='module')
def run(dataset, tmp_path_factory):
  """What came of a run with n-grams, local models and one trained system."""
  path = tmp_path_factory.mktemp('run')
  return path, complete(dataset, path, {'federated': weights()})


def suggestions_in(path) -> list[dict]:
  return json.loads((path / 'suggestions.json').read_text())['prompts']


# The table.


def test_ngrams_come_first_and_trained_systems_keep_their_rows(run):
  rows = run[1].rows
  assert [r['system'] for r in rows] == [
    'unigram', 'trigram', 'local', 'federated',
  ]  # fmt: skip
  assert [r['top1_recall'] for r in rows[2:]] == [0.5, 0.5]
  keys = ['system', *(c.key for c in next_word_results.COLUMNS)]
  assert all(list(r) == keys for r in rows)


def test_ngrams_are_measured_on_held_out_people(run, dataset):
  unigram, trigram, *_ = run[1].rows
  said = [s for p in dataset.test.client_ids for s in SAID[p]]
  # Ranked by how often it was said: a, b, c, whatever stands before.
  assert unigram['top1_recall'] == pytest.approx(share('a', said))
  assert unigram['top3_recall'] == 1
  assert trigram['top1_recall'] == pytest.approx(recall(said))
  assert trigram['seconds'] == unigram['seconds'] > 0
  assert trigram['rounds'] is trigram['tokens_per_second'] is None


def test_later_text_is_that_of_those_who_trained(run, dataset):
  unigram, trigram, local, federated = run[1].rows
  later = [
    s
    for p in dataset.train.client_ids
    for s in SAID[p][-round(len(SAID[p]) / 5) :]
  ]
  assert federated['later_top1_recall'] == pytest.approx(recall(later))
  assert trigram['later_top1_recall'] == pytest.approx(recall(later))
  assert unigram['later_top1_recall'] == pytest.approx(share('a', later))
  assert local['later_top1_recall'] is None


def test_notes_say_what_the_columns_mean(run):
  first, *notes = run[1].notes
  assert first == 'told before'
  assert 'for 2 people on whose text nobody trained' in notes[0]
  assert notes[1].startswith('top-1, later text: ')


# The files.


def test_people_are_those_held_out_each_by_itself(run, dataset):
  path = run[0] / 'simulation_only' / 'people.csv'
  with open(path, newline='', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  people = dataset.test.client_ids
  assert [(r['system'], r['client_id']) for r in rows] == [
    (s, p) for s in ('unigram', 'trigram', 'federated') for p in people
  ]
  for row in rows:
    if row['system'] != 'unigram':
      expected = recall(SAID[row['client_id']])
      assert float(row['top1_recall']) == pytest.approx(expected)
    assert float(row['top3_recall']) >= float(row['top1_recall'])
    assert float(row['loss']) > 0
  assert [int(r['test_examples']) for r in rows[:2]] == list(dataset.test.sizes)
  assert len({r['top1_recall'] for r in rows[-2:]}) == 2


def test_suggestions_follow_the_beginnings_that_people_have(run):
  # Nothing yet; then what most held-out sentences begin with, by size.
  assert [p['text'] for p in suggestions_in(run[0])] == ['', 'a', 'a b', 'a c']


def test_suggestions_are_the_three_likeliest_words_of_each_system(run):
  nothing, after_a, *_ = suggestions_in(run[0])
  # The best n-gram model, and what was trained.
  assert list(nothing['suggestions']) == ['trigram', 'federated']
  logits = {
    word: float(v) for word, v in zip(WORDS, knows(B, D, E, C)[A:], strict=True)
  }
  total = sum(np.exp(v) for v in logits.values()) + 4 * np.exp(-9)
  assert after_a['suggestions']['federated'] == [
    [word, pytest.approx(np.exp(logits[word]) / total, abs=1e-5)]
    for word in ('b', 'd', 'e')
  ]
  assert [w for w, _ in nothing['suggestions']['federated']] == ['a', 'b', 'c']
  trigram = [w for w, _ in after_a['suggestions']['trigram']]
  assert trigram[:2] == ['b', 'c']


def test_ngrams_suggest_what_they_hold_likeliest(run, dataset):
  trigram = fitted(dataset)['trigram']
  # What begins has the start in all places before it.
  contexts_ = [[tokens.START] * 2, [tokens.START, A], [A, B], [A, C]]
  expected = trigram.distribution(np.array(contexts_))
  for prompt, found in zip(suggestions_in(run[0]), expected, strict=True):
    for word, probability in prompt['suggestions']['trigram']:
      (position,) = dataset.vocabulary.encode([word])
      assert probability == pytest.approx(found[position], abs=1e-6)


def test_nothing_trained_and_no_ngrams_are_no_error(dataset, tmp_path):
  found = complete(dataset, tmp_path, {}, of_ngrams=lambda _: {})
  assert [r['system'] for r in found.rows] == ['local']
  assert [p['suggestions'] for p in suggestions_in(tmp_path)] == [{}] * 4


# Other rows.


@pytest.mark.parametrize('length, beginnings', [(2, ['', 'a']), (3, None)])
def test_rows_too_short_for_a_beginning_have_none(tmp_path, length, beginnings):
  complete(build(length=length), tmp_path, {})
  found = [p['text'] for p in suggestions_in(tmp_path)]
  assert found == (beginnings or ['', 'a', 'a b', 'a c'])


@pytest.mark.parametrize('length', [3, 8])
def test_characters_are_suggested_after_fixed_beginnings(tmp_path, length):
  dataset = build('character', length, tuple('abc \nthwm'))
  complete(dataset, tmp_path, {})
  prompts = suggestions_in(tmp_path)
  assert [p['text'] for p in prompts] == ['th', 'what', 'my lo', 'the kin']
  # What stands last decides, however long the beginning is.
  contexts_ = [dataset.vocabulary.encode(p['text'])[-2:] for p in prompts]
  expected = fitted(dataset)['trigram'].distribution(np.array(contexts_))
  for prompt, of_prompt in zip(prompts, expected, strict=True):
    likeliest = max(of_prompt[tokens.FIRST_WORD :])
    assert prompt['suggestions']['trigram'][0][1] == pytest.approx(
      likeliest, abs=1e-6
    )
