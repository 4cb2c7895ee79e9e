"""Data sets of many small files: a folder of them, or the folder in a tar.gz.

What is verified is the content, not the container: the digest is over the
names and bytes of the files, so that a folder copied out of a checkout is as
good as an archive of it.
"""

from collections.abc import Iterator
import dataclasses
import hashlib
import pathlib
import tarfile
import zlib

from tff_pipelines.data import fetching


@dataclasses.dataclass(frozen=True)
class Bundle:
  """A published set of files.

  Attributes:
    archive: Path of the tar.gz relative to the data folder.
    folder: Path of the folder of files relative to the data folder.
    suffix: How the names of its files end; others are ignored.
    num_files: How many there are.
    sha256: `digest` of the files.
    how_to_get: What to do to have them, the end of a sentence.
  """

  archive: str
  folder: str
  suffix: str
  num_files: int
  sha256: str
  how_to_get: str


def read(bundle: Bundle, data_dir: pathlib.Path) -> dict[str, bytes]:
  """Returns the files' contents by their path below the folder, sorted.

  Args:
    bundle: What to read.
    data_dir: The folder that holds the archive or the folder.

  Raises:
    DataUnavailableError: If there is neither, or it cannot be read.
    ChecksumMismatchError: If other files are in it.
  """
  archive, folder = data_dir / bundle.archive, data_dir / bundle.folder
  path = archive if archive.is_file() else folder
  try:
    inside = _in_archive if path == archive else _in_folder
    files = dict(sorted(inside(path, bundle.suffix)))
  except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
    raise fetching.DataUnavailableError(
      f'Could not read {path} ({error}); restore it, or {bundle.how_to_get}.'
    ) from error
  if not files:
    raise fetching.DataUnavailableError(
      f'Expected {archive} or files *{bundle.suffix} in {folder}, found '
      f'neither, and no address serves them as one file; {bundle.how_to_get}.'
    )
  sha256 = digest(files)
  if sha256 != bundle.sha256:
    raise fetching.ChecksumMismatchError(
      f'Expected {path} to hold the {bundle.num_files} files *{bundle.suffix} '
      f'whose digest is {bundle.sha256}, found {len(files)} files and digest '
      f'{sha256}; remove it and {bundle.how_to_get}.'
    )
  return files


def digest(files: dict[str, bytes]) -> str:
  """Returns the sha256 of each file's name, size and content, by name."""
  total = hashlib.sha256()
  for name in sorted(files):
    total.update(f'{name}\0{len(files[name])}\0'.encode())
    total.update(files[name])
  return total.hexdigest()


def _in_archive(path: pathlib.Path, suffix: str) -> Iterator[tuple[str, bytes]]:
  with tarfile.open(path, 'r:gz') as opened:
    for member in opened:
      if member.name.endswith(suffix):
        # Nothing is unpacked to the disk, so no name can lead elsewhere.
        content = opened.extractfile(member)
        if content is not None:
          yield _below_top(member.name), content.read()


def _below_top(name: str) -> str:
  """Returns a member's path without the folder that the archive packs."""
  return '/'.join(pathlib.PurePosixPath(name).parts[1:])


def _in_folder(path: pathlib.Path, suffix: str) -> Iterator[tuple[str, bytes]]:
  for file in path.rglob(f'*{suffix}'):
    if file.is_file():
      yield file.relative_to(path).as_posix(), file.read_bytes()
