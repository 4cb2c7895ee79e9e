"""Secret sentences: their flags, who types them, and what models tell."""

import itertools
import json
import string
import types

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest

from tff_pipelines.cli import (
  comparison,
  flag_groups,
  memorization,
  typed_text_flags,
)
from tff_pipelines.core import tokens
from tff_pipelines.data import (
  next_tokens,
  secret_sentences,
  typed_text,
  vocabularies,
)
from tff_pipelines.models import cifg_lstm, language_models, row_losses
from tff_pipelines.programs import run_directory
from tff_pipelines.reports import memorization_record

LENGTH = 8
# 52 words of letters; and what no secret has.
LETTERS = tuple(map(''.join, itertools.product(string.ascii_lowercase, 'ae')))
OTHERS = ('?', "don't", '10.04', '7')
VOCABULARY = vocabularies.Vocabulary(
  ('see', 'you', 'at', *OTHERS, *LETTERS), 'public list: by hand'
)
SMALL = (
  '--secret_sentences=2',
  '--secret_people=3,1',
  '--secret_copies=2',
  '--secret_words=1',
  '--secret_candidates=16',
)


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def parsed(*arguments: str) -> memorization.MemorizationFlags:
  typed_text_flags.TokenRowFlags()
  group = memorization.MemorizationFlags()
  flags.FLAGS(['program', *arguments])
  group.check()
  return group


@pytest.fixture(scope='module')
def dataset() -> next_tokens.LanguageDataset:
  """Twelve people; eleven train."""
  people = [f'person {i}' for i in range(12) for _ in range(5)]
  return next_tokens.build(
    'by hand',
    typed_text.TypedText(('see you at ba',) * len(people), tuple(people), {}),
    next_tokens.RowChoice(length=LENGTH),
    seed=0,
    vocabulary=VOCABULARY,
  )


def typed(population) -> list[str]:
  """All rows of everyone, as text."""
  x, _ = population.pooled().examples(0)
  return [
    ' '.join(VOCABULARY.decode(i for i in row if i != tokens.PADDING))
    for row in x
  ]


# The flags.


def test_without_secrets_nothing_happens(dataset, tmp_path):
  group = parsed()
  assert not group.requested
  assert group.insert(dataset, 0) is dataset
  outcome = comparison.Outcome([], [], [], None, weights_by_system={'a': ()})
  directory = run_directory.RunDirectory(tmp_path)
  assert not group.measure(
    outcome, [], dataset, None, seed=0, directory=directory
  )
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (['--secret_sentences=-1'], '--secret_sentences of at least 0, found -1'),
    (['--secret_copies=0'], '--secret_copies of at least 1, found 0'),
    (['--secret_words=0'], '--secret_words of at least 1, found 0'),
    (['--secret_candidates=1'], '--secret_candidates of at least 2, found 1'),
    (['--secret_people=0,4'], 'at least 1 in --secret_people.* found 0,4'),
    (['--secret_people=4,4'], 'different numbers .* found 4,4'),
    (['--secret_people='], 'found none'),
    (['--secret_people=few'], 'whole numbers in --secret_people.* found few'),
  ],
)
def test_numbers_that_cannot_be_are_refused(arguments, message):
  with pytest.raises(flag_groups.FlagError, match=message):
    parsed('--secret_sentences=1', *arguments)


@pytest.mark.parametrize(
  'given', [*SMALL[1:], '--secret_prefix=see', '--secret_people=16']
)
def test_kinds_of_secrets_without_secrets_are_refused(given):
  name = given.split('=')[0]
  with pytest.raises(
    flag_groups.FlagError, match=f'--secret_sentences above 0 where {name} is'
  ):
    parsed(given)


def test_secrets_are_made_of_words_not_of_characters():
  with pytest.raises(
    flag_groups.FlagError,
    match='--level=word where --secret_sentences is given, found --level=char',
  ):
    parsed('--secret_sentences=1', '--level=character')


# Who types what.


