"""Where the unit square lies on a map: coordinates there and back."""

import dataclasses
from typing import Any

import numpy as np

from tff_pipelines.core import errors


class MapFrameError(errors.PipelineError):
  """A frame that encloses nothing."""


@dataclasses.dataclass(frozen=True)
class MapFrame:
  """A rectangle of a map that is stretched to the unit square.

  (west, south) becomes (0, 0) and (east, north) becomes (1, 1). Names are those
  of a map; any two coordinates will do.

  Attributes:
    west: Lowest first coordinate (of a map: longitude).
    east: Highest first coordinate.
    south: Lowest second coordinate (of a map: latitude).
    north: Highest second coordinate.
  """

  west: float
  east: float
  south: float
  north: float

  def __post_init__(self) -> None:
    for low, high in (('west', 'east'), ('south', 'north')):
      lowest, highest = getattr(self, low), getattr(self, high)
      # Written so that NaN is refused, too.
      if not (-np.inf < lowest < highest < np.inf):
        raise MapFrameError(
          f'Expected {low} below {high}, both finite, found {lowest} and '
          f'{highest}; give an area that encloses the places.'
        )

  @property
  def _low(self) -> np.ndarray:
    return np.array([self.west, self.south])

  @property
  def _size(self) -> np.ndarray:
    return np.array([self.east - self.west, self.north - self.south])

  def encloses(self, coordinates: np.ndarray) -> np.ndarray:
    """Returns bool[n] for float[n, 2]: inside, or on the edge."""
    x, y = np.asarray(coordinates).T
    return (
      (self.west <= x)
      & (x <= self.east)
      & (self.south <= y)
      & (y <= self.north)
    )

  def to_unit(self, coordinates: np.ndarray) -> np.ndarray:
    """Returns float32[n, 2] in the unit square for float[n, 2] on the map."""
    unit = (np.asarray(coordinates, np.float64) - self._low) / self._size
    return unit.astype(np.float32)

  def from_unit(self, places: np.ndarray) -> np.ndarray:
    """Returns float64[n, 2] on the map for float[n, 2] in the unit square."""
    return self._low + np.asarray(places, np.float64) * self._size

  def config(self) -> dict[str, Any]:
    """Returns plain values for a data set's provenance."""
    return dataclasses.asdict(self)


def around(coordinates: np.ndarray) -> MapFrame:
  """Returns the smallest frame around places, float[n, 2], n at least 1.

  A coordinate that is the same for all is put into the middle.
  """
  low = np.min(coordinates, axis=0).astype(np.float64)
  high = np.max(coordinates, axis=0).astype(np.float64)
  # Half a unit to each side, and more where floats are farther apart.
  room = np.maximum(0.5, np.spacing(np.abs(high)))
  low, high = (
    np.where(low == high, low - room, low),
    np.where(low == high, high + room, high),
  )
  return MapFrame(*map(float, (low[0], high[0], low[1], high[1])))
