"""What a paper found and how to find it again: reads expected.json.

A paper is a folder, tasks/papers/<author><year>/, without any Python:

  README.md      what is reproduced, the settings, and what cannot be and why
  *.flags        flagfiles of tasks
  expected.json  the experiments, and the numbers that are expected of them

expected.json is one object. Keys that are not listed here are refused. Those
with `=` may be left out and are then that.

  title, authors  text
  year=unknown    whole number
  arxiv | source  one of them: '1602.05629', or where else it is to be found
  experiments     list of objects:

    name          letters, digits, . _ -; what --experiment calls it
    title         of a headline
    where=''      in the paper: 'Table 1'
    task          module of tasks/ that runs it: 'digits'
    minutes       expected, all runs, on two cores
    seeds=[0]     every run is repeated with these; the first is for the grid
    grid={}       {flag: [values]}, tried in all combinations with the first
                  seed; the likeliest best first. The other seeds run with the
                  best only
    choose        which is best; needed where a grid has several values:
                  {"least": MEASURE} or {"most": MEASURE}. With the least
                  rounds_to, a value is cut off as soon as it has had more
                  rounds than another needed
    deviations=[] sentences: what differs from the paper
    runs          list of objects:
      name        letters, digits, . _ -
      label=name  for a reader
      flagfile='' of the paper's folder
      flags={}    {flag: value}, after those of the file: text, numbers,
                  true/false, lists. --seed, --output_dir and --data_dir are
                  given by the reproduction
      task        if not that of the experiment
      seeds, grid if not those of the experiment
      minutes=1   expected of one seed on one core; the longest start first
      race_rounds=0  after so many rounds only the value goes on whose metric is
                  best; 0: all go on. Only where the least rounds_to is chosen
      system='federated'  whose numbers are meant where nothing else is said:
                  federated, central, ..., as in the run's final table
    claims        list of objects:
      label       what is claimed, for a reader
      run         name of a run
      measure     MEASURE of that run
      than, combine  another run, and how to compare with it: 'ratio' is
                  measure(run) / measure(than), 'difference' is minus; seed by
                  seed
      than_measure=measure  if something else is measured of the other; than
                  may be the same run then
      paper=null  the paper's number
      where=''    in the paper, if not that of the experiment
      at_most | at_least | within  number, number, or [low, high]; without any
                  the number is only shown
      why         reason of this bound; needed with one
      row, column=''  place in a table of claims, as Table 1 has
      format      count, percent (of fractions), ratio, seconds, bytes;
                  otherwise what the measure suggests
    figures=[]    list of objects:
      title
      kind='curves'
      runs=all    names of runs, or 'run/system'
      file='metrics.csv'  table to draw, in the folder of the run's system; or
                  a figure.json, whose curves have lists x and y of their own
      x='round_num'  column; 'uplink_bytes'
      y           column: 'test/accuracy'
      x_title, y_title  if the columns' names do not serve
      log=false   whether x is logarithmic
      y_limits    [low, high]
      paper=[]    [{"label": text, "points": [[x, y], ...], "line": false}]
    or, dots for the claims that have a row and a column, beside the paper's:
      title, kind='claims', x_title='', y_title='', log=false (of y)

A MEASURE is an object with one key. `metric` is a column of metrics.csv,
`system` as in a run. A claim's number is the median over the seeds.

  {"rounds_to": {"metric": "test/accuracy", "target": 0.97}}
      rounds until the metric, made monotone and interpolated linearly between
      evaluations (McMahan et al. 2017, section 3), reaches the target
  {"bytes_to": {"metric": ..., "target": ..., "column": "uplink_bytes"}}
      the same, in a column that grows with the rounds
  {"final": {"metric": ...}}
      the last value
  {"highest": {"metric": ...}}, {"lowest": ...}
      over all rounds
  {"at": {"metric": ..., "round": 10}}
      after that round, interpolated linearly
  {"rise": {"metric": ..., "over": 50}}
      the last value minus that so many rounds before
  {"result": {"column": "accuracy", "system": "federated"}}
      of the final table, results.json
  {"json": {"file": "results.json", "path": ["details", "loss", 0]}}
      a number of any JSON file in the run directory
A metric that never reaches its target counts as 'more than' what was run.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import itertools
import json
import math
import pathlib
import re
from typing import Any, Literal, get_args

from absl import flags as absl_flags

from tff_pipelines.core import errors

MeasureKind = Literal[
  'rounds_to', 'bytes_to', 'final', 'highest', 'lowest', 'at', 'rise',
  'result', 'json',
]  # fmt: skip
Format = Literal['count', 'percent', 'ratio', 'seconds', 'bytes']
Combine = Literal['ratio', 'difference']
# What the reproduction gives to every run itself.
OWN_FLAGS = ('seed', 'output_dir', 'data_dir')

_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]*')
# Of each kind of measure its keys, those in brackets optional.
_MEASURES: dict[str, tuple[str, ...]] = {
  'rounds_to': ('metric', 'target', '[system]'),
  'bytes_to': ('metric', 'target', '[column]', '[system]'),
  'final': ('metric', '[system]'),
  'highest': ('metric', '[system]'),
  'lowest': ('metric', '[system]'),
  'at': ('metric', 'round', '[system]'),
  'rise': ('metric', 'over', '[system]'),
  'result': ('column', '[system]'),
  'json': ('file', 'path'),
}


class PaperError(errors.PipelineError):
  """An expected.json that does not have the form described above."""


@dataclasses.dataclass(frozen=True)
class Measure:
  """A number to take from a run directory.

  Attributes:
    kind: What kind of number.
    metric: A column of metrics.csv; '' for result and json.
    target: Of rounds_to and bytes_to.
    column: Of bytes_to, in metrics.csv; of result, in the final table.
    round_num: Of at.
    over: Rounds of rise.
    system: Whose; None for that of the run.
    file: Of json, in the run directory.
    path: Of json, keys and indices from the outside in.
  """

  kind: MeasureKind
  metric: str = ''
  target: float = math.nan
  column: str = ''
  round_num: float = math.nan
  over: float = math.nan
  system: str | None = None
  file: str = ''
  path: tuple[str | int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Choice:
  """Which value of a grid is best: that of the least or the most measure."""

  better: Literal['least', 'most']
  measure: Measure

  @property
  def is_by_rounds(self) -> bool:
    """Whether the best is that of the least rounds to a target."""
    return (self.better, self.measure.kind) == ('least', 'rounds_to')


@dataclasses.dataclass(frozen=True)
class Run:
  """A run of a task, repeated for values of a grid and for seeds.

  Attributes: as in the module's docstring; `flagfile` is a whole path, or None,
    and `file_arguments` is what it held when the paper was read, so that all
    seeds run with the same.
  """

  name: str
  label: str
  task: str
  flagfile: pathlib.Path | None
  file_arguments: tuple[str, ...]
  flags: Mapping[str, Any]
  seeds: tuple[int, ...]
  grid: Mapping[str, tuple[Any, ...]]
  minutes: float
  system: str
  race_rounds: float = 0

  def grid_values(self) -> list[dict[str, Any]]:
    """Returns all combinations of the grid, the last flag running fastest."""
    return [
      dict(zip(self.grid, values, strict=True))
      for values in itertools.product(*self.grid.values())
    ]


@dataclasses.dataclass(frozen=True)
class Claim:
  """A number of the paper, and what is expected here.

  Attributes: as in the module's docstring; `low` and `high` are the bounds,
    infinite where there is none.
  """

  label: str
  run: str
  measure: Measure
  than: str | None = None
  than_measure: Measure | None = None
  combine: Combine | None = None
  paper: float | None = None
  where: str = ''
  low: float = -math.inf
  high: float = math.inf
  why: str = ''
  row: str = ''
  column: str = ''
  format: Format = 'ratio'

  @property
  def bounded(self) -> bool:
    """Whether the number can be missed."""
    return math.isfinite(self.low) or math.isfinite(self.high)

  @property
  def is_difference(self) -> bool:
    """Whether its number has a sign, as that of a rise has."""
    if self.combine is None:
      return self.measure.kind == 'rise'
    return self.combine == 'difference'


@dataclasses.dataclass(frozen=True)
class PaperPoints:
  """Points of a paper's figure.

  Attributes:
    label: For the legend.
    points: Pairs x, y.
    line: Whether they are joined.
  """

  label: str
  points: tuple[tuple[float, float], ...]
  line: bool = False


@dataclasses.dataclass(frozen=True)
class Figure:
  """What to draw.

  Attributes: as in the module's docstring; `runs` are pairs of a run's name and
    a system.
  """

  title: str
  kind: Literal['curves', 'claims'] = 'curves'
  runs: tuple[tuple[str, str], ...] = ()
  file: str = 'metrics.csv'
  x: str = 'round_num'
  y: str = ''
  x_title: str = ''
  y_title: str = ''
  log: bool = False
  y_limits: tuple[float, float] | None = None
  paper: tuple[PaperPoints, ...] = ()


@dataclasses.dataclass(frozen=True)
class Experiment:
  """Runs, and what is claimed of them.

  Attributes: as in the module's docstring.
  """

  name: str
  title: str
  where: str
  minutes: float
  choose: Choice | None
  deviations: tuple[str, ...]
  runs: tuple[Run, ...]
  claims: tuple[Claim, ...]
  figures: tuple[Figure, ...]

  @property
  def num_jobs(self) -> int:
    """Runs of a task: every grid with one seed, its best with the others."""
    return sum(len(r.grid_values()) + len(r.seeds) - 1 for r in self.runs)

  def run(self, name: str) -> Run:
    """Returns the run of that name."""
    return next(run for run in self.runs if run.name == name)


@dataclasses.dataclass(frozen=True)
class Paper:
  """A paper, and its experiments.

  Attributes:
    name: Of its folder.
    folder: Where it is.
    title: Its title.
    authors: Who wrote it.
    year: When; None if that is not known.
    source: Where to find it.
    experiments: In the order of the file.
  """

  name: str
  folder: pathlib.Path
  title: str
  authors: str
  year: int | None
  source: str
  experiments: tuple[Experiment, ...]

  def experiment(self, name: str) -> Experiment:
    """Returns the experiment of that name.

    Raises:
      PaperError: If there is none.
    """
    for experiment in self.experiments:
      if experiment.name == name:
        return experiment
    names = ', '.join(experiment.name for experiment in self.experiments)
    raise PaperError(
      f'Expected an experiment of {self.name} out of {names}, found {name!r}.'
    )


def read(folder: pathlib.Path) -> Paper:
  """Reads the expected.json of a paper's folder.

  Raises:
    PaperError: If it cannot be read or does not have the form described above;
      names the place in it.
  """
  path = folder / 'expected.json'
  try:
    content = json.loads(
      path.read_text(encoding='utf-8'), object_pairs_hook=_without_twins
    )
  except (OSError, ValueError) as error:
    raise PaperError(
      f'Expected the description of a paper in {path}, found that it cannot be '
      f'read ({error}).'
    ) from error
  try:
    return _paper(folder, _Object(content, ''))
  except _FormError as error:
    raise PaperError(f'{path}: {error}') from error


def read_all(folder: pathlib.Path) -> list[Paper]:
  """Reads all papers of a folder, by name.

  Raises:
    PaperError: If one cannot be read.
  """
  return [read(p.parent) for p in sorted(folder.glob('*/expected.json'))]


class _FormError(Exception):
  """What is wrong, and where; without the file."""


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  found = dict(pairs)
  if len(found) < len(pairs):
    names = [name for name, _ in pairs]
    twin = next(name for name in names if names.count(name) > 1)
    raise ValueError(f'{twin!r} stands twice in an object')
  return found


_REQUIRED = object()


class _Object:
  """An object of the file: gives its values checked, and knows the rest."""

  def __init__(self, content: Any, place: str):
    if not isinstance(content, dict):
      raise _FormError(
        f'Expected an object at {place or "the top"}, found {content!r}.'
      )
    self._content, self.place = content, place
    self._asked: list[str] = []

  def at(self, key: str) -> str:
    return f'{self.place}.{key}' if self.place else key

  def has(self, key: str) -> bool:
    return key in self._content

  def get(self, key: str, is_a: str, default: Any = _REQUIRED) -> Any:
    """Returns the value of a key: text, number, whole, bool, list or object."""
    self._asked.append(key)
    if key not in self._content:
      if default is _REQUIRED:
        raise _FormError(
          f'Expected {key!r} at {self.place or "the top"}, found '
          f'{", ".join(self._content) or "nothing"}.'
        )
      return default
    value = self._content[key]
    if not _TYPES[is_a](value):
      raise _FormError(f'Expected {is_a} at {self.at(key)}, found {value!r}.')
    return value

  def name(self, key: str) -> str:
    value = self.get(key, 'text')
    if not _NAME.fullmatch(value):
      raise _FormError(
        f'Expected letters, digits, . _ or - at {self.at(key)}, found '
        f'{value!r}.'
      )
    return value

  def one_of(self, key: str, choices: Sequence[str], default: Any) -> Any:
    value = self.get(key, 'text', default)
    if value is not default and value not in choices:
      raise _FormError(
        f'Expected one of {", ".join(choices)} at {self.at(key)}, found '
        f'{value!r}.'
      )
    return value

  def objects(self, key: str, default: Any = _REQUIRED) -> list['_Object']:
    return [
      _Object(each, f'{self.at(key)}[{index}]')
      for index, each in enumerate(self.get(key, 'list', default))
    ]

  def object(self, key: str) -> '_Object':
    return _Object(self.get(key, 'object'), self.at(key))

  def texts(self, key: str) -> tuple[str, ...]:
    return tuple(self._each(key, 'text', []))

  def number_or_null(self, key: str) -> float | None:
    self._asked.append(key)
    if self._content.get(key) is None:
      return None
    return float(self.get(key, 'number'))

  def pair(self, key: str) -> tuple[float, float]:
    values = self._each(key, 'number', _REQUIRED)
    if len(values) != 2 or values[0] >= values[1]:
      raise _FormError(
        f'Expected [low, high] at {self.at(key)}, found {values!r}.'
      )
    return float(values[0]), float(values[1])

  def _each(self, key: str, is_a: str, default: Any) -> list[Any]:
    values = self.get(key, 'list', default)
    for index, value in enumerate(values):
      if not _TYPES[is_a](value):
        raise _FormError(
          f'Expected {is_a} at {self.at(key)}[{index}], found {value!r}.'
        )
    return values

  def finish(self) -> None:
    """Refuses keys that nobody asked for."""
    unknown = sorted(set(self._content) - set(self._asked))
    if unknown:
      raise _FormError(
        f'Expected of {self.place or "the top"} only '
        f'{", ".join(dict.fromkeys(self._asked))}, found {unknown[0]!r}; '
        'correct or remove it.'
      )


def _is_number(value: Any) -> bool:
  return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
  return isinstance(value, int) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
  'text': lambda value: isinstance(value, str),
  'number': _is_number,
  'whole number': _is_whole,
  'true or false': lambda value: isinstance(value, bool),
  'list': lambda value: isinstance(value, list),
  'object': lambda value: isinstance(value, dict),
}


def _paper(folder: pathlib.Path, top: _Object) -> Paper:
  if top.has('arxiv') == top.has('source'):
    raise _FormError('Expected one of arxiv and source at the top.')
  if top.has('arxiv'):
    source = f'arXiv {top.get("arxiv", "text")}'
  else:
    source = top.get('source', 'text')
  paper = Paper(
    name=folder.name,
    folder=folder,
    title=top.get('title', 'text'),
    authors=top.get('authors', 'text'),
    year=top.get('year', 'whole number', None),
    source=source,
    experiments=tuple(
      _experiment(folder, each) for each in top.objects('experiments')
    ),
  )
  _check_distinct('experiments', [each.name for each in paper.experiments])
  top.finish()
  return paper


def _experiment(folder: pathlib.Path, content: _Object) -> Experiment:
  task = content.name('task')
  seeds = _seeds(content, (0,))
  grid = _grid(content, {})
  choose = _choice(content.object('choose')) if content.has('choose') else None
  runs = tuple(
    _run(folder, each, task=task, seeds=seeds, grid=grid)
    for each in content.objects('runs')
  )
  names = [run.name for run in runs]
  _check_distinct(content.at('runs'), names)
  if not runs:
    raise _FormError(f'Expected a run at {content.at("runs")}, found none.')
  by_rounds = choose is not None and choose.is_by_rounds
  if not by_rounds and any(run.race_rounds for run in runs):
    raise _FormError(
      f'Expected the least rounds_to at {content.at("choose")} where a run has '
      'race_rounds, found another choice.'
    )
  if choose is None and any(len(run.grid_values()) > 1 for run in runs):
    raise _FormError(
      f'Expected {content.at("choose")}, which tells the best value of a grid, '
      'found none.'
    )
  systems = {run.name: run.system for run in runs}
  experiment = Experiment(
    name=content.name('name'),
    title=content.get('title', 'text'),
    where=content.get('where', 'text', ''),
    minutes=float(content.get('minutes', 'number')),
    choose=choose,
    deviations=content.texts('deviations'),
    runs=runs,
    claims=tuple(_claim(each, names) for each in content.objects('claims')),
    figures=tuple(
      _figure(each, systems) for each in content.objects('figures', [])
    ),
  )
  content.finish()
  return experiment


def _run(
  folder: pathlib.Path,
  content: _Object,
  *,
  task: str,
  seeds: tuple[int, ...],
  grid: Mapping[str, tuple[Any, ...]],
) -> Run:
  name = content.name('name')
  flagfile = content.get('flagfile', 'text', '')
  path = folder / flagfile if flagfile else None
  if path is not None and not path.is_file():
    raise _FormError(
      f'Expected a file of the folder at {content.at("flagfile")}, found '
      f'{flagfile!r}.'
    )
  file_arguments = absl_flags.FlagValues().read_flags_from_files(
    [] if path is None else [f'--flagfile={path}']
  )
  flags = content.get('flags', 'object', {})
  run = Run(
    name=name,
    label=content.get('label', 'text', name),
    task=content.name('task') if content.has('task') else task,
    flagfile=path,
    file_arguments=tuple(file_arguments),
    flags=flags,
    seeds=_seeds(content, seeds),
    grid=_grid(content, grid),
    minutes=float(content.get('minutes', 'number', 1)),
    system=content.get('system', 'text', 'federated'),
    race_rounds=content.get('race_rounds', 'number', 0),
  )
  for flag, value in flags.items():
    _check_flag(content.at('flags'), flag, value)
  both = sorted(set(flags) & set(run.grid))
  if both:
    raise _FormError(
      f'Expected {both[0]!r} at {content.at("flags")} or in the grid, found it '
      'in both.'
    )
  content.finish()
  return run


def _seeds(content: _Object, default: tuple[int, ...]) -> tuple[int, ...]:
  seeds = content.get('seeds', 'list', list(default))
  if not seeds or not all(map(_is_whole, seeds)) or len({*seeds}) < len(seeds):
    raise _FormError(
      f'Expected whole numbers, each once, at {content.at("seeds")}, found '
      f'{seeds!r}.'
    )
  return tuple(seeds)


def _grid(
  content: _Object, default: Mapping[str, tuple[Any, ...]]
) -> Mapping[str, tuple[Any, ...]]:
  if not content.has('grid'):
    content.get('grid', 'object', {})
    return default
  grid = content.object('grid')
  found = {}
  for flag, values in content.get('grid', 'object').items():
    if not isinstance(values, list) or not values:
      raise _FormError(
        f'Expected a list of values at {grid.at(flag)}, found {values!r}.'
      )
    for value in values:
      _check_flag(content.at('grid'), flag, value)
    found[flag] = tuple(values)
  return found


def _check_flag(place: str, flag: str, value: Any) -> None:
  if flag in OWN_FLAGS:
    raise _FormError(
      f'Expected no --{flag} at {place}, which the reproduction gives, found '
      f'{value!r}; remove it.'
    )
  plain = value if isinstance(value, list) else [value]
  if not all(isinstance(each, str | bool | int | float) for each in plain):
    raise _FormError(
      f'Expected text, a number, true, false, or a list of these at '
      f'{place}.{flag}, found {value!r}.'
    )


def _choice(content: _Object) -> Choice:
  better = [key for key in ('least', 'most') if content.has(key)]
  if len(better) != 1:
    raise _FormError(f'Expected one of least and most at {content.place}.')
  choice = Choice(
    'least' if better == ['least'] else 'most', _measure(content, better[0])
  )
  content.finish()
  return choice


def _measure(parent: _Object, key: str) -> Measure:
  holder = parent.object(key)
  kinds = [kind for kind in _MEASURES if holder.has(kind)]
  if len(kinds) != 1:
    raise _FormError(
      f'Expected one of {", ".join(_MEASURES)} at {holder.place}.'
    )
  content = holder.object(kinds[0])
  holder.finish()
  kind: Any = kinds[0]
  keys = {name.strip('[]'): name for name in _MEASURES[kind]}
  values: dict[str, Any] = {}
  for name, written in keys.items():
    if written == name or content.has(name):
      values[name] = content.get(name, _MEASURED_TYPES[name])
  content.finish()
  if 'round' in values:
    values['round_num'] = values.pop('round')
  if 'path' in values:
    if not all(isinstance(p, str) or _is_whole(p) for p in values['path']):
      raise _FormError(
        f'Expected keys and indices at {content.at("path")}, found '
        f'{values["path"]!r}.'
      )
    values['path'] = tuple(values['path'])
  if kind == 'bytes_to':
    values.setdefault('column', 'uplink_bytes')
  return Measure(kind, **values)


_MEASURED_TYPES = {
  'metric': 'text', 'target': 'number', 'column': 'text', 'round': 'number',
  'over': 'number', 'system': 'text', 'file': 'text', 'path': 'list',
}  # fmt: skip


def _claim(content: _Object, runs: Sequence[str]) -> Claim:
  measure = _measure(content, 'measure')
  combine = content.one_of('combine', get_args(Combine), None)
  than = content.get('than', 'text', None)
  if (than is None) != (combine is None):
    raise _FormError(
      f'Expected both or none of than and combine at {content.place}.'
    )
  if content.has('than_measure') and than is None:
    raise _FormError(f'Expected than with than_measure at {content.place}.')
  low, high = _bounds(content)
  claim = Claim(
    label=content.get('label', 'text'),
    run=content.get('run', 'text'),
    measure=measure,
    than=than,
    than_measure=(
      _measure(content, 'than_measure')
      if content.has('than_measure')
      else measure
      if than is not None
      else None
    ),
    combine=combine,
    paper=content.number_or_null('paper'),
    where=content.get('where', 'text', ''),
    low=low,
    high=high,
    why=content.get('why', 'text', ''),
    row=content.get('row', 'text', ''),
    column=content.get('column', 'text', ''),
    format=content.one_of('format', get_args(Format), None)
    or _usual_format(measure, combine),
  )
  for key, name in (('run', claim.run), ('than', claim.than)):
    if name is not None and name not in runs:
      raise _FormError(
        f'Expected a run out of {", ".join(runs)} at {content.at(key)}, found '
        f'{name!r}.'
      )
  if claim.bounded and not claim.why:
    raise _FormError(
      f'Expected {content.at("why")}, the reason of its bound, found none.'
    )
  if bool(claim.row) != bool(claim.column):
    raise _FormError(
      f'Expected both or none of row and column at {content.place}.'
    )
  content.finish()
  return claim


def _bounds(content: _Object) -> tuple[float, float]:
  given = [k for k in ('at_most', 'at_least', 'within') if content.has(k)]
  if len(given) > 1:
    raise _FormError(
      f'Expected one of {" and ".join(given)} at {content.place}, found both.'
    )
  if given == ['within']:
    return content.pair('within')
  low = float(content.get('at_least', 'number', -math.inf))
  high = float(content.get('at_most', 'number', math.inf))
  return low, high


def _usual_format(measure: Measure, combine: Combine | None) -> Format:
  if combine == 'ratio':
    return 'ratio'
  if measure.kind in ('rounds_to', 'bytes_to'):
    return 'count' if measure.kind == 'rounds_to' else 'bytes'
  return 'percent' if 'accuracy' in measure.metric + measure.column else 'ratio'


def _figure(content: _Object, systems: Mapping[str, str]) -> Figure:
  kind = content.one_of('kind', ('curves', 'claims'), 'curves')
  shared: dict[str, Any] = {
    'title': content.get('title', 'text'),
    'kind': kind,
    'x_title': content.get('x_title', 'text', ''),
    'y_title': content.get('y_title', 'text', ''),
    'log': content.get('log', 'true or false', False),
  }
  if kind == 'claims':
    content.finish()
    return Figure(**shared)
  runs = []
  for each in content.get('runs', 'list', list(systems)):
    name, _, system = str(each).partition('/')
    if name not in systems:
      raise _FormError(
        f'Expected runs out of {", ".join(systems)} at {content.at("runs")}, '
        f'found {each!r}.'
      )
    runs.append((name, system or systems[name]))
  figure = Figure(
    **shared,
    runs=tuple(runs),
    file=content.get('file', 'text', 'metrics.csv'),
    x=content.get('x', 'text', 'round_num'),
    y=content.get('y', 'text'),
    y_limits=content.pair('y_limits') if content.has('y_limits') else None,
    paper=tuple(_points(each) for each in content.objects('paper', [])),
  )
  content.finish()
  return figure


def _points(content: _Object) -> PaperPoints:
  points = content.get('points', 'list')
  for point in points:
    if (
      not isinstance(point, list)
      or len(point) != 2
      or not all(map(_is_number, point))
    ):
      raise _FormError(
        f'Expected pairs [x, y] at {content.at("points")}, found {point!r}.'
      )
  found = PaperPoints(
    content.get('label', 'text'),
    tuple((float(x), float(y)) for x, y in points),
    content.get('line', 'true or false', False),
  )
  content.finish()
  return found


def _check_distinct(place: str, names: Sequence[str]) -> None:
  for name in names:
    if names.count(name) > 1:
      raise _FormError(
        f'Expected different names at {place}, found {name!r} twice.'
      )
