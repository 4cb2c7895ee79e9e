"""MNIST: images of handwritten digits, with or without their writers.

Features: 28 x 28 pixels, grey, 0 (paper) to 255 (ink). Label: the digit.
Examples: 60,000 to train on, 10,000 to test on, in the original idx files.
Clients: the original names no writers; QMNIST's label files add them, for the
  same images in the same order: 539 to train on (19 to 131 digits each), 297
  to test on (8 to 130), none in both.
Licence: MNIST is commonly stated to be under CC BY-SA 3.0, its publishers give
  none; QMNIST's label files are under a BSD-style licence.
Checksums (sha256): see `FILES`; the md5 sums of the four original files are the
  published ones.

References: LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to
Document Recognition", Proceedings of the IEEE 1998. Yadav, Bottou, "Cold Case:
The Lost MNIST Digits", NeurIPS 2019.
"""

import pathlib

import numpy as np

from tff_pipelines.core import errors
from tff_pipelines.data import fetching, idx, image_records

LABEL_NAMES = tuple('0123456789')

# The publishers' page answers no more; the CVDF's copies are the same bytes.
_MNIST = ('https://storage.googleapis.com/cvdf-datasets/mnist/',
          'https://github.com/cvdfoundation/mnist')  # fmt: skip
_QMNIST = (
  'https://raw.githubusercontent.com/facebookresearch/qmnist/'
  '94061367ec2e099ea18c553c75727ecf849ddb9b/',
  'https://github.com/facebookresearch/qmnist',
)


def _file(
  name: str, size_bytes: int, sha256: str, source: tuple[str, str] = _MNIST
) -> fetching.DataFile:
  folder, homepage = source
  return fetching.DataFile(
    f'mnist/{name}', sha256, size_bytes, folder + name, homepage
  )


FILES = {
  'train_images': _file(
    'train-images-idx3-ubyte.gz',
    9_912_422,
    '440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609',
  ),
  'train_labels': _file(
    'train-labels-idx1-ubyte.gz',
    28_881,
    '3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c',
  ),
  'test_images': _file(
    't10k-images-idx3-ubyte.gz',
    1_648_877,
    '8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6',
  ),
  'test_labels': _file(
    't10k-labels-idx1-ubyte.gz',
    4_542,
    'f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6',
  ),
  'train_writers': _file(
    'qmnist-train-labels-idx2-int.gz',
    463_024,
    '2c05dc77f6b916b38e455e97ab129a42a444f3dbef09b278a366f82904e0dd9f',
    _QMNIST,
  ),
  'test_writers': _file(
    'qmnist-test-labels-idx2-int.gz',
    526_800,
    '9fbcbe594c3766fdf4f0b15c5165dc0d1e57ac604e01422608bb72c906030d06',
    _QMNIST,
  ),
}
# Columns of QMNIST's labels.
_CLASS, _WRITER, _NUM_COLUMNS = 0, 2, 8


class MismatchedFilesError(errors.PipelineError):
  """Files of images, labels and writers that do not belong together."""


def load(
  data_dir: pathlib.Path, *, writers: bool = False
) -> image_records.ImageSource:
  """Loads MNIST in the order of its files, fetched if need be.

  Args:
    data_dir: The folder that holds, or is to hold, 'mnist'; or the folder with
      the files themselves.
    writers: Whether to load who drew each image, from two more files.

  Returns:
    60,000 images to train on and 10,000 to test on, 55 MB.

  Raises:
    MismatchedFilesError: If the files tell of different images.
    PipelineError: Any of those of `fetching.locate` and `idx.read`.
  """
  sides = {
    side: _load_side(side, data_dir, writers) for side in ('train', 'test')
  }
  used = [name for name in FILES if writers or not name.endswith('_writers')]
  return image_records.ImageSource(
    **sides,
    max_value=255,
    label_names=LABEL_NAMES,
    provenance={
      'source': 'mnist',
      'sha256': {FILES[name].name: FILES[name].sha256 for name in used},
      'licence': 'CC BY-SA 3.0 as commonly stated, the publishers give none',
    },
  )


def _load_side(
  side: str, data_dir: pathlib.Path, with_writers: bool
) -> image_records.ImageRecords:
  images = _read(f'{side}_images', data_dir)
  labels = _read(f'{side}_labels', data_dir)
  writers = None
  if images.ndim != 3 or labels.shape != images.shape[:1]:
    raise MismatchedFilesError(
      f'Expected a label for each image of {FILES[f"{side}_images"].name}, '
      f'found arrays of shapes {images.shape} and {labels.shape}; restore the '
      'original files.'
    )
  if with_writers:
    # More rows than images: those of the test digits that MNIST left out.
    rows = _read(f'{side}_writers', data_dir)[: len(labels)]
    whole = rows.ndim == 2 and rows.shape[1] == _NUM_COLUMNS
    if not whole or not np.array_equal(rows[:, _CLASS], labels):
      raise MismatchedFilesError(
        f'Expected {FILES[f"{side}_writers"].name} to tell of the same digits '
        f'as {FILES[f"{side}_labels"].name}, found others; restore the '
        'original files.'
      )
    writers = tuple(f'writer_{writer:04d}' for writer in rows[:, _WRITER])
  return image_records.ImageRecords(images, labels.astype(np.int32), writers)


def _read(name: str, data_dir: pathlib.Path) -> np.ndarray:
  return idx.read(fetching.locate_bare(FILES[name], data_dir))
