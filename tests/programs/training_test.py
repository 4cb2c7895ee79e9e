"""The training loop, and that no moment is a bad one to be killed in."""

import collections
from collections.abc import Callable
import csv
import itertools
import math
import resource
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests import slow_cases
from tff_pipelines.core import participation
from tff_pipelines.data import batching, population
from tff_pipelines.learning import evaluation, fed_avg
from tff_pipelines.models import text_classifiers
from tff_pipelines.programs import (
  checkpoints,
  files,
  metrics_log,
  run_directory,
  stop_rules,
  training,
)

SIZES = (3, 1, 4, 2, 5)
SEED = 1


class Killed(BaseException):
  """Stands for kill -9: nothing of the program catches it."""


def texts(sizes: tuple[int, ...], seed: int) -> population.ArrayPopulation:
  """Clients with random texts of two features out of four."""
  rng = np.random.default_rng(seed)
  ends = np.cumsum(sizes)
  x = {
    'ids': rng.integers(0, 4, [ends[-1], 2]).astype(np.int32),
    'weights': rng.random([ends[-1], 2]).astype(np.float32),
  }
  y = (np.arange(ends[-1]) % 2).astype(np.int32)
  rows = {
    f'client_{i}': np.arange(end - size, end)
    for i, (size, end) in enumerate(zip(sizes, ends, strict=True))
  }
  return population.ArrayPopulation((x, y), rows)


TRAIN = texts(SIZES, seed=1)
TEST = texts((4, 4), seed=2)


@pytest.fixture(scope='module')
def model():
  return text_classifiers.build_logistic_regression(
    4, TRAIN.batch_spec
  ).functional


@pytest.fixture(scope='module')
def process(model, native_context):
  # Momentum at the server, so that there is more state than the weights.
  optimizers = tff.learning.optimizers
  return fed_avg.build(
    model,
    client_optimizer=optimizers.build_sgdm(0.5),
    server_optimizer=optimizers.build_sgdm(1.0, momentum=0.9),
    aggregator=tff.aggregators.MeanFactory(),
  )


@pytest.fixture(scope='module')
def evaluate(model, process):
  return training.federated_evaluation(process, evaluation.build(model), TEST)


def program(rounds: int, **changes) -> training.TrainingProgram:
  arguments = {
    'participation': participation.Participation(len(SIZES), 3),
    'batching': batching.Batching(2),
    'seed': SEED,
    'evaluate_every': 2,
    'checkpoint_every': 2,
  }
  return training.TrainingProgram(rounds, **{**arguments, **changes})


@pytest.fixture
def directory(tmp_path) -> run_directory.RunDirectory:
  return run_directory.RunDirectory(tmp_path / 'run')


@pytest.fixture
def run(process, evaluate, directory):
  """Runs a program, by default with the module's process and directory."""

  def run_program(
    given: training.TrainingProgram, **changes
  ) -> training.TrainingResult:
    arguments = {
      'process': process,
      'population': TRAIN,
      'evaluate': evaluate,
      'directory': directory,
    }
    return training.run('test', program=given, **{**arguments, **changes})

  return run_program


def instead(process, *, next: Callable) -> types.SimpleNamespace:
  return types.SimpleNamespace(
    initialize=process.initialize,
    next=next,
    get_model_weights=process.get_model_weights,
  )


def never(*_):
  raise AssertionError('Nothing is to be computed again.')


def table(directory: run_directory.RunDirectory) -> list[dict[str, str]]:
  with open(directory.metrics_csv, newline='') as file:
    return list(csv.DictReader(file))


def bits(state) -> list[tuple]:
  return [
    (np.asarray(leaf).dtype, np.shape(leaf), np.asarray(leaf).tobytes())
    for leaf in tf.nest.flatten(state)
  ]


def saved_rounds(directory: run_directory.RunDirectory) -> list[int]:
  return sorted(
    int(path.name.removeprefix('round_'))
    for path in directory.checkpoints.iterdir()
  )


# What a run computes.


