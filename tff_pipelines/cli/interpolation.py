"""What averaging two models does to the loss, by where they started.

Two clients train a model each, once from the same weights and once from
different ones; the weighted means of the two models are tested on the examples
of all. McMahan et al. 2017, figure 1 (section 2): started alike, the mean is
better than either; started apart, it is no model at all.
"""

from collections.abc import Callable, Sequence
import dataclasses
from typing import Any

import numpy as np
import tensorflow_federated as tff

from tff_pipelines.cli import comparison, flag_groups, training_flags
from tff_pipelines.core import seeds
from tff_pipelines.data import batching as batching_lib
from tff_pipelines.data import population
from tff_pipelines.learning import client_updates, evaluation, optimizers
from tff_pipelines.programs import (
  map_records,
  progress,
  results,
  run_directory,
  training,
)

INTERPOLATION = 'interpolation'
# The paper's: 50 values, evenly spaced. The models and their mean beside them.
# Rounded, so that those that are 0 and 1 are so exactly.
_WEIGHTS = np.union1d(np.linspace(-0.2, 1.2, 50).round(9), [0.0, 0.5, 1.0])
# Flags about the clients' own training, which a figure looks at.
_OF_CLIENTS = (
  'seed', 'batch_size', 'client_epochs', 'client_steps',
  'max_examples_per_client',
)  # fmt: skip
_TITLE = 'The loss between two models'
_COLUMNS = (
  results.Column(
    'loss_at_half', 'loss_at_half', 'loss of the mean', 'ratio', 'lower'
  ),
  results.Column(
    'loss_at_1', 'loss_at_1', 'loss of the first', 'ratio', 'lower'
  ),
  results.Column(
    'loss_at_0', 'loss_at_0', 'loss of the second', 'ratio', 'lower'
  ),
  results.Column('gain', 'gain', 'mean better by', 'ratio', 'higher'),
)

# From a seed of the initial weights.
Model = Callable[[int], tff.learning.models.FunctionalModel]


class TooFewClientsError(flag_groups.FlagError):
  """Fewer than two clients."""


@dataclasses.dataclass(frozen=True)
class Line:
  """The models between two.

  Attributes:
    name: Where the two started.
    weights: Of the first model; the second has the rest of 1.
    losses: On the training examples of all clients.
  """

  name: str
  weights: tuple[float, ...]
  losses: tuple[float, ...]

  @property
  def ends(self) -> dict[str, float]:
    """The losses of the two and of their mean, and what the mean gains."""
    found = dict(zip(self.weights, self.losses, strict=True))
    return {
      'loss_at_0': found[0.0],
      'loss_at_half': found[0.5],
      'loss_at_1': found[1.0],
      'gain': min(found[0.0], found[1.0]) - found[0.5],
    }


class FigureFlags(flag_groups.FlagGroup):
  """`--figure`."""

  def __init__(self) -> None:
    super().__init__('Figures (instead of comparing systems)')
    self._figure = self.define(
      'figure',
      'none',
      'interpolation: the first two clients train a model each, from the same '
      'weights and from different ones, and every weighted mean of the two is '
      'tested on all training examples',
      choices=('none', INTERPOLATION),
    )

  @property
  def requested(self) -> bool:
    """Whether a figure takes the place of the comparison."""
    return self._figure.value != 'none'

  def check_others(
    self,
    groups: Sequence[flag_groups.FlagGroup],
    client: training_flags.OptimizerFlags,
  ) -> None:
    """Refuses flags of a comparison where a figure is asked for.

    Args:
      groups: What a comparison looks at; a figure only at the clients' batches.
      client: The clients' optimizer, whose schedule a figure ignores.

    Raises:
      FlagError: If a flag was given that has no effect.
    """
    if not self.requested:
      return
    given = [name for group in groups for name in group.given_flags()]
    for name in [*given, *client.schedule_flags()]:
      if name not in _OF_CLIENTS:
        raise flag_groups.FlagError(
          f'Expected --{self._figure.name}=none where --{name} is given, found '
          f'--{self._figure.name}={self._figure.value}, with which it has no '
          'effect; remove one of them.'
        )


