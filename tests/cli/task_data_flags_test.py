"""A task's name brings the flags of its data."""

from absl import flags
from absl.testing import flagsaver
import pytest

from tff_pipelines.cli import task_data_flags


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def load(*arguments: str):
  argv = ['program', *arguments]
  group = task_data_flags.TaskDataFlags(argv)
  flags.FLAGS(argv)
  for each in group.groups:
    each.check()
  return group.load(0)


@pytest.mark.parametrize(
  ('arguments', 'name', 'num_clients'),
  [
    ([], 'small_digits', 50),
    (['--num_clients=7'], 'small_digits', 7),
    (['--task=spam_classification', '--world=tiny'], 'messages', 3),
    (['--people=6', '--task', 'spam_classification'], 'messages', 6),
    (['--task=heat_map', '--users=5'], 'grid', 5),
  ],
)
def test_data_of_a_task(arguments, name, num_clients):
  dataset = load(*arguments)
  assert (dataset.name, dataset.train.num_clients) == (name, num_clients)


@pytest.mark.slow
def test_typed_text():
  dataset = load('--task=next_word_prediction', '--people=20')
  assert dataset.name == 'dialects'
  assert not dataset.label_names


def test_a_flagfile_can_name_the_task(tmp_path):
  path = tmp_path / 'map.flags'
  path.write_text('--task=heat_map\n--users=3\n')
  assert load(f'--flagfile={path}').train.num_clients == 3


@pytest.mark.parametrize(
  ('arguments', 'told'),
  [
    (['--task=dinner'], 'value should be one of <digits|spam_classification|'),
    (['--task=heat_map', '--partition=iid'], "Unknown command line flag 'part"),
    (['--flagfile=/nowhere.flags'], 'nowhere.flags'),
  ],
)
def test_what_there_is_not_is_told_by_the_flags_themselves(arguments, told):
  with pytest.raises(flags.Error) as raised:
    load(*arguments)
  assert told in str(raised.value)
