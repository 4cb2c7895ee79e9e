"""The figures of a report: which there are, and what each of them says."""

from collections.abc import Callable, Sequence
import dataclasses
import io
import warnings

import matplotlib.figure

from tff_pipelines.reports import (
  attack_curves,
  canary_picture,
  client_data,
  curves,
  local_models,
  masking_picture,
  outlier_picture,
  phase_costs,
  privacy_curves,
  results,
  run_reader,
  server_view,
  small_multiples,
  system_comparison,
)

Draw = Callable[[run_reader.Run], matplotlib.figure.Figure | None]


@dataclasses.dataclass(frozen=True)
class Kind:
  """A figure that a run may have.

  Attributes:
    name: Stem of its file.
    draw: Draws it; None if the run did not write what it shows.
    shows: What it shows, for those who do not see it.
    caption: How to read it.
  """

  name: str
  draw: Draw
  shows: str
  caption: str


@dataclasses.dataclass(frozen=True)
class Picture:
  """A figure of one run, drawn.

  Attributes:
    name: Stem of its file.
    png: The picture.
    alt: What it shows, for those who do not see it.
    caption: How to read it.
  """

  name: str
  png: bytes
  alt: str
  caption: str


KINDS: Sequence[Kind] = (
  Kind(
    'masking_picture',
    masking_picture.masking_picture,
    'A circle of people around a server, with what each hides and sends',
    'Every number on a dashed line is added once and subtracted once. In the '
    "server's sum nothing is left of them.",
  ),
  Kind(
    'phase_costs',
    phase_costs.phase_costs,
    'Bars: bytes and seconds by phase, for a client and for the server',
    'A client is the mean of those that answered in the phase. Each panel has '
    'its own scale.',
  ),
  Kind(
    'system_comparison',
    system_comparison.system_comparison,
    'Bars: every percentage of the final table',
    'Final values on the test data. A thin line goes from the minimum to the '
    'maximum where a system has many models.',
  ),
  Kind(
    'learning_curves',
    curves.learning_curves,
    'Curves: the test metric by round',
    'The legend gives the last value. A system without rounds is a level line, '
    'its range a pale band.',
  ),
  Kind(
    'loss_curves',
    curves.loss_curves,
    'Curves: training and test loss by round',
    'Thick: on the test data. Thin: on the training data.',
  ),
  Kind(
    'epsilon_by_round',
    privacy_curves.epsilon_by_round,
    'Curves: the epsilon that was spent by round, and what was planned',
    'Counted after every round from the clients that really took part. A ring '
    'is where the plan ends.',
  ),
  Kind(
    'metric_by_epsilon',
    privacy_curves.metric_by_epsilon,
    'Curves: the test metric against the epsilon spent for it',
    'Every mark or bend is a round that was tested: it costs privacy to the '
    'right and gains upwards. Level lines are models without noise, which have '
    'no epsilon at all.',
  ),
  Kind(
    'canary_picture',
    canary_picture.canary_picture,
    'Histogram of what is left of the canaries, and the epsilon measured by it',
    'Top: without canaries the cosines would follow the grey curve. Below: '
    'what was measured has to stay left of what was computed, but for chance; '
    'the bar across is what it is at least.',
  ),
  Kind(
    'attack_curves',
    attack_curves.attack_curves,
    'Curves: clients found against clients wrongly accused, for every attack',
    'The further above the dotted line, the better the attack. Marks: few '
    'wrongly accused, with confidence intervals. Into the coloured ground no '
    'attack can come if the promise holds.',
  ),
  Kind(
    'outlier_picture',
    outlier_picture.outlier_picture,
    'Dots: a value of every model trained with and without one client',
    'Each mark is a model, each short line a mean. Where the marks of both '
    'kinds mix, nobody can tell whether the client took part.',
  ),
  Kind(
    'local_models',
    local_models.local_models,
    'Distribution of what clients reach when they learn alone',
    'A client whose own model lies left of (below) a shared model gains from '
    'taking part.',
  ),
  Kind(
    'server_view',
    server_view.server_view,
    'What the server of each system can tell of one person: words, spam rates',
    'Top: a server that sees one sum has to name every word in it. Bottom: a '
    'mark at the ring is a right guess. The sum tells what a word means to the '
    'people on average, not who uses it: it also speaks of the words on dark '
    'ground, which this person never uses.',
  ),
  Kind(
    'client_data',
    client_data.client_data,
    'Sizes of the clients and the labels that they hold',
    'How unequal the clients are, in amount and in kind.',
  ),
  Kind(
    'other_metrics',
    small_multiples.other_metrics,
    'Small pictures: all other metrics by round',
    'One picture a metric, each with its own vertical axis. In a long run the '
    'pale line is single rounds, the strong line their moving average.',
  ),
)


def draw_all(run: run_reader.Run, *, dpi: int = 150) -> dict[str, Picture]:
  """Draws every figure for which the run has data.

  Args:
    run: The run.
    dpi: Pixels an inch; a figure is 6.4 inches wide.

  Returns:
    The pictures by name, in the order of `KINDS`.
  """
  systems = ', '.join(
    results.display_name(system) for system in curves.run_systems(run)
  )
  found = {}
  for kind in KINDS:
    drawing = kind.draw(run)
    if drawing is not None:
      found[kind.name] = Picture(
        name=kind.name,
        png=_png(drawing, dpi),
        alt=f'{kind.shows} ({systems}).',
        caption=kind.caption,
      )
  return found


def _png(drawing: matplotlib.figure.Figure, dpi: int) -> bytes:
  content = io.BytesIO()
  with warnings.catch_warnings():
    # A name in a script that the font lacks is drawn as boxes; the tables of
    # the page still have it.
    warnings.filterwarnings('ignore', message='Glyph .* missing from')
    drawing.savefig(content, format='png', dpi=dpi)
  return content.getvalue()
