"""Flags of the heat map task: which figures, which sweeps, how many seeds."""

from collections.abc import Sequence

from tff_pipelines.cli import flag_groups
from tff_pipelines.programs import map_sweeps

# Figures of the model world, in the order of a report.
FIGURES = ('merge', 'drift', 'outliers', 'fairness', 'privacy')
COMPARISON = 'comparison'
ALL = 'all'


class HeatMapFlags(flag_groups.FlagGroup):
  """`--figure`, `--sweep`, `--seeds` and what figures are drawn of."""

  def __init__(self) -> None:
    super().__init__('What to look at')
    define = self.define
    self._figures = define(
      'figure',
      [],
      'any of merge (users who learn alone and meet), drift (how often they '
      'meet), outliers (who report cold everywhere), fairness (whom the map '
      'serves), privacy (noise on places, and noise with a guarantee); all of '
      'them and every sweep: all; or comparison (central, local and federated '
      'training in rounds). By default merge, of real data comparison',
    )
    self._sweep = define(
      'sweep',
      [],
      f'a knob out of {", ".join(map_sweeps.KNOBS)}; two knobs: a table; all: '
      'one after the other',
    )
    self._num_seeds = define(
      'seeds',
      None,
      'worlds that are drawn for every setting; by default 1 for merge, 200 '
      'for privacy, else 20',
      kind=int,
    )
    self._merge = define(
      'merge_every',
      [],
      'steps of each user between two merges; several for drift. By default '
      'as published for each figure',
    )
    self._steps = define(
      'steps', None, 'steps of each user in all; by default as published',
      kind=int,
    )  # fmt: skip
    self._map_steps = define(
      'map_steps',
      [],
      'steps whose maps figure merge draws, at most three; by default the '
      'first merge, the middle and the end',
    )
    self._personalize_steps = define(
      'personalize_steps',
      20,
      'steps that users train the last map further on their own, for fairness',
    )
    self._epsilon = define(
      'guarantee_epsilon', 4.0, 'of the guarantee that figure privacy compares'
    )
    self._delta = define('guarantee_delta', 1e-5, 'of the same guarantee')
    self._guarantee_users = define(
      'guarantee_users',
      ['16', '64', '256', '1024'],
      'how many users the guarantee is tried with',
    )
    self._animate = define(
      'animate',
      False,
      'also writes animation.gif, and animation.mp4 where ffmpeg is there: '
      'figure merge, merge by merge',
    )

  def check(self) -> None:
    """Refuses figures and knobs that there are not, and what has no effect."""
    super().check()
    known = (*FIGURES, COMPARISON, ALL)
    found = self._figures.value
    if any(name not in known for name in found) or (
      len(found) > 1 and {COMPARISON, ALL} & set(found)
    ):
      raise flag_groups.FlagError(
        f'Expected figures out of {", ".join(FIGURES)}, or {ALL} or '
        f'{COMPARISON} alone, found --figure={",".join(found)}.'
      )
    if found and self.knobs:
      raise flag_groups.FlagError(
        'Expected --figure or --sweep, found both; run one after the other '
        f'(--figure={ALL} has all sweeps).'
      )
    knobs = (*map_sweeps.KNOBS, ALL)
    if any(knob not in knobs for knob in self.knobs) or (
      ALL in self.knobs and len(self.knobs) > 1
    ):
      raise flag_groups.FlagError(
        f'Expected one or two knobs out of {", ".join(map_sweeps.KNOBS)}, or '
        f'{ALL}, found --sweep={",".join(self.knobs)}.'
      )
    for flag in (self._num_seeds, self._steps):
      if flag.value is not None and flag.value < 1:
        raise flag_groups.FlagError(
          f'Expected --{flag.name} of at least 1, found {flag.value}.'
        )
    self._check_figures_of_flags()

  def _check_figures_of_flags(self) -> None:
    for flag, figure in (
      (self._map_steps, 'merge'),
      (self._animate, 'merge'),
      (self._personalize_steps, 'fairness'),
      (self._epsilon, 'privacy'),
      (self._delta, 'privacy'),
      (self._guarantee_users, 'privacy'),
    ):
      shown = self.figures('grid')
      if flag.present and figure not in shown:
        raise flag_groups.FlagError(
          f'Expected --figure={figure} where --{flag.name} is given, found '
          f'--figure={",".join(self._figures.value)}, with which it has no '
          'effect; remove one of them.'
        )

  def figures(self, dataset: str) -> tuple[str, ...]:
    """Returns the figures to draw of a data set; none for a comparison.

    Raises:
      FlagError: If figures of the model world are asked for of another.
    """
    chosen = self._figures.value
    if dataset != 'grid':
      if self.knobs or (chosen and chosen != [COMPARISON]):
        raise flag_groups.FlagError(
          f'Expected --dataset=grid for figures and sweeps, whose worlds are '
          f'drawn anew for every seed, found --dataset={dataset}; take '
          f'--figure={COMPARISON}.'
        )
      return ()
    if self.knobs or chosen == [COMPARISON]:
      return ()
    if chosen == [ALL]:
      return FIGURES
    return tuple(f for f in FIGURES if f in (chosen or ['merge']))

  @property
  def knobs(self) -> tuple[str, ...]:
    """What `--sweep` names."""
    return tuple(self._sweep.value)

  def sweeps(self) -> list[tuple[str, ...]]:
    """Returns the knobs of each sweep: one, or two that make a table."""
    if self.knobs == (ALL,) or self._figures.value == [ALL]:
      return [(knob,) for knob in map_sweeps.DEFAULT_KNOBS]
    return [self.knobs] if self.knobs else []

  def num_seeds(self, usual: int) -> int:
    """Returns how many worlds to draw, `usual` unless it was given."""
    return usual if self._num_seeds.value is None else self._num_seeds.value

  @property
  def merge_periods(self) -> tuple[int, ...]:
    """The steps between merges that were given, if any."""
    return flag_groups.whole_numbers(self._merge, '2,10,80')

  @property
  def steps(self) -> int | None:
    """The steps that were given."""
    return self._steps.value

  @property
  def map_steps(self) -> tuple[int, ...]:
    """The steps to draw maps of that were given, if any."""
    return flag_groups.whole_numbers(self._map_steps, '20,200,400')

  @property
  def personalize_steps(self) -> int:
    """Steps of the last map's further training."""
    return self._personalize_steps.value

  @property
  def guarantee(self) -> tuple[float, float]:
    """Epsilon and delta that figure privacy compares."""
    return self._epsilon.value, self._delta.value

  @property
  def guarantee_users(self) -> Sequence[int]:
    """Numbers of users that the guarantee is tried with."""
    return flag_groups.whole_numbers(self._guarantee_users, '16,256')

  @property
  def animate(self) -> bool:
    """Whether to write an animation."""
    return self._animate.value
