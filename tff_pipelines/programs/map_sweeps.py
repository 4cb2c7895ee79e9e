"""How good maps become when one or two settings vary, over many seeds.

What has been computed is kept, one file a setting and seed, so that a sweep
that was killed goes on, and sweeps that have settings in common share them.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import functools
import itertools
import statistics
from typing import Any, Protocol

from tff_pipelines.core import errors, seeds
from tff_pipelines.data import grid_world
from tff_pipelines.programs import kept_results, map_runs, progress

# Names of settings, and what each is varied over unless it is said.
KNOBS: dict[str, tuple[int | float, ...]] = {
  'points': (1, 2, 4, 8, 16, 32),
  'merge': (80, 40, 20, 10, 4, 2),
  'outliers': (0, 1, 2, 4, 8),
  'noise': (0.0, 1.0, 2.0, 3.0, 4.0, 5.0),
  'users': (2, 4, 8, 16, 32, 64),
  'steps': (20, 40, 98, 200, 400),
}
# Those that are swept one after the other unless it is said. Points come last:
# batches of another size are compiled anew, and slow down what follows.
DEFAULT_KNOBS = ('merge', 'outliers', 'noise', 'users', 'points')
NUM_SEEDS = 20


class RunSettings(Protocol):
  """Runs settings with several seeds, one run each, as `map_runs.run` does."""

  def __call__(
    self,
    settings: map_runs.MapSettings,
    seeds: Sequence[int],
    *,
    every_merge: bool,
  ) -> list[map_runs.MapRun]:
    """Returns a run of each seed."""


class SweepError(errors.PipelineError):
  """A sweep that cannot be carried out."""


@dataclasses.dataclass(frozen=True)
class Sweep:
  """What to vary, and how.

  Attributes:
    knobs: One or two names of `KNOBS`, with the values of each; two make a
      table.
    base: All other settings.
    num_seeds: So many seeds in a row are run for every value.
    first_seed: The first of them.
  """

  knobs: Mapping[str, Sequence[int | float]]
  base: map_runs.MapSettings = dataclasses.field(
    default_factory=map_runs.MapSettings
  )
  num_seeds: int = NUM_SEEDS
  first_seed: int = 0

  def __post_init__(self) -> None:
    if not 1 <= len(self.knobs) <= 2:
      raise SweepError(
        f'Expected one or two knobs, found {len(self.knobs)}; sweep others one '
        'after the other.'
      )
    for name, values in self.knobs.items():
      if name not in KNOBS:
        raise SweepError(
          f'Expected a knob out of {", ".join(KNOBS)}, found {name!r}.'
        )
      if not values or len(set(values)) < len(values):
        raise SweepError(
          f'Expected some values of {name}, each once, found {tuple(values)}.'
        )
    if self.num_seeds < 1:
      raise SweepError(
        f'Expected num_seeds of at least 1, found {self.num_seeds}.'
      )
    if not self.settings():
      raise SweepError(
        'Expected a world for some values at least, found that there is none '
        f'with {self._in_words()}.'
      )

  @property
  def name(self) -> str:
    """`sweep_points`, or of two knobs `sweep_points_merge`."""
    return '_'.join(['sweep', *self.knobs])

  @property
  def seeds(self) -> range:
    """The seeds of every value."""
    return range(self.first_seed, self.first_seed + self.num_seeds)

  def settings(self) -> list[map_runs.MapSettings]:
    """Returns the settings, the last knob running fastest.

    Of a table, combinations that make no world (8 outliers among 4 users) are
    left out.

    Raises:
      PipelineError: If a value of a single knob makes no world.
    """
    found = []
    for values in itertools.product(*self.knobs.values()):
      changes: dict[str, Any] = dict(zip(self.knobs, values, strict=True))
      try:
        found.append(dataclasses.replace(self.base, **changes))
      except (grid_world.GridWorldError, map_runs.MapSettingsError):
        if len(self.knobs) == 1:
          raise
    return found

  def _in_words(self) -> str:
    return ' and '.join(
      f'{name} of {", ".join(map(str, values))}'
      for name, values in self.knobs.items()
    )


def default_sweep(
  knob: str,
  base: map_runs.MapSettings | None = None,
  num_seeds: int = NUM_SEEDS,
) -> Sweep:
  """Returns the sweep of a knob over its usual values.

  Raises:
    SweepError: If there is no such knob.
  """
  values = KNOBS.get(knob, (0,))
  return Sweep({knob: values}, base or map_runs.MapSettings(), num_seeds)


@dataclasses.dataclass(frozen=True)
class SweptRun:
  """How one run of a sweep ended.

  Attributes:
    settings: What was run.
    seed: Of the world and the model.
    accuracy: Of the model of all, after the last merge.
    mean_local_accuracy: Of the users' own models, after the last step. Only a
      simulation sees it.
    median_local_accuracy: Likewise.
  """

  settings: map_runs.MapSettings
  seed: int
  accuracy: float
  mean_local_accuracy: float
  median_local_accuracy: float


def run(
  sweep: Sweep,
  run_settings: RunSettings,
  kept: kept_results.KeptResults,
) -> list[SweptRun]:
  """Runs or resumes a sweep.

  Args:
    sweep: What to vary.
    run_settings: `map_runs.run` with its computations.
    kept: Where results are, of the same computations.

  Returns:
    A run for every setting and seed, the seed running fastest.

  Raises:
    SavingFailedError: If a result cannot be written. What was kept is whole.
  """
  settings = sweep.settings()
  swept: list[SweptRun] = []
  with progress.Progress(sweep.name, len(settings), unit='value') as display:
    for done, chosen in enumerate(settings, start=1):
      results = kept.get_all(
        [_name(chosen, seed) for seed in sweep.seeds],
        functools.partial(_endings, run_settings, chosen),
      )
      values = {name: getattr(chosen, name) for name in sweep.knobs}
      swept += [
        SweptRun(chosen, seed, **result)
        for seed, result in zip(sweep.seeds, results, strict=True)
      ]
      mean = sum(r['accuracy'] for r in results) / len(results)
      display.update(done, {**values, 'accuracy': mean})
  return swept


def ending(one: map_runs.MapRun) -> dict[str, float]:
  """Returns how a run whose users were followed ended.

  Returns:
    The accuracies of `SweptRun`, by name.
  """
  last = one.users.last_accuracy.tolist()
  return {
    'accuracy': float(one.server.accuracy[-1]),
    'mean_local_accuracy': statistics.fmean(last),
    'median_local_accuracy': statistics.median(last),
  }


def _endings(
  run_settings: RunSettings,
  settings: map_runs.MapSettings,
  names: Sequence[str],
) -> list[dict[str, float]]:
  """Returns the results of these names, computed together."""
  runs = run_settings(
    settings, [_seed(name) for name in names], every_merge=False
  )
  return [ending(one) for one in runs]


def _name(settings: map_runs.MapSettings, seed: int) -> str:
  """Returns the name of a result: the same for the same settings only."""
  text = repr(sorted(dataclasses.asdict(settings).items()))
  return f'{seeds.derive(0, text):032x} seed {seed}'


def _seed(name: str) -> int:
  return int(name.split()[-1])
