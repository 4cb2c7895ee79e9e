"""One person, as the servers of the systems see them."""

from collections.abc import Sequence

import matplotlib.axes
import matplotlib.figure
import numpy as np

from tff_pipelines.core import wording
from tff_pipelines.reports import appearance, leak, results, run_reader

_WORDS = 9
_OTHERS = 3
_WRONG = '#c9c9c9'


def server_view(run: run_reader.Run) -> matplotlib.figure.Figure | None:
  """Draws which words each server names for one person, and their spam rates.

  Args:
    run: The run.

  Returns:
    The figure, None if no leak was measured.
  """
  if run.leak is None:
    return None
  found = run.leak
  words = _pick(found.words, _WORDS)
  others = _pick(found.words_of_others, _OTHERS)
  estimating = _estimating(words + others)
  heights = [0.9 + 0.42 * len(found.readings)]
  if estimating and words:
    heights.append(1.0 + 0.32 * (len(words) + len(others)))
  figure = appearance.figure(sum(heights), simulation_only=True)
  axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[
    :, 0
  ]
  _draw_named(axes[0], found)
  if len(axes) > 1:
    _draw_rates(axes[1], found, words, others, estimating)
    handles, labels = axes[1].get_legend_handles_labels()
    appearance.legend(figure, handles, labels, columns=3)
  return figure


def _draw_named(axes: matplotlib.axes.Axes, found: leak.Leak) -> None:
  looks = appearance.looks(reading.system for reading in found.readings)
  for position, reading in enumerate(found.readings):
    right, wrong = reading.person_right, reading.person_wrong
    axes.barh(position, right, height=0.7, color=looks[reading.system].color)
    axes.barh(
      position, wrong, left=right, height=0.7, color='white', edgecolor=_WRONG,
      hatch='////', linewidth=0.8,
    )  # fmt: skip
    axes.text(
      1.02,
      position,
      f'{right:,} right\n{wrong:,} wrong',
      transform=axes.get_yaxis_transform(),
      va='center',
      fontsize=9,
      color=appearance.INK,
    )
  axes.axvline(found.person_words, color=appearance.INK, linewidth=1.2)
  axes.text(
    found.person_words,
    -0.62,
    f' the {found.person_words:,} words of this person',
    va='bottom',
    fontsize=9,
    color=appearance.INK,
  )
  axes.set_yticks(
    range(len(found.readings)), [_row_name(r) for r in found.readings]
  )
  axes.set_ylim(len(found.readings) - 0.5, -1.1)
  appearance.format_axis(axes.xaxis, 'count')
  appearance.dress(
    axes,
    title='one person: which words?',
    x=f'words named for {appearance.label(found.person, 16)}: coloured are '
    'right, hatched wrong',
    simulation_only=True,
  )
  axes.grid(visible=False)
  axes.tick_params(axis='y', length=0)


def _draw_rates(
  axes: matplotlib.axes.Axes,
  found: leak.Leak,
  words: Sequence[leak.Word],
  others: Sequence[leak.Word],
  estimating: Sequence[str],
) -> None:
  looks = appearance.looks(estimating)
  rows = [*words, *others]
  axes.plot(
    [_rate(word) for word in words],
    range(len(words)),
    linestyle='none',
    marker='o',
    markersize=13,
    markerfacecolor='none',
    markeredgecolor=appearance.INK,
    markeredgewidth=1.4,
    clip_on=False,
    label='truth',
  )
  for system in estimating:
    is_sum = system == 'secure_federated'
    points = [
      # Beside the ring, or it would cover the other mark.
      (word.estimates[system], position + (0.36 if is_sum else 0.0))
      for position, word in enumerate(rows)
      if system in word.estimates
    ]
    axes.plot(
      *zip(*points, strict=True),
      linestyle='none',
      marker=looks[system].marker,
      markersize=5.5 if is_sum else 7.5,
      markeredgewidth=0,
      color=looks[system].color,
      clip_on=False,
      label='said by the sum' if is_sum else "said by the person's update",
    )
  axes.set_yticks(range(len(rows)), [_word_name(word) for word in rows])
  axes.set_ylim(len(rows) - 0.3, -0.6)
  axes.set_xlim(-0.03, 1.03)
  appearance.format_axis(axes.xaxis, 'percent')
  appearance.dress(
    axes,
    title='how much spam?',
    x="share of spam among the person's texts with the word",
    simulation_only=True,
  )
  if others:
    axes.axhspan(
      len(words) - 0.42, len(rows) - 0.3, color='#e0e0e0', linewidth=0, zorder=0
    )
  axes.tick_params(axis='y', length=0)


def _pick(words: Sequence[leak.Word], count: int) -> list[leak.Word]:
  """Words to show: plain ones of most texts, spread over the spam rates."""
  plain = [word for word in words if word.word.isalpha()]
  pool = plain if len(plain) >= count else list(words)
  # Of three times as many of most texts every third by rate: ham, both, spam.
  pool = sorted(pool[: 3 * count], key=lambda word: -_rate(word))
  places = np.linspace(0, len(pool) - 1, min(count, len(pool)))
  return [pool[place] for place in np.round(places).astype(int)]


def _rate(word: leak.Word) -> float:
  """The true rate; where there is none, what is said of it."""
  if word.spam_rate is not None:
    return word.spam_rate
  return max(word.estimates.values(), default=0.0)


def _estimating(words: Sequence[leak.Word]) -> list[str]:
  return list(dict.fromkeys(s for word in words for s in word.estimates))


def _row_name(reading: leak.Reading) -> str:
  name = appearance.label(results.display_name(reading.system))
  if reading.system == 'secure_federated':
    rounds = reading.rounds
    name += '\n(one sum)' if rounds == 1 else f'\n({rounds} sums)'
  return name


def _word_name(word: leak.Word) -> str:
  name = appearance.label(word.word, 18)
  if not word.texts:
    return f'{name} (never used)'
  return f'{name} ({wording.counted(word.texts, "text")})'
