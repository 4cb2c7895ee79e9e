"""How much servers can tell of the people of the generated messages."""

import csv
import dataclasses
import json
import pathlib

import numpy as np
import pytest

from tests import slow_cases
from tff_pipelines.cli import comparison, leak, leak_readings
from tff_pipelines.core import participation
from tff_pipelines.data import (
  batching,
  messages,
  text_classification,
  text_features,
)
from tff_pipelines.execution import contexts
from tff_pipelines.learning import optimizers
from tff_pipelines.models import text_classifiers
from tff_pipelines.programs import run_directory, training
from tff_pipelines.reports import leak as leak_report

SYSTEMS = ('central', 'local', 'federated', 'secure_federated')
COHORT = 8


@pytest.fixture(scope='module', autouse=True)
def context():
  with contexts.using('xla'):
    yield


@pytest.fixture(
  scope='module', params=['hashed', slow_cases.slow('vocabulary')]
)
def dataset(request):
  return text_classification.build(
    'messages',
    messages.generate(messages.MessageWorld(num_people=16), seed=0),
    split='random',
    test_fraction=0.2,
    partitioner=None,
    choice=text_classification.FeatureChoice(
      text_features.TextFeatures(max_features=60),
      vocabulary_size=300 if request.param == 'vocabulary' else 0,
    ),
    seed=0,
  )


def program_of(
  rounds: int = 5, max_examples: int | None = None, scheme='uniform'
):
  return training.TrainingProgram(
    rounds=rounds,
    participation=participation.Participation(16, COHORT, scheme),
    batching=batching.Batching(10, max_examples=max_examples),
    seed=3,
  )


def measure(path, dataset, model='logistic_regression', rate=10.0, **choices):
  """Returns the notes, and leak.json or None."""
  choices = {'program': program_of(), 'systems': SYSTEMS, **choices}
  build = getattr(text_classifiers, f'build_{model}')
  notes = leak.measure(
    run_directory.RunDirectory(path),
    dataset,
    build(dataset.features.num_ids, dataset.train.batch_spec),
    client_optimizer=optimizers.OptimizerConfig('sgd', rate),
    **choices,
  )
  written = path / 'simulation_only' / 'leak.json'
  return notes, json.loads(written.read_text()) if written.exists() else None


@pytest.fixture(scope='module')
def measured(tmp_path_factory, dataset):
  path = tmp_path_factory.mktemp('run')
  return path, *measure(path, dataset)


def scores(found, system: str, rounds: int = 1) -> dict:
  (row,) = [
    r
    for r in found['systems']
    if r['system'] == system and r['rounds'] == rounds
  ]
  return row


def test_central_reads_everything(measured):
  row = scores(measured[2], 'central', 0)
  assert row['recall'] == row['precision'] == row['advantage'] == 1
  assert row['median_right_side'] == row['claim_precision'] == 1
  assert row['median_mean_error'] == pytest.approx(0, abs=1e-12)


def test_federated_reads_nearly_everything(measured):
  row = scores(measured[2], 'federated')
  # Rows of unused words do not move at all.
  assert row['precision'] == 1
  assert row['recall'] >= 0.95
  assert row['advantage'] >= 0.95
  assert row['median_right_side'] >= 0.9
  assert row['claim_precision'] >= 0.9


def assert_no_better_than_the_prior(row, candidate_words: int) -> None:
  # Nothing is known of anyone in particular: exchanging people changes nothing.
  assert row['precision'] == pytest.approx(row['precision_if_shuffled'])
  # Words whose steps cancel in the sum are not named. If m of U words are
  # missing, each of which someone uses, U - m words have at most T - m of T
  # true pairs: the precision is above the prior T / (P U) by at most
  # m / (U - m) (T / (P U) - 1 / P).
  named_words = row['named'] // COHORT
  missing = candidate_words - named_words
  assert 0 <= missing <= 0.02 * candidate_words
  slack = missing / named_words * (row['prior'] - 1 / COHORT)
  assert row['precision'] <= row['prior'] + slack + 1e-12
  assert slack <= 0.02


