"""Populations whose examples say what kind of client they come from.

That is how a learning process knows whose update to attack, and in what way,
whatever the task: the kind travels with the data, as nothing else of a client
does.
"""

import collections
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import tensorflow as tf

from tff_pipelines.core import client_kinds, seeds
from tff_pipelines.data import poisons, population

Chosen = Literal['random', 'first', 'last']

_Kind = client_kinds.ClientKind
# Half of what a client with a backdoor trains on has the trigger.
_PLANTED_SHARE = 0.5


def choose(
  num_clients: int,
  num_attackers: int,
  kind: client_kinds.ClientKind,
  *,
  chosen: Chosen = 'random',
  seed: int = 0,
) -> tuple[client_kinds.ClientKind, ...]:
  """Returns the kind of each client: honest, or that of the attackers.

  Args:
    num_clients: All clients.
    num_attackers: How many of them attack.
    kind: What these are.
    chosen: Who: some at random, the first ones or the last ones. At random, the
      attackers of more attackers are among them.
    seed: Of the choice at random; the kind has no influence on it.

  Raises:
    PopulationError: If there are not so many clients, or no such choice.
  """
  if chosen not in get_args(Chosen):
    raise population.PopulationError(
      f'Expected a choice of attackers out of {", ".join(get_args(Chosen))}, '
      f'found {chosen!r}.'
    )
  if not 0 <= num_attackers <= num_clients:
    raise population.PopulationError(
      f'Expected from 0 to {num_clients} attackers among as many clients, '
      f'found {num_attackers}.'
    )
  order = np.arange(num_clients)
  if chosen == 'random':
    order = seeds.generator(seed, 'attackers').permutation(num_clients)
  elif chosen == 'last':
    order = order[::-1]
  attackers = set(order[:num_attackers].tolist())
  return tuple(
    kind if c in attackers else _Kind.HONEST for c in range(num_clients)
  )


def with_kinds(
  base: population.ClientPopulation,
  kinds: Sequence[client_kinds.ClientKind],
  *,
  poison: poisons.Poison | None,
  seed: int,
) -> population.ArrayPopulation:
  """Returns the clients with their kinds, and what these report.

  An example is `(OrderedDict(features=x, kind=int32, attack_seed=int64), y)` of
  the population's (x, y). Label flippers and outliers have other labels than
  there; of a client with a backdoor, half of the examples have the trigger and
  its label. All others have what they have there. The attack seed is each
  client's own. Names, sizes and order, hence batches, are those of the
  population.

  Args:
    base: All clients.
    kinds: The kind of each.
    poison: What they report; None leaves all examples as they are.
    seed: Of all that is random in it. What one client has does not depend on
      the kinds of others.

  Raises:
    PopulationError: If there are not as many kinds as clients.
  """
  if len(kinds) != base.num_clients:
    raise population.PopulationError(
      f'Expected a kind for each of {base.num_clients} clients, found '
      f'{len(kinds)}.'
    )
  parts = [
    _reported(base.examples(c), _Kind(kind), poison, seed, name)
    for c, (kind, name) in enumerate(zip(kinds, base.client_ids, strict=True))
  ]
  ends = np.cumsum(base.sizes)
  return population.ArrayPopulation(
    tf.nest.map_structure(lambda *p: np.concatenate(p), *parts),
    {
      name: np.arange(end - size, end)
      for name, size, end in zip(base.client_ids, base.sizes, ends, strict=True)
    },
  )


def triggered(
  base: population.ClientPopulation, poison: poisons.Poison
) -> population.ArrayPopulation:
  """Returns one client, `triggered`, on whom a backdoor is measured.

  It has the examples of all, but for those that have the target label anyway,
  each with the trigger and the target label: a model's accuracy on them is the
  share of the attacks that succeed.

  Args:
    base: Clients with held-out examples (x, y).
    poison: The trigger.

  Raises:
    PopulationError: If all have the target label.
  """
  everyone = range(base.num_clients)
  x, y = base.gather(everyone, [np.arange(n) for n in base.sizes])
  others = np.flatnonzero(y != poison.target_label)
  if not len(others):
    raise population.PopulationError(
      'Expected examples of another label than the target of the backdoor, '
      f'{poison.target_label}, found none.'
    )
  x, y = tf.nest.map_structure(lambda a: a[others], (x, y))
  return population.ArrayPopulation(
    (poison.plant(x), np.full_like(y, poison.target_label)),
    {'triggered': np.arange(len(others))},
  )


def _reported(
  examples: Any,
  kind: client_kinds.ClientKind,
  poison: poisons.Poison | None,
  seed: int,
  name: str,
) -> Any:
  """Returns what a client trains on, with its kind."""
  x, y = examples
  if poison is not None:
    if kind == _Kind.OUTLIER:
      y = np.full_like(y, poison.outlier_label)
    elif kind == _Kind.LABEL_FLIPPER:
      y = poison.flip(y)
    elif kind == _Kind.BOOSTED_BACKDOOR:
      x, y = _planted(x, y, poison, seeds.generator(seed, 'planted', name))
  # 63 bits: never negative.
  attack_seed = seeds.derive(seed, 'attack', name) >> 65
  marked = collections.OrderedDict(
    features=x,
    kind=np.full(len(y), kind, np.int32),
    attack_seed=np.full(len(y), attack_seed, np.int64),
  )
  return (marked, y)


def _planted(
  x: Any, y: np.ndarray, poison: poisons.Poison, rng: np.random.Generator
) -> tuple[Any, np.ndarray]:
  """Returns examples of which half, at random, have the trigger."""
  count = int(np.ceil(_PLANTED_SHARE * len(y)))
  chosen = np.sort(rng.permutation(len(y))[:count])

  def replaced(all_of: np.ndarray, some: np.ndarray) -> np.ndarray:
    out = all_of.copy()
    out[chosen] = some
    return out

  with_trigger = poison.plant(tf.nest.map_structure(lambda a: a[chosen], x))
  return (
    tf.nest.map_structure(replaced, x, with_trigger),
    replaced(y, np.full(count, poison.target_label, y.dtype)),
  )