def test_run_is_a_plain_loop_of_selection_batches_and_next(
  run, process, evaluate, directory
):
  given = program(5)
  result = run(given)

  state = process.initialize()
  nothing = {'uplink_bytes': 0, 'downlink_bytes': 0}
  rows = [{f'test/{k}': v for k, v in evaluate(state).items()} | nothing]
  for round_num in range(1, 6):
    cohort = given.participation.select(SEED, round_num)
    output = process.next(
      state,
      TRAIN.batches(cohort, given.batching, seed=SEED, round_num=round_num),
    )
    state = output.state
    row = {
      'cohort/clients': 3,
      'cohort/examples': sum(SIZES[c] for c in cohort),
      'finalizer/update_non_finite': 0,
      # Four weights and an intercept, three clients a round.
      'uplink_bytes_per_client': 20,
      'downlink_bytes_per_client': 20,
      'uplink_bytes': 60 * round_num,
      'downlink_bytes': 60 * round_num,
    }
    trained = output.metrics['client_work']['train']
    row |= {f'train/{k}': v for k, v in trained.items()}
    if round_num in (2, 4, 5):
      row |= {f'test/{k}': v for k, v in evaluate(state).items()}
    rows.append(row)

  assert bits(result.state) == bits(state)
  assert (result.round_num, result.stopped_because) == (5, None)
  assert result.metrics == {k: float(v) for k, v in evaluate(state).items()}
  assert result.elapsed_seconds > 0
  assert result.traffic == {
    'uplink_bytes_per_client': 20, 'downlink_bytes_per_client': 20,
    'uplink_bytes': 300, 'downlink_bytes': 300,
  }  # fmt: skip
  assert result.compressed == ()
  found = table(directory)
  assert [row.pop('round_num') for row in found] == list('012345')
  for found_row, row in zip(found, rows, strict=True):
    measured = {k: float(v) for k, v in found_row.items() if v != ''}
    np.testing.assert_equal(measured, {k: float(v) for k, v in row.items()})


@pytest.mark.parametrize(
  'evaluate_every, evaluated',
  [
    slow_cases.slow((1, [0, 1, 2, 3])),
    (2, [0, 2, 3]),
    slow_cases.slow((9, [0, 3])),
  ],
)
def test_evaluated_are_the_initial_state_every_so_many_rounds_and_the_last(
  run, directory, evaluate_every, evaluated
):
  run(program(3, evaluate_every=evaluate_every))
  rounds = [
    int(row['round_num']) for row in table(directory) if row['test/loss']
  ]
  assert rounds == evaluated


@pytest.mark.parametrize(
  'checkpoint_every, left',
  [slow_cases.slow((1, [3, 4])), (3, [3, 4]), slow_cases.slow((9, [0, 4]))],
)
def test_saved_are_every_so_many_rounds_and_the_last(
  run, directory, checkpoint_every, left
):
  run(program(4, evaluate_every=9, checkpoint_every=checkpoint_every))
  assert saved_rounds(directory) == left


def test_initial_row_has_no_metrics_of_training(run, directory):
  run(program(1))
  initial = table(directory)[0]
  assert initial['cohort/clients'] == initial['train/loss'] == ''
  # All weights are zero: every text is spam with probability one half.
  assert float(initial['test/loss']) == pytest.approx(math.log(2), rel=1e-6)
  assert float(initial['test/num_examples']) == 8


def test_batch_size_of_an_evaluation_has_no_effect(model, process, monkeypatch):
  computation = evaluation.build(model)
  state = process.initialize()
  one = training.federated_evaluation(process, computation, TEST)(state)
  monkeypatch.setattr(
    training, 'EVALUATION_BATCHING', batching.Batching(1, shuffle=False)
  )
  all_ = training.federated_evaluation(process, computation, TEST)(state)
  assert list(one) == list(all_)
  for name in one:
    # A sum of 8 float32 in another order: 8 roundings at the most.
    np.testing.assert_allclose(one[name], all_[name], rtol=8 * 2**-24)


def test_empty_cohort_leaves_the_model_and_the_next_one_changes_it(
  run, process, directory
):
  rarely = participation.Participation(len(SIZES), 1, 'poisson')
  sizes = [len(rarely.select(4, round_num)) for round_num in (1, 2, 3)]
  assert sizes == [0, 0, 1]
  initial = process.get_model_weights(process.initialize())
  result = run(program(2, participation=rarely, seed=4))
  assert bits(process.get_model_weights(result.state)) == bits(initial)
  rows = table(directory)
  assert rows[1]['cohort/clients'] == rows[1]['cohort/examples'] == '0'
  assert rows[1]['train/loss'] == 'nan'
  assert rows[2]['test/loss'] == rows[0]['test/loss']

  other = run_directory.RunDirectory(directory.path.parent / 'other')
  result = run(program(3, participation=rarely, seed=4), directory=other)
  trained = process.get_model_weights(result.state)
  assert bits(trained) != bits(initial)
  assert all(np.isfinite(w).all() for w in tf.nest.flatten(trained))


