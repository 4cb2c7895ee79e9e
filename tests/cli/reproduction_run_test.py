"""Running an experiment: what starts, what is found again, what came of it."""

import dataclasses
import json
import pathlib

import pytest

from tff_pipelines.cli import reproduction_run
from tff_pipelines.programs import reproduction_paper

MEASURE = {'rounds_to': {'metric': 'test/accuracy', 'target': 0.5}}


class FakeWorkers:
  """Runs jobs at once, one each time that is waited for; no process.

  A job's accuracy rises by its learning rate a round; it stops at 0.5.
  """

  def __init__(self, count: int = 2, broken: str = ''):
    self.count, self.broken = count, broken
    self.started: list[str] = []
    self.interrupted: list[str] = []
    self._orders: list = []
    self.rounds: dict[str, int] = {}

  @property
  def has_room(self):
    return len(self._orders) < self.count

  @property
  def running(self):
    return [job for job, _ in self._orders]

  def start(self, job, order):
    flags = dict(a.lstrip('-').split('=', 1) for a in order.arguments)
    name = f'{job.run.name} {flags["client_learning_rate"]} {flags["seed"]}'
    self.started.append(name)
    self._orders.append((job, (name, flags, order)))

  def interrupt(self, job):
    for one, (name, *_) in self._orders:
      if one == job:
        self.interrupted.append(name)

  def wait(self, seconds):
    del seconds
    ended = []
    for job, (name, flags, order) in list(self._orders):
      folder = pathlib.Path(flags['output_dir'])
      code = self._round(name, flags, folder)
      if name == self.broken:
        order.log.write_text('Error: Expected luck, found none.\n')
        code = 2
      if code is not None:
        self._orders.remove((job, (name, flags, order)))
        ended.append((job, {'exit': code}))
    return ended

  def _round(self, name, flags, folder):
    rate = float(flags['client_learning_rate'])
    done = self.rounds[name] = self.rounds.get(name, -1) + 1
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f'{r},{min(1.0, rate * r)}' for r in range(done + 1)]
    (folder / 'metrics.csv').write_text(
      'round_num,test/accuracy\n' + '\n'.join(rows)
    )
    if name in self.interrupted:
      return 130
    if rate * done >= 0.5 or done == int(flags['rounds']):
      (folder / 'results.json').write_text(
        json.dumps({'rows': [{'system': 'federated', 'accuracy': rate}]})
      )
      return 0
    return None


@pytest.fixture
def experiment(tmp_path) -> reproduction_paper.Experiment:
  folder = tmp_path / 'paper'
  folder.mkdir()
  (folder / 'a.flags').write_text('--clients_per_round=2')
  (folder / 'expected.json').write_text(
    json.dumps(
      {
        'title': 'T', 'authors': 'A', 'year': 2000, 'source': 's',
        'experiments': [
          {
            'name': 'e', 'title': 'E', 'where': 'Table 1', 'task': 'digits',
            'minutes': 1, 'seeds': [0, 1, 2],
            'grid': {'client_learning_rate': [0.25, 0.05, 0.01]},
            'choose': {'least': MEASURE},
            'runs': [
              {'name': 'a', 'flagfile': 'a.flags', 'flags': {'rounds': 40}},
              {
                'name': 'b', 'label': 'B', 'flagfile': 'a.flags',
                'flags': {'rounds': 3, 'client_learning_rate': 0.1},
                'grid': {}, 'seeds': [0], 'minutes': 9,
              },
            ],
            'claims': [
              {
                'label': 'fast', 'run': 'a', 'measure': MEASURE, 'paper': 3,
                'at_most': 3, 'why': 'so',
              },
              {
                'label': 'slow', 'run': 'b', 'measure': MEASURE, 'at_most': 2,
                'why': 'so',
              },
              {
                'label': 'ratio', 'run': 'b', 'than': 'a', 'combine': 'ratio',
                'measure': MEASURE,
              },
            ],
            'figures': [{'title': 'F', 'y': 'test/accuracy'}],
          }
        ],
      }
    )
  )  # fmt: skip
  return reproduction_paper.read(folder).experiments[0]


@pytest.fixture
def place(tmp_path) -> reproduction_run.Place:
  return reproduction_run.Place(tmp_path / 'out', None, 2)


def run(experiment, place, workers=None):
  one = reproduction_run.ExperimentRun(experiment, place)
  workers = workers or FakeWorkers()
  return one, one.run(workers), workers


def test_the_longest_starts_first_and_seeds_follow_with_the_best(
  experiment, place
):
  _, ran, workers = run(experiment, place)
  assert ran
  assert workers.started[:2] == ['b 0.1 0', 'a 0.25 0']
  assert workers.started[-2:] == ['a 0.25 1', 'a 0.25 2']


