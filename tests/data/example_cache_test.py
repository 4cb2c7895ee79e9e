"""An example cache holds what was written, for this project and for TFF."""

import collections
import multiprocessing
import pathlib
import pickle
import sqlite3
import threading

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.data import example_cache, example_protos, population

NUM_ROWS = 40
RNG = np.random.default_rng(0)
SEQUENCES = (
  RNG.integers(0, 100, [NUM_ROWS, 5]).astype(np.int32),
  RNG.integers(0, 100, [NUM_ROWS, 5]).astype(np.int32),
)
ROWS = {'zoë b.': [3, 1, 2], 'nobody': [], 'ann': list(range(4, NUM_ROWS))}


def people(examples=SEQUENCES, rows=None) -> population.ArrayPopulation:
  return population.ArrayPopulation(examples, rows or ROWS)


@pytest.fixture
def path(tmp_path) -> pathlib.Path:
  return tmp_path / 'examples.sqlite'


def assert_same(found, expected) -> None:
  assert found.client_ids == expected.client_ids
  assert found.element_spec == expected.element_spec
  for client in range(expected.num_clients):
    assert_equal(found.examples(client), expected.examples(client))


def assert_equal(found, expected) -> None:
  tf.nest.assert_same_structure(found, expected)
  for one, other in zip(
    tf.nest.flatten(found), tf.nest.flatten(expected), strict=True
  ):
    assert one.dtype == other.dtype
    np.testing.assert_array_equal(one, other)


# Columns that are at the ends of their types' ranges.
def ends(kind: type) -> np.ndarray:
  info = (np.iinfo if issubclass(kind, np.integer) else np.finfo)(kind)
  values = [info.min, info.max, 0, 1]
  if issubclass(kind, np.floating):
    values += [info.tiny, info.eps, np.inf, -np.inf, np.nan]
  return np.array(values * 5, kind)[:20]


@pytest.mark.parametrize(
  'kind',
  [
    np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64,
    np.uint64, np.float16, np.float32, np.float64,
  ],
)  # fmt: skip
def test_every_type_of_number_keeps_every_bit(path, kind):
  values = ends(kind)
  expected = people(
    (values.reshape(10, 2), values[:10]), {'one': range(3), 'two': range(3, 10)}
  )
  example_cache.write(path, expected)
  assert_same(example_cache.SqlPopulation(path), expected)


@pytest.mark.parametrize(
  'examples',
  [
    np.arange(4),
    {'b': np.arange(4), 'a': np.arange(8.0).reshape(4, 1, 2)},
    (collections.OrderedDict(z=np.arange(4), a=np.arange(4) % 2 == 0), [
      np.zeros([4, 0], np.float32)
    ]),
    (np.arange(4), (np.ones(4), np.zeros(4)), np.arange(4)),
  ],
)  # fmt: skip
def test_structures_come_back_as_they_were(path, examples):
  expected = people(examples, {'one': [2, 1], 'two': [0, 3]})
  example_cache.write(path, expected)
  found = example_cache.SqlPopulation(path)
  assert_same(found, expected)
  assert type(found.examples(0)) is type(examples)


def test_texts_come_back_as_bytes(path):
  texts = np.array(['grüße', '', 'a\nb'])
  example_cache.write(path, people((texts, np.arange(3)), {'one': [2, 0, 1]}))
  x, y = example_cache.SqlPopulation(path).examples(0)
  assert list(x) == [b'a\nb', 'grüße'.encode(), b'']
  np.testing.assert_array_equal(y, [2, 0, 1])


@pytest.mark.parametrize(
  'examples, names',
  [
    (SEQUENCES, {'x', 'y'}),
    (({'ids': SEQUENCES[0]}, SEQUENCES[1]), {'x/ids', 'y'}),
  ],
)
def test_sql_client_data_of_tff_reads_the_same_examples(path, examples, names):
  expected = people(examples)
  example_cache.write(path, people(examples, {'ann': [0]}), 'test')
  example_cache.write(path, expected, 'train')
  raw = tff.simulation.datasets.SqlClientData(str(path), 'train')
  parse = example_protos.parser(expected.element_spec)
  parsed = raw.preprocess(lambda dataset: dataset.map(parse))
  assert raw.client_ids == sorted(expected.client_ids)
  for client, name in enumerate(expected.client_ids):
    dataset = parsed.create_tf_dataset_for_client(name)
    assert dataset.element_spec == expected.element_spec
    found = list(dataset.as_numpy_iterator())
    assert len(found) == expected.sizes[client]
    if found:
      assert_equal(
        tf.nest.map_structure(lambda *rows: np.stack(rows), *found),
        expected.examples(client),
      )
  first = next(raw.create_tf_dataset_for_client('ann').as_numpy_iterator())
  assert set(tf.train.Example.FromString(first).features.feature) == names


