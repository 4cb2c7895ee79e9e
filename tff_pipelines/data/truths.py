"""Which places of the unit square are hot: what a map is to be learnt of."""

from collections.abc import Callable
import functools
import math
import pathlib

import numpy as np
import tensorflow as tf

from tff_pipelines.core import errors

# From places [n, 2] in the unit square to bool[n], whether each is hot.
Truth = Callable[[np.ndarray], np.ndarray]

_DIRECTIONS = 16
_IMAGE = 'image:'


class TruthError(errors.PipelineError):
  """A truth that there is not, or that says nothing."""


def diagonal(places: np.ndarray) -> np.ndarray:
  """Hot above the diagonal: where x0 < x1."""
  return places[:, 0] < places[:, 1]


def ring(places: np.ndarray) -> np.ndarray:
  """Hot on a ring around the centre, from 0.2 to 0.4 away from it."""
  away = np.hypot(places[:, 0] - 0.5, places[:, 1] - 0.5)
  return (away > 0.2) & (away < 0.4)


def checkerboard(places: np.ndarray) -> np.ndarray:
  """Hot on the squares of one colour out of three by three."""
  squares = np.minimum(np.floor(3 * places), 2).astype(int)
  return squares.sum(axis=1) % 2 == 0


def two_hills(places: np.ndarray) -> np.ndarray:
  """Hot on two hills: one high and wide, the other low and narrow."""
  height = np.zeros(len(places))
  for centre, width, top in (((0.3, 0.3), 0.2, 1.0), ((0.72, 0.72), 0.15, 0.9)):
    squares = np.sum(np.square(places - np.array(centre)), axis=1)
    height += top * np.exp(-squares / (2 * width**2))
  return height > 0.5


_TRUTHS: dict[str, Truth] = {
  'diagonal': diagonal,
  'ring': ring,
  'checkerboard': checkerboard,
  'two_hills': two_hills,
}
NAMES = tuple(_TRUTHS)


def by_name(name: str) -> Truth:
  """Returns a truth by its name.

  Args:
    name: One of `NAMES`, or `image:` and the path of an image, PNG or JPEG,
      which fills the square: where it is bright, it is hot.

  Raises:
    TruthError: If there is none of that name, or no such image, or if it is
      bright everywhere or nowhere.
  """
  if name.startswith(_IMAGE):
    return _of_image(pathlib.Path(name.removeprefix(_IMAGE)))
  if name not in _TRUTHS:
    raise TruthError(
      f'Expected a truth out of {", ".join(NAMES)} or image:PATH, found '
      f'{name!r}.'
    )
  return _TRUTHS[name]


def near_border(
  truth: Truth, places: np.ndarray, distance: float
) -> np.ndarray:
  """Returns bool[n], whether hot and cold are both within a distance.

  The truth is asked in 16 directions, at that distance and at half of it; the
  square's own edge is no border.
  """
  here = truth(places)
  near = np.zeros(len(places), bool)
  for k in range(_DIRECTIONS):
    angle = 2 * math.pi * k / _DIRECTIONS
    towards = distance * np.array([math.cos(angle), math.sin(angle)])
    for part in (0.5, 1.0):
      there = truth(np.clip(places + part * towards, 0.0, 1.0))
      near |= there != here
  return near


@functools.lru_cache(maxsize=4)
def _of_image(path: pathlib.Path) -> Truth:
  try:
    image = tf.io.decode_image(
      path.read_bytes(), channels=1, expand_animations=False
    ).numpy()
  except (OSError, tf.errors.InvalidArgumentError) as error:
    reason = str(error).splitlines()[0][:200]
    raise TruthError(
      f'Expected a PNG or JPEG image at {path}, found: {reason}'
    ) from error
  is_bright = image[:, :, 0] >= 128
  if is_bright.all() or not is_bright.any():
    raise TruthError(
      f'Expected an image with bright and dark places, found {path} all '
      f'{"bright" if is_bright.all() else "dark"}; choose another.'
    )
  rows, columns = is_bright.shape

  def truth(places: np.ndarray) -> np.ndarray:
    column = np.minimum(places[:, 0] * columns, columns - 1).astype(int)
    # Its first row is the top one, where x1 is 1.
    row = np.minimum((1 - places[:, 1]) * rows, rows - 1).astype(int)
    return is_bright[row, column]

  return truth
