"""Flags of figures and sweeps, and which of them have no effect."""

from absl import flags
from absl.testing import flagsaver
import pytest

from tff_pipelines.cli import flag_groups, heat_map_flags, place_flags


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def parsed(*arguments: str) -> heat_map_flags.HeatMapFlags:
  group = heat_map_flags.HeatMapFlags()
  place_flags.PlaceFlags()
  flags.FLAGS(['program', *arguments])
  group.check()
  return group


def refusal(*arguments: str) -> str:
  with pytest.raises(flag_groups.FlagError) as raised:
    parsed(*arguments)
  return str(raised.value)


# What is drawn.


@pytest.mark.parametrize(
  ('arguments', 'figures', 'sweeps'),
  [
    ((), ('merge',), []),
    (('--figure=merge',), ('merge',), []),
    # In the order of a report, each once.
    (('--figure=privacy,drift,drift',), ('drift', 'privacy'), []),
    (('--figure=comparison',), (), []),
    (
      ('--figure=all',),
      ('merge', 'drift', 'outliers', 'fairness', 'privacy'),
      [('merge',), ('outliers',), ('noise',), ('users',), ('points',)],
    ),
    (('--sweep=steps',), (), [('steps',)]),
    (('--sweep=points,merge',), (), [('points', 'merge')]),
    (
      ('--sweep=all',),
      (),
      [('merge',), ('outliers',), ('noise',), ('users',), ('points',)],
    ),
  ],
)
def test_figures_and_sweeps_of_the_grid(arguments, figures, sweeps):
  group = parsed(*arguments)
  assert group.figures('grid') == figures
  assert group.sweeps() == sweeps


@pytest.mark.parametrize('arguments', [(), ('--figure=comparison',)])
@pytest.mark.parametrize('dataset', ['csv', 'stations'])
def test_real_places_are_compared(dataset, arguments):
  group = parsed(f'--dataset={dataset}', *arguments)
  assert group.figures(dataset) == ()
  assert group.sweeps() == []


def test_nothing_is_changed_unless_it_is_said():
  group = parsed()
  assert group.num_seeds(7) == 7
  assert group.merge_periods == ()
  assert group.steps is None
  assert group.map_steps == ()
  assert group.personalize_steps == 20
  assert group.guarantee == (4.0, 1e-5)
  assert group.guarantee_users == (16, 32, 64, 128, 256)
  assert not group.animate


def test_what_was_given_arrives():
  group = parsed(
    '--figure=all', '--seeds=3', '--merge_every=5', '--steps=9',
    '--map_steps=0,5,9', '--personalize_steps=2', '--guarantee_epsilon=2',
    '--guarantee_delta=1e-3', '--guarantee_users=8,9', '--animate',
  )  # fmt: skip
  assert group.num_seeds(7) == 3
  assert group.merge_periods == (5,)
  assert group.steps == 9
  assert group.map_steps == (0, 5, 9)
  assert group.personalize_steps == 2
  assert group.guarantee == (2.0, 1e-3)
  assert group.guarantee_users == (8, 9)
  assert group.animate


# What there is not.


@pytest.mark.parametrize(
  'found', ['fair', 'merge,fair', 'all,merge', 'drift,comparison']
)
def test_a_figure_that_there_is_not_is_refused(found):
  assert refusal(f'--figure={found}') == (
    'Expected figures out of merge, drift, outliers, fairness, privacy, or all '
    f'or comparison alone, found --figure={found}.'
  )


def test_a_figure_and_a_sweep_are_refused_together():
  assert refusal('--figure=merge', '--sweep=points') == (
    'Expected --figure or --sweep, found both; run one after the other '
    '(--figure=all has all sweeps).'
  )


@pytest.mark.parametrize(
  'found', ['weather', 'all,points', 'points,points', 'points,merge,noise']
)
def test_knobs_that_make_no_sweep_are_refused(found):
  assert refusal(f'--sweep={found}') == (
    'Expected one or two knobs out of points, merge, outliers, noise, users, '
    f'steps, or all, found --sweep={found}.'
  )


@pytest.mark.parametrize(
  'name',
  ['seeds', 'steps', 'merge_every', 'personalize_steps', 'guarantee_users'],
)
@pytest.mark.parametrize('number', [0, -3])
def test_numbers_below_one_are_refused_by_name(name, number):
  assert refusal('--figure=all', f'--{name}={number}') == (
    f'Expected --{name} of at least 1, found {number}.'
  )


