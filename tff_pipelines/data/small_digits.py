"""Small handwritten digits, which come with scikit-learn: no file is needed.

Features: 8 x 8 pixels, 0 to 16: the ink of 4 x 4 dots. Label: the digit.
Examples: 1,797 (174 to 183 a digit), without a test set of their own.
Clients: 13 people drew them, but it is not told who drew which, so clients have
  to be made.
Licence: CC BY 4.0.
Checksum (sha256 of the pixels' bytes, then the labels'):
  87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826

Reference: Alpaydin, Kaynak, "Optical Recognition of Handwritten Digits", UCI
Machine Learning Repository 1998 (its test part).
"""

import hashlib

import numpy as np

from tff_pipelines.data import image_records

LABEL_NAMES = tuple('0123456789')
_SHA256 = '87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826'


def load(test_fraction: float, seed: int) -> image_records.ImageSource:
  """Loads the digits and holds some of them out at random.

  Args:
    test_fraction: The share to hold out.
    seed: The run's seed.

  Raises:
    ImageSplitError: If nothing is left to train or to test on.
  """
  from sklearn import datasets  # It takes seconds, and only this needs it.

  bunch = datasets.load_digits()
  images = bunch.images.astype(np.uint8)
  labels = bunch.target.astype(np.uint8)
  found = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
  assert found == _SHA256, 'scikit-learn ships other digits than it did'
  train, test = image_records.split(
    image_records.ImageRecords(images, labels.astype(np.int32)),
    test_fraction,
    seed,
  )
  return image_records.ImageSource(
    train=train,
    test=test,
    max_value=16,
    label_names=LABEL_NAMES,
    provenance={
      'source': 'small_digits (in scikit-learn)',
      'sha256': found,
      'licence': 'CC BY 4.0',
      'test_fraction': test_fraction,
    },
  )
