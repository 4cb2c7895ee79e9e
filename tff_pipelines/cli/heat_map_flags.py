"""Flags of the heat map task: which figures, which sweeps, how many seeds."""

from collections.abc import Collection, Sequence

from absl import flags

from tff_pipelines.cli import flag_groups
from tff_pipelines.programs import map_sweeps

# Figures of the model world, in the order of a report.
FIGURES = ('merge', 'drift', 'outliers', 'fairness', 'privacy')
COMPARISON = 'comparison'
ALL = 'all'
_MOST_MAP_STEPS = 3


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
      ['16', '32', '64', '128', '256'],
      'how many users the guarantee is tried with',
    )
    self._animate = define(
      'animate',
      False,
      'also writes figures/merge_animation.gif, and a film beside it where '
      'ffmpeg is there: figure merge, merge by merge',
    )

  def check(self) -> None:
    """Refuses figures and knobs that there are not, and what has no effect."""
    super().check()
    self._check_choices()
    self._check_numbers()
    self._check_effect(flags.FLAGS['dataset'].value)

  def check_others(
    self, groups: Sequence[flag_groups.FlagGroup], but: Collection[str]
  ) -> None:
    """Refuses flags of a comparison where figures or sweeps are drawn.

    Args:
      groups: What only a comparison looks at.
      but: Names of their flags that figures look at, too.

    Raises:
      FlagError: If one of the others was given.
    """
    for group in groups:
      for name in group.given_flags():
        if name not in but:
          raise _no_effect(f'--figure={COMPARISON}', name, self._in_words())

  def _check_choices(self) -> None:
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
    if self.knobs in ((), (ALL,)):
      return
    if (
      any(knob not in map_sweeps.KNOBS for knob in self.knobs)
      or len(self.knobs) > 2
      or len(set(self.knobs)) < len(self.knobs)
    ):
      raise flag_groups.FlagError(
        f'Expected one or two knobs out of {", ".join(map_sweeps.KNOBS)}, or '
        f'{ALL}, found --sweep={",".join(self.knobs)}.'
      )

  def _check_numbers(self) -> None:
    for flag, found in (
      (self._num_seeds, [self._num_seeds.value]),
      (self._steps, [self.steps]),
      (self._personalize_steps, [self.personalize_steps]),
      (self._merge, self.merge_periods),
      (self._guarantee_users, self.guarantee_users),
    ):
      for number in found:
        if number is not None and number < 1:
          raise flag_groups.FlagError(
            f'Expected --{flag.name} of at least 1, found {number}.'
          )
    if len(set(self.map_steps)) > _MOST_MAP_STEPS:
      raise flag_groups.FlagError(
        f'Expected at most {_MOST_MAP_STEPS} steps in '
        f'--{self._map_steps.name}, found {",".join(map(str, self.map_steps))}.'
      )

  def _check_effect(self, dataset: str) -> None:
    shown = self.figures(dataset)
    if not (shown or self.sweeps()):
      for flag in (self._num_seeds, self._merge, self._steps):
        if flag.present:
          raise _no_effect(
            'a figure or a sweep of --dataset=grid',
            flag.name,
            self._in_words(dataset),
          )
    for flag, figure in (
      (self._map_steps, 'merge'),
      (self._animate, 'merge'),
      (self._personalize_steps, 'fairness'),
      (self._epsilon, 'privacy'),
      (self._delta, 'privacy'),
      (self._guarantee_users, 'privacy'),
    ):
      if flag.present and figure not in shown:
        raise _no_effect(
          f'--figure={figure}', flag.name, self._in_words(dataset)
        )

  def _in_words(self, dataset: str = 'grid') -> str:
    """Returns the flag that decides what is drawn."""
    if self.knobs:
      return f'--sweep={",".join(self.knobs)}'
    if dataset != 'grid':
      return f'--dataset={dataset}'
    return f'--figure={",".join(self._figures.value) or "merge"}'

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


def _no_effect(wanted: str, name: str, found: str) -> flag_groups.FlagError:
  return flag_groups.FlagError(
    f'Expected {wanted} where --{name} is given, found {found}, with which it '
    'has no effect; remove one of them.'
  )
