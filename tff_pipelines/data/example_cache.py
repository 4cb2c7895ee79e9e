"""Example caches as on a device: one SQLite file, one row an example.

Clients' examples lie on disk and are read a cohort at a time; in memory is the
index alone: names, sizes, where a client's rows begin. The tables are those
that `tff.simulation.datasets.SqlClientData` reads:

  examples(split_name, client_id, serialized_example_proto, ...)
  client_metadata(client_id, split_name, num_examples, ...)

An example is a `tf.train.Example` as `example_protos` makes it.
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib
import json
import os
import pathlib
import sqlite3
import struct
import tempfile
import threading
from typing import Any
import urllib.parse

import numpy as np
import tensorflow as tf

from tff_pipelines.core import errors
from tff_pipelines.data import example_protos
from tff_pipelines.data import population as population_lib

_APPLICATION_ID = 0x74666578  # 'tfex': the file is one of ours.
_VERSION = 1
# Rows that are this much scattered are looked up one by one.
_SPARSE = 16

_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_VERSION};
CREATE TABLE examples(
  example_id INTEGER PRIMARY KEY,
  split_name TEXT NOT NULL,
  client_id TEXT NOT NULL,
  serialized_example_proto BLOB NOT NULL
);
CREATE TABLE client_metadata(
  client_id TEXT NOT NULL,
  split_name TEXT NOT NULL,
  num_examples INTEGER NOT NULL,
  first_example_id INTEGER NOT NULL,
  UNIQUE (split_name, client_id)
);
CREATE TABLE splits(split_name TEXT PRIMARY KEY, element_spec TEXT NOT NULL);
"""
# SqlClientData asks by both; a client's rows come in the order of their ids.
_INDEX = 'CREATE INDEX by_client ON examples(client_id, split_name);'


class ExampleCacheError(errors.PipelineError):
  """An example cache that cannot be written, or that is none."""


def write(
  path: pathlib.Path,
  population: population_lib.ClientPopulation,
  split: str = 'train',
) -> None:
  """Writes a population as one split of a cache, a client at a time.

  The file appears, or is replaced, in one step when all is written: whoever
  is reading keeps the old one, and after a failure the old one is there. Other
  splits that it holds are kept, a split of the same name is replaced.

  Args:
    path: The file.
    population: Whose examples; each client's are in memory once.
    split: The split's name.

  Raises:
    ExampleCacheError: If the file cannot be written, or if what is there is no
      example cache.
    ExampleTypeError: If it cannot hold examples of that kind.
  """
  encode = example_protos.encoder(population.element_spec)
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(path) as partial:
      with contextlib.closing(sqlite3.connect(partial)) as connection:
        # Nothing of an unfinished file is ever used.
        connection.executescript(
          'PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;' + _SCHEMA
        )
        if path.exists():
          _copy_other_splits(path, connection, split)
        _insert(connection, population, split, encode)
        connection.execute(_INDEX)
        connection.commit()
  except (OSError, sqlite3.Error) as error:
    raise ExampleCacheError(
      f'Expected to write an example cache at {path}, found: {error}; make '
      'room (or the folder writable) and write it again.'
    ) from error


def splits(path: pathlib.Path) -> tuple[str, ...]:
  """Returns the names of a cache's splits, sorted.

  Raises:
    ExampleCacheError: If there is no cache, or a broken one.
  """
  with contextlib.closing(_open(path)) as connection, _reading(path):
    return _splits(connection)