def test_rows_far_apart_are_the_same_as_rows_side_by_side(path):
  rows = {'few': [5], 'many': np.arange(NUM_ROWS).repeat(50)}
  example_cache.write(path, people(rows=rows))
  found = example_cache.SqlPopulation(path)
  for chosen in ([1999, 0, 7, 0], [3, 2, 4], list(range(0, 2000, 30))):
    assert_equal(
      found.examples(1, np.array(chosen)),
      people(rows=rows).examples(1, np.array(chosen)),
    )


@pytest.mark.parametrize('row', [-1, 3])
def test_rows_of_another_client_are_not_to_be_had(path, row):
  example_cache.write(path, people())
  with pytest.raises(IndexError, match=r'^Expected rows from 0 to 2 of client'):
    example_cache.SqlPopulation(path).examples(0, np.array([row]))


def test_splits_are_kept_and_replaced_by_name(path):
  first, second = people(rows={'a': [1, 2]}), people(rows={'b': [3], 'c': [4]})
  example_cache.write(path, first, 'train')
  example_cache.write(path, first, 'test')
  example_cache.write(path, second, 'train')
  assert example_cache.splits(path) == ('test', 'train')
  assert_same(example_cache.SqlPopulation(path, 'test'), first)
  assert_same(example_cache.SqlPopulation(path, 'train'), second)


def test_same_population_gives_the_same_bytes(path, tmp_path):
  for name in ('one', 'other'):
    example_cache.write(tmp_path / name, people())
  assert (tmp_path / 'one').read_bytes() == (tmp_path / 'other').read_bytes()


def test_index_is_all_that_stays_in_memory(path):
  """Nothing of the examples is read before it is asked for."""
  example_cache.write(path, people())
  found = example_cache.SqlPopulation(path)
  held = len(pickle.dumps(found.__dict__['client_ids']))
  assert held < 100
  arrays = [v for v in vars(found).values() if isinstance(v, np.ndarray)]
  assert sum(a.nbytes for a in arrays) == 2 * 8 * len(ROWS)


# Threads and processes.


