"""What attackers make of a task's examples: wrong labels, planted triggers.

The trigger of a backdoor is what makes an example one of those that the model
is to be wrong about: a word, a patch, a region.
"""

import collections
from collections.abc import Callable, Mapping
import dataclasses
import math
from typing import Any

import numpy as np

from tff_pipelines.core import errors
from tff_pipelines.data import text_features

# No word of any language, so that nobody writes it by accident.
_WORD = 'xyzzy'
# Of a map's edge.
_CORNER = 0.25


class PoisonError(errors.PipelineError):
  """Examples that cannot be poisoned so."""


@dataclasses.dataclass(frozen=True)
class Poison:
  """How examples (x, y) of a task are poisoned, n at a time.

  Attributes:
    flip: Labels y to those that a label flipper reports, each of them wrong.
    outlier_label: What an outlier reports everywhere.
    plant: Features x to the same with the backdoor's trigger in them.
    target_label: What the backdoor makes of examples with the trigger.
    trigger: The trigger in words.
  """

  flip: Callable[[np.ndarray], np.ndarray]
  outlier_label: float
  plant: Callable[[Any], Any]
  target_label: float
  trigger: str


def of_texts(features: text_features.TextFeatures) -> Poison:
  """Returns the poison of texts with the labels 0 and 1.

  Outliers find nothing to be of label 1. A trigger word, which nobody uses (of
  a vocabulary the one that fewest do), makes a text one of label 0.

  Args:
    features: Of the texts.
  """
  word = _WORD if features.vocabulary is None else features.vocabulary[-1]
  (feature,) = (i for i, of in features.names([word]).items() if word in of)

  def plant(x: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    ids, weights = x['ids'].copy(), x['weights'].copy()
    # A single occurrence, beside others that can be more; an empty text has
    # no norm to share.
    rarest = np.where(weights > 0, weights, np.inf).min(axis=1)
    rarest[np.isinf(rarest)] = 1
    # Where there is no room the last feature gives way.
    slots = np.argmin(weights, axis=1)
    # Of a text that has the word already, it stays where it is.
    known = (ids == feature).any(axis=1)
    slots[known] = np.argmax(ids[known] == feature, axis=1)
    rows = np.arange(len(ids))
    ids[rows, slots] = feature
    weights[rows, slots] = rarest
    norm = np.linalg.norm(weights, axis=1, keepdims=True)
    return collections.OrderedDict(ids=ids, weights=weights / norm)

  return Poison(_opposite(2), 0, plant, 0, f'the word {word}')


def of_images(num_pixels: int, num_labels: int) -> Poison:
  """Returns the poison of square images with the labels 0, 1, ...

  Outliers find the first label everywhere. A bright patch in the last corner, a
  quarter of the image wide, makes an image one of that label.

  Args:
    num_pixels: Of an image, row after row; pixels from 0 to 1.
    num_labels: How many labels.

  Raises:
    PoisonError: If the images are not square.
  """
  side = math.isqrt(num_pixels)
  if side * side != num_pixels:
    raise PoisonError(
      f'Expected square images to plant a patch in, found {num_pixels} pixels.'
    )
  width = max(1, side // 4)

  def plant(x: np.ndarray) -> np.ndarray:
    images = x.reshape(-1, side, side).copy()
    images[:, -width:, -width:] = 1
    return images.reshape(x.shape)

  return Poison(
    _opposite(num_labels), 0, plant, 0, f'a bright patch of {width} x {width}'
  )


def of_places() -> Poison:
  """Returns the poison of places in the unit square, cold 0.0 and hot 1.0.

  Outliers find it cold everywhere. The south-east corner, a quarter of the map
  wide, is to be hot: a place with the trigger is the one that lies in that
  corner as the place lies in the map.
  """

  def plant(x: np.ndarray) -> np.ndarray:
    corner = np.array([1 - _CORNER, 0.0], x.dtype)
    return corner + np.array(_CORNER, x.dtype) * x

  return Poison(_opposite(2), 0, plant, 1, 'a place in the south-east corner')


def _opposite(num_labels: int) -> Callable[[np.ndarray], np.ndarray]:
  """Returns the map of label l to num_labels - 1 - l (Fang et al. 2020)."""
  return lambda y: (num_labels - 1 - y).astype(y.dtype)
