"""MNIST: files made by hand in place of the real ones, and the real ones."""

import dataclasses
import gzip
import hashlib
import pathlib

import numpy as np
import pytest

from tff_pipelines.core import errors
from tff_pipelines.data import fetching, idx, mnist

IMAGES = {
  'train': np.arange(24, dtype=np.uint8).reshape(4, 2, 3) * 11,
  'test': 200 + np.arange(12, dtype=np.uint8).reshape(2, 2, 3),
}
LABELS = {'train': [5, 0, 4, 1], 'test': [7, 2]}
WRITERS = {'train': [12, 9, 12, 2344], 'test': [3, 3]}


def idx_bytes(array: np.ndarray) -> bytes:
  code = {'u1': 8, 'i4': 12}[array.dtype.str[1:]]
  header = bytes([0, 0, code, array.ndim])
  sizes = np.array(array.shape, '>u4').tobytes()
  data = array.astype(array.dtype.newbyteorder('>')).tobytes()
  return gzip.compress(header + sizes + data, mtime=0)


def qmnist_rows(side: str) -> np.ndarray:
  """Eight columns a digit; the test side goes on with digits of nobody's."""
  surplus = 3 if side == 'test' else 0
  rows = np.full([len(LABELS[side]) + surplus, 8], 77, np.int32)
  rows[: len(LABELS[side]), 0] = LABELS[side]
  rows[: len(LABELS[side]), 2] = WRITERS[side]
  return rows


def small_files() -> dict[str, bytes]:
  return {
    f'{side}_{what}': idx_bytes(array)
    for side in ('train', 'test')
    for what, array in (
      ('images', IMAGES[side]),
      ('labels', np.array(LABELS[side], np.uint8)),
      ('writers', qmnist_rows(side)),
    )
  }


@pytest.fixture
def install(monkeypatch, tmp_path):
  """Makes given contents the published ones, and writes them to a folder."""

  def make(files: dict[str, bytes], folder: str = 'mnist') -> pathlib.Path:
    for name, content in files.items():
      published = dataclasses.replace(
        mnist.FILES[name],
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        url=(tmp_path / 'nowhere').as_uri(),
      )
      monkeypatch.setitem(mnist.FILES, name, published)
      path = tmp_path / folder / pathlib.PurePath(published.name).name
      path.parent.mkdir(exist_ok=True)
      path.write_bytes(content)
    return tmp_path

  return make


def test_images_and_labels_by_hand(install):
  source = mnist.load(install(small_files()))
  for side in ('train', 'test'):
    found = getattr(source, side)
    np.testing.assert_array_equal(found.images, IMAGES[side])
    np.testing.assert_array_equal(found.labels, LABELS[side])
    assert (found.images.dtype, found.labels.dtype) == (np.uint8, np.int32)
    assert found.writers is None
  assert source.max_value == 255


def test_writers_by_hand(install):
  source = mnist.load(install(small_files()), writers=True)
  assert source.train.writers == (
    'writer_0012', 'writer_0009', 'writer_0012', 'writer_2344',
  )  # fmt: skip
  assert source.test.writers == ('writer_0003', 'writer_0003')


@pytest.mark.parametrize('writers', [True, False])
def test_the_folder_of_the_files_can_be_given_itself(install, writers):
  root = install(small_files(), folder='my digits')
  source = mnist.load(root / 'my digits', writers=writers)
  np.testing.assert_array_equal(source.train.labels, LABELS['train'])
  assert not (root / 'my digits' / 'mnist').exists()


def test_without_writers_their_files_are_not_needed(install):
  files = small_files()
  root = install(files)
  for side in ('train', 'test'):
    (root / mnist.FILES[f'{side}_writers'].name).unlink()
  assert mnist.load(root).train.writers is None


def test_provenance_has_the_checksum_of_every_file_that_was_read(install):
  root = install(small_files())
  plain = mnist.load(root).provenance
  with_writers = mnist.load(root, writers=True).provenance
  names = [file.name for file in mnist.FILES.values()]
  assert list(plain['sha256']) == names[:4]
  assert list(with_writers['sha256']) == names
  assert plain['source'] == 'mnist'
  for file in mnist.FILES.values():
    assert with_writers['sha256'][file.name] == file.sha256


@pytest.mark.parametrize('name', ['train_images', 'test_labels'])
def test_a_damaged_file_is_named_with_what_to_do(install, name):
  root = install(small_files())
  path = root / mnist.FILES[name].name
  path.write_bytes(path.read_bytes()[:-1])
  with pytest.raises(fetching.ChecksumMismatchError) as raised:
    mnist.load(root)
  message = str(raised.value)
  assert message.startswith(f'Expected {path} to have sha256 ')
  assert 'delete it to have it fetched again' in message
  assert isinstance(raised.value, errors.PipelineError)