class SqlPopulation(population_lib.ClientPopulation):
  """A split of an example cache: reads a cohort's rows when they are asked for.

  Clients are in the order in which they were written. Texts come as bytes.
  Can be used by several threads, and pickled; each thread and process opens
  the file, for reading only, when it first needs it.
  """

  def __init__(self, path: pathlib.Path, split: str = 'train'):
    """Reads the index.

    Args:
      path: The file.
      split: Which of its splits.

    Raises:
      ExampleCacheError: If there is no such file, it is no example cache or a
        broken one, or it holds no such split.
    """
    self._path = path.absolute()
    self._split = split
    self._opened = threading.local()
    connection = self._connection()
    with _reading(path):
      found = connection.execute(
        'SELECT element_spec FROM splits WHERE split_name = ?', [split]
      ).fetchone()
      index = connection.execute(
        'SELECT client_id, num_examples, first_example_id FROM client_metadata '
        'WHERE split_name = ? ORDER BY rowid',
        [split],
      ).fetchall()
      there = _splits(connection)
    if found is None:
      raise ExampleCacheError(
        f'Expected the split {split!r} in {path}, found '
        f'{", ".join(map(repr, there)) or "none"}; name one of these.'
      )
    with _reading(path):
      self.element_spec = example_protos.structure(json.loads(found[0]))
    self.client_ids = tuple(name for name, _, _ in index)
    self.sizes = np.array([size for _, size, _ in index], np.int64)
    self._first = np.array([first for _, _, first in index], np.int64)
    # A trace of its own for each number of rows would fill the memory.
    self._parse = tf.function(
      example_protos.parser(self.element_spec),
      input_signature=[tf.TensorSpec([None], tf.string)],
      autograph=False,
    )

  def __reduce__(self) -> Any:
    return SqlPopulation, (self._path, self._split)

  def examples(self, client: int, rows: np.ndarray | None = None) -> Any:
    """See base class."""
    chosen = np.arange(self.sizes[client]) if rows is None else rows
    return self.gather([client], [chosen])

  def gather(self, clients: Sequence[int], rows: Sequence[np.ndarray]) -> Any:
    """See base class."""
    serialized: list[bytes] = []
    connection = self._connection()
    with _reading(self._path):
      for client, chosen in zip(clients, rows, strict=True):
        serialized += self._read(connection, client, np.asarray(chosen))
    with _reading(self._path):
      parsed = self._parse(
        tf.constant(serialized, tf.string, [len(serialized)])
      )
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), parsed)

  def _read(
    self, connection: sqlite3.Connection, client: int, rows: np.ndarray
  ) -> list[bytes]:
    """Returns the chosen rows of one client, serialized."""
    if not len(rows):
      return []
    distinct, places = np.unique(rows, return_inverse=True)
    if distinct[0] < 0 or distinct[-1] >= self.sizes[client]:
      raise IndexError(
        f'Expected rows from 0 to {self.sizes[client] - 1} of client '
        f'{self.client_ids[client]!r}, found {distinct[0]} to {distinct[-1]}.'
      )
    ids = self._first[client] + distinct
    select = 'SELECT serialized_example_proto FROM examples WHERE example_id '
    span = int(ids[-1] - ids[0]) + 1
    if span > _SPARSE * len(ids):
      found = connection.execute(
        select + 'IN (SELECT value FROM json_each(?)) ORDER BY example_id',
        [json.dumps(ids.tolist())],
      ).fetchall()
    else:
      found = connection.execute(
        select + 'BETWEEN ? AND ? ORDER BY example_id',
        [int(ids[0]), int(ids[-1])],
      ).fetchall()
      if len(found) == span:
        found = [found[i] for i in ids - ids[0]]
    if len(found) != len(ids):
      raise sqlite3.DatabaseError(
        f'examples of client {self.client_ids[client]!r} are missing'
      )
    return [found[place][0] for place in places]

  def _connection(self) -> sqlite3.Connection:
    """This thread's connection, which a forked process must not use."""
    if getattr(self._opened, 'process', None) != os.getpid():
      connection = _open(self._path)
      # The index has to be that of the file: it may have been replaced.
      status = os.stat(self._path)
      file = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
      if getattr(self, '_file', file) != file:
        connection.close()
        raise ExampleCacheError(
          f'Expected {self._path} as it was when it was opened, found another '
          'file in its place; start again.'
        )
      self._file = file
      self._opened.connection = connection
      self._opened.process = os.getpid()
    return self._opened.connection


# The file.


