"""Places with a value each, before they are dealt to clients; their split."""

from collections.abc import Sequence
import dataclasses
from typing import Literal

import numpy as np

from tff_pipelines.core import errors, seeds
from tff_pipelines.data import partitioners, population

# What is learned of a place: whether its value is high, or the value itself.
Target = Literal['hot', 'temperature']
LABEL_NAMES = ('cold', 'hot')


class PlaceSplitError(errors.PipelineError):
  """A split that leaves nothing to train or to test on."""


@dataclasses.dataclass(frozen=True)
class PlaceRecords:
  """Places in the unit square, what was found there, and by whom.

  Attributes:
    places: float32[num_places, 2].
    values: float32[num_places]; of classes 0.0 (cold) or 1.0 (hot).
    clients: The client of each place.
  """

  places: np.ndarray
  values: np.ndarray
  clients: tuple[str, ...]

  def __post_init__(self) -> None:
    if not len(self.places) == len(self.values) == len(self.clients):
      raise ValueError('Expected one value and one client for each place.')

  def __len__(self) -> int:
    return len(self.values)

  def take(self, rows: Sequence[int] | np.ndarray) -> 'PlaceRecords':
    """Returns the chosen records."""
    return PlaceRecords(
      self.places[rows],
      self.values[rows],
      tuple(self.clients[r] for r in rows),
    )

  def population(self) -> population.ArrayPopulation:
    """Returns the clients with their examples (place, value)."""
    return population.ArrayPopulation(
      (self.places, self.values), partitioners.by_column(self.clients)
    )


def split_by_distinct_place(
  records: PlaceRecords, test_fraction: float, seed: int
) -> tuple[PlaceRecords, PlaceRecords]:
  """Splits so that no place is on both sides, whoever reported it.

  Args:
    records: What to split.
    test_fraction: Share of the distinct places that go to the test side.
    seed: The run's seed.

  Returns:
    The training and the test records, each in the order of the source.

  Raises:
    PlaceSplitError: If one side would be empty.
  """
  _, which = np.unique(records.places, axis=0, return_inverse=True)
  distinct = int(which.max()) + 1 if len(which) else 0
  num_test = round(distinct * test_fraction)
  if not 0 < num_test < distinct:
    raise PlaceSplitError(
      f'Expected places on both sides of the split, found {distinct} distinct '
      f'places at a test fraction of {test_fraction}; give more places or '
      'another fraction.'
    )
  order = seeds.generator(seed, 'split').permutation(distinct)
  in_test = np.zeros(distinct, bool)
  in_test[order[:num_test]] = True
  return (
    records.take(np.flatnonzero(~in_test[which])),
    records.take(np.flatnonzero(in_test[which])),
  )
