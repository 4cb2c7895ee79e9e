"""Program states survive saving, and a process that ends while it saves."""

import asyncio
import collections
import os
import pathlib
import shutil
import subprocess
import sys

import attrs
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.programs import checkpoints, files

REPOSITORY = pathlib.Path(__file__).parents[2]


@attrs.define
class Momentum:
  """A level of a state as an attrs class, as tff.learning has some."""

  velocity: object
  step: object


def state(number: float) -> object:
  """A process state with every kind of level and leaf that TFF's have."""
  return collections.OrderedDict(
    weights=tff.learning.models.ModelWeights(
      trainable=(np.array([[number, 2.5]], np.float32), np.float32(number)),
      non_trainable=(),
    ),
    # Not in the order of the alphabet.
    optimizer=collections.OrderedDict(
      momentum=Momentum(np.array([number / 3], np.float64), np.int64(2**62)),
      learning_rate=number,
    ),
    aggregator=((), [np.int32(-1), np.array([True, False])], np.uint8(255)),
    empty=np.zeros([0, 3], np.float32),
  )


def save(
  saved: checkpoints.Checkpoints, round_num: int, process_state=None
) -> None:
  if process_state is None:
    process_state = state(float(round_num))
  asyncio.run(
    saved.save(
      checkpoints.ProgramState(process_state, round_num, 0.1 * round_num)
    )
  )


def load(saved: checkpoints.Checkpoints) -> checkpoints.ProgramState | None:
  return asyncio.run(saved.load_latest(state(0.0)))


def rounds_in(folder: pathlib.Path) -> list[str]:
  return sorted(path.name for path in folder.iterdir())


def assert_equal_bits(found, expected) -> None:
  tf.nest.assert_same_structure(found, expected)
  for a, b in zip(
    tf.nest.flatten(found), tf.nest.flatten(expected), strict=True
  ):
    assert np.asarray(a).dtype == np.asarray(b).dtype
    assert np.shape(a) == np.shape(b)
    assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.fixture(scope='module')
def three_rounds(tmp_path_factory) -> pathlib.Path:
  """A folder after saving rounds 0, 5 and 10; tests copy it."""
  folder = tmp_path_factory.mktemp('saved') / 'checkpoints'
  saved = checkpoints.Checkpoints(folder)
  for round_num in (0, 5, 10):
    save(saved, round_num)
  return folder


@pytest.fixture
def folder(three_rounds, tmp_path) -> pathlib.Path:
  return shutil.copytree(three_rounds, tmp_path / 'checkpoints')


def test_nothing_saved_is_none(tmp_path):
  assert load(checkpoints.Checkpoints(tmp_path / 'a' / 'checkpoints')) is None
  assert rounds_in(tmp_path / 'a' / 'checkpoints') == []


def test_nested_state_is_read_back_with_structure_types_and_every_bit(folder):
  found = load(checkpoints.Checkpoints(folder))
  assert (found.round_num, found.elapsed_seconds) == (10, 1.0)
  assert type(found.round_num) is int
  assert_equal_bits(found.process_state, state(10.0))
  assert list(found.process_state['optimizer']) == ['momentum', 'learning_rate']
  assert type(found.process_state['optimizer']['momentum']) is Momentum


def test_the_last_two_are_kept_and_the_first_is_not_special(folder):
  assert rounds_in(folder) == ['round_10', 'round_5']


def test_number_of_kept_ones_can_be_chosen(tmp_path):
  saved = checkpoints.Checkpoints(tmp_path, keep=1)
  for round_num in (1, 2):
    save(saved, round_num, process_state=())
  assert rounds_in(tmp_path) == ['round_2']


def test_latest_is_the_highest_round_and_not_the_last_by_name(folder):
  saved = checkpoints.Checkpoints(folder)
  # round_9 sorts after round_10.
  shutil.move(folder / 'round_5', folder / 'round_9')
  assert load(saved).round_num == 10


def test_saving_a_round_twice_keeps_the_first(folder):
  saved = checkpoints.Checkpoints(folder)
  save(saved, 10, process_state=state(-1.0))
  assert_equal_bits(load(saved).process_state, state(10.0))
  assert rounds_in(folder) == ['round_10', 'round_5']


def test_half_written_one_is_ignored_and_removed(folder):
  saved = checkpoints.Checkpoints(folder)
  half = shutil.copytree(folder / 'round_10', folder / 'round_15_temp1234')
  (half / 'saved_model.pb').unlink()
  assert load(saved).round_num == 10
  found = load(checkpoints.Checkpoints(folder))
  assert found.round_num == 10
  assert rounds_in(folder) == ['round_10', 'round_5']


def test_one_that_was_being_removed_is_no_obstacle(folder):
  (folder / 'round_5' / 'saved_model.pb').unlink()
  saved = checkpoints.Checkpoints(folder)
  assert load(saved).round_num == 10
  save(saved, 11)
  assert rounds_in(folder) == ['round_10', 'round_11']


MODEL = 'saved_model.pb'
INDEX = 'variables/variables.index'
DATA = 'variables/variables.data-00000-of-00001'


def cut(path: pathlib.Path, share: float) -> None:
  content = path.read_bytes()
  path.write_bytes(content[: int(len(content) * share)])


