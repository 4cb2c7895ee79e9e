"""What is asked of the figures of the model world, and how it is run."""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from tff_pipelines.cli import (
  flag_groups,
  heat_map_computations,
  heat_map_flags,
)
from tff_pipelines.programs import (
  map_records,
  map_runs,
  map_sweeps,
  progress,
)

# As published, unless flags say otherwise.
_PUBLISHED: Mapping[str, Mapping[str, Any]] = {
  'merge': {'points': 4, 'merge': 20, 'steps': 400},
  'drift': {'points': 4, 'steps': 250},
  'outliers': {'points': 8, 'outliers': 4, 'merge': 20, 'steps': 98},
  'fairness': {'points': 8, 'outliers': 4, 'merge': 20, 'steps': 200},
  'privacy': {'points': 8, 'outliers': 1, 'merge': 20, 'steps': 198},
}
_SEEDS = {'merge': 1, 'privacy': 200}
# Settings that a figure varies itself; the merge periods of drift are a list.
_VARIED: Mapping[str, Sequence[str]] = {'privacy': ('noise',)}


@dataclasses.dataclass(frozen=True)
class Request:
  """What is asked for.

  Attributes:
    flags: Which figures, and how many seeds.
    given: Settings of the world that were given, by their name in
      `map_runs.MapSettings`.
    computations: What runs are made of.
    seed: The first seed.
  """

  flags: heat_map_flags.HeatMapFlags
  given: Mapping[str, Any]
  computations: heat_map_computations.HeatMapComputations
  seed: int

  def seeds(self, figure: str) -> range:
    """Returns the seeds of a figure's worlds."""
    count = self.flags.num_seeds(_SEEDS.get(figure, map_sweeps.NUM_SEEDS))
    return range(self.seed, self.seed + count)

  def settings(self, figure: str, *swept: str) -> map_runs.MapSettings:
    """Returns the settings of a figure.

    Args:
      figure: Its name; of a sweep `sweep`.
      *swept: Settings that a sweep varies.

    Raises:
      FlagError: If one that it varies was given, but for the merge periods of
        drift, or several merge periods of another figure.
      PipelineError: If there is no such world.
    """
    given = dict(self.given)
    if self.flags.steps is not None:
      given['steps'] = self.flags.steps
    periods = self.flags.merge_periods
    if periods and figure != 'drift':
      if len(periods) > 1:
        raise flag_groups.FlagError(
          'Expected one number in --merge_every for figures other than drift, '
          f'found {",".join(map(str, periods))}.'
        )
      (given['merge'],) = periods
    for name in (*_VARIED.get(figure, ()), *swept):
      if name in given:
        raise flag_groups.FlagError(
          f'Expected no {name} among the flags where the figure varies it, '
          f'found {given[name]}; remove that flag.'
        )
    return map_runs.MapSettings(**{**_PUBLISHED.get(figure, {}), **given})

  def sweep(self, knobs: Sequence[str]) -> map_sweeps.Sweep:
    """Returns the sweep of one knob, or of two that make a table.

    Raises:
      PipelineError: If a knob was given, or no world has some of the values.
    """
    return map_sweeps.Sweep(
      {knob: map_sweeps.KNOBS[knob] for knob in knobs},
      self.settings('sweep', *knobs),
      self.flags.num_seeds(map_sweeps.NUM_SEEDS),
      self.seed,
    )

  def run(
    self, settings: map_runs.MapSettings, seeds: Sequence[int], **options: Any
  ) -> list[map_runs.MapRun]:
    """Runs some settings, as `map_runs.run`."""
    return map_runs.run(
      self.computations.of(len(settings.participants)),
      settings,
      seeds,
      **options,
    )

  def curves(
    self,
    figure: str,
    settings: Mapping[str, tuple[map_runs.MapSettings, Mapping[str, Any]]],
    **options: Any,
  ) -> list[map_records.Curve]:
    """Runs every setting with every seed of a figure.

    Args:
      figure: Its name.
      settings: By the curve's name, with what tells it from the others.
      **options: As of `map_runs.run`.
    """
    seeds = self.seeds(figure)
    curves = []
    with progress.Progress(figure, len(settings), unit='setting') as display:
      for name, (chosen, values) in settings.items():
        runs = self.run(chosen, seeds, **options)
        curves.append(map_records.Curve(name, runs, values))
        accuracy = sum(float(r.server.accuracy[-1]) for r in runs) / len(runs)
        display.update(len(curves), {'accuracy': accuracy})
    return curves
