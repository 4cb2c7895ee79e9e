"""The flag of the n-gram models, and the models that it chooses."""

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest

from tff_pipelines.cli import flag_groups, ngram_flags
from tff_pipelines.core import tokens
from tff_pipelines.data import population
from tff_pipelines.models import ngrams

A, B, C = range(tokens.FIRST_WORD, tokens.FIRST_WORD + 3)
SIZE = C + 1


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def parsed(*arguments: str) -> ngram_flags.NgramFlags:
  group = ngram_flags.NgramFlags()
  flags.FLAGS(['program', *arguments])
  group.check()
  return group


def people() -> population.ArrayPopulation:
  """Two people: `a b` twice, and `a c` once."""
  x = np.array([[tokens.START, A, last] for last in (B, B, C)], np.int32)
  y = np.array([[A, last, tokens.END] for last in (B, B, C)], np.int32)
  return population.ArrayPopulation(
    (x, y), {'ann': np.arange(2), 'bob': np.arange(2, 3)}
  )


@pytest.mark.parametrize(
  'arguments, orders',
  [
    ([], {'unigram': 1, 'bigram': 2, 'trigram': 3}),
    (['--ngrams='], {}),
    # Whatever the order of the flag.
    (['--ngrams=trigram,unigram'], {'unigram': 1, 'trigram': 3}),
  ],
)
def test_models_are_those_asked_for_by_rising_order(arguments, orders):
  fitted = parsed(*arguments).fit(people(), SIZE)
  assert [(n, fit.order) for n, fit in fitted.items()] == list(orders.items())
  assert all(fit.vocabulary_size == SIZE for fit in fitted.values())


def test_models_are_fitted_on_everyones_rows():
  (fit,) = parsed('--ngrams=bigram').fit(people(), SIZE).values()
  x, y = people().pooled().examples(0)
  expected = ngrams.fit(x, y, 2, SIZE).distribution(np.array([[A]]))
  found = fit.distribution(np.array([[A]]))
  np.testing.assert_array_equal(found, expected)
  # Of three people's sentences two go on with b, and one with c.
  assert found[0, B] > found[0, C] > found[0, A]


@pytest.mark.parametrize('names', ['fourgram', 'bigram,quad', 'bigram,'])
def test_model_that_there_is_not_is_refused(names):
  with pytest.raises(flag_groups.FlagError) as raised:
    parsed(f'--ngrams={names}')
  assert str(raised.value) == (
    'Expected n-gram models out of unigram, bigram, trigram, found '
    f'--ngrams={names}.'
  )