def test_secure_federated_reads_no_more_than_the_prior(measured):
  found = measured[2]
  row = scores(found, 'secure_federated')
  assert_no_better_than_the_prior(row, found['num_words'])
  assert row['recall'] >= 0.95
  assert row['advantage'] == pytest.approx(0, abs=0.02)
  assert row['claim_precision'] <= row['precision'] + 0.02


def test_the_sums_of_many_rounds_read_more_and_miss_nothing(measured):
  found = measured[2]
  once, often = (scores(found, 'secure_federated', rounds) for rounds in (1, 5))
  assert often['recall'] == 1
  assert often['precision'] > once['precision'] + 0.05


@pytest.mark.slow
def test_the_other_model_leaks_as_much(dataset, tmp_path):
  _, found = measure(tmp_path, dataset, 'embedding_bag', 0.1)
  row = scores(found, 'federated')
  assert row['precision'] == 1
  assert row['recall'] >= 0.95
  assert row['median_right_side'] >= 0.8
  assert_no_better_than_the_prior(
    scores(found, 'secure_federated'), found['num_words']
  )


def test_a_cap_on_examples_hides_the_rest(dataset, tmp_path):
  _, found = measure(tmp_path, dataset, program=program_of(max_examples=5))
  row = scores(found, 'federated')
  assert row['precision'] == 1
  assert row['recall'] < 0.6
  # Reading several sums assumes that people use the same words every time.
  assert [r['rounds'] for r in found['systems']] == [0, 1, 1]


def test_views_are_of_the_chosen_systems(dataset, tmp_path):
  notes, found = measure(
    tmp_path, dataset, systems=('secure_federated', 'local')
  )
  assert [p.name for p in (tmp_path / 'server_view').iterdir()] == [
    'secure_federated'
  ]
  assert {r['system'] for r in found['systems']} == {'secure_federated'}
  assert len(notes) == 2


def test_sums_in_the_clear_are_not_told_of_as_sums(dataset, tmp_path):
  with contexts.using('xla', secure_sums='insecure'):
    notes, found = measure(
      tmp_path, dataset, systems=('federated', 'secure_federated')
    )
  assert [p.name for p in (tmp_path / 'server_view').iterdir()] == ['federated']
  assert {r['system'] for r in found['systems']} == {'federated'}
  assert not [note for note in notes if 'secure_federated' in note]


def test_no_server_has_no_view(dataset, tmp_path):
  assert measure(tmp_path, dataset, systems=('local',)) == ([], None)
  assert not list(tmp_path.iterdir())


def test_nobody_in_round_1_has_no_view(dataset, tmp_path):
  coins = participation.Participation(16, 1, 'poisson')
  seed = next(s for s in range(100) if not len(coins.select(s, 1)))
  program = training.TrainingProgram(
    rounds=1,
    participation=coins,
    batching=batching.Batching(10),
    seed=seed,
  )
  assert measure(tmp_path, dataset, program=program) == ([], None)
  assert not list(tmp_path.iterdir())


def test_files_hold_what_was_measured(measured, dataset):
  path, notes, found = measured
  cohort = program_of().participation.select(3, 1)
  people = [dataset.train.client_ids[c] for c in cohort]
  view = path / 'server_view'
  with open(view / 'central' / 'rows.csv', newline='', encoding='utf-8') as f:
    rows = list(csv.DictReader(f))
  assert len(rows) == dataset.train.num_examples
  with np.load(view / 'federated' / 'updates.npz') as updates:
    assert updates['people'].tolist() == people
    assert (updates['examples'] == dataset.train.sizes[cohort]).all()
    total = np.tensordot(updates['examples'], updates['weight_0'], axes=1)
    with np.load(view / 'secure_federated' / 'sum.npz') as summed:
      assert summed['examples'] == updates['examples'].sum()
      # 8 roundings of sums of order 100.
      np.testing.assert_allclose(summed['weight_0'], total, atol=1e-4)
  with open(
    path / 'simulation_only' / 'words.csv', newline='', encoding='utf-8'
  ) as f:
    truth = list(csv.DictReader(f))
  assert len(truth) == found['true_pairs']
  person = found['person']
  own = [row for row in truth if row['person'] == person['name']]
  assert len(own) == person['num_words'] == len(person['words'])
  assert sum(int(row['texts']) for row in own) == sum(
    row['texts'] for row in person['words']
  )
  assert len(notes) == 3


