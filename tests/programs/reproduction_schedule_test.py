"""Which runs come next, which value is best, who is cut short."""

import dataclasses
import math

import pytest

from tff_pipelines.programs import (
  reproduction_measures,
  reproduction_paper,
  reproduction_schedule,
)

Number = reproduction_measures.Number
Job = reproduction_schedule.Job
Progress = reproduction_schedule.Progress
ROUNDS = reproduction_paper.Measure('rounds_to', 'test/accuracy', target=0.97)
FINAL = reproduction_paper.Measure('final', 'test/accuracy')


def run(name='iid', *, grid=(0.1, 0.2, 0.4), seeds=(0, 1, 2), minutes=1.0):
  return reproduction_paper.Run(
    name=name,
    label=name,
    task='digits',
    flagfile=None,
    file_arguments=(),
    flags={'rounds': 5, 'hidden_sizes': [200, 200], 'x': True},
    seeds=seeds,
    grid={'client_learning_rate': grid} if grid else {},
    minutes=minutes,
    system='federated',
  )


def experiment(*runs, choose=('least', ROUNDS), claims=()):
  return reproduction_paper.Experiment(
    name='table',
    title='Table',
    where='',
    minutes=1,
    choose=choose and reproduction_paper.Choice(*choose),
    deviations=(),
    runs=runs,
    claims=claims,
    figures=(),
  )


def values_and_seeds(jobs):
  return [(job.value, job.seed) for job in jobs]


def test_arguments_are_those_of_the_run_then_the_grid_and_the_seed():
  assert Job('table', run(), 1, 2).arguments == [
    '--rounds=5',
    '--hidden_sizes=200,200',
    '--x=true',
    '--client_learning_rate=0.2',
    '--seed=2',
  ]


def test_what_a_flagfile_holds_comes_first_and_decides_on_the_folder():
  def job(*file_arguments):
    changed = dataclasses.replace(run(), file_arguments=file_arguments)
    return Job('table', changed, 0, 0)

  assert job('--rounds=3').arguments[0] == '--rounds=3'
  assert job('--rounds=3').folder == job('--rounds=3').folder
  assert job('--rounds=3').folder != job('--rounds=4').folder
  assert job().folder.startswith('table/iid/client_learning_rate=0.1,seed=0-')


def test_folders_differ_wherever_arguments_do():
  jobs = [
    Job('table', run(), value, seed) for value in (0, 1) for seed in (0, 1)
  ]
  assert len({job.folder for job in jobs}) == 4


def test_first_the_grid_with_the_first_seed():
  wanted = reproduction_schedule.jobs(experiment(run()), {})
  assert values_and_seeds(wanted) == [(0, 0), (1, 0), (2, 0)]


def test_then_the_other_seeds_with_the_best_value():
  one = run()
  progress = {
    Job('table', one, 0, 0): Progress('finished', Number.exactly(90)),
    Job('table', one, 1, 0): Progress('finished', Number.exactly(80)),
    Job('table', one, 2, 0): Progress('cut', Number.more_than(80)),
  }
  assert reproduction_schedule.best_value(experiment(one), one, progress) == 1
  wanted = reproduction_schedule.jobs(experiment(one), progress)
  assert values_and_seeds(wanted)[3:] == [(1, 1), (1, 2)]


@pytest.mark.parametrize('standing', ['waiting', 'running'])
def test_nothing_is_best_before_all_values_have_ended(standing):
  one = run()
  progress = {
    Job('table', one, 0, 0): Progress('finished', Number.exactly(90)),
    Job('table', one, 1, 0): Progress('failed'),
    Job('table', one, 2, 0): Progress(standing, Number.exactly(1)),
  }
  assert (
    reproduction_schedule.best_value(experiment(one), one, progress) is None
  )
  assert len(reproduction_schedule.jobs(experiment(one), progress)) == 3


def test_failed_value_is_never_the_best():
  one = run(grid=(0.1, 0.2))
  progress = {
    Job('table', one, 0, 0): Progress('failed'),
    Job('table', one, 1, 0): Progress('finished', Number.more_than(5)),
  }
  assert reproduction_schedule.best_value(experiment(one), one, progress) == 1


def test_if_all_values_failed_there_is_no_best_and_no_further_seed():
  one = run(grid=(0.1, 0.2))
  progress = {Job('table', one, v, 0): Progress('failed') for v in (0, 1)}
  assert (
    reproduction_schedule.best_value(experiment(one), one, progress) is None
  )
  assert len(reproduction_schedule.jobs(experiment(one), progress)) == 2


def test_where_no_value_reaches_the_target_the_nearest_is_the_best():
  one = run()
  progress = {
    Job('table', one, 0, 0): Progress('finished', Number.more_than(9), -0.93),
    Job('table', one, 1, 0): Progress('finished', Number.more_than(9), -0.96),
    Job('table', one, 2, 0): Progress('finished', Number.more_than(9), -0.95),
  }
  assert reproduction_schedule.best_value(experiment(one), one, progress) == 1


def test_most_is_best_if_asked_for():
  one = run(grid=(0.1, 0.2))
  progress = {
    Job('table', one, 0, 0): Progress('finished', Number.exactly(0.9)),
    Job('table', one, 1, 0): Progress('finished', Number.exactly(0.8)),
  }
  most = experiment(one, choose=('most', FINAL))
  assert reproduction_schedule.best_value(most, one, progress) == 0