# Programs that make no sense.


@pytest.mark.parametrize('name', ['rounds', 'evaluate_every'])
def test_number_of_rounds_below_one_is_refused_by_name(name):
  with pytest.raises(
    training.TrainingProgramError,
    match=f'Expected {name} of at least 1, found 0.$',
  ):
    program(**{'rounds': 1, name: 0})


def test_negative_checkpoint_every_is_refused_by_name():
  with pytest.raises(
    training.TrainingProgramError,
    match=r'Expected checkpoint_every of at least 1, found -1\.$',
  ):
    program(1, checkpoint_every=-1)


def test_participation_of_another_population_is_refused(run, directory):
  six = participation.Participation(6, 3)
  with pytest.raises(
    training.TrainingProgramError,
    match=r'Expected participation of the 5 clients of the population, found a '
    r'population_size of 6\.$',
  ):
    run(program(1, participation=six))
  assert not directory.path.exists()


# Stopping.


def test_target_stops_between_evaluations_and_the_model_is_evaluated(
  run, process, evaluate, directory
):
  given = program(
    9, stop_rules=(stop_rules.MetricTarget('cohort/examples', 10),)
  )
  cohorts = [given.participation.select(SEED, r) for r in (1, 2, 3)]
  sizes = [sum(SIZES[c] for c in cohort) for cohort in cohorts]
  assert sizes[0] < 10 and sizes[1] < 10 and sizes[2] >= 10
  result = run(given)
  assert result.round_num == 3
  assert result.stopped_because == (
    f'cohort/examples reached {sizes[2]:.4f} (target 10)'
  )
  assert result.metrics == {
    k: float(v) for k, v in evaluate(result.state).items()
  }
  assert [bool(row['test/loss']) for row in table(directory)] == [
    True, False, True, True,
  ]  # fmt: skip
  assert saved_rounds(directory) == [2, 3]


def test_rule_that_holds_at_the_start_stops_before_the_first_round(
  run, process, evaluate
):
  given = program(
    9, stop_rules=(stop_rules.MetricTarget('test/num_examples', 8),)
  )
  result = run(given, process=instead(process, next=never))
  assert result.round_num == 0
  assert bits(result.state) == bits(process.initialize())
  assert result.metrics['num_examples'] == 8


def test_first_rule_that_applies_gives_the_reason(run):
  rules = (
    stop_rules.MetricTarget('test/num_examples', 9),
    stop_rules.Plateau('test/num_examples', 1),
    stop_rules.MetricTarget('cohort/clients', 3),
  )
  result = run(program(9, evaluate_every=1, stop_rules=rules))
  assert result.round_num == 1
  assert result.stopped_because == (
    'test/num_examples has not exceeded 8.0000 for 1 evaluations'
  )


def test_wall_time_counts_over_all_sessions(run, process, monkeypatch):
  ticks = itertools.count()
  # Between two looks at this clock half a second goes by. A round is looked at
  # before, after its computation and at its end, so it takes a second.
  clock = types.SimpleNamespace(monotonic=lambda: next(ticks) / 2)
  monkeypatch.setattr(training, 'time', clock)
  given = program(9, checkpoint_every=1, stop_rules=(stop_rules.WallTime(3.0),))
  calls = itertools.count(1)

  def killed_in_third(state, batches):
    if next(calls) == 3:
      raise Killed
    return process.next(state, batches)

  with pytest.raises(Killed):
    run(given, process=instead(process, next=killed_in_third))
  result = run(given)
  assert (result.round_num, result.elapsed_seconds) == (3, 3.0)
  assert result.stopped_because == '3 s are over (limit 3 s)'


def test_metric_of_a_stop_rule_that_does_not_exist_is_an_error(run):
  given = program(3, stop_rules=(stop_rules.Plateau('test/acuracy', 1),))
  with pytest.raises(
    stop_rules.StopRuleError, match=r"test/accuracy.*found 'test/acuracy'"
  ):
    run(given)


@pytest.mark.parametrize('rule', [None, 'stopped'])
def test_run_that_has_ended_is_not_touched_by_running_it_again(
  run, process, directory, rule
):
  rules = (stop_rules.MetricTarget('cohort/examples', 10),) if rule else ()
  given = program(4, stop_rules=rules)
  first = run(given)
  assert (first.round_num, first.stopped_because is None) == (
    (3, False) if rule else (4, True)
  )
  metrics_csv = directory.metrics_csv.read_bytes()
  again = run(given, process=instead(process, next=never), evaluate=never)
  assert bits(again.state) == bits(first.state)
  assert again.round_num == first.round_num
  assert again.metrics == first.metrics
  assert again.stopped_because == first.stopped_because
  assert again.elapsed_seconds == first.elapsed_seconds
  assert directory.metrics_csv.read_bytes() == metrics_csv


