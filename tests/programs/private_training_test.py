"""Private training: the ledger is written first, whatever moment kills it.

The learning process is arithmetic; what counts is the order of the files.
"""

import collections
import csv
import itertools
import json
import os
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests import slow_cases
from tff_pipelines.core import participation
from tff_pipelines.data import batching, population
from tff_pipelines.privacy import accounting, central, correlated, ledger
from tff_pipelines.programs import privacy_log, run_directory, training

NUM_CLIENTS = 6
DELTA = 1e-2
SEED = 5
COINS = participation.Participation(NUM_CLIENTS, 2, 'poisson')
TURNS = participation.Participation(NUM_CLIENTS, 2, 'cyclic')
PEOPLE = population.ArrayPopulation(
  np.arange(NUM_CLIENTS, dtype=np.float32),
  {f'client_{i}': np.array([i]) for i in range(NUM_CLIENTS)},
)


class Killed(BaseException):
  """Stands for kill -9: nothing of the program catches it."""


def process() -> types.SimpleNamespace:
  """Adds up how many clients came."""

  def next_round(state, batches):
    metrics = collections.OrderedDict(client_work={'train': {'loss': 1.0}})
    added = state + np.float32(batches.num_clients)
    return types.SimpleNamespace(state=added, metrics=metrics)

  return types.SimpleNamespace(
    initialize=lambda: np.float32(0.0),
    next=next_round,
    get_model_weights=lambda state: tff.learning.models.ModelWeights(
      [state], []
    ),
  )


def evaluate(state) -> dict[str, float]:
  return {'loss': -float(state)}


def program(
  rounds: int = 5,
  ran=None,
  drawn: participation.Participation = COINS,
  **changes,
) -> training.TrainingProgram:
  ran = ran or central.Gaussian(3.0)
  secret = drawn.scheme == 'poisson'
  planned = accounting.planned(
    accounting.Plan(ran, drawn, rounds, secret), DELTA
  )
  terms = privacy_log.PrivacyTerms(
    ran, drawn, DELTA, planned, secret, changes.pop('stop_at_epsilon', None)
  )
  return training.TrainingProgram(
    rounds,
    drawn,
    batching.Batching(1),
    SEED,
    evaluate_every=2,
    checkpoint_every=2,
    privacy=terms,
    **changes,
  )


def run(given: training.TrainingProgram, path) -> training.TrainingResult:
  return training.run(
    'test',
    process(),
    PEOPLE,
    evaluate,
    given,
    run_directory.RunDirectory(path),
  )


def table(path) -> list[dict[str, str]]:
  with open(path / 'metrics.csv', newline='') as file:
    return list(csv.DictReader(file))


def epsilons(path) -> list[float]:
  return [float(row['privacy/epsilon']) for row in table(path)]


def ledger_of(path) -> ledger.Ledger:
  return ledger.Ledger.load(path / 'privacy.json')


def test_epsilon_is_a_column_of_every_round(tmp_path):
  given = program()
  result = run(given, tmp_path)
  found = epsilons(tmp_path)
  assert found == [0.0] + [
    accounting.spent(ledger_of(tmp_path).up_to(r), DELTA).epsilon
    for r in range(1, 6)
  ]
  assert all(a < b for a, b in itertools.pairwise(found))
  assert result.guarantee.epsilon == found[-1] == given.privacy.planned.epsilon


def test_records_are_of_the_cohorts_that_took_part(tmp_path):
  run(program(), tmp_path)
  clients = [int(row['cohort/clients']) for row in table(tmp_path)[1:]]
  assert [r.num_contributors for r in ledger_of(tmp_path)] == clients
  assert clients == [len(COINS.select(SEED, r)) for r in range(1, 6)]


def test_a_program_without_terms_tells_nothing_of_privacy(tmp_path):
  given = training.TrainingProgram(1, COINS, batching.Batching(1), SEED)
  assert run(given, tmp_path).guarantee is None
  assert 'privacy/epsilon' not in table(tmp_path)[0]
  assert not (tmp_path / 'privacy.json').exists()


def test_terms_of_another_participation_are_refused():
  terms = program().privacy
  with pytest.raises(
    training.TrainingProgramError,
    match=r'^Expected terms of privacy for the participation of the program, f',
  ):
    training.TrainingProgram(
      5, TURNS, batching.Batching(1), SEED, privacy=terms
    )


def test_progress_tells_epsilon(tmp_path, capsys):
  run(program(2), tmp_path)
  told = capsys.readouterr().out
  assert f'epsilon {epsilons(tmp_path)[-1]:.4g}' in told
  assert told.count('\n') == 1  # Epsilon alone is not worth a line.


@pytest.mark.parametrize(
  'ran, drawn',
  [
    (central.Gaussian(3.0), COINS),
    (correlated.TreeAggregation(3.0), TURNS),
  ],
  ids=['sampled', 'tree'],
)
@pytest.mark.parametrize('share', [0.4, 0.8, 1.0, 2.0])
def test_budget_is_never_exceeded_and_one_more_round_would(
  tmp_path, ran, drawn, share
):
  whole = program(6, ran, drawn)
  budget = share * whole.privacy.planned.epsilon
  result = run(program(6, ran, drawn, stop_at_epsilon=budget), tmp_path)
  assert result.guarantee.epsilon <= budget
  if share >= 1.0:
    assert (result.round_num, result.stopped_because) == (6, None)
    return
  assert 0 < result.round_num < 6
  after = accounting.spent(
    accounting.Plan(
      ran, drawn, result.round_num + 1, drawn.scheme == 'poisson'
    ).ledger(),
    DELTA,
  ).epsilon
  assert after > budget
  assert result.stopped_because == (
    f'the next round would bring epsilon to {after:.4g} (budget {budget:g})'
  )


