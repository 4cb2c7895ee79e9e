"""Groups of flags: declared on absl's registry, useless ones refused."""

from absl import flags
from absl.testing import flagsaver
import pytest

from tff_pipelines.cli import flag_groups
from tff_pipelines.core import errors


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def group() -> flag_groups.FlagGroup:
  """Flags of a meal: `wine` only with dishes, `vintage` only with red wine."""
  meal = flag_groups.FlagGroup('The meal')
  meal.define('dish', 'soup', 'what to eat', choices=('soup', 'fish', 'stew'))
  meal.define(
    'wine',
    'white',
    'what to drink',
    choices=('white', 'red'),
    only_with=('dish', ('fish', 'stew')),
  )
  meal.define('vintage', 1999, 'its year', only_with=('wine', ('red',)))
  meal.define('salt', 0.5, 'grams')
  meal.define('hot', True, 'whether it is warmed up')
  meal.define('guests', ['ann', 'bob'], 'who is there')
  meal.define('note', None, 'for the cook', identifies_run=False)
  meal.define('table', None, 'its number', kind=int)
  return meal


def parse(*arguments: str) -> None:
  flags.FLAGS(['program', *arguments])


def test_defaults_tell_the_types():
  meal = group()
  parse()
  assert meal.configuration() == {
    'dish': 'soup',
    'wine': 'white',
    'vintage': 1999,
    'salt': 0.5,
    'hot': True,
    'guests': ['ann', 'bob'],
    'table': None,
  }


def test_values_are_parsed_to_the_types_of_the_defaults():
  meal = group()
  parse(
    '--dish=stew', '--wine=red', '--vintage=2001', '--salt=1e-1', '--nohot',
    '--guests=eve,dan,kim', '--note=quick', '--table=3',
  )  # fmt: skip
  meal.check()
  assert meal.configuration() == {
    'dish': 'stew',
    'wine': 'red',
    'vintage': 2001,
    'salt': 0.1,
    'hot': False,
    'guests': ['eve', 'dan', 'kim'],
    'table': 3,
  }
  assert flags.FLAGS['note'].value == 'quick'


def test_holder_gives_the_value():
  holder = flag_groups.FlagGroup('Other').define('colour', 'red', 'which')
  parse('--colour=blue')
  assert (holder.name, holder.value, holder.present) == ('colour', 'blue', 1)


@pytest.mark.parametrize(
  'argument, told',
  [
    ('--dish=cake', 'value should be one of <soup|fish|stew>'),
    ('--vintage=old', "invalid literal for int() with base 10: 'old'"),
    ('--salt=much', "could not convert string to float: 'much'"),
    ('--hot=warm', 'Non-boolean argument to boolean flag'),
    ('--dishh=soup', "Unknown command line flag 'dishh'. Did you mean: dish"),
  ],
)
def test_values_of_another_type_and_unknown_flags_are_refused(argument, told):
  group()
  with pytest.raises(flags.Error) as raised:
    parse(argument)
  assert told in str(raised.value)


def test_name_that_is_taken_is_refused():
  group()
  with pytest.raises(flags.DuplicateFlagError, match='salt'):
    flag_groups.FlagGroup('Other').define('salt', 1.0, 'pinches')


@pytest.mark.parametrize(
  'arguments',
  [
    (),
    ('--dish=fish', '--wine=white'),
    ('--wine=red', '--dish=stew'),
    ('--dish=stew', '--wine=red', '--vintage=1990'),
    # Only what is given can be useless: the default of wine is no mistake.
    ('--dish=soup',),
  ],
)
def test_flags_with_an_effect_are_accepted(arguments):
  meal = group()
  parse(*arguments)
  meal.check()
  assert flags.FLAGS['dish'].value in ('soup', 'fish', 'stew')


@pytest.mark.parametrize(
  'arguments, message',
  [
    (
      ('--wine=white',),
      'Expected --dish=fish or --dish=stew where --wine is given, found '
      '--dish=soup, with which it has no effect; remove one of them.',
    ),
    (
      ('--dish=fish', '--vintage=1990'),
      'Expected --wine=red where --vintage is given, found --wine=white, with '
      'which it has no effect; remove one of them.',
    ),
  ],
)
def test_flag_without_an_effect_is_refused_by_name(arguments, message):
  meal = group()
  parse(*arguments)
  with pytest.raises(flag_groups.FlagError) as raised:
    meal.check()
  assert isinstance(raised.value, errors.PipelineError)
  assert str(raised.value) == message


