"""Fixtures that several folders of tests share."""

import gc
import os
import pathlib
import signal
import time

import pytest

import tff_pipelines  # noqa: F401  (sets TensorFlow's environment first)

DATA_VARIABLE = 'TFF_PIPELINES_DATA_DIR'

# A shell starts background jobs with Ctrl-C ignored, and programs inherit that:
# those that the tests interrupt would go on for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
  signal.signal(signal.SIGINT, signal.default_int_handler)


# Graphs are made of many objects that live long: the default of 700 new ones
# between collections costs a tenth of the time.
gc.set_threshold(50_000, 20, 50)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
  """Orders the tests so that no core is left without work.

  Whole commands come first, lest a process ends with a long one; last comes the
  one that starts processes for all cores itself.
  """

  def turn(item: pytest.Item) -> int:
    if item.path.name == 'reproduce_test.py':
      return 2
    return 0 if 'integration' in item.path.parts else 1

  items.sort(key=turn)


@pytest.fixture(scope='module', autouse=True)
def _forget_earlier_modules():
  """Keeps the garbage collector off what earlier modules left.

  TensorFlow never lets go of graphs, and every full collection would walk
  through the millions of objects of all tests before: ten times the work.
  """
  yield
  gc.collect()
  gc.freeze()


@pytest.fixture(scope='session')
def real_data_dir() -> pathlib.Path:
  """The folder of real data sets; without it the test says so and is skipped.

  .ci/run fails if the folder is missing, so nothing is skipped there.
  """
  given = os.environ.get(DATA_VARIABLE)
  if not given:
    pytest.skip(f'needs real data: set {DATA_VARIABLE} to its folder')
  return pathlib.Path(given)


@pytest.fixture
def clock(monkeypatch):
  """A clock that stands still until a test moves it."""

  class Clock:
    now = 100.0

  monkeypatch.setattr(time, 'monotonic', lambda: Clock.now)
  return Clock


@pytest.fixture(scope='module')
def native_context():
  """TFF's own runtime, ended with the module's tests."""
  from tff_pipelines.execution import contexts

  with contexts.using('native') as context:
    yield context
