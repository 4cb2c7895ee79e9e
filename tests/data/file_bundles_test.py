import dataclasses
import hashlib
import io
import pathlib
import tarfile

import pytest

from tff_pipelines.data import fetching, file_bundles

FILES = {'a/one.txt': b'1', 'b/two.txt': b'', 'three.txt': b'333'}
BUNDLE = file_bundles.Bundle(
  archive='set/set.tar.gz',
  folder='set',
  suffix='.txt',
  num_files=3,
  sha256=file_bundles.digest(FILES),
  how_to_get='copy it from the shelf',
)


def write_folder(data_dir: pathlib.Path, files=FILES) -> None:
  for name, content in files.items():
    path = data_dir / 'set' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_archive(data_dir: pathlib.Path, files=FILES) -> None:
  path = data_dir / 'set' / 'set.tar.gz'
  path.parent.mkdir(parents=True, exist_ok=True)
  with tarfile.open(path, 'w:gz') as archive:
    archive.addfile(_folder('any'))
    for name, content in files.items():
      member = tarfile.TarInfo(f'any/{name}')
      member.size = len(content)
      archive.addfile(member, io.BytesIO(content))


def _folder(name: str) -> tarfile.TarInfo:
  member = tarfile.TarInfo(name)
  member.type = tarfile.DIRTYPE
  return member


@pytest.mark.parametrize('write', [write_folder, write_archive])
def test_folder_and_archive_are_the_same(tmp_path, write):
  write(tmp_path)
  found = file_bundles.read(BUNDLE, tmp_path)
  assert found == FILES
  assert list(found) == sorted(FILES)


@pytest.mark.parametrize('write', [write_folder, write_archive])
def test_files_with_other_endings_are_ignored(tmp_path, write):
  write(tmp_path, {**FILES, 'a/one.ann': b'-', 'README.md': b'-'})
  assert file_bundles.read(BUNDLE, tmp_path) == FILES


def test_the_digest_by_hand():
  assert (
    file_bundles.digest({'b': b'two', 'a': b''})
    == hashlib.sha256(b'a\x000\x00b\x003\x00two').hexdigest()
  )


@pytest.mark.parametrize(
  'change', [{'a/one.txt': b'2'}, {'extra.txt': b''}, {'three.txt': b''}]
)
def test_other_content_is_an_error(tmp_path, change):
  write_folder(tmp_path, {**FILES, **change})
  with pytest.raises(
    fetching.ChecksumMismatchError,
    match=r'the 3 files \*\.txt whose digest.*found [34] files and digest .* '
    'copy it from the shelf',
  ):
    file_bundles.read(BUNDLE, tmp_path)


def test_nothing_there_tells_how_to_get_it(tmp_path):
  with pytest.raises(
    fetching.DataUnavailableError,
    match='found neither, and no address serves them as one file; copy it',
  ):
    file_bundles.read(BUNDLE, tmp_path)


@pytest.mark.parametrize('cut', [0, 10, 100])
def test_a_broken_archive_is_an_error(tmp_path, cut):
  write_archive(tmp_path)
  path = tmp_path / BUNDLE.archive
  path.write_bytes(path.read_bytes()[:cut])
  with pytest.raises(fetching.DataUnavailableError, match='Could not read'):
    file_bundles.read(BUNDLE, tmp_path)


def test_a_name_that_leads_elsewhere_writes_nothing(tmp_path):
  write_archive(tmp_path, {'../../../evil.txt': b'x'})
  bundle = dataclasses.replace(BUNDLE, sha256='0' * 64)
  with pytest.raises(fetching.ChecksumMismatchError):
    file_bundles.read(bundle, tmp_path)
  assert [p.name for p in tmp_path.rglob('*.txt')] == []