def _open(path: pathlib.Path) -> sqlite3.Connection:
  """Opens a cache for reading only.

  Raises:
    ExampleCacheError: If it is not one.
  """
  if not path.is_file():
    raise ExampleCacheError(
      f'Expected an example cache at {path}, found no file; write one first.'
    )
  with _reading(path):
    _check_length(path)
    # Files are replaced, never changed, so that no lock is needed.
    connection = sqlite3.connect(
      f'file:{urllib.parse.quote(str(path.absolute()))}?mode=ro&immutable=1',
      uri=True,
      check_same_thread=False,
    )
    try:
      (application,) = connection.execute('PRAGMA application_id').fetchone()
      (version,) = connection.execute('PRAGMA user_version').fetchone()
      if (application, version) != (_APPLICATION_ID, _VERSION):
        raise ExampleCacheError(
          f'Expected an example cache at {path}, found an SQLite database of '
          'another kind; choose another path, or write the cache again.'
        )
    except BaseException:
      connection.close()
      raise
  return connection


@contextlib.contextmanager
def _reading(path: pathlib.Path) -> Iterator[None]:
  """Turns what a broken file leads to into one sentence."""
  try:
    yield
  except (
    OSError,
    sqlite3.Error,
    tf.errors.InvalidArgumentError,
    json.JSONDecodeError,
  ) as error:
    reason = str(getattr(error, 'message', None) or error).splitlines()[0]
    raise ExampleCacheError(
      f'Expected a whole example cache at {path}, found: {reason[:200]}; '
      'remove it and write it again.'
    ) from error


def _check_length(path: pathlib.Path) -> None:
  """Finds a truncated file at once, not rounds later.

  The header says the size of a page at byte 16 and the pages at byte 28
  (sqlite.org/fileformat.html, section 1.3).
  """
  with open(path, 'rb') as file:
    header = file.read(100)
  if len(header) < 100 or not header.startswith(b'SQLite format 3\0'):
    raise sqlite3.DatabaseError('file is not a database')
  (page,) = struct.unpack('>H', header[16:18])
  (pages,) = struct.unpack('>I', header[28:32])
  expected = (65536 if page == 1 else page) * pages
  found = path.stat().st_size
  if found < expected:
    raise sqlite3.DatabaseError(f'{found} of {expected} bytes')


@contextlib.contextmanager
def _replacing(path: pathlib.Path) -> Iterator[str]:
  """Gives a name to write to that becomes `path` when the block ends well."""
  handle, partial = tempfile.mkstemp(
    prefix=path.name, suffix='.partial', dir=path.parent
  )
  os.close(handle)
  try:
    yield partial
    with open(partial, 'rb') as file:
      os.fsync(file.fileno())
    os.chmod(partial, 0o644)
    os.replace(partial, path)
  except BaseException:
    with contextlib.suppress(OSError):
      os.unlink(partial)
    raise


def _splits(connection: sqlite3.Connection) -> tuple[str, ...]:
  return tuple(
    name
    for (name,) in connection.execute(
      'SELECT split_name FROM splits ORDER BY split_name'
    )
  )


def _copy_other_splits(
  path: pathlib.Path, connection: sqlite3.Connection, split: str
) -> None:
  with contextlib.closing(_open(path)) as there, _reading(path):
    if not set(_splits(there)) - {split}:
      return
  connection.commit()
  connection.execute('ATTACH ? AS old', [str(path)])
  with _reading(path):
    for table in ('examples', 'client_metadata', 'splits'):
      connection.execute(
        f'INSERT INTO main.{table} SELECT * FROM old.{table} '
        'WHERE split_name != ? ORDER BY rowid',
        [split],
      )
  connection.commit()
  connection.execute('DETACH old')


def _insert(
  connection: sqlite3.Connection,
  population: population_lib.ClientPopulation,
  split: str,
  encode: Callable[[Any], Iterator[bytes]],
) -> None:
  connection.execute(
    'INSERT INTO splits VALUES (?, ?)',
    [split, json.dumps(example_protos.description(population.element_spec))],
  )
  (last,) = connection.execute(
    'SELECT COALESCE(MAX(example_id), 0) FROM examples'
  ).fetchone()
  for client, name in enumerate(population.client_ids):
    size = int(population.sizes[client])
    connection.execute(
      'INSERT INTO client_metadata VALUES (?, ?, ?, ?)',
      [name, split, size, last + 1],
    )
    rows = zip(
      range(last + 1, last + 1 + size),
      encode(population.examples(client)),
      strict=True,
    )
    connection.executemany(
      'INSERT INTO examples VALUES (?, ?, ?, ?)',
      ((row, split, name, serialized) for row, serialized in rows),
    )
    last += size
