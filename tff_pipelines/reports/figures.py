"""The figures of a report: which there are, and what each of them says."""

from collections.abc import Callable, Iterator, Sequence
import dataclasses
import io
from typing import Any
import warnings

import matplotlib
import matplotlib.figure

from tff_pipelines.reports import (
  appearance,
  attack_curves,
  byte_curves,
  canary_picture,
  client_data,
  curves,
  defence_table,
  drift_picture,
  excluded_picture,
  fairness_picture,
  gap_picture,
  interpolation_picture,
  label_drift,
  local_models,
  map_record,
  masking_picture,
  memorization_picture,
  merge_maps,
  merge_picture,
  outlier_picture,
  outliers_picture,
  people_picture,
  phase_costs,
  privacy_curves,
  privacy_picture,
  results,
  run_reader,
  server_view,
  small_multiples,
  station_map,
  sweep_picture,
  sweep_table,
  system_comparison,
)

# Of a run, or of one of its map records.
Draw = Callable[[Any], matplotlib.figure.Figure | None]


@dataclasses.dataclass(frozen=True)
class Drawing:
  """A figure of one run, not yet a file.

  Attributes:
    name: Stem of its file.
    figure: What was drawn.
    record: The map record that it was drawn from, None if it was the run.
  """

  name: str
  figure: matplotlib.figure.Figure
  record: map_record.MapRecord | None = None


@dataclasses.dataclass(frozen=True)
class Kind:
  """A figure that a run may have.

  Attributes:
    name: Stem of its file; of further map records, what it begins with.
    draw: Draws a run, or a map record; None if that did not write what it
      shows.
    shows: What it shows, for those who do not see it.
    caption: How to read it.
    maps: The kind of map records that it draws, a figure each. None if it
      draws the run.
  """

  name: str
  draw: Draw
  shows: str
  caption: str
  maps: str | None = None

  def drawings(self, run: run_reader.Run) -> Iterator[Drawing]:
    """Draws all figures of this kind that the run has data for."""
    if self.maps is None:
      figure = self.draw(run)
      if figure is not None:
        yield Drawing(self.name, figure)
      return
    for record in run.maps:
      figure = self.draw(record) if record.kind == self.maps else None
      if figure is not None:
        yield Drawing(self._file_name(record), figure, record)

  def owns(self, stem: str) -> bool:
    """Whether a file of that name is, or was, a figure of this kind."""
    of_record = self.maps is not None and stem.startswith(f'{self.name}_')
    return of_record or stem == self.name

  def _file_name(self, record: map_record.MapRecord) -> str:
    """'merge_picture', but 'sweep_picture_points' of maps/sweep_points."""
    prefix = 'sweep' if record.kind == 'table' else record.kind
    if record.name == prefix:
      return self.name
    return f'{self.name}_{record.name.removeprefix(f"{prefix}_")}'