# Being killed.


class Moments:
  """The moments of a run in which a process may die; it dies in one of them.

  Attributes:
    names: Those that came, in order.
  """

  def __init__(self, process, evaluate, die_at: int | None = None):
    self.names: list[str] = []
    self._die_at = die_at
    self._evaluate = evaluate
    self._process = process

  def _dies(self, name: str) -> bool:
    self.names.append(name)
    return len(self.names) - 1 == self._die_at

  def passing(self, name: str) -> None:
    if self._dies(name):
      raise Killed(name)

  def evaluate(self, state):
    self.passing('evaluate')
    return self._evaluate(state)

  @property
  def process(self):
    def next_(state, batches):
      self.passing('next')
      return self._process.next(state, batches)

    return instead(self._process, next=next_)

  def watch_files(self, monkeypatch) -> None:
    """Adds the moments before, amid and after what is written."""
    rename, save = tf.io.gfile.rename, tf.saved_model.save

    def watched_rename(source, target, *args, **kwargs):
      self.passing('before checkpoint')
      rename(source, target, *args, **kwargs)
      self.passing('after checkpoint')

    # After metrics comes no other change of a file before the next moment.
    def watched(write):
      def write_watched(path, text):
        if path.name == 'metrics.csv':
          self.passing('before metrics')
        write(path, text)

      return write_watched

    for name in ('append_text', 'write_text'):
      monkeypatch.setattr(files, name, watched(getattr(files, name)))

    def watched_save(module, folder, *args, **kwargs):
      save(module, folder, *args, **kwargs)
      if self._dies('amid checkpoint'):
        with open(f'{folder}/saved_model.pb', 'r+b') as file:
          file.truncate(100)
        raise Killed('amid checkpoint')

    monkeypatch.setattr(tf.io.gfile, 'rename', watched_rename)
    monkeypatch.setattr(tf.saved_model, 'save', watched_save)


# Programs whose third round is the last, and how many moments they have.
# Evaluated and saved are rounds 0, 2 and 3. The metrics' file is written once
# when it is made and once for each release.
MOMENTS = {'next': 3, 'evaluate': 3, 'amid checkpoint': 3}
MOMENTS |= {'before checkpoint': 3, 'after checkpoint': 3}
TO_THE_END = (
  program(3),
  {**MOMENTS, 'before metrics': 5},
)
# Round 3 is released, found to be the last, evaluated, and released again.
STOPPED_BETWEEN_EVALUATIONS = (
  program(9, stop_rules=(stop_rules.MetricTarget('cohort/examples', 10),)),
  {**MOMENTS, 'before metrics': 6},
)


@pytest.mark.slow
@pytest.mark.parametrize(
  'given, expected_moments, from_round',
  [slow_cases.slow((*TO_THE_END, 0)), (*STOPPED_BETWEEN_EVALUATIONS, 3)],
  ids=['to the end', 'stopped between evaluations'],
)
def test_run_killed_at_any_moment_ends_like_one_that_never_was(
  run,
  process,
  evaluate,
  tmp_path,
  monkeypatch,
  given,
  expected_moments,
  from_round,
):
  def run_until(die_at: int | None, directory: run_directory.RunDirectory):
    moments = Moments(process, evaluate, die_at)
    with monkeypatch.context() as patch:
      moments.watch_files(patch)
      try:
        result = run(
          given,
          process=moments.process,
          evaluate=moments.evaluate,
          directory=directory,
        )
      except Killed:
        result = None
    return result, moments.names

  whole = run_directory.RunDirectory(tmp_path / 'whole')
  uninterrupted, moments = run_until(None, whole)
  assert collections.Counter(moments) == expected_moments
  first = [0, *np.flatnonzero(np.array(moments) == 'next')][from_round]
  for die_at, moment in enumerate(moments[first:], first):
    directory = run_directory.RunDirectory(tmp_path / f'killed_{die_at}')
    killed, passed = run_until(die_at, directory)
    assert killed is None and passed[-1] == moment
    resumed = run(given, directory=directory)
    where = f'killed at moment {die_at}: {moment}'
    assert bits(resumed.state) == bits(uninterrupted.state), where
    assert resumed.round_num == uninterrupted.round_num, where
    assert resumed.metrics == uninterrupted.metrics, where
    assert resumed.stopped_because == uninterrupted.stopped_because, where
    assert (
      directory.metrics_csv.read_bytes() == whole.metrics_csv.read_bytes()
    ), where
    # Killed before it removes an old one, a run leaves one more.
    assert saved_rounds(directory)[-2:] == saved_rounds(whole), where


