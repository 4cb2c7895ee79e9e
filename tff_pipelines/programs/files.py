"""Files that are whole or not there, and failures to write as a sentence."""

from collections.abc import Iterable, Iterator, Sequence
import contextlib
import csv
import errno
import io
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
from typing import Any

import numpy as np

from tff_pipelines.core import errors

_PARTIAL = '.partial'


class SavingFailedError(errors.PipelineError):
  """Something that has to last could not be written."""


@contextlib.contextmanager
def saving(what: str, path: pathlib.Path) -> Iterator[None]:
  """Turns failures to write in the block into `SavingFailedError`."""
  try:
    yield
  except _failures() as error:
    # Without the {{name of a graph's node}} that TensorFlow puts first.
    reason = re.sub(r'^{{.*?}} ', '', str(error).strip())
    reason = (reason or type(error).__name__).splitlines()[0][:300]
    raise SavingFailedError(
      f'Expected to write {what} at {path}, found: {reason}. The run stopped '
      'and what was saved before is whole; make room (or the folder '
      'writable) and run the same command to resume.'
    ) from error


def _failures() -> tuple[type[BaseException], ...]:
  """What a failure to write is: TensorFlow's errors, too, if it is loaded."""
  tensorflow = sys.modules.get('tensorflow')
  if tensorflow is None:
    return (OSError,)
  return (OSError, tensorflow.errors.OpError)


def csv_text(head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
  """Returns a table as CSV, its lines ended by newlines alone."""
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(head)
  writer.writerows(rows)
  return text.getvalue()


def write_text(path: pathlib.Path, text: str) -> None:
  """Writes a file in one step: readers see the old content or the new."""
  write_bytes(path, text.encode('utf-8'))


def write_array(path: pathlib.Path, array: np.ndarray) -> None:
  """Writes an array as `np.load` reads it, in one step."""
  content = io.BytesIO()
  np.save(content, array, allow_pickle=False)
  write_bytes(path, content.getvalue())


def write_bytes(path: pathlib.Path, content: bytes) -> None:
  """Writes a file in one step: readers see the old content or the new."""
  with saving(path.name, path.parent):
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(
      prefix=path.name, suffix=_PARTIAL, dir=path.parent
    )
    try:
      with os.fdopen(handle, 'wb') as file:
        file.write(content)
      os.chmod(partial, 0o644)
      os.replace(partial, path)
    except BaseException:
      with contextlib.suppress(OSError):
        os.unlink(partial)
      raise


def append_text(path: pathlib.Path, text: str) -> None:
  """Adds text to the end of a file, all of it or nothing.

  In one call of the operating system, which a killed process has made or not.

  Raises:
    OSError: If it cannot be written; the file is as before.
  """
  content = text.encode('utf-8')
  handle = os.open(path, os.O_WRONLY | os.O_APPEND)
  try:
    size = os.fstat(handle).st_size
    if os.write(handle, content) < len(content):
      os.ftruncate(handle, size)
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
  finally:
    os.close(handle)


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes plain values as JSON in one step."""
  write_text(path, json.dumps(value, indent=2, allow_nan=True) + '\n')


@contextlib.contextmanager
def writing_folder(path: pathlib.Path) -> Iterator[pathlib.Path]:
  """Gives a folder to fill that appears at `path` when the block ends well.

  What was at `path` before is replaced.
  """
  with saving(path.name, path.parent):
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = pathlib.Path(
      tempfile.mkdtemp(prefix=path.name, suffix=_PARTIAL, dir=path.parent)
    )
    try:
      yield partial
      os.chmod(partial, 0o755)
      if path.exists():
        shutil.rmtree(path)
      os.replace(partial, path)
    except BaseException:
      shutil.rmtree(partial, ignore_errors=True)
      raise


def remove_leftovers(folder: pathlib.Path) -> None:
  """Removes what a killed process left half written directly in `folder`.

  Ours end in `.partial`; TFF's release and state managers write to `NAME_temp`
  and four digits.
  """
  four_digits = '[0-9]' * 4
  for path in [
    *folder.glob(f'*{_PARTIAL}'),
    *folder.glob(f'*_temp{four_digits}'),
  ]:
    if path.is_dir():
      shutil.rmtree(path, ignore_errors=True)
    else:
      path.unlink(missing_ok=True)