def test_one_of_several_numbers_below_one_is_refused():
  assert refusal('--figure=drift', '--merge_every=2,0,4') == (
    'Expected --merge_every of at least 1, found 0.'
  )


@pytest.mark.parametrize(
  ('name', 'example'),
  [
    ('merge_every', '2,10,80'),
    ('map_steps', '20,200,400'),
    ('guarantee_users', '16,256'),
  ],
)
def test_what_is_no_number_is_refused_before_anything_runs(name, example):
  assert refusal('--figure=all', f'--{name}=2,often') == (
    f'Expected whole numbers in --{name}, such as {example}, found 2,often.'
  )


def test_more_maps_than_are_drawn_are_refused():
  assert refusal('--map_steps=1,2,3,4') == (
    'Expected at most 3 steps in --map_steps, found 1,2,3,4.'
  )


def test_a_step_that_is_named_twice_is_one_map():
  assert parsed('--map_steps=1,2,3,3').map_steps == (1, 2, 3, 3)


# What has no effect.


@pytest.mark.parametrize(
  ('arguments', 'found'),
  [
    (('--dataset=csv', '--figure=merge'), 'csv'),
    (('--dataset=stations', '--figure=all'), 'stations'),
    (('--dataset=csv', '--sweep=points'), 'csv'),
  ],
)
def test_figures_of_real_places_are_refused(arguments, found):
  assert refusal(*arguments) == (
    'Expected --dataset=grid for figures and sweeps, whose worlds are drawn '
    f'anew for every seed, found --dataset={found}; take --figure=comparison.'
  )


@pytest.mark.parametrize(
  ('flag', 'figure'),
  [
    ('map_steps=3', 'merge'),
    ('animate', 'merge'),
    ('personalize_steps=20', 'fairness'),
    ('guarantee_epsilon=1', 'privacy'),
    ('guarantee_delta=0.1', 'privacy'),
    ('guarantee_users=3', 'privacy'),
  ],
)
@pytest.mark.parametrize(
  ('arguments', 'found'),
  [
    (('--figure=drift,outliers',), '--figure=drift,outliers'),
    (('--figure=comparison',), '--figure=comparison'),
    (('--sweep=points,merge',), '--sweep=points,merge'),
    (('--dataset=csv',), '--dataset=csv'),
  ],
)
def test_flag_of_another_figure_is_refused(flag, figure, arguments, found):
  assert refusal(*arguments, f'--{flag}') == (
    f'Expected --figure={figure} where --{flag.split("=")[0]} is given, found '
    f'{found}, with which it has no effect; remove one of them.'
  )


def test_without_a_figure_it_is_merge_that_was_found():
  assert refusal('--guarantee_users=3') == (
    'Expected --figure=privacy where --guarantee_users is given, found '
    '--figure=merge, with which it has no effect; remove one of them.'
  )


@pytest.mark.parametrize('name', ['seeds', 'merge_every', 'steps'])
@pytest.mark.parametrize('found', ['--figure=comparison', '--dataset=stations'])
def test_numbers_of_figures_are_refused_with_a_comparison(name, found):
  assert refusal(found, f'--{name}=3') == (
    'Expected a figure or a sweep of --dataset=grid where '
    f'--{name} is given, found {found}, with which it has no effect; remove '
    'one of them.'
  )


@pytest.mark.parametrize(
  ('arguments', 'found'),
  [
    ((), '--figure=merge'),
    (('--figure=all',), '--figure=all'),
    (('--sweep=noise',), '--sweep=noise'),
  ],
)
def test_flags_of_a_comparison_are_refused_with_figures(arguments, found):
  training = flag_groups.FlagGroup('Training')
  training.define('rounds', 4, 'rounds')
  training.define('seed', 0, 'seed')
  # As the default, but given.
  group = parsed(*arguments, '--rounds=4', '--seed=1')
  group.check_others([], but=[])
  group.check_others([training], but=['seed', 'rounds'])
  with pytest.raises(flag_groups.FlagError) as raised:
    group.check_others([training], but=['seed'])
  assert str(raised.value) == (
    'Expected --figure=comparison where --rounds is given, found '
    f'{found}, with which it has no effect; remove one of them.'
  )