def test_flag_whose_choice_is_itself_without_effect_is_refused():
  meal = flag_groups.FlagGroup('The meal')
  meal.define('dish', 'soup', 'what to eat', choices=('soup', 'fish'))
  meal.define('wine', 'red', 'what to drink', only_with=('dish', ('fish',)))
  meal.define('vintage', 1999, 'its year', only_with=('wine', ('red',)))
  parse('--vintage=1990')
  with pytest.raises(
    flag_groups.FlagError,
    match=r'^Expected --dish=fish where --vintage is given, found --dish=soup,',
  ):
    meal.check()


def test_choice_can_be_of_another_group():
  group()
  dessert = flag_groups.FlagGroup('The dessert')
  dessert.define('cream', 1, 'spoons', only_with=('dish', ('soup',)))
  parse('--cream=2')
  dessert.check()
  parse('--dish=fish')
  with pytest.raises(flag_groups.FlagError, match='--dish=soup where --cream'):
    dessert.check()


@pytest.mark.parametrize('has_dessert', [False, True])
def test_a_second_choice_is_enough_where_the_task_has_it(has_dessert):
  meal = flag_groups.FlagGroup('The meal')
  meal.define('dish', 'soup', 'what to eat', choices=('soup', 'fish'))
  meal.define(
    'fork', 'big', 'its size', only_with=('dish', ('fish',)),
    or_with=('dessert', ('cake', 'pie')),
  )  # fmt: skip
  if has_dessert:
    meal.define('dessert', ['ice'], 'what comes last')
    parse('--fork=small', '--dessert=ice,pie')
    meal.check()
    parse('--dessert=ice')
  else:
    parse('--fork=small')
  with pytest.raises(
    flag_groups.FlagError, match=r'^Expected --dish=fish where --fork is given'
  ):
    meal.check()
  (_, line) = meal.help_lines()[1]
  assert line == 'its size (with --dish=fish or --dessert=cake|pie)'


def test_configuration_leaves_out_what_does_not_identify_a_run():
  meal = group()
  parse('--note=quick')
  assert 'note' not in meal.configuration()


def test_help_shows_how_a_flag_is_written_and_when_it_counts():
  assert group().help_lines() == [
    ('--dish=soup', '<soup|fish|stew>: what to eat'),
    ('--wine=white', '<white|red>: what to drink (with --dish=fish|stew)'),
    ('--vintage=1999', 'its year (with --wine=red)'),
    ('--salt=0.5', 'grams'),
    ('--hot=true', 'whether it is warmed up'),
    ('--guests=ann,bob', 'who is there'),
    ('--note', 'for the cook'),
    ('--table', 'its number'),
  ]


@pytest.mark.parametrize(
  'chosen, told',
  [
    ('ann,bob', None),
    ('eve,ann', None),
    ('eve,dan', '--gift is given, found --guests=eve,dan, with which it'),
  ],
)
def test_one_element_of_a_list_is_enough_to_have_an_effect(chosen, told):
  meal = group()
  meal.define('gift', 'tea', 'for ann', only_with=('guests', ('ann',)))
  parse(f'--guests={chosen}', '--gift=salt')
  if told is None:
    meal.check()
    return
  with pytest.raises(flag_groups.FlagError, match=told):
    meal.check()


@pytest.mark.parametrize(
  'given, numbers', [('3,-4', (3, -4)), ('', ()), ('7', (7,))]
)
def test_whole_numbers_of_a_list(given, numbers):
  holder = flag_groups.FlagGroup('Sizes').define('sizes', ['1'], 'sizes')
  parse(f'--sizes={given}')
  assert flag_groups.whole_numbers(holder, '2,3') == numbers


def test_numbers_that_are_not_whole_are_refused():
  holder = flag_groups.FlagGroup('Sizes').define('sizes', ['1'], 'sizes')
  parse('--sizes=3,4.5')
  with pytest.raises(flag_groups.FlagError) as raised:
    flag_groups.whole_numbers(holder, '2,3')
  assert str(raised.value) == (
    'Expected whole numbers in --sizes, such as 2,3, found 3,4.5.'
  )


def test_given_are_flags_of_the_command_line_also_with_their_defaults():
  numbers = flag_groups.FlagGroup('Numbers')
  for name in ('first', 'second', 'third'):
    numbers.define(name, 1, 'a number')
  parse('--third=1', '--first=2')
  assert numbers.given_flags() == ['first', 'third']
