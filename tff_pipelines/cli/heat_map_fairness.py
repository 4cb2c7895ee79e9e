"""Figure fairness: whom the shared map serves, and what training it further
at home is worth.

Every user judges a map by the own world: an outlier's is cold everywhere.
"""

from collections.abc import Iterator, Mapping, Sequence
import pathlib
from typing import Any

import tensorflow_federated as tff

from tff_pipelines.cli import heat_map_computations
from tff_pipelines.data import batching
from tff_pipelines.learning import personalization
from tff_pipelines.programs import (
  fairness,
  map_records,
  map_runs,
  progress,
  run_directory,
)

_SIDES = ('included', 'excluded')


def write(
  directory: run_directory.RunDirectory,
  folder: pathlib.Path,
  computations: heat_map_computations.HeatMapComputations,
  settings: map_runs.MapSettings,
  seeds: Sequence[int],
  steps: int,
) -> None:
  """Runs with the outliers and without, and writes the figure's folder.

  Also writes simulation_only/personalization.csv, a row a user of every seed,
  and its summary by group, for the map with the outliers.

  Args:
    directory: The run's.
    folder: Where the figures' folders are.
    computations: What runs are made of.
    settings: The world and the training.
    seeds: One run each.
    steps: Of training at home.
  """
  personalize = personalization.build(
    computations.model, computations.client_optimizer
  )
  sides = dict(zip(_SIDES, (settings, settings.including(0)), strict=True))
  gains: dict[str, dict[int, list[fairness.UserGain]]] = {}
  with progress.Progress('fairness', len(sides), unit='setting') as display:
    for side, chosen in sides.items():
      runs = map_runs.run(
        computations.of(len(chosen.participants)),
        chosen,
        seeds,
        follow_users=False,
      )
      gains[side] = {
        run.seed: _gains(personalize, computations, run, steps) for run in runs
      }
      display.update(len(gains))
  everyone = [g for of_seed in gains['included'].values() for g in of_seed]
  fairness.write(directory, everyone)
  fairness.write_summary(directory, fairness.summarize(everyone))
  map_records.write_users(
    folder,
    'fairness',
    'Whom the shared map serves',
    settings={**settings.plain(), 'personalize_steps': steps},
    curves=[
      f'outliers {side}{after}'
      for side in _SIDES
      for after in ('', f', then {steps} steps at home')
    ],
    notes=[
      'accuracy: each user judges the map by the own world, which is cold '
      'everywhere for an outlier'
    ],
    rows=_rows(gains, steps),
  )


def _gains(
  personalize: tff.Computation,
  computations: heat_map_computations.HeatMapComputations,
  run: map_runs.MapRun,
  steps: int,
) -> list[fairness.UserGain]:
  world = run.settings.world
  people, maps = world.dataset(run.seed).train, world.own_maps()
  everyone = range(people.num_clients)
  weights = tff.learning.models.ModelWeights(
    tuple(w[-1] for w in run.server.weights), ()
  )
  found = personalize(
    weights,
    people.batches(
      everyone,
      batching.Batching(world.points, steps, shuffle=False),
      seed=run.seed,
      round_num=1,
    ),
    maps.batches(
      everyone,
      batching.Batching(int(maps.sizes[0]), shuffle=False),
      seed=run.seed,
      round_num=1,
    ),
  )
  return [
    fairness.UserGain(
      f'{name}, seed {run.seed}',
      kind.text,
      world.points,
      int(size),
      *(
        {'accuracy': float(metrics[when]['accuracy'])}
        for when in ('before', 'after')
      ),
    )
    for name, kind, size, metrics in zip(
      people.client_ids, world.kinds(), maps.sizes, found, strict=True
    )
  ]


def _rows(
  gains: Mapping[str, Mapping[int, Sequence[fairness.UserGain]]], steps: int
) -> Iterator[Sequence[Any]]:
  """Yields curve, seed, user, kind, taking_part, step, accuracy."""
  for side, by_seed in gains.items():
    first = 2 * _SIDES.index(side)
    for seed, users in by_seed.items():
      for gain in users:
        name = gain.client_id.partition(',')[0]
        takes_part = int(side == 'included' or gain.group == 'honest')
        for curve, step, metrics in (
          (first, 0, gain.before),
          (first + 1, steps, gain.after),
        ):
          yield (
            curve, seed, name, gain.group, takes_part, step,
            round(metrics['accuracy'], 6),
          )  # fmt: skip