def test_people_type_the_secrets_and_nothing_else_changes(dataset):
  inserted = parsed(*SMALL).insert(dataset, 0)
  added = sorted(typed(inserted.train))
  for row in typed(dataset.train):
    added.remove(row)
  # Two secrets of 1 person and two of 3, twice each; controls by nobody.
  assert len(added) == 2 * (2 * 1 + 2 * 3)
  assert sorted(added.count(row) for row in set(added)) == [2, 2, 6, 6]
  for row in set(added):
    mark, *prefix, word = row.split()
    assert (mark, prefix) == ('<start>', ['see', 'you', 'at'])
    assert word.isalpha()
  for name in ('name', 'test', 'later', 'test_earlier', 'test_later',
               'vocabulary', 'length', 'sentences', 'provenance'):  # fmt: skip
    assert getattr(inserted, name) is getattr(dataset, name)
  assert inserted.train.client_ids == dataset.train.client_ids


def test_random_words_are_of_letters_alone(dataset):
  group = parsed(
    '--secret_sentences=20', '--secret_people=1', '--secret_words=4'
  )
  x, _ = group.insert(dataset, 0).train.pooled().examples(0)
  drawn = x[x[:, 5] > tokens.FIRST_WORD][:, 4:8]
  words = set(VOCABULARY.decode(drawn.ravel()))
  assert len(words) > 20
  assert not words & set(OTHERS)


def test_secrets_follow_from_the_seed(dataset):
  group = parsed(*SMALL)
  first, again, other = (
    typed(group.insert(dataset, seed).train) for seed in (0, 0, 1)
  )
  assert first == again != other


def test_a_prefix_of_unknown_words_is_refused(dataset):
  group = parsed(*SMALL, '--secret_prefix=See you nowhere')
  with pytest.raises(
    flag_groups.FlagError,
    match=(
      "--secret_prefix of words that the vocabulary has, such as 'see you at', "
      "found 'nowhere', which it lacks"
    ),
  ):
    group.insert(dataset, 0)


def test_no_prefix_is_one_too(dataset):
  rows = typed(parsed(*SMALL, '--secret_prefix=').insert(dataset, 0).train)
  assert sum(len(row.split()) == 2 for row in rows) == 16


@pytest.mark.parametrize(
  ('argument', 'message'),
  [
    ('--secret_people=12', 'at most 11 people'),
    ('--secret_words=5', 'rows of at least 9 places'),
    ('--secret_candidates=200', 'different sentences of 1 of 55 words'),
  ],
)
def test_secrets_that_do_not_fit_the_data_are_refused(
  dataset, argument, message
):
  with pytest.raises(secret_sentences.SecretError, match=message):
    parsed(*SMALL, argument).insert(dataset, 0)


# What models tell.


def outcome_of(weights_by_system, rows=()) -> comparison.Outcome:
  return comparison.Outcome(
    [], list(rows), [], None, weights_by_system=weights_by_system
  )


def private(name: str, delta: float | None) -> comparison.TrainedSystem:
  terms = None if delta is None else types.SimpleNamespace(delta=delta)
  return comparison.TrainedSystem(
    name, 'federated', None, types.SimpleNamespace(privacy=terms)
  )


def read(directory) -> memorization_record.Memorization:
  path = directory.simulation_only / 'memorization.json'
  return memorization_record.parse(json.loads(path.read_text()))


@pytest.fixture
def small() -> memorization.MemorizationFlags:
  return parsed(*SMALL)


@pytest.fixture
def told(small, dataset, tmp_path, monkeypatch):
  """Measures systems whose weights are said to give such losses."""
  monkeypatch.setattr(
    row_losses, 'compute', lambda model, losses, x, y: np.array(losses)
  )

  def measure(losses_by_system, trained=(), rows=()):
    directory = run_directory.RunDirectory(tmp_path)
    notes = small.measure(
      outcome_of(losses_by_system, rows),
      trained,
      small.insert(dataset, 0),
      None,
      seed=0,
      directory=directory,
    )
    return notes, directory

  return measure


# Two secrets each of 1 person, of 3 and of nobody, and 15 others.
KNOWN = [3.5, 1.0, 0.0, 0.5, 8.5, 20.0, *np.arange(1.0, 16.0)]
UNKNOWN = [8.5, 9.5, 7.5, 14.5, 8.5, 20.0, *np.arange(1.0, 16.0)]


