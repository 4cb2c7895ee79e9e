"""Users who learn a map together, step by step, seen from both sides.

After every `merge` steps of training by each user there is a round of federated
averaging. The server sees the model after each round. What each user's own
model is in between, only a simulation sees: it follows all users beside the
learning process, from the models that the process gave them.

All seeds of one setting are computed together where no server takes part.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
import dataclasses
import functools
from typing import Any

import numpy as np
import tensorflow_federated as tff

from tff_pipelines.core import client_batches, client_kinds, errors
from tff_pipelines.data import batching, grid_world, population
from tff_pipelines.programs import rounds

# A model's trainable weights; of several users or seeds [n, ...] each.
Weights = tuple[np.ndarray, ...]


class MapSettingsError(errors.PipelineError):
  """Settings of a map run that make no sense."""


@dataclasses.dataclass(frozen=True)
class MapSettings:
  """One world and one way to train in it.

  Attributes:
    users: How many.
    points: Places that each knows.
    merge: Steps of each user between two merges.
    steps: Steps of each user in all; those after the last merge stay its own.
    outliers: How many users report cold everywhere: the last ones.
    noise: From 0 to 5, of the places.
    truth: What is hot.
    avoid_middle: Whether nobody knows places near the border.
    force_pair: Whether everybody knows hot and cold places.
    excluded: Users, from 0, who train alone: they send and receive nothing.
  """

  users: int = 16
  points: int = 4
  merge: int = 40
  steps: int = 98
  outliers: int = 0
  noise: float = 0.0
  truth: str = 'diagonal'
  avoid_middle: bool = False
  force_pair: bool = False
  excluded: tuple[int, ...] = ()

  def __post_init__(self) -> None:
    for name in ('merge', 'steps'):
      if getattr(self, name) < 1:
        raise MapSettingsError(
          f'Expected {name} of at least 1, found {getattr(self, name)}.'
        )
    outside = [u for u in self.excluded if not 0 <= u < self.users]
    if outside:
      raise MapSettingsError(
        f'Expected excluded users from 0 to {self.users - 1}, found '
        f'{outside[0]}.'
      )
    if len(set(self.excluded)) < len(self.excluded):
      raise MapSettingsError(
        f'Expected each excluded user once, found {self.excluded}.'
      )
    self.world.kinds()  # A world that cannot be is refused here.
    if not self.participants:
      raise MapSettingsError(
        f'Expected at least one user who takes part, found all {self.users} '
        'excluded.'
      )

  @property
  def world(self) -> grid_world.GridWorld:
    """The world that they are about."""
    return grid_world.GridWorld(
      users=self.users,
      points=self.points,
      truth=self.truth,
      avoid_middle=self.avoid_middle,
      force_pair=self.force_pair,
      outliers=self.outliers,
      noise=self.noise,
    )

  @property
  def participants(self) -> tuple[int, ...]:
    """The users who take part in the merges."""
    return tuple(u for u in range(self.users) if u not in self.excluded)

  @property
  def num_merges(self) -> int:
    """How many merges there are."""
    return self.steps // self.merge

  def plain(self) -> dict[str, Any]:
    """Returns the settings as plain values by name."""
    return {
      name: list(value) if isinstance(value, tuple) else value
      for name, value in dataclasses.asdict(self).items()
    }

  def including(self, outliers: int) -> 'MapSettings':
    """Returns the same with just so many of the outliers taking part.

    Raises:
      MapSettingsError: If there are not so many.
    """
    if not 0 <= outliers <= self.outliers:
      raise MapSettingsError(
        f'Expected from 0 to {self.outliers} outliers that take part, found '
        f'{outliers}.'
      )
    honest = self.users - self.outliers
    return dataclasses.replace(
      self, excluded=tuple(range(honest + outliers, self.users))
    )


@dataclasses.dataclass(frozen=True)
class ServerView:
  """What the server sees: the model of all, at first and after merges.

  Attributes:
    steps: The users' steps by then, 0 first.
    round_nums: The rounds by then, 0 first.
    accuracy: float64[len(steps)], on the map.
    weights: The model's, [len(steps), ...] each.
  """

  steps: tuple[int, ...]
  round_nums: tuple[int, ...]
  accuracy: np.ndarray
  weights: Weights


@dataclasses.dataclass(frozen=True)
class SimulationView:
  """What only a simulation sees: each user's own model.

  Attributes:
    kinds: What kind of client each is.
    taking_part: bool[users].
    accuracy: float32[users, steps + 1], on the map, of the model after each of
      a user's steps; at a merge the model before it.
    weights: By step, of the steps asked for: the models' after that step, at a
      merge before it, [users, ...] each.
  """

  kinds: tuple[client_kinds.ClientKind, ...]
  taking_part: np.ndarray
  accuracy: np.ndarray
  weights: Mapping[int, Weights]

  @property
  def last_accuracy(self) -> np.ndarray:
    """float32[users], after the last step."""
    return self.accuracy[:, -1]


@dataclasses.dataclass(frozen=True)
class MapRun:
  """What came of one world; `simulation` is None if nobody was followed."""

  settings: MapSettings
  seed: int
  server: ServerView
  simulation: SimulationView | None

  @property
  def users(self) -> SimulationView:
    """The simulation's view of a run whose users were followed."""
    assert self.simulation is not None, 'its users were not followed'
    return self.simulation