def run(
  dataset: population.FederatedDataset,
  model_of: Model,
  *,
  client_optimizer: optimizers.OptimizerConfig,
  batching: batching_lib.Batching,
  seed: int,
  directory: run_directory.RunDirectory,
) -> comparison.Outcome:
  """Trains the first two clients twice, and tests what lies between.

  Writes maps/interpolation/figure.json.

  Args:
    dataset: Who has what.
    model_of: The model, with initial weights of a seed.
    client_optimizer: What the two train with.
    batching: Their batches.
    seed: The run's seed.
    directory: Where it is recorded.

  Returns:
    The table, a row for where they started; it has no weights to use.

  Raises:
    TooFewClientsError: If there are no two clients.
  """
  people = dataset.train
  if people.num_clients < 2:
    raise TooFewClientsError(
      f'Expected at least two clients, found {people.num_clients}; deal the '
      'examples to more.'
    )
  model, other = model_of(seed), model_of(_other(seed))
  train = _Training(model, client_optimizer, people, batching, seed)
  first, second = train.of(_weights(model), (0, 1))
  (apart,) = train.of(_weights(other), (1,))
  evaluate = evaluation.build(model)
  everything = people.batches(
    range(people.num_clients),
    training.EVALUATION_BATCHING,
    seed=0,
    round_num=0,
  )
  lines: list[Line] = []
  with progress.Progress(
    INTERPOLATION, 2 * len(_WEIGHTS), unit='mean'
  ) as display:
    for name, end in (('started_alike', second), ('started_apart', apart)):
      losses: list[float] = []
      for weight in _WEIGHTS.tolist():
        mean = _mean(weight, first, end)
        losses.append(float(evaluate(mean, everything)['loss']))
        done = len(lines) * len(_WEIGHTS) + len(losses)
        display.update(done, {'loss': losses[-1]})
      lines.append(Line(name, tuple(_WEIGHTS.tolist()), tuple(losses)))
  notes = [
    f'{people.client_ids[0]} and {people.client_ids[1]} have '
    f'{int(people.sizes[0]):,} and {int(people.sizes[1]):,} examples; the loss '
    f'is that on all {people.num_examples:,} training examples'
  ]
  _write(directory, lines, notes)
  return comparison.Outcome(
    columns=list(_COLUMNS),
    rows=[results.row(line.name, line.ends, _COLUMNS) for line in lines],
    notes=notes,
    weights=None,
    sentence=_sentence(lines),
  )


class _Training:
  """What single clients make of weights."""

  def __init__(
    self,
    model: tff.learning.models.FunctionalModel,
    optimizer: optimizers.OptimizerConfig,
    people: population.ClientPopulation,
    batching: batching_lib.Batching,
    seed: int,
  ):
    self._updates = client_updates.build(model, optimizer.build())
    self._people, self._batching, self._seed = people, batching, seed

  def of(
    self, weights: tff.learning.models.ModelWeights, clients: Sequence[int]
  ) -> list[tff.learning.models.ModelWeights]:
    """Returns the trained weights of each client, from the same ones."""
    batches = self._people.batches(
      clients, self._batching, seed=self._seed, round_num=1
    )
    return [
      tff.learning.models.ModelWeights(
        tuple(
          w + np.asarray(u)
          for w, u in zip(weights.trainable, found.update, strict=True)
        ),
        weights.non_trainable,
      )
      for found in self._updates(weights, batches)
    ]


def _other(seed: int) -> int:
  """Returns the seed of weights that have nothing to do with the seed's."""
  return int(seeds.generator(seed, 'started apart').integers(2**31))


def _weights(
  model: tff.learning.models.FunctionalModel,
) -> tff.learning.models.ModelWeights:
  trainable, non_trainable = model.initial_weights
  return tff.learning.models.ModelWeights(trainable, non_trainable)


def _mean(
  weight: float,
  first: tff.learning.models.ModelWeights,
  second: tff.learning.models.ModelWeights,
) -> tff.learning.models.ModelWeights:
  """Returns weight * first + (1 - weight) * second."""
  return tff.learning.models.ModelWeights(
    tuple(
      np.float32(weight) * a + np.float32(1 - weight) * b
      for a, b in zip(first.trainable, second.trainable, strict=True)
    ),
    first.non_trainable,
  )


def _write(
  directory: run_directory.RunDirectory,
  lines: Sequence[Line],
  notes: Sequence[str],
) -> None:
  map_records.write_head(
    directory.path / 'maps' / INTERPOLATION,
    INTERPOLATION,
    INTERPOLATION,
    _TITLE,
    settings={},
    curves=[{**dataclasses.asdict(line), **line.ends} for line in lines],
    notes=notes,
  )


def _sentence(lines: Sequence[Line]) -> str:
  parts = []
  for line, where in zip(lines, ('alike', 'apart'), strict=True):
    ends: dict[str, Any] = line.ends
    better = min(ends['loss_at_0'], ends['loss_at_1'])
    parts.append(
      f'started {where}, the mean of two models has a loss of '
      f'{ends["loss_at_half"]:.3g} and the better of them {better:.3g}'
    )
  text = '; '.join(parts)
  return text[:1].upper() + text[1:] + '.'
