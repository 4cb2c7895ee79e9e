"""Users who each know a few places of a square, and whether these are hot.

Features: x = float32[2], the place in the unit square. Label: y = float32[],
1.0 where it was reported as hot.
Clients: `users` of them, user01 and so on, with `points` places each.
Test: one client, `map`, with a grid of 21 x 21 places, without those at the
  border of hot and cold, and the truth there.
Licence: none needed: it is drawn from a seed.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

import numpy as np

from tff_pipelines.core import client_kinds, errors, seeds
from tff_pipelines.data import population, truths

LABEL_NAMES = ('cold', 'hot')
HIGHEST_NOISE = 5.0

_CANDIDATES = 100
_DRAWS = 10
# Where candidates lie, and where a place that noise has moved stays.
_LOWEST, _HIGHEST = 0.03, 0.97
_LOWEST_MOVED, _HIGHEST_MOVED = 0.06, 0.94
# How far from the border the middle reaches: |x0 - x1| <= 0.1 at the diagonal.
_MIDDLE = 0.1 / 2**0.5
_FORCED = 2
_GRID = 21
# Of the grid the diagonal itself is left out, not the places next to it.
_UNDECIDED = 0.03


class GridWorldError(errors.PipelineError):
  """A world that cannot be drawn."""


@dataclasses.dataclass(frozen=True)
class GridWorld:
  """Who there is, what they know, and what is wrong with it.

  What one user draws depends on the seed and the user alone: not on how many
  users, places and outliers there are, nor on the noise. Worlds that differ in
  one of these are alike in all else, and fewer places are the first of more.

  Attributes:
    users: How many.
    points: Places that each knows.
    truth: What is hot, as `truths.by_name` takes it.
    avoid_middle: Whether nobody knows places near the border of hot and cold.
    force_pair: Whether the first four places that each knows are two hot and
      two cold ones.
    outliers: How many users report cold everywhere: the last ones.
    noise: From 0 to 5. At level L a place is reported L/5 of the way from where
      it is towards one drawn at random; its label is that of where it is.
  """

  users: int = 16
  points: int = 4
  truth: str = 'diagonal'
  avoid_middle: bool = False
  force_pair: bool = False
  outliers: int = 0
  noise: float = 0.0

  def __post_init__(self) -> None:
    for name in ('users', 'points'):
      if getattr(self, name) < 1:
        raise GridWorldError(
          f'Expected {name} of at least 1, found {getattr(self, name)}.'
        )
    if not 0 <= self.outliers <= self.users:
      raise GridWorldError(
        f'Expected from 0 to {self.users} outliers among as many users, found '
        f'{self.outliers}.'
      )
    if not 0 <= self.noise <= HIGHEST_NOISE:
      raise GridWorldError(
        f'Expected noise from 0 to {HIGHEST_NOISE:g}, found {self.noise}.'
      )
    truths.by_name(self.truth)

  @property
  def user_names(self) -> tuple[str, ...]:
    """The clients' names."""
    return tuple(f'user{user + 1:02d}' for user in range(self.users))

  def kinds(self, seed: int = 0) -> tuple[client_kinds.ClientKind, ...]:
    """Returns each user's kind; it is the same for every seed."""
    del seed  # Unused.
    honest = self.users - self.outliers
    return (client_kinds.ClientKind.HONEST,) * honest + (
      client_kinds.ClientKind.OUTLIER,
    ) * self.outliers

  def dataset(self, seed: int) -> population.FederatedDataset:
    """Draws the world.

    Raises:
      GridWorldError: If too few places are away from the middle.
      TruthError: If the truth is an image that cannot be read.
    """
    truth = truths.by_name(self.truth)
    known = [
      self._known(truth, seed, user, kind)
      for user, kind in enumerate(self.kinds(seed))
    ]
    rows = np.arange(self.users * self.points).reshape(self.users, -1)
    return population.FederatedDataset(
      name='grid',
      train=population.ArrayPopulation(
        tuple(np.concatenate(c) for c in zip(*known, strict=True)),
        dict(zip(self.user_names, rows, strict=True)),
      ),
      test=_map(truth),
      label_names=LABEL_NAMES,
      provenance=self._provenance(seed),
    )

  def own_maps(self) -> population.ArrayPopulation:
    """Returns the grid as each user would report it: an outlier's is cold."""
    places, labels = _map(truths.by_name(self.truth)).examples(0)
    count = len(places)
    rows = {
      client_kinds.ClientKind.HONEST: np.arange(count),
      client_kinds.ClientKind.OUTLIER: np.arange(count, 2 * count),
    }
    return population.ArrayPopulation(
      (
        np.concatenate([places, places]),
        np.concatenate([labels, np.zeros_like(labels)]),
      ),
      {
        name: rows[kind]
        for name, kind in zip(self.user_names, self.kinds(), strict=True)
      },
    )

  def _known(
    self,
    truth: truths.Truth,
    seed: int,
    user: int,
    kind: client_kinds.ClientKind,
  ) -> tuple[np.ndarray, np.ndarray]:
    """Returns what a user reports: float32[points, 2] and float32[points]."""
    places = self._places(truth, seeds.generator(seed, 'places', user))
    labels = truth(places).astype(np.float32)
    if kind is client_kinds.ClientKind.OUTLIER:
      labels = np.zeros_like(labels)
    if self.noise:
      places = _moved(
        places,
        self.noise / HIGHEST_NOISE,
        seeds.generator(seed, 'noise', user),
      )
    return places.astype(np.float32), labels

  def _places(
    self, truth: truths.Truth, rng: np.random.Generator
  ) -> np.ndarray:
    """Returns float64[points, 2], where a user has been."""
    candidates = self._candidates(truth, rng)
    draws = 1
    while len(candidates) < self.points and draws < _DRAWS:
      more = self._candidates(truth, rng)
      candidates = np.concatenate([candidates, more])
      draws += 1
    if len(candidates) < self.points:
      raise GridWorldError(
        f'Expected {self.points} places away from the middle among '
        f'{draws * _CANDIDATES} candidates, found {len(candidates)}; take '
        'fewer points, or do not avoid the middle.'
      )
    if self.force_pair:
      candidates = _pairs_first(truth, candidates)
    return candidates[: self.points]

  def _candidates(
    self, truth: truths.Truth, rng: np.random.Generator
  ) -> np.ndarray:
    places = rng.uniform(_LOWEST, _HIGHEST, [_CANDIDATES, 2])
    if self.avoid_middle:
      places = places[~truths.near_border(truth, places, _MIDDLE)]
    return places

  def _provenance(self, seed: int) -> Mapping[str, Any]:
    return {
      'source': 'grid (drawn from a seed)',
      **dataclasses.asdict(self),
      'seed': seed,
    }