@dataclasses.dataclass(frozen=True)
class MapComputations:
  """What runs are made of; none of it knows settings or seeds.

  Attributes:
    process: Federated averaging of the model, with any aggregator.
    evaluation: (<M@SERVER, {B*}@CLIENTS> -> metrics@SERVER), with an accuracy.
    local_steps: As `learning.local_steps` builds it. Longer trainings than it
      has room for are cut, for which the optimizer may not have a state.
    initial_weights: From a seed to the model's trainable weights.
  """

  process: tff.learning.templates.LearningProcess
  evaluation: tff.Computation
  local_steps: tff.Computation
  initial_weights: Callable[[int], Weights]


def run(
  computations: MapComputations,
  settings: MapSettings,
  seeds: Sequence[int],
  *,
  weights_at: Collection[int] = (),
  every_merge: bool = True,
  follow_users: bool = True,
  round_retries: int = 3,
) -> list[MapRun]:
  """Runs one setting with several seeds: of the world and of the model.

  Args:
    computations: What the runs are made of. The same ones for all settings are
      compiled once.
    settings: The world and the training.
    seeds: One run each.
    weights_at: The steps after which the users' models are kept.
    every_merge: Whether the server's view is of every merge; otherwise only of
      the last one, which is quicker.
    follow_users: Whether there is a simulation's view.
    round_retries: How often a round whose secure aggregation failed is tried
      again.

  Raises:
    MapSettingsError: If there is no such step, or no seed.
    RoundFailedError: If a round fails as often as it may be tried.
  """
  if not seeds:
    raise MapSettingsError('Expected at least one seed, found none.')
  outside = [s for s in weights_at if not 0 <= s <= settings.steps]
  if outside:
    raise MapSettingsError(
      f'Expected models of steps from 0 to {settings.steps} to be kept, found '
      f'{outside[0]}.'
    )
  worlds = [settings.world.dataset(seed) for seed in seeds]
  servers = [
    _Server(computations, settings, world, seed, round_retries)
    for world, seed in zip(worlds, seeds, strict=True)
  ]
  users = None
  if follow_users:
    users = _SimulatedUsers(computations, settings, worlds, servers)
  merges = [settings.merge * k for k in range(1, settings.num_merges + 1)]
  for step in sorted({0, *merges, *weights_at, settings.steps}):
    if users is not None:
      users.train_until(step)
      if step in weights_at:
        users.keep_weights()
    if step in merges:
      for server in servers:
        server.merge(look=every_merge or step == merges[-1])
      if users is not None:
        users.receive([server.weights for server in servers])
  return [
    MapRun(settings, seed, server.view(), users.view(k) if users else None)
    for k, (seed, server) in enumerate(zip(seeds, servers, strict=True))
  ]


class _Server:
  """The learning process of one seed, and what its server sees."""

  def __init__(
    self,
    computations: MapComputations,
    settings: MapSettings,
    world: population.FederatedDataset,
    seed: int,
    round_retries: int,
  ):
    self._process = computations.process
    self._evaluation = computations.evaluation
    self._settings = settings
    self._retries = round_retries
    self._people = world.train
    self._map = _batches(world.test, [0], world.test.num_examples, 1)
    initial = self._process.initialize()
    self._state = self._process.set_model_weights(
      initial,
      self._process.get_model_weights(initial)._replace(
        trainable=computations.initial_weights(seed)
      ),
    )
    self._round_num = 0
    self._seen: list[tuple[int, float, Weights]] = []
    self._look()

  @functools.cached_property
  def _batches(self) -> client_batches.ClientBatches:
    # Of whole batches there is just one order, for all rounds.
    chosen = self._settings
    return _batches(
      self._people, chosen.participants, chosen.points, chosen.merge
    )

  @property
  def weights(self) -> Weights:
    """Of the model as it is."""
    model = self._process.get_model_weights(self._state)
    return tuple(np.asarray(w) for w in model.trainable)

  @property
  def initial_accuracy(self) -> float:
    """Of the model before any round."""
    return self._seen[0][1]

  def merge(self, *, look: bool) -> None:
    """Computes a round with those who take part."""
    self._round_num += 1
    self._state = rounds.run(
      self._process,
      self._state,
      lambda _: self._batches,
      self._round_num,
      self._retries,
    ).process_state
    if look:
      self._look()

  def view(self) -> ServerView:
    """Returns all that was seen."""
    numbers, accuracy, weights = zip(*self._seen, strict=True)
    return ServerView(
      tuple(self._settings.merge * k for k in numbers),
      numbers,
      np.array(accuracy),
      tuple(np.stack(w) for w in zip(*weights, strict=True)),
    )

  def _look(self) -> None:
    model = self._process.get_model_weights(self._state)
    accuracy = float(self._evaluation(model, self._map)['accuracy'])
    self._seen.append((self._round_num, accuracy, self.weights))


