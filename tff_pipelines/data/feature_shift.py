"""Clients whose images look different: turned, or darker and paler.

The labels of all are alike; what a client's images have in common is how they
were taken. That is feature shift, the other way in which data are not alike
(Kairouz et al. 2021, arXiv 1912.04977, section 3.1: covariate shift).
"""

import dataclasses
from typing import Literal, get_args

import numpy as np

from tff_pipelines.core import errors, seeds
from tff_pipelines.data import population

Kind = Literal['rotation', 'brightness']
Whose = Literal['client', 'example']

_GREY = 0.5


class FeatureShiftError(errors.PipelineError):
  """A shift that there is not."""


@dataclasses.dataclass(frozen=True)
class FeatureShift:
  """The law by which shifts are drawn.

  Attributes:
    kind: One of
      `rotation`: turned about the middle by an angle uniform in [-strength,
        strength] degrees, bilinear, with 0 (paper) where nothing was;
      `brightness`: contrast times 2^u about middle grey, u uniform in
        [-strength, strength], then v added, v uniform in [-strength / 2,
        strength / 2], cut off at 0 and 1.
    strength: In degrees up to 180, or from 0 to 1.
  """

  kind: Kind
  strength: float

  def __post_init__(self) -> None:
    if self.kind not in get_args(Kind):
      raise FeatureShiftError(
        f'Expected a feature shift out of {", ".join(get_args(Kind))}, found '
        f'{self.kind!r}.'
      )
    most = 180.0 if self.kind == 'rotation' else 1.0
    if not 0 < self.strength <= most:
      raise FeatureShiftError(
        f'Expected a {self.kind} of a strength above 0 and up to {most:g}, '
        f'found {self.strength}.'
      )

  def draw_and_apply(
    self, images: np.ndarray, rng: np.random.Generator
  ) -> np.ndarray:
    """Returns images [n, height, width], all shifted by one draw."""
    if self.kind == 'rotation':
      return rotated(images, rng.uniform(-self.strength, self.strength))
    contrast = 2.0 ** rng.uniform(-self.strength, self.strength)
    brightness = rng.uniform(-self.strength / 2, self.strength / 2)
    shifted = _GREY + contrast * (images - _GREY) + brightness
    return np.clip(shifted, 0.0, 1.0).astype(images.dtype)


def with_shift(
  base: population.ClientPopulation,
  shift: FeatureShift,
  image_shape: tuple[int, int],
  *,
  seed: int,
  whose: Whose = 'client',
) -> population.ArrayPopulation:
  """Returns the clients with shifted images.

  Names, sizes and order, hence batches, are those of the population. The images
  are shifted once and kept, beside those of the population: of 60,000 of MNIST
  188 MB, and no time in a round.

  Args:
    base: Clients with examples (float32[height * width], label), pixels from 0
      to 1.
    shift: The law.
    image_shape: Height and width.
    seed: The run's seed. A draw follows from it and from the client's name, so
      no client's depends on who else there is.
    whose: Whether a draw belongs to a client, or each example has its own.
  """
  pixels_spec, label_spec = base.element_spec
  pixels = np.empty([base.num_examples, *pixels_spec.shape], np.float32)
  labels = np.empty(base.num_examples, label_spec.dtype.as_numpy_dtype)
  ends = np.cumsum(base.sizes)
  rows = {}
  for client, name in enumerate(base.client_ids):
    own = np.arange(ends[client] - base.sizes[client], ends[client])
    flat, labels[own] = base.examples(client)
    rng = seeds.generator(seed, 'feature_shift', name)
    images = flat.reshape(-1, *image_shape)
    each = len(images) if whose == 'client' else 1
    for first in range(0, len(images), max(each, 1)):
      group = images[first : first + each]
      shifted = shift.draw_and_apply(group, rng)
      pixels[own[first : first + each]] = shifted.reshape(len(group), -1)
    rows[name] = own
  return population.ArrayPopulation((pixels, labels), rows)


def rotated(images: np.ndarray, degrees: float) -> np.ndarray:
  """Returns images turned counter-clockwise about their middle, bilinear.

  Args:
    images: float[n, height, width].
    degrees: The angle.

  Returns:
    As `images`; 0 where nothing was.
  """
  _, height, width = images.shape
  down, right = np.mgrid[:height, :width].astype(float)
  down -= (height - 1) / 2
  right -= (width - 1) / 2
  cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
  # Where a pixel comes from, in images with an edge of zeros around them.
  edged = np.pad(images, ((0, 0), (1, 1), (1, 1)))
  row = cosine * down + sine * right + (height - 1) / 2 + 1
  column = cosine * right - sine * down + (width - 1) / 2 + 1
  top, low = _neighbours(row, height)
  left, side = _neighbours(column, width)
  low, side = low.astype(images.dtype), side.astype(images.dtype)
  upper = edged[:, top, left] * (1 - side) + edged[:, top, left + 1] * side
  lower = (
    edged[:, top + 1, left] * (1 - side) + edged[:, top + 1, left + 1] * side
  )
  return upper * (1 - low) + lower * low


def _neighbours(place: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
  """Returns the pixel before a place, and how far behind it the place is."""
  inside = np.clip(place, 0, size + 1)
  before = np.minimum(inside.astype(np.int64), size)
  return before, inside - before