def grid(resolution: int) -> np.ndarray:
  """Returns float32[resolution**2, 2], places from edge to edge.

  x0 runs fastest: [resolution, resolution] values of them are rows of rising x1
  with columns of rising x0.
  """
  line = np.linspace(0.0, 1.0, resolution)
  x0, x1 = np.meshgrid(line, line)
  return np.stack([x0.ravel(), x1.ravel()], axis=1).astype(np.float32)


def _map(truth: truths.Truth) -> population.ArrayPopulation:
  places = grid(_GRID).astype(np.float64)
  places = places[~truths.near_border(truth, places, _UNDECIDED)]
  labels = truth(places).astype(np.float32)
  return population.ArrayPopulation(
    (places.astype(np.float32), labels), {'map': np.arange(len(places))}
  )


def _pairs_first(truth: truths.Truth, places: np.ndarray) -> np.ndarray:
  """Returns the places with the first two hot and two cold ones first."""
  is_hot = truth(places)
  by_class = (np.flatnonzero(is_hot), np.flatnonzero(~is_hot))
  first = np.sort(np.concatenate([c[:_FORCED] for c in by_class]))
  rest = np.delete(np.arange(len(places)), first)
  return places[np.concatenate([first, rest])]


def _moved(
  places: np.ndarray, share: float, rng: np.random.Generator
) -> np.ndarray:
  """Returns places moved some of the way towards ones drawn at random."""
  elsewhere = rng.uniform(size=places.shape)
  moved = places + share * (elsewhere - places)
  return np.clip(moved, _LOWEST_MOVED, _HIGHEST_MOVED)