@dataclasses.dataclass(frozen=True)
class Picture:
  """A figure of one run, drawn.

  Attributes:
    name: Stem of its files.
    png: The picture.
    svg: The same as lines and letters, for print.
    alt: What it shows, for those who do not see it.
    caption: How to read it.
    record: Name of the map record that it was drawn from, None if it was the
      run.
    simulation_only: Whether only a simulation can see it.
  """

  name: str
  png: bytes
  svg: bytes
  alt: str
  caption: str
  record: str | None = None
  simulation_only: bool = False


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
    'merge_picture',
    merge_picture.merge_picture,
    "Curves: the users' own accuracies, and the shared model's at every merge",
    'Grey: every user alone (dashed: one who never sends). Blue: the shared '
    'model, from the first merge on; a thin blue line is a merge, at which '
    'every user starts again from it.',
    maps='merge',
  ),
  Kind(
    'merge_maps',
    merge_maps.merge_maps,
    "Maps: what the shared model and each user's own take for hot",
    'Top: the shared model after the merge, with its accuracy. Below: the '
    'users just before it, each with the few places that it has seen.',
    maps='merge',
  ),
  Kind(
    'drift_picture',
    drift_picture.drift_picture,
    'Zigzag curves: accuracy before and after each merge, by merge period',
    'Between merges every user fits its own few places, and accuracy falls; a '
    'merge puts it back. The rarer the merges, the higher the teeth.',
    maps='drift',
  ),
  Kind(
    'outliers_picture',
    outliers_picture.outliers_picture,
    'Curves and dots: accuracy with none to all of the outliers taking part',
    'Faint dots are single seeds.',
    maps='outliers',
  ),
  Kind(
    'excluded_picture',
    excluded_picture.excluded_picture,
    'Dots: what leaving out each user in turn does to accuracy',
    'To the right: the shared model is better without this user. Each seed is '
    'compared with itself, so that luck of the start cancels.',
    maps='excluded',
  ),
  Kind(
    'fairness_picture',
    fairness_picture.fairness_picture,
    "Strips: the users' accuracies by group",
    'Every dot is a user with one seed.',
    maps='fairness',
  ),
  Kind(
    'privacy_picture',
    privacy_picture.privacy_picture,
    'Curves: accuracy under noise on the places and under noise in the sum',
    'Noise on the places blurs what is learned and promises nothing. Clipping '
    'and noise in the sum promise epsilon; what that costs shrinks as more '
    'users share the same noise.',
    maps='privacy',
  ),
  Kind(
    'gap_picture',
    gap_picture.gap_picture,
    'Dots: accuracy without the outlier minus accuracy with it, by noise',
    'The further from zero, the easier to tell from the model whether the '
    'outlier took part. Bars that cross zero could be chance.',
    maps='privacy',
  ),
  Kind(
    'sweep_overview',
    lambda run: sweep_picture.sweep_overview(run.maps),
    'Small pictures: accuracy by each knob that was turned',
    'One scale of accuracy for all: where a line is steep, the knob matters.',
  ),
  Kind(
    'sweep_picture',
    sweep_picture.sweep_picture,
    'Curves: accuracy over the values of one knob',
    'Where the blue line is above the grey one, sharing pays.',
    maps='sweep',
  ),
  Kind(
    'sweep_table',
    sweep_table.sweep_table,
    'Table: accuracy by two knobs',
    'The darker, the better.',
    maps='table',
  ),
  Kind(
    'defence_table',
    defence_table.defence_table,
    'Table: accuracy by attack and aggregator',
    'The darker, the better the model withstood the attack.',
    maps='defences',
  ),
  Kind(
    'station_map',
    station_map.station_map,
    'Map: what the model says between the stations, and what they observed',
    'A dot that differs from its ground is a station the model does not '
    'explain.',
    maps='stations',
  ),
  Kind(
    'learning_curves',
    curves.learning_curves,
    'Curves: the test metric by round',
    'The legend gives the last value. A system without rounds is a level line, '
    'its range a pale band. Models that count words have thin lines, named at '
    'the right; one that lies too low is left out.',
  ),
  Kind(
    'loss_curves',
    curves.loss_curves,
    'Curves: training and test loss by round',
    'Thick: on the test data. Thin: on the training data.',
  ),
  Kind(
    'metric_by_bytes',
    byte_curves.metric_by_bytes,
    'Curves: the test metric against the bytes that all clients have sent',
    'What clients have sent up in all rounds so far. Every step of the axis is '
    'a multiple: the further left, the fewer bytes for as much.',
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
    'interpolation_picture',
    interpolation_picture.interpolation_picture,
    'Curves: the loss of every weighted mean of two models, by their start',
    'Squares: two models, each trained by a client of its own. Circle: their '
    'mean. Dashed: the better of the two. Where the mean lies below the line, '
    'averaging helps.',
    maps='interpolation',
  ),
  Kind(
    'local_models',
    local_models.local_models,
    'Distribution of what clients reach when they learn alone',
    'A client whose own model lies left of (below) a shared model gains from '
    'taking part.',
  ),
  Kind(
    'personalization_picture',
    fairness_picture.personalization_picture,
    'Strips: the users with the shared model, and after further training',
    'Every dot is a user, tested on its own data. Above: the model as it is '
    'received; below: after the user trained it further.',
  ),
  Kind(
    'people_picture',
    people_picture.people_picture,
    'Strips: held-out people by system; below, what each of them gains',
    'Every dot is a person whose text no system was trained on. A person of '
    'few words is measured with much chance. Below: one column a person, blue '
    'where federated is better for this person, orange where it is worse.',
  ),
  Kind(
    'memorization_picture',
    memorization_picture.memorization_picture,
    'Dots: the exposure of each secret, by system, beside what chance does',
    'At the right end a secret is the first that a search finds. Where filled '
    'dots, secrets that people typed, lie like the rings, secrets that nobody '
    'typed, the model tells nothing of them.',
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
    'label_drift',
    label_drift.label_drift,
    'Stacked shares: the labels that take part in the rounds of a day',
    'Where the colours move, the rounds do not learn from the same data. '
    'Above: everyone who could be chosen. Below: the cohorts, which differ by '
    'chance, too.',
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
    for drawing in kind.drawings(run):
      record = drawing.record
      found[drawing.name] = Picture(
        name=drawing.name,
        png=png(drawing.figure, dpi),
        svg=svg(drawing.figure),
        alt=f'{kind.shows} ({record.title if record else systems}).',
        caption=kind.caption,
        record=record.name if record else None,
        simulation_only=appearance.is_simulation_only(drawing.figure),
      )
  return found


def png(drawing: matplotlib.figure.Figure, dpi: int) -> bytes:
  """Returns a figure as the content of a PNG file."""
  return _saved(drawing, format='png', dpi=dpi)


def svg(drawing: matplotlib.figure.Figure) -> bytes:
  """Returns a figure as the content of an SVG file, with the layout it has."""
  # The layout that the picture has; to compute it again takes longest.
  drawing.set_layout_engine('none')
  # Neither a date nor random names: drawing twice gives the same file.
  with matplotlib.rc_context({'svg.hashsalt': 'figure'}):
    return _saved(drawing, format='svg', metadata={'Date': None})


def _saved(drawing: matplotlib.figure.Figure, **how: Any) -> bytes:
  content = io.BytesIO()
  with warnings.catch_warnings():
    # A name in a script that the font lacks is drawn as boxes; the tables of
    # the page still have it.
    warnings.filterwarnings('ignore', message='Glyph .* missing from')
    drawing.savefig(content, **how)
  return content.getvalue()