def test_budget_below_the_first_round_runs_none(tmp_path):
  result = run(program(stop_at_epsilon=1e-3), tmp_path)
  assert (result.round_num, result.guarantee.epsilon) == (0, 0.0)
  assert len(ledger_of(tmp_path)) == 0


class Moments:
  """Every moment before a file appears; the process dies in one of them."""

  def __init__(self, path, die_at: int | None):
    self.names: list[str] = []
    self._path, self._die_at = path, die_at
    # Releases that the ledger does not know of.
    self.untold: list[str] = []

  def passing(self, name: str) -> None:
    self._look(name)
    self.names.append(name)
    if len(self.names) - 1 == self._die_at:
      raise Killed(name)

  def _look(self, name: str) -> None:
    metrics = self._path / 'metrics.csv'
    saved = [
      int(p.name.removeprefix('round_'))
      for p in self._path.glob('checkpoints/round_*')
      if p.name.removeprefix('round_').isdigit()
    ]
    rows = (
      [int(r['round_num']) for r in table(self._path)]
      if (metrics.exists())
      else []
    )
    released = max([*rows, *saved], default=0)
    known = 0
    if (self._path / 'privacy.json').exists():
      known = ledger_of(self._path).num_rounds
    if released > known:
      self.untold.append(f'{name}: {released} > {known}')

  def watch(self, patch) -> None:
    """Looks at what `files` and TFF write."""
    replace, rename = os.replace, tf.io.gfile.rename

    def watched_replace(source, target):
      self.passing(f'before {os.path.basename(target)}')
      replace(source, target)

    def watched_rename(source, target, *args, **kwargs):
      is_metrics = 'metrics' in str(target)
      what = 'release' if is_metrics else 'checkpoint'
      self.passing(f'before {what}')
      rename(source, target, *args, **kwargs)
      self.passing(f'after {what}')

    patch.setattr(os, 'replace', watched_replace)
    patch.setattr(tf.io.gfile, 'rename', watched_rename)


def run_until(given, path, die_at, monkeypatch):
  moments = Moments(path, die_at)
  with monkeypatch.context() as patch:
    moments.watch(patch)
    try:
      result = run(given, path)
    except Killed:
      result = None
  return result, moments


@pytest.mark.parametrize(
  'given',
  [program(3), slow_cases.slow(
    program(9, correlated.TreeAggregation(3.0), TURNS, stop_at_epsilon=1.1)
  )],
  ids=['to the end', 'stopped at its budget'],
)  # fmt: skip
def test_run_killed_at_any_moment_ends_with_the_same_ledger(
  given, tmp_path, monkeypatch
):
  uninterrupted, whole = run_until(given, tmp_path / 'whole', None, monkeypatch)
  assert uninterrupted.round_num == 3
  assert whole.untold == []
  counts = collections.Counter(whole.names)
  assert counts['before privacy.json'] == 4
  assert counts['before checkpoint'] == 3
  for die_at, moment in enumerate(whole.names):
    path = tmp_path / f'killed_{die_at}'
    killed, passed = run_until(given, path, die_at, monkeypatch)
    assert killed is None and passed.names[-1] == moment
    # Dead again, soon after it has begun anew.
    _, second = run_until(given, path, die_at % 4, monkeypatch)
    resumed, third = run_until(given, path, None, monkeypatch)
    where = f'killed at moment {die_at}: {moment}'
    assert passed.untold == second.untold == third.untold == [], where
    assert resumed.round_num == uninterrupted.round_num, where
    assert resumed.stopped_because == uninterrupted.stopped_because, where
    assert resumed.guarantee == uninterrupted.guarantee, where
    for name in ('privacy.json', 'metrics.csv'):
      assert (path / name).read_bytes() == (
        tmp_path / 'whole' / name
      ).read_bytes(), where


def test_run_that_has_ended_is_not_touched_by_running_it_again(tmp_path):
  given = program(3)
  first = run(given, tmp_path)
  files = [tmp_path / name for name in ('privacy.json', 'metrics.csv')]
  before = [path.stat().st_mtime_ns for path in files]
  again = run(given, tmp_path)
  assert again.guarantee == first.guarantee
  assert [path.stat().st_mtime_ns for path in files] == before


def test_ledger_that_lacks_a_round_stops_the_run(tmp_path):
  given = program(4)
  run(given, tmp_path)
  path = tmp_path / 'privacy.json'
  content = json.loads(path.read_text())
  del content['rounds'][1]
  path.write_text(json.dumps(content))
  with pytest.raises(
    privacy_log.PrivacyLogError,
    match=r'rounds 1 to 4 in .*, as there is a .*, found 3 of them; choose an',
  ):
    run(given, tmp_path)


def test_released_again_from_the_start_leaves_nothing_untold(
  tmp_path, monkeypatch
):
  given = program(3)
  run(given, tmp_path)
  for saved in (tmp_path / 'checkpoints').iterdir():
    saved.rename(tmp_path / saved.name)  # As if they had been deleted.
  _, moments = run_until(given, tmp_path, None, monkeypatch)
  # Until the old rows are gone, the old ledger stays.
  assert moments.names[:2] == ['before metrics.csv', 'before privacy.json']
  assert moments.untold == []