@pytest.mark.slow
def test_run_killed_in_every_round_ends_like_one_that_never_was(
  run, process, directory, tmp_path
):
  given = program(5, evaluate_every=1, checkpoint_every=1)
  calls = itertools.count(1)

  def killed_every_second_time(state, batches):
    if next(calls) % 2 == 0:
      raise Killed
    return process.next(state, batches)

  # Each time one round, then the end in the next one; the fifth is the last.
  for _ in range(4):
    with pytest.raises(Killed):
      run(given, process=instead(process, next=killed_every_second_time))
  resumed = run(given, process=instead(process, next=killed_every_second_time))
  assert next(calls) == 10
  whole = run_directory.RunDirectory(tmp_path / 'whole')
  uninterrupted = run(given, directory=whole)
  assert bits(resumed.state) == bits(uninterrupted.state)
  assert directory.metrics_csv.read_bytes() == whole.metrics_csv.read_bytes()


# Disks that are full, and files that are gone.


@pytest.mark.parametrize(
  'room, told',
  [
    # Bytes that a file may have: too few for the table, for TensorBoard's
    # events (about 1 kB a round), for a checkpoint (23 kB).
    slow_cases.slow((300, r'metrics of round 3 at .*metrics\.csv, found: ')),
    slow_cases.slow((3000, 'metrics of round 3 at .*, found: .*tensorboard')),
    (12_000, 'checkpoint 4 at .*, found: .*round_4_temp'),
  ],
)
def test_full_disk_stops_the_run_and_room_resumes_it(
  run, evaluate, directory, tmp_path, room, told
):
  given = program(5, evaluate_every=1)
  whole = run_directory.RunDirectory(tmp_path / 'whole')
  uninterrupted = run(given, directory=whole)

  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  evaluations = itertools.count()

  def evaluate_and_fill_the_disk(state):
    metrics = evaluate(state)
    if next(evaluations) == 3:
      resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    return metrics

  try:
    with pytest.raises(
      files.SavingFailedError, match=f'write {told}.*too large. The run'
    ):
      run(given, evaluate=evaluate_and_fill_the_disk)
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
  assert (directory.checkpoints / 'round_2').is_dir()
  assert table(directory)[:3] == table(whole)[:3]

  resumed = run(given)
  assert bits(resumed.state) == bits(uninterrupted.state)
  assert directory.metrics_csv.read_bytes() == whole.metrics_csv.read_bytes()


@pytest.mark.parametrize('left', [None, slow_cases.slow(0), slow_cases.slow(2)])
def test_metrics_missing_beside_checkpoints_are_an_error(run, directory, left):
  given = program(4)
  run(given)
  if left is None:
    directory.metrics_csv.unlink()
  else:
    lines = directory.metrics_csv.read_bytes().splitlines(keepends=True)
    directory.metrics_csv.write_bytes(b''.join(lines[: left + 1]))
  with pytest.raises(training.TrainingProgramError) as raised:
    run(given)
  assert str(raised.value) == (
    f'Expected metrics of the rounds 0 to 4 in {directory.metrics_csv}, as '
    f'there is a checkpoint of that round, found {left or 0} rows; choose '
    'another --output_dir.'
  )


def test_damaged_metrics_are_an_error(run, directory):
  given = program(1)
  run(given)
  directory.metrics_csv.write_text('round_num\r\nzero\r\n')
  with pytest.raises(metrics_log.MetricsUnreadableError, match='zero'):
    run(given)


def test_damaged_checkpoint_is_an_error_and_removing_it_resumes(
  run, directory, tmp_path
):
  given = program(3)
  run(given)
  metrics_csv = directory.metrics_csv.read_bytes()
  latest = directory.checkpoints / 'round_3'
  (latest / 'saved_model.pb').write_bytes(b'')
  with pytest.raises(
    checkpoints.CheckpointUnreadableError, match=f'in {latest}, found'
  ):
    run(given)
  latest.rename(tmp_path / 'damaged')
  assert run(given).round_num == 3
  assert directory.metrics_csv.read_bytes() == metrics_csv