DAMAGES = {
  'empty folder': lambda f: [shutil.rmtree(f), f.mkdir()],
  'a file instead': lambda f: [shutil.rmtree(f), f.write_text('x')],
  'no model': lambda f: (f / MODEL).unlink(),
  'no data': lambda f: (f / DATA).unlink(),
  'no index': lambda f: (f / INDEX).unlink(),
  'no variables': lambda f: shutil.rmtree(f / 'variables'),
  'empty model': lambda f: cut(f / MODEL, 0),
  'empty index': lambda f: cut(f / INDEX, 0),
  'empty data': lambda f: cut(f / DATA, 0),
  **{
    f'{share} of the {name}': lambda f, n=name, s=share: cut(f / n, s)
    for share in (0.25, 0.5, 0.75, 0.99)
    for name in (MODEL, INDEX, DATA)
  },
  'zeros for data': lambda f: (f / DATA).write_bytes(
    bytes((f / DATA).stat().st_size)
  ),
}


@pytest.mark.parametrize('damage', DAMAGES)
def test_damaged_latest_is_an_error_that_names_its_folder(folder, damage):
  DAMAGES[damage](folder / 'round_10')
  with pytest.raises(checkpoints.CheckpointUnreadableError) as raised:
    load(checkpoints.Checkpoints(folder))
  assert str(raised.value) == (
    f'Expected a checkpoint in {folder}/round_10, found that it cannot be '
    'read; delete that folder to resume from the one before it.'
  )


def test_advice_of_the_error_resumes_from_the_one_before(folder):
  shutil.rmtree(folder / 'round_10')
  found = load(checkpoints.Checkpoints(folder))
  assert (found.round_num, found.elapsed_seconds) == (5, 0.5)
  assert_equal_bits(found.process_state, state(5.0))


@pytest.mark.parametrize(
  'template', [(), (np.float32(0),), {**state(0.0), 'one': 0}]
)
def test_checkpoint_of_another_process_is_unreadable(folder, template):
  saved = checkpoints.Checkpoints(folder)
  with pytest.raises(checkpoints.CheckpointUnreadableError, match='round_10'):
    asyncio.run(saved.load_latest(template))


@pytest.mark.parametrize('step', ['saved_model.save', 'io.gfile.rename'])
def test_failed_save_is_one_sentence_and_leaves_those_before(
  folder, monkeypatch, step
):
  saved = checkpoints.Checkpoints(folder)
  module, name = step.rsplit('.', 1)

  def full(*_, **__):
    raise tf.errors.ResourceExhaustedError(None, None, 'No space left')

  monkeypatch.setattr(f'tensorflow.{module}.{name}', full)
  with pytest.raises(
    files.SavingFailedError,
    match=r'write checkpoint 11 at .*points, found: No space left\. The run',
  ):
    save(saved, 11)
  monkeypatch.undo()
  found = load(checkpoints.Checkpoints(folder))
  assert found.round_num == 10
  assert rounds_in(folder) == ['round_10', 'round_5']
  save(saved, 11)
  assert load(saved).round_num == 11


def test_place_below_a_file_is_refused(tmp_path):
  (tmp_path / 'blocked').write_text('a file, not a folder')
  with pytest.raises(
    files.SavingFailedError, match=r'write checkpoints at .*b'
  ):
    checkpoints.Checkpoints(tmp_path / 'blocked' / 'checkpoints')


# TensorFlow's wrapt reads WRAPT_DISABLE_EXTENSIONS when it is first imported,
# here before tff_pipelines can set it.
_TENSORFLOW_FIRST = """
import tensorflow as tf
import asyncio, collections, pathlib, sys
import numpy as np
from tff_pipelines.programs import checkpoints

template = collections.OrderedDict(a=(np.float32(0), [np.int64(0)]))
state = collections.OrderedDict(a=(np.float32(1.5), [np.int64(7)]))

async def save_and_load():
  saved = checkpoints.Checkpoints(pathlib.Path(sys.argv[1]))
  await saved.save(checkpoints.ProgramState(state, 3, 0.25))
  return await saved.load_latest(template)

print(asyncio.run(save_and_load()) == checkpoints.ProgramState(state, 3, 0.25))
"""


@pytest.mark.slow
def test_saving_works_where_tensorflow_was_imported_first(tmp_path):
  environment = {**os.environ}
  environment.pop('WRAPT_DISABLE_EXTENSIONS', None)
  done = subprocess.run(
    [sys.executable, '-W', 'ignore', '-c', _TENSORFLOW_FIRST, tmp_path],
    cwd=REPOSITORY,
    env=environment,
    capture_output=True,
    text=True,
    timeout=600,
  )
  assert done.stdout == 'True\n', done.stderr


def test_participation_history_is_read_back(tmp_path):
  saved = checkpoints.Checkpoints(tmp_path)
  history = np.array([[2, 5], [0, 0], [1, 3]], np.int32)
  kept = checkpoints.ProgramState(
    state(1.0), 5, 0.5, participation_history=history
  )
  asyncio.run(saved.save(kept))
  found = load(saved).participation_history
  assert found.dtype == np.int32
  np.testing.assert_array_equal(found, history)


def test_without_a_history_there_is_none(folder):
  found = load(checkpoints.Checkpoints(folder))
  assert found.participation_history is checkpoints.NO_HISTORY