def test_threads_read_at_the_same_time(path):
  example_cache.write(path, people())
  found = example_cache.SqlPopulation(path)
  results = {}

  def read(thread: int) -> None:
    results[thread] = [found.examples(c) for c in (2, 0, 1) * 20]

  threads = [threading.Thread(target=read, args=[t]) for t in range(4)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  for thread in range(4):
    for client, examples in zip((2, 0, 1) * 20, results[thread], strict=True):
      assert_equal(examples, people().examples(client))


def test_a_pickled_population_opens_its_file_anew(path):
  example_cache.write(path, people(), 'test')
  found = example_cache.SqlPopulation(path, 'test')
  assert_same(pickle.loads(pickle.dumps(found)), people())


def test_a_forked_process_does_not_use_its_parents_connection(path):
  example_cache.write(path, people())
  found = example_cache.SqlPopulation(path)
  fork = multiprocessing.get_context('fork')
  receive, send = fork.Pipe(duplex=False)

  def child() -> None:
    connection = found._connection()
    send.send(connection is not parents)
    send.send(connection.execute('SELECT COUNT(*) FROM examples').fetchone())

  parents = found._connection()
  process = fork.Process(target=child)
  process.start()
  assert receive.poll(60) and receive.recv() is True
  assert receive.recv() == (39,)
  process.join()
  assert found._connection() is parents


def test_a_file_that_was_replaced_is_not_mixed_with_the_old_index(path):
  example_cache.write(path, people())
  found = example_cache.SqlPopulation(path)
  example_cache.write(path, people(rows={'another': [1]}))
  assert_equal(found.examples(0), people().examples(0))  # The old file.
  told = []

  def read() -> None:
    with pytest.raises(example_cache.ExampleCacheError) as raised:
      found.examples(0)
    told.append(str(raised.value))

  thread = threading.Thread(target=read)
  thread.start()
  thread.join()
  assert 'as it was when it was opened, found another file' in told[0]


# What goes wrong.


class _FailsLater(population.ClientPopulation):
  """Its second client cannot be read."""

  def __init__(self, base: population.ClientPopulation):
    self._base = base
    self.client_ids, self.sizes = base.client_ids, base.sizes
    self.element_spec = base.element_spec

  def examples(self, client, rows=None):
    if client == 1:
      raise KeyboardInterrupt
    return self._base.examples(client, rows)


def test_an_interrupted_write_leaves_what_was_there(path):
  example_cache.write(path, people())
  before = path.read_bytes()
  with pytest.raises(KeyboardInterrupt):
    example_cache.write(path, _FailsLater(people(rows={'a': [1], 'b': [2]})))
  assert path.read_bytes() == before
  assert list(path.parent.iterdir()) == [path]


def test_a_write_below_a_file_is_refused(tmp_path):
  (tmp_path / 'blocked').write_text('a file, not a folder')
  with pytest.raises(
    example_cache.ExampleCacheError, match=r'^Expected to write an example'
  ):
    example_cache.write(tmp_path / 'blocked' / 'examples.sqlite', people())


def test_a_missing_file_is_told(path):
  with pytest.raises(example_cache.ExampleCacheError) as raised:
    example_cache.SqlPopulation(path)
  assert str(raised.value) == (
    f'Expected an example cache at {path}, found no file; write one first.'
  )


def test_a_missing_split_is_told_with_those_there_are(path):
  example_cache.write(path, people(), 'train')
  with pytest.raises(example_cache.ExampleCacheError) as raised:
    example_cache.SqlPopulation(path, 'test')
  assert str(raised.value) == (
    f"Expected the split 'test' in {path}, found 'train'; name one of these."
  )


def _no_database(path: pathlib.Path) -> None:
  path.write_bytes(b'person,text\n' * 100)


def _empty(path: pathlib.Path) -> None:
  path.write_bytes(b'')


def _foreign(path: pathlib.Path) -> None:
  path.unlink()
  with sqlite3.connect(path) as connection:
    connection.execute('CREATE TABLE examples(client_id TEXT)')
  connection.close()


def _truncated(path: pathlib.Path) -> None:
  path.write_bytes(path.read_bytes()[:-100])


def _scrambled(path: pathlib.Path) -> None:
  whole = path.read_bytes()
  path.write_bytes(whole[:100] + bytes(len(whole) - 100))


def _without_rows(path: pathlib.Path) -> None:
  with sqlite3.connect(path) as connection:
    connection.execute('DELETE FROM examples WHERE example_id = 2')
  connection.close()


def _with_other_rows(path: pathlib.Path) -> None:
  with sqlite3.connect(path) as connection:
    connection.execute("UPDATE examples SET serialized_example_proto = 'no'")
  connection.close()


@pytest.mark.parametrize(
  'damage, told',
  [
    (_no_database, 'whole example cache at {}, found: file is not a database'),
    (_empty, 'whole example cache at {}, found: file is not a database'),
    (_foreign, 'cache at {}, found an SQLite database of another kind'),
    (_truncated, 'whole example cache at {}, found: '),
    (_scrambled, 'whole example cache at {}, found: '),
    (_without_rows, "found: examples of client 'zoë b.' are missing"),
    (_with_other_rows, 'whole example cache at {}, found: '),
  ],
)
def test_a_broken_file_is_told_in_a_sentence(path, damage, told):
  example_cache.write(path, people())
  damage(path)
  with pytest.raises(example_cache.ExampleCacheError) as raised:
    example_cache.SqlPopulation(path).examples(0)
  assert told.format(path) in str(raised.value)
  assert '\n' not in str(raised.value)


@pytest.mark.parametrize('damage', [_no_database, _foreign, _truncated])
def test_what_is_no_cache_is_not_written_over(path, damage):
  example_cache.write(path, people())
  damage(path)
  before = path.read_bytes()
  with pytest.raises(example_cache.ExampleCacheError):
    example_cache.write(path, people())
  assert path.read_bytes() == before


@pytest.mark.parametrize(
  'spec, told',
  [
    (tf.TensorSpec([None], tf.int32), 'of a fixed shape, found (None,)'),
    (tf.TensorSpec([], tf.complex64), 'or texts, found complex64'),
    (tff.types.to_type(np.int32), 'and mappings, found a TensorType'),
  ],
)
def test_examples_of_another_kind_are_refused(path, spec, told):
  clients = people()
  clients.element_spec = spec
  with pytest.raises(example_protos.ExampleTypeError) as raised:
    example_cache.write(path, clients)
  assert told in str(raised.value)
  assert not list(path.parent.iterdir())