def test_hopeless_values_are_cut(experiment, place):
  _, _, workers = run(experiment, place)
  assert set(workers.interrupted) == {'a 0.05 0', 'a 0.01 0'}


def test_who_loses_a_race_stops_early(experiment, place):
  racing = dataclasses.replace(
    experiment.run('a'),
    grid={'client_learning_rate': (0.04, 0.05)},
    race_rounds=2,
  )
  one, _, workers = run(
    dataclasses.replace(experiment, runs=(racing,), claims=(), figures=()),
    place,
  )
  assert workers.interrupted == ['a 0.04 0']
  assert workers.rounds['a 0.04 0'] < 5 < workers.rounds['a 0.05 0']
  assert one.record(0.0)['runs'][0]['best'] == {'client_learning_rate': 0.05}


def test_record_tells_numbers_and_verdicts(experiment, place):
  one, _, _ = run(experiment, place)
  record = one.record(12.5)
  fast, slow, ratio = record['claims']
  assert (fast['numbers'], fast['median']) == ([[2, 2]] * 3, [2, 2])
  assert (fast['verdict'], fast['where']) == ('met', 'Table 1')
  assert (slow['numbers'], slow['verdict']) == (
    [[3, float('inf')]],
    'missed',
  )
  assert (ratio['median'][0], ratio['verdict']) == (1.5, 'shown')
  assert record['seconds'] == 12.5
  assert record['runs'][0]['best'] == {'client_learning_rate': 0.25}
  assert [t['standing'] for t in record['runs'][0]['tried']] == [
    'finished',
    'cut',
    'cut',
  ]
  a, b = record['figures'][0]['curves']
  assert (a['label'], b['label']) == ('a', 'B')
  assert [line['seed'] for line in a['lines']] == [0, 1, 2]
  assert [x for x, _ in b['lines'][0]['points']] == [0, 1, 2, 3]
  assert not one.failed


def test_second_time_only_reads(experiment, place):
  first, _, _ = run(experiment, place)
  second, ran, workers = run(experiment, place)
  assert not ran and not workers.started
  assert second.record(1.0) == first.record(1.0)


def test_stopped_one_goes_on(experiment, place):
  class Stopped(FakeWorkers):
    def wait(self, seconds):
      if len(self.started) > 4:
        raise KeyboardInterrupt
      return super().wait(seconds)

  whole, _, _ = run(experiment, dataclasses.replace(
    place, folder=place.folder.with_name('whole')
  ))  # fmt: skip
  with pytest.raises(KeyboardInterrupt):
    run(experiment, place, Stopped())
  resumed, _, workers = run(experiment, place)
  assert 'a 0.25 0' not in workers.started
  assert resumed.record(0.0)['claims'] == whole.record(0.0)['claims']


def test_failed_job_is_told_and_others_go_on(experiment, place, capsys):
  one, _, _ = run(experiment, place, FakeWorkers(broken='b 0.1 0'))
  assert one.failed
  fast, slow, ratio = one.record(0.0)['claims']
  assert fast['verdict'] == 'met'
  assert (slow['verdict'], ratio['verdict']) == ('failed', 'failed')
  assert slow['reason'].startswith('Expected luck, found none. (')
  assert slow['median'] is None and slow['numbers'] == []
  assert 'b/seed=0: failed: Expected luck' in capsys.readouterr().out


def test_metric_that_is_missing_is_a_failure_with_its_reason(experiment, place):
  experiment = dataclasses.replace(
    experiment,
    claims=(
      dataclasses.replace(
        experiment.claims[0],
        measure=reproduction_paper.Measure('final', 'test/auc'),
      ),
    ),
  )
  one, _, _ = run(experiment, place)
  (claim,) = one.record(0.0)['claims']
  assert claim['verdict'] == 'failed'
  assert claim['reason'].startswith('Expected values of test/auc in ')
  assert one.failed


def test_order_gives_what_belongs_to_the_place(experiment, place):
  place = dataclasses.replace(place, data_dir='/data')
  _, _, workers = run(experiment, place)
  del workers
  job = reproduction_run.Job('e', experiment.runs[1], 0, 0)
  order = place.order(job)
  assert order.arguments[0] == '--clients_per_round=2'
  assert order.arguments[-1] == f'--output_dir={place.run_dir(job)}'
  assert '--data_dir=/data' in order.optional
  assert '--report=false' in order.optional
  assert order.log.parent == place.run_dir(job).parent
  assert order.log.name.endswith('.log')
