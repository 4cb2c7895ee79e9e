"""The final table and the sentence of the figures of the model world.

Read from the folders that they left, so that a resumed run ends alike.
"""

from collections.abc import Iterable, Sequence
import dataclasses
import statistics
from typing import Any

from tff_pipelines.programs import results
from tff_pipelines.reports import map_record, seed_bands

COLUMNS = (
  results.Column('accuracy', 'accuracy', 'shared map', 'percent'),
  results.Column(
    'standard_error', 'standard_error', '\N{PLUS-MINUS SIGN}', 'percent'
  ),
  results.Column('alone', 'alone', 'users on their own', 'percent'),
  results.Column('seeds', 'seeds', 'seeds', 'count'),
)


@dataclasses.dataclass(frozen=True)
class Table:
  """What a run ends with.

  Attributes:
    rows: Of the final table.
    notes: Sentences below it.
    sentence: The result in one sentence.
  """

  rows: list[dict[str, Any]]
  notes: list[str]
  sentence: str


def table(records: Sequence[map_record.MapRecord]) -> Table:
  """Returns the table of all figures of a run.

  Args:
    records: At least one.
  """
  notes = [note for record in records for note in record.notes]
  if any(seed_bands.last_local(r, 0).size for r in records):
    notes.append(
      'users on their own: mean accuracy of their models after the last step, '
      'trained since the last merge; only a simulation can see it'
    )
  return Table(
    [row for record in records for row in _rows(record)],
    list(dict.fromkeys(notes)),
    ' '.join(filter(None, map(_sentence, records))),
  )


def _rows(record: map_record.MapRecord) -> Iterable[dict[str, Any]]:
  if record.kind == 'excluded':
    return  # A row a user: the picture says it better.
  for index, curve in enumerate(record.curves):
    ends = seed_bands.last(record, index)
    alone = seed_bands.last_local(record, index)
    metrics: dict[str, Any] = {}
    if record.kind == 'fairness':
      ends = _of_users(record, index)
    if len(ends):
      metrics['accuracy'] = ends.mean()
      metrics['seeds'] = len(ends)
    if len(ends) > 1:
      metrics['standard_error'] = ends.sem()
    if len(alone):
      metrics['alone'] = alone.mean()
    if _never_merges(record, index):
      # Its shared model is the start.
      metrics.pop('accuracy', None)
      metrics.pop('standard_error', None)
    yield results.row(_name(record, curve), metrics, COLUMNS)


def _name(record: map_record.MapRecord, curve: map_record.Curve) -> str:
  if record.kind in ('sweep', 'table'):
    return curve.name
  return f'{record.kind}: {curve.name}'


def _of_users(record: map_record.MapRecord, curve: int) -> Any:
  """Returns the mean accuracy of all users, by seed."""
  assert record.users is not None
  chosen = record.users[record.users['curve'] == curve]
  return chosen.groupby('seed')['accuracy'].mean()


def _never_merges(record: map_record.MapRecord, curve: int) -> bool:
  table = record.server
  if table is None:
    return False
  return bool((table[table['curve'] == curve]['round_num'] == 0).all())


def _percent(value: float) -> str:
  return f'{100 * value:.1f} %'


def _sentence(record: map_record.MapRecord) -> str:
  say = {
    'merge': _say_merge,
    'drift': _say_ends,
    'outliers': _say_outliers,
    'privacy': _say_privacy,
    'sweep': _say_ends,
  }.get(record.kind)
  if say is None or (say is not _say_ends and _never_merges(record, 0)):
    return ''
  return say(record)


def _say_merge(record: map_record.MapRecord) -> str:
  shared = seed_bands.last(record, 0).mean()
  alone = _median_alone(record)
  return (
    f'Merging now and then, the shared map is right at {_percent(shared)} of '
    f'the places; the median user who never merges at {_percent(alone)}.'
  )


def _median_alone(record: map_record.MapRecord) -> float:
  """Returns the mean over seeds of the median user who never merges."""
  assert record.final is not None
  last = record.final[record.final['curve'] == len(record.curves) - 1]
  return statistics.fmean(last['median_local_accuracy'])


def _say_outliers(record: map_record.MapRecord) -> str:
  first, last = (
    seed_bands.last(record, k).mean() for k in (0, len(record.curves) - 1)
  )
  return (
    f'With all outliers the shared map is right at {_percent(last)} of the '
    f'places, without them at {_percent(first)}.'
  )


def _say_ends(record: map_record.MapRecord) -> str:
  """Says what becomes of the shared map from the first to the last curve."""
  merging = [
    k for k in range(len(record.curves)) if not _never_merges(record, k)
  ]
  if len(merging) < 2:
    return ''
  (first, last) = (record.curves[k].name for k in (merging[0], merging[-1]))
  (start, end) = (
    seed_bands.last(record, k).mean() for k in (merging[0], merging[-1])
  )
  return f'{first}: {_percent(start)}; {last}: {_percent(end)}.'.capitalize()


def _say_privacy(record: map_record.MapRecord) -> str:
  return ' '.join(
    f'{what}: leaving the outlier out changes the map by '
    f'{seed_bands.points(gap.mean, digits=1)} points '
    f'(\N{PLUS-MINUS SIGN} {100 * gap.standard_error:.1f}) {where}.'
    for what, where, gap in _ends_of_gaps(record)
  )


@dataclasses.dataclass(frozen=True)
class _Gap:
  mean: float
  standard_error: float


def _ends_of_gaps(
  record: map_record.MapRecord,
) -> Iterable[tuple[str, str, _Gap]]:
  """Yields the gap of an outlier, out less in, at the ends of each knob."""
  for mechanism, knob, words in (
    ('location noise', 'noise', 'at noise level {:g}'),
    ('clipping and noise', 'users', 'with {:g} users'),
  ):
    sides: dict[float, dict[int, int]] = {}
    for index, curve in enumerate(record.curves):
      if curve.values.get('mechanism') == mechanism:
        value = curve.number(knob) or 0.0
        sides.setdefault(value, {})[int(curve.number('included') or 0)] = index
    for value in sorted({min(sides, default=0.0), max(sides, default=0.0)}):
      if set(sides.get(value, ())) != {0, 1}:
        continue
      inside, outside = (
        seed_bands.last(record, sides[value][k]) for k in (1, 0)
      )
      gaps = (outside - inside).dropna()
      if len(gaps) > 1:
        yield (
          mechanism.capitalize(),
          words.format(value),
          _Gap(float(gaps.mean()), float(gaps.sem())),
        )
