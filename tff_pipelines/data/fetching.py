"""Finds a data file in a folder, or fetches it there once.

Whatever lies under a file's final name has the published checksum: a fetch
goes to a `.part` file next to it, which takes the final name in one step after
it was verified, and which the next attempt continues if this one is cut.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import fcntl
import hashlib
import http.client
import os
import pathlib
import shutil
import time
from typing import BinaryIO
import urllib.error
import urllib.request
import zipfile
import zlib

from tff_pipelines.core import errors

_ATTEMPTS = 4
_FIRST_PAUSE_SECONDS = 0.5  # Doubles from attempt to attempt.
_TIMEOUT_SECONDS = 30.0  # Of each operation on a socket.
_CHUNK_BYTES = 1 << 16
# What a server answers while it is overloaded or restarted.
_TRANSIENT_STATUS = frozenset({408, 429, 500, 502, 503, 504})


class ChecksumMismatchError(errors.PipelineError):
  """A data file whose bytes are not those that were published."""


class DataUnavailableError(errors.PipelineError):
  """A data file that is neither in the folder nor to be had from its source."""


class UnwritableDataDirError(errors.PipelineError):
  """A folder to which a data file cannot be written."""


class _CutError(Exception):
  """A fetch that was interrupted, and may succeed when it is continued."""


@dataclasses.dataclass(frozen=True)
class DataFile:
  """A published file.

  Attributes:
    name: Path relative to the data folder, such as 'mnist/train.gz'.
    sha256: Checksum of the file, 64 lower-case hexadecimal digits.
    size_bytes: Size of the file.
    url: Address of the file, or of a zip archive that holds it.
    homepage: Address of a page that describes the file to a person.
    member: Name of the file inside the archive; None if `url` is the file.
  """

  name: str
  sha256: str
  size_bytes: int
  url: str
  homepage: str
  member: str | None = None


def default_data_dir() -> pathlib.Path:
  """Returns the folder for data files of a user who names none."""
  cache = os.environ.get('XDG_CACHE_HOME', '')
  # The XDG specification has relative paths ignored.
  if not os.path.isabs(cache):
    return pathlib.Path.home() / '.cache' / 'tff_pipelines'
  return pathlib.Path(cache) / 'tff_pipelines'


def locate(file: DataFile, data_dir: pathlib.Path) -> pathlib.Path:
  """Returns the path of a verified file, fetched if it is not there yet.

  Args:
    file: What to find.
    data_dir: The folder under which `file.name` is looked for, and to which it
      is fetched. Not written to if the file is there.

  Returns:
    `data_dir / file.name`.

  Raises:
    ChecksumMismatchError: If the file found, or fetched, is another one.
    DataUnavailableError: If the file can be neither read nor fetched.
    UnwritableDataDirError: If a fetched file cannot be stored.
  """
  path = data_dir / file.name
  try:
    _verify(
      file,
      path,
      str(path),
      f'delete it to have it fetched again, or {_by_hand(file, path)}',
    )
    return path
  except (FileNotFoundError, NotADirectoryError):
    pass
  except OSError as error:
    raise DataUnavailableError(
      f'Could not read {path} ({_reason(error)}); make it readable, or '
      f'{_by_hand(file, path)}.'
    ) from error
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    _fetch(file, path)
  except OSError as error:  # Of the file system: see _append_rest.
    raise UnwritableDataDirError(
      f'Could not write to {path.parent} ({_reason(error)}); make it writable, '
      f'give another --data_dir, or {_by_hand(file, path)}.'
    ) from error
  return path


def locate_bare(file: DataFile, data_dir: pathlib.Path) -> pathlib.Path:
  """As `locate`, but takes the file from `data_dir` itself if it lies there."""
  bare = dataclasses.replace(file, name=pathlib.PurePath(file.name).name)
  return locate(bare if (data_dir / bare.name).exists() else file, data_dir)


def _by_hand(file: DataFile, path: pathlib.Path) -> str:
  """Returns the part of a sentence that says which file to put where."""
  member = f'its member {file.member}' if file.member else 'it'
  return (
    f'download {file.url} (homepage {file.homepage}) elsewhere and put '
    f'{member} ({file.size_bytes} bytes, sha256 {file.sha256}) at {path}'
  )


def _reason(error: Exception) -> str:
  if isinstance(error, urllib.error.HTTPError):
    return str(error)
  cause = getattr(error, 'reason', error)  # A URLError wraps the true cause.
  return getattr(cause, 'strerror', None) or str(cause) or type(cause).__name__


def _verify(
  file: DataFile, path: pathlib.Path, subject: str, remedy: str
) -> None:
  """Raises ChecksumMismatchError unless `path` holds the bytes of `file`."""
  with path.open('rb') as handle:
    found = hashlib.file_digest(handle, 'sha256').hexdigest()
    size_bytes = handle.tell()
  if found != file.sha256:
    raise ChecksumMismatchError(
      f'Expected {subject} to have sha256 {file.sha256} ({file.size_bytes} '
      f'bytes), found {found} ({size_bytes} bytes); {remedy}.'
    )


def _fetch(file: DataFile, path: pathlib.Path) -> None:
  """Fetches, verifies and installs a file under its final name."""
  suffix = '.zip.part' if file.member else '.part'
  part = path.with_name(path.name + suffix)
  with _open_exclusively(part) as handle:
    if path.exists():  # Another process fetched it while this one waited.
      part.unlink()
      return
    while True:
      continued = handle.seek(0, os.SEEK_END) > 0
      try:
        _download(file, path, handle)
      except DataUnavailableError:
        if not handle.seek(0, os.SEEK_END):
          part.unlink()
        raise
      try:
        return _install(file, part, path)
      except (ChecksumMismatchError, DataUnavailableError):
        handle.truncate(0)
        # The bytes that an earlier process left may be from another edition of
        # the file, so wrong content condemns the source only if it is all new.
        if not continued:
          part.unlink()
          raise


@contextlib.contextmanager
def _open_exclusively(path: pathlib.Path) -> Iterator[BinaryIO]:
  """Opens a file to append to it, while no other process does so."""
  while True:
    with path.open('a+b') as handle:
      fcntl.flock(handle, fcntl.LOCK_EX)
      # Whoever held the lock before may have renamed or removed the file.
      try:
        is_current = os.path.samestat(os.fstat(handle.fileno()), path.stat())
      except FileNotFoundError:
        is_current = False
      if is_current:
        yield handle
        return


def _download(file: DataFile, path: pathlib.Path, handle: BinaryIO) -> None:
  """Completes the content of `file.url` in `handle`, in a few attempts."""
  for attempt in range(_ATTEMPTS):
    if attempt:
      time.sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
    try:
      _append_rest(file.url, handle)
      handle.flush()
      os.fsync(handle.fileno())
      return
    except _CutError as error:
      failure: Exception = error
    except urllib.error.HTTPError as error:
      failure = error
      break
  raise DataUnavailableError(
    f'Could not fetch {file.name} ({_reason(failure)}); check the connection '
    f'and try again, or {_by_hand(file, path)}.'
  ) from failure


def _append_rest(url: str, handle: BinaryIO) -> None:
  """Appends what `handle` lacks of the content of `url`.

  Args:
    url: The content's address.
    handle: A file opened to append. Emptied if what it holds is of no use.

  Raises:
    _CutError: If it failed in a way that can pass. Takes the place of every
      OSError of the network, so that an OSError is one of the file system.
    urllib.error.HTTPError: If the server refuses for good.
  """
  have = handle.seek(0, os.SEEK_END)
  request = urllib.request.Request(url, headers={'User-Agent': 'tff_pipelines'})
  if have:
    request.add_header('Range', f'bytes={have}-')
  try:
    response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
  except urllib.error.HTTPError as error:
    error.close()
    if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
      if error.headers.get('Content-Range') == f'bytes */{have}':
        return  # Nothing is missing.
      handle.truncate(0)
      raise _CutError(
        f'the server refused to continue at byte {have}'
      ) from error
    if error.code in _TRANSIENT_STATUS:
      raise _CutError(str(error)) from error
    raise
  except (OSError, http.client.HTTPException) as error:
    raise _CutError(_reason(error)) from error
  with response:
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
      content_range = response.headers.get('Content-Range', '')
      if not content_range.startswith(f'bytes {have}-'):
        handle.truncate(0)
        raise _CutError(f'the server did not continue at byte {have}')
    else:  # The server ignores ranges and sends everything.
      handle.truncate(0)
    _copy_body(response, handle)


def _copy_body(response: http.client.HTTPResponse, handle: BinaryIO) -> None:
  received = 0
  while True:
    try:
      chunk = response.read(_CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
      raise _CutError(_reason(error)) from error
    if not chunk:
      break
    handle.write(chunk)
    received += len(chunk)
  # `read` with an argument takes a closed connection for the end of the body.
  expected = response.headers.get('Content-Length')
  if expected and expected.isdecimal() and received < int(expected):
    raise _CutError(
      f'the connection was cut after {received} of {expected} bytes'
    )


def _install(file: DataFile, part: pathlib.Path, path: pathlib.Path) -> None:
  """Verifies a complete download and gives it its final name."""
  subject = f'{file.name} from {file.url}'
  remedy = (
    'the publisher changed it, so look for the original (homepage '
    f'{file.homepage}) and put it at {path}'
  )
  if file.member is None:
    _verify(file, part, subject, remedy)
    os.replace(part, path)
    return
  extracted = path.with_name(path.name + '.part')
  try:
    _extract(file, part, extracted, path)
    _verify(file, extracted, subject, remedy)
    os.replace(extracted, path)
  finally:
    extracted.unlink(missing_ok=True)
  part.unlink()


def _extract(
  file: DataFile,
  archive: pathlib.Path,
  extracted: pathlib.Path,
  path: pathlib.Path,
) -> None:
  assert file.member is not None
  try:
    with (
      zipfile.ZipFile(archive) as opened,
      opened.open(file.member) as source,
      extracted.open('wb') as target,
    ):
      shutil.copyfileobj(source, target)
      target.flush()
      os.fsync(target.fileno())
  # RuntimeError: encrypted, or compressed in a way that zipfile does not know.
  except (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    RuntimeError,
  ) as error:
    found = error.args[0] if error.args else type(error).__name__
    raise DataUnavailableError(
      f'Expected {file.url} to be a zip archive that holds {file.member}, '
      f'found: {found}; {_by_hand(file, path)}.'
    ) from error