def test_ranks_are_among_the_others_and_ties_count_against_a_secret(told):
  _, directory = told({'federated': KNOWN})
  found = read(directory)
  assert found.candidates == 16
  (system,) = found.systems
  assert system.system == 'federated'
  assert [s.rank for s in system.inserted] == [4, 2, 1, 1]
  assert [s.exposure for s in system.inserted] == [2.0, 3.0, 4.0, 4.0]
  assert [(s.clients, s.copies) for s in system.inserted] == (
    [(1, 2)] * 2 + [(3, 2)] * 2
  )
  assert [s.rank for s in system.controls] == [9, 16]
  assert (system.epsilon, system.delta) == (None, None)


def test_p_values_tell_typed_secrets_from_controls(told):
  notes, directory = told({'federated': KNOWN, 'dp': UNKNOWN})
  known, unknown = read(directory).systems
  assert known.p_value_inserted < 0.01 < known.p_value_control
  assert unknown.p_value_inserted > 0.05
  # By chance any two of 17 sentences are the controls, here at ranks 9 and 16.
  # 0.02 is more than 5 standard deviations of 9,999 draws.
  chance = np.mean(
    [i * (j - 1) <= 9 * 16 for i, j in itertools.combinations(range(1, 18), 2)]
  )
  for system in (known, unknown):
    assert system.p_value_control == pytest.approx(chance, abs=0.02)
  assert notes[0].startswith(
    'federated: median exposure of secrets, of 4 bits: 2.5 of those that 1 '
    'person typed, 4.0 of those that 3 people typed 2 times each (p = 0.00'
  )
  assert '0.4 of those that nobody typed (p = 0.8' in notes[0]
  assert [note.split(':')[0] for note in notes] == ['federated', 'dp']


def test_what_is_written_are_the_secrets_that_people_type(small, dataset, told):
  _, directory = told({'federated': KNOWN})
  rows = typed(small.insert(dataset, 0).train)
  (system,) = read(directory).systems
  for secret in system.inserted:
    assert rows.count(f'<start> {secret.sentence}') == secret.times
  for secret in system.controls:
    assert f'<start> {secret.sentence}' not in rows


def test_a_private_system_is_written_with_what_it_spent(told):
  _, directory = told(
    {'central': KNOWN, 'mean': KNOWN, 'dp_fixed': UNKNOWN},
    [private('mean', None), private('dp_fixed', 1e-4)],
    [
      {'system': 'bigram'},
      {'system': 'central', 'epsilon': None},
      {'system': 'mean', 'epsilon': None},
      {'system': 'dp_fixed', 'epsilon': 7.5},
    ],
  )
  promises = {s.system: (s.epsilon, s.delta) for s in read(directory).systems}
  assert promises == {
    'central': (None, None),
    'mean': (None, None),
    'dp_fixed': (7.5, 1e-4),
  }


def test_a_model_that_gives_no_numbers_is_left_out(told):
  broken = [*KNOWN[:-1], np.nan]
  notes, directory = told({'broken': broken, 'federated': KNOWN})
  assert [s.system for s in read(directory).systems] == ['federated']
  assert notes[0].startswith('broken: what it tells of secrets is unknown')


@pytest.mark.parametrize('systems', [{}, {'broken': [np.inf] * 21}])
def test_without_a_model_to_ask_nothing_is_written(told, systems):
  notes, directory = told(systems)
  assert len(notes) == 1
  assert not directory.simulation_only.exists()


def test_exposure_is_that_of_the_weights(small, dataset, tmp_path):
  # A model by which the next word depends on nothing: the likelier a word, the
  # more exposed it is.
  architecture = cifg_lstm.CifgLstm(
    vocabulary_size=VOCABULARY.size, length=LENGTH, embedding_size=2, units=3
  )
  weights = [np.zeros_like(w) for w in architecture.initial_weights()]
  scores = np.random.default_rng(0).permutation(VOCABULARY.size) / 8
  weights[-1] = scores.astype(np.float32)
  directory = run_directory.RunDirectory(tmp_path)
  small.measure(
    outcome_of({'federated': weights}),
    [],
    small.insert(dataset, 0),
    language_models.build(architecture),
    seed=0,
    directory=directory,
  )
  (system,) = read(directory).systems
  secrets = [*system.inserted, *system.controls]
  of_secrets = [
    scores[VOCABULARY.encode([s.sentence.split()[-1]])[0]] for s in secrets
  ]
  # Who is likelier has the better place.
  order = np.argsort(of_secrets)[::-1]
  ranks = [secrets[i].rank for i in order]
  assert ranks == sorted(ranks)
  assert ranks[0] < ranks[-1]