class _SimulatedUsers:
  """All users of all seeds, each with its own model."""

  def __init__(
    self,
    computations: MapComputations,
    settings: MapSettings,
    worlds: Sequence[population.FederatedDataset],
    servers: Sequence[_Server],
  ):
    self._train = computations.local_steps
    metrics = self._train.type_signature.result.member['metrics']
    self._room = metrics['accuracy'].shape[0]
    self._settings = settings
    self._kinds = [settings.world.kinds() for _ in worlds]
    self._people = _together([world.train for world in worlds])
    self._map = worlds[0].test.examples(0)
    self._batches = functools.cache(self._batches_of)
    shape = (len(worlds), settings.users)
    self._own = tuple(
      np.broadcast_to(np.stack(w)[:, np.newaxis], (*shape, *w[0].shape)).copy()
      for w in zip(*(server.weights for server in servers), strict=True)
    )
    self._accuracy = np.zeros((*shape, settings.steps + 1), np.float32)
    self._accuracy[:, :, 0] = np.array([[s.initial_accuracy] for s in servers])
    self._step = 0
    self._kept: dict[int, Weights] = {}

  def train_until(self, step: int) -> None:
    """Takes everybody's steps up to one."""
    while self._step < step:
      self._take_steps(min(step - self._step, self._room))

  def keep_weights(self) -> None:
    """Keeps all models as they are."""
    self._kept[self._step] = tuple(w.copy() for w in self._own)

  def receive(self, of_servers: Sequence[Weights]) -> None:
    """Gives each server's model to those who take part there."""
    participants = list(self._settings.participants)
    for own, new in zip(self._own, zip(*of_servers, strict=True), strict=True):
      own[:, participants] = np.stack(new)[:, np.newaxis]

  def view(self, seed_index: int) -> SimulationView:
    """Returns what was of one seed's users."""
    taking_part = np.zeros(self._settings.users, bool)
    taking_part[list(self._settings.participants)] = True
    return SimulationView(
      self._kinds[seed_index],
      taking_part,
      self._accuracy[seed_index],
      {
        step: tuple(w[seed_index] for w in weights)
        for step, weights in self._kept.items()
      },
    )

  def _take_steps(self, count: int) -> None:
    flat = [w.reshape(-1, *w.shape[2:]) for w in self._own]
    found = self._train(
      self._map, list(zip(*flat, strict=True)), self._batches(count)
    )
    for k, own in enumerate(flat):
      own[:] = np.stack([f['weights'][k] for f in found])
    accuracy = np.stack([f['metrics']['accuracy'][:count] for f in found])
    taken = slice(self._step + 1, self._step + count + 1)
    self._accuracy[:, :, taken] = accuracy.reshape(
      *self._accuracy.shape[:2], count
    )
    self._step += count

  def _batches_of(self, steps: int) -> client_batches.ClientBatches:
    everyone = range(self._people.num_clients)
    return _batches(self._people, everyone, self._settings.points, steps)


def _batches(
  people: population.ClientPopulation,
  clients: Iterable[int],
  size: int,
  steps: int,
) -> client_batches.ClientBatches:
  """Returns as many batches a client as steps, each of all its examples."""
  whole = batching.Batching(size, epochs=steps, shuffle=False)
  return people.batches(list(clients), whole, seed=0, round_num=0)


def _together(
  populations: Sequence[population.ClientPopulation],
) -> population.ArrayPopulation:
  """Returns the clients of all populations, one after the other."""
  parts = []
  rows: dict[str, np.ndarray] = {}
  start = 0
  for k, people in enumerate(populations):
    for client, name in enumerate(people.client_ids):
      parts.append(people.examples(client))
      size = int(people.sizes[client])
      rows[f'{name} of run {k}'] = np.arange(start, start + size)
      start += size
  examples = tuple(np.concatenate(c) for c in zip(*parts, strict=True))
  return population.ArrayPopulation(examples, rows)