def test_a_missing_file_is_told_with_where_to_put_it(
  install, monkeypatch, tmp_path
):
  def refuse(request, timeout):
    raise fetching.urllib.error.HTTPError(
      request.full_url, 404, 'Not Found', {}, None
    )

  root = install(small_files())
  path = root / mnist.FILES['train_labels'].name
  path.unlink()
  monkeypatch.setattr(fetching.urllib.request, 'urlopen', refuse)
  with pytest.raises(fetching.DataUnavailableError) as raised:
    mnist.load(root)
  message = str(raised.value)
  assert message.startswith(
    'Could not fetch mnist/train-labels-idx1-ubyte.gz (HTTP Error 404: Not '
    'Found)'
  )
  assert message.endswith(f'at {path}.')


def test_a_file_that_is_no_idx_file_is_named(install):
  root = install(small_files() | {'train_labels': gzip.compress(b'digits')})
  with pytest.raises(idx.MalformedIdxError, match='to start as an idx file'):
    mnist.load(root)


def test_labels_of_other_images_are_refused(install):
  labels = idx_bytes(np.array([5, 0, 4], np.uint8))
  root = install(small_files() | {'train_labels': labels})
  with pytest.raises(mnist.MismatchedFilesError) as raised:
    mnist.load(root)
  assert str(raised.value) == (
    'Expected a label for each image of mnist/train-images-idx3-ubyte.gz, '
    'found arrays of shapes (4, 2, 3) and (3,); restore the original files.'
  )


@pytest.mark.parametrize('wrong', ['label', 'length', 'shape'])
def test_writers_of_other_digits_are_refused(install, wrong):
  rows = qmnist_rows('train')
  if wrong == 'label':
    rows[2, 0] = 9
  elif wrong == 'length':
    rows = rows[:3]
  else:
    rows = rows[:, :2]
  root = install(small_files() | {'train_writers': idx_bytes(rows)})
  with pytest.raises(mnist.MismatchedFilesError) as raised:
    mnist.load(root, writers=True)
  assert str(raised.value) == (
    'Expected mnist/qmnist-train-labels-idx2-int.gz to tell of the same digits '
    'as mnist/train-labels-idx1-ubyte.gz, found others; restore the original '
    'files.'
  )


# The real ones.


def test_the_published_md5_sums_are_those_of_our_files(real_data_dir):
  published = {
    'train_images': 'f68b3c2dcbeaaa9fbdd348bbdeb94873',
    'train_labels': 'd53e105ee54ea40749a09fcbcd1e9432',
    'test_images': '9fb629c4189551a2d022fa330f9573f3',
    'test_labels': 'ec29112dd5afa0611ce80d1b7f02629c',
  }
  for name, md5 in published.items():
    content = (real_data_dir / mnist.FILES[name].name).read_bytes()
    assert hashlib.md5(content).hexdigest() == md5
    assert len(content) == mnist.FILES[name].size_bytes


@pytest.fixture(scope='module')
def real(real_data_dir):
  return mnist.load(real_data_dir, writers=True)


def test_the_real_digits_have_the_published_counts(real):
  assert real.train.images.shape == (60_000, 28, 28)
  assert real.test.images.shape == (10_000, 28, 28)
  np.testing.assert_array_equal(
    np.bincount(real.train.labels),
    [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
  )
  np.testing.assert_array_equal(
    np.bincount(real.test.labels),
    [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
  )
  pixels = real.train.pixels(real.max_value)
  assert (pixels.min(), pixels.max()) == (0.0, 1.0)
  assert pixels.mean(dtype=np.float64) == pytest.approx(0.1307, abs=5e-5)
  np.testing.assert_array_equal(real.train.labels[:6], [5, 0, 4, 1, 9, 2])


def test_the_real_writers_are_539_and_297_others(real):
  train, test = (
    np.unique(side.writers, return_counts=True)
    for side in (real.train, real.test)
  )
  for (names, counts), num_writers, low, middle, high in (
    (train, 539, 19, 116, 131),
    (test, 297, 8, 21, 130),
  ):
    assert len(names) == num_writers
    assert (counts.min(), np.median(counts), counts.max()) == (
      low, middle, high,
    )  # fmt: skip
  assert not set(train[0]) & set(test[0])