def test_all_seeds_of_a_run_without_a_grid_are_wanted_at_once():
  one = run(grid=())
  wanted = reproduction_schedule.jobs(experiment(one, choose=None), {})
  assert values_and_seeds(wanted) == [(0, 0), (0, 1), (0, 2)]


def test_value_is_cut_where_the_best_other_reached_the_target():
  one = run()
  jobs = [Job('table', one, value, 0) for value in range(3)]
  progress = {
    jobs[0]: Progress('finished', Number.exactly(90)),
    jobs[1]: Progress('finished', Number.exactly(70)),
    jobs[2]: Progress('running'),
  }
  cut_at = reproduction_schedule.cut_at
  assert cut_at(experiment(one), jobs[2], progress) == 70
  assert cut_at(experiment(one), jobs[2], {}) == math.inf
  # Nothing is cut by what was cut itself, or never got there.
  progress = {
    jobs[0]: Progress('finished', Number.more_than(90)),
    jobs[1]: Progress('cut', Number.more_than(70)),
  }
  assert cut_at(experiment(one), jobs[2], progress) == math.inf


def test_other_seeds_and_other_choices_are_never_cut():
  one = run()
  progress = {Job('table', one, 0, 0): Progress('finished', Number.exactly(9))}
  assert (
    reproduction_schedule.cut_at(
      experiment(one), Job('table', one, 1, 1), progress
    )
    == math.inf
  )
  most = experiment(one, choose=('most', FINAL))
  assert (
    reproduction_schedule.cut_at(most, Job('table', one, 1, 0), progress)
    == math.inf
  )


def racing(*values):
  one = dataclasses.replace(run(), race_rounds=30)
  jobs = reproduction_schedule.grid_jobs(experiment(one), one)
  return experiment(one), {
    job: value
    for job, value in zip(jobs, values, strict=True)
    if value is not None
  }


def losers(whole, at_race):
  return [
    job.value
    for job in reproduction_schedule.grid_jobs(whole, whole.runs[0])
    if reproduction_schedule.loses_race(whole, job, at_race)
  ]


def test_only_the_best_after_a_race_goes_on():
  assert losers(*racing(0.9, 0.95, 0.8)) == [0, 2]


def test_who_has_not_come_so_far_neither_loses_nor_beats_anyone():
  assert losers(*racing(None, 0.95, 0.9)) == [2]
  assert losers(*racing(None, 0.95, None)) == []


def test_of_equal_values_the_likelier_wins():
  assert losers(*racing(0.9, 0.9, 0.9)) == [1, 2]


def test_without_a_race_nobody_loses():
  whole, at_race = racing(0.9, 0.95, 0.8)
  plain = dataclasses.replace(whole.runs[0], race_rounds=0)
  jobs = reproduction_schedule.grid_jobs(experiment(plain), plain)
  known = dict(zip(jobs, at_race.values(), strict=True))
  assert losers(experiment(plain), known) == []


def test_longest_start_first_and_likelier_values_before_others():
  short, long = run('short', minutes=1), run('long', minutes=5)
  jobs = [
    Job('table', one, value, 0) for one in (short, long) for value in (1, 0)
  ]
  ordered = reproduction_schedule.longest_first(jobs)
  assert [(job.run.name, job.value) for job in ordered] == [
    ('long', 0),
    ('long', 1),
    ('short', 0),
    ('short', 1),
  ]


def claim(**changes):
  return dataclasses.replace(
    reproduction_paper.Claim('', 'iid', ROUNDS), **changes
  )


def test_claim_compares_seed_by_seed():
  one, other = run('iid'), run('other')
  numbers = {
    ('iid', ROUNDS): [Number.exactly(10), Number.exactly(30)],
    ('other', FINAL): [Number.exactly(5), Number.exactly(10)],
  }
  whole = experiment(one, other)
  assert reproduction_schedule.claimed(whole, claim(), numbers) == [
    Number.exactly(10),
    Number.exactly(30),
  ]
  ratio = claim(than='other', than_measure=FINAL, combine='ratio')
  assert reproduction_schedule.claimed(whole, ratio, numbers) == [
    Number.exactly(2),
    Number.exactly(3),
  ]


def test_run_of_one_seed_is_compared_with_every_seed():
  one, other = run('iid'), run('other', seeds=(7,))
  numbers = {
    ('iid', ROUNDS): [Number.exactly(10), Number.exactly(30)],
    ('other', ROUNDS): [Number.exactly(5)],
  }
  difference = claim(than='other', than_measure=ROUNDS, combine='difference')
  assert reproduction_schedule.claimed(
    experiment(one, other), difference, numbers
  ) == [Number.exactly(5), Number.exactly(25)]


def test_claim_on_a_run_that_failed_has_no_numbers():
  one, other = run('iid'), run('other')
  numbers = {('iid', ROUNDS): [Number.exactly(10)], ('other', ROUNDS): []}
  ratio = claim(than='other', than_measure=ROUNDS, combine='ratio')
  assert (
    reproduction_schedule.claimed(experiment(one, other), ratio, numbers) == []
  )