def test_words_of_the_person_are_in_its_texts(measured, dataset):
  person = measured[2]['person']
  client = dataset.train.client_ids.index(person['name'])
  texts = ' '.join(dataset.train_texts.examples(client)).lower()
  alone = [row for row in person['words'] if not row['also']]
  words = [row['word'] for row in alone if row['word'].isalpha()]
  assert len(words) > 20
  assert all(word in texts for word in words)
  for row in person['words_of_others']:
    assert row['texts'] == 0 and row.get('federated') is None


@pytest.mark.slow
def test_measuring_again_gives_the_same_files(measured, dataset, tmp_path):
  path, notes, _ = measured
  assert measure(tmp_path, dataset)[0] == notes
  for file in ('simulation_only/leak.json', 'simulation_only/words.csv'):
    assert (tmp_path / file).read_bytes() == (path / file).read_bytes()


def test_the_report_reads_it(measured):
  parsed = leak_report.parse(measured[2])
  assert [r.rounds for r in parsed.readings] == [0, 1, 1, 5]
  for reading in parsed.readings:
    assert reading.person_right <= parsed.person_words


def test_truth_by_hand():
  examples = [
    (
      {'ids': np.array([[1, 2, 0], [1, 0, 0]])},
      np.array([1, 0], np.int32),
    ),
    ({'ids': np.zeros([0, 3], int)}, np.zeros(0, np.int32)),
  ]
  truth = leak_readings.Truth(examples, 4)
  assert truth.texts.tolist() == [[0, 2, 1, 0], [0] * 4]
  assert truth.spam.tolist() == [[0, 1, 1, 0], [0] * 4]
  assert truth.used.tolist() == [[False, True, True, False], [False] * 4]
  np.testing.assert_array_equal(truth.rates[0], [np.nan, 0.5, 1, np.nan])


def test_nothing_of_the_truth_is_in_the_view(measured):
  view: pathlib.Path = measured[0] / 'server_view'
  assert not list(view.rglob('leak.json')) + list(view.rglob('words.csv'))
  with np.load(view / 'secure_federated' / 'sum.npz') as summed:
    assert {name: summed[name].ndim for name in summed} == {
      'people': 1, 'examples': 0, 'weight_0': 2, 'weight_1': 0,
    }  # fmt: skip


def trained(name: str, drawn, plain_updates: bool = True):
  """A system of which `readable` needs no process."""
  choice = name if name == 'secure_federated' else 'federated'
  program = dataclasses.replace(program_of(), participation=drawn)
  return comparison.TrainedSystem(
    name, choice, lambda: None, program, None, plain_updates
  )


def test_only_systems_that_share_cohorts_and_show_plain_updates_are_read():
  drawn, coins = (
    participation.Participation(16, COHORT, scheme)
    for scheme in ('uniform', 'poisson')
  )
  secure = trained('secure_federated', drawn)
  everything = ['central', 'local', 'federated', 'secure_federated', 'dp_fixed']

  def read(*systems):
    program, names = leak.readable(systems, everything)
    return program.participation, names

  assert read(trained('federated', drawn), secure) == (
    drawn,
    ['central', 'local', 'federated', 'secure_federated', 'dp_fixed'],
  )
  # A private system of other cohorts has a first round of its own.
  assert read(trained('federated', coins), secure) == (
    coins,
    ['central', 'local', 'federated', 'dp_fixed'],
  )
  # Noise of the clients: the server has no plain update.
  assert read(trained('federated', drawn, False), secure) == (
    drawn,
    ['central', 'local', 'secure_federated', 'dp_fixed'],
  )
  assert read(trained('dp_fixed', coins), secure)[1] == [
    'central', 'local', 'federated', 'secure_federated',
  ]  # fmt: skip


def test_of_clients_who_train_otherwise_only_what_no_round_trains_is_read():
  drawn = participation.Participation(16, COHORT)
  systems = [
    trained('federated', drawn), trained('secure_federated', drawn)
  ]  # fmt: skip
  _, names = leak.readable(
    systems,
    ['central', 'local', 'federated', 'secure_federated'],
    plain_training=False,
  )
  assert names == ['central', 'local']
