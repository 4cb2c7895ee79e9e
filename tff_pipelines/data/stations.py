"""Weather stations: the air temperature at 1,485 places of North America.

Features: longitude and latitude in the unit square (`FRAME`), float32[2].
Label: 0.0 cold or 1.0 hot, above the median temperature of the training
  stations; or the temperature in degrees Celsius. float32[].
Examples: one hour of reports of 1,495 stations, 2016-01-16 0:00 UTC. Of each
  station the first row counts; 10 have no temperature. 285 stations are held
  out, 1,200 are for training.
Clients: each station by itself, with its one report; or all stations of a cell
  of 2 degrees of latitude by 3 degrees of longitude.
Licence: the reports are in the public domain, the file is an example of MetPy's
  (BSD 3-clause).
Checksum of `station_data.txt` (188,266 bytes), sha256:
  3c1b71abb95ef8fe4adf57e47e2ce67f3529c6fe025b546dd40c862999fc5ffe
"""

import dataclasses
import pathlib
from typing import Any, Literal, get_args

import numpy as np

from tff_pipelines.core import errors, seeds
from tff_pipelines.data import (
  fetching,
  map_frames,
  place_records,
  population,
)

Clients = Literal['station', 'cell']

FILE = fetching.DataFile(
  name='surface_obs_us/station_data.txt',
  sha256='3c1b71abb95ef8fe4adf57e47e2ce67f3529c6fe025b546dd40c862999fc5ffe',
  size_bytes=188_266,
  url='https://raw.githubusercontent.com/jrleeman/MetPy/'
  'b8dd60c3fbacef4019e9e089296fa9f25672fe95/staticdata/station_data.txt',
  homepage='https://github.com/Unidata/MetPy',
)
# Encloses all stations: x0 = (longitude + 120) / 60, x1 = (latitude - 20) / 30.
FRAME = map_frames.MapFrame(west=-120.0, east=-60.0, south=20.0, north=50.0)
NUM_TEST = 285
CELL_DEGREES = (3.0, 2.0)  # Of longitude, of latitude.

_COLUMNS = (
  'station',
  'longitude[unit="degrees_east"]',
  'latitude[unit="degrees_north"]',
  'air_temperature[unit="Celsius"]',
)


class MalformedStationError(errors.PipelineError):
  """A line of the file that is not a station's report."""


class StationChoiceError(errors.PipelineError):
  """Clients or a target that the stations do not have."""


@dataclasses.dataclass(frozen=True)
class StationReports:
  """The first report of each station that tells a temperature.

  Attributes:
    names: Of the stations.
    coordinates: float64[num_stations, 2], longitude and latitude in degrees.
    temperatures: float32[num_stations], degrees Celsius.
  """

  names: tuple[str, ...]
  coordinates: np.ndarray
  temperatures: np.ndarray


def load(
  data_dir: pathlib.Path,
  *,
  clients: Clients = 'station',
  target: place_records.Target = 'hot',
  seed: int,
) -> population.FederatedDataset:
  """Loads the stations, fetched if need be, and holds some of them out.

  The median that parts hot from cold is taken in the clear, over the training
  stations; a server would ask for it by a private query first.

  Args:
    data_dir: The folder that holds, or is to hold, 'surface_obs_us'; or the
      folder with the file itself.
    clients: `station`, or `cell`, whose held-out stations are a test client of
      the same name.
    target: `hot`, a class with the label names cold and hot; or `temperature`,
      a number without label names.
    seed: The run's seed, from which the held-out stations follow.

  Raises:
    StationChoiceError: If `clients` or `target` is another.
    MalformedStationError: If a line is not a report.
    PipelineError: Any of those of `fetching.locate`.
  """
  for choice, known in ((clients, Clients), (target, place_records.Target)):
    if choice not in get_args(known):
      raise StationChoiceError(
        f'Expected one of {", ".join(get_args(known))}, found {choice!r}.'
      )
  reports = read(fetching.locate_bare(FILE, data_dir))
  names = reports.names
  if clients == 'cell':
    names = cells(reports.coordinates)
  order = seeds.generator(seed, 'split').permutation(len(names))
  held_out, rest = np.sort(order[:NUM_TEST]), np.sort(order[NUM_TEST:])
  values, threshold = reports.temperatures, None
  if target == 'hot':
    threshold = float(np.median(values[rest]))
    values = (values > threshold).astype(np.float32)
  records = place_records.PlaceRecords(
    FRAME.to_unit(reports.coordinates), values, names
  )
  return population.FederatedDataset(
    name='stations',
    train=records.take(rest).population(),
    test=records.take(held_out).population(),
    label_names=place_records.LABEL_NAMES if target == 'hot' else (),
    provenance={
      'source': 'stations',
      'sha256': FILE.sha256,
      'licence': 'public domain (reports), BSD 3-clause (file of MetPy)',
      'clients': clients,
      'held_out_stations': NUM_TEST,
      'frame': FRAME.config(),
      **_target_provenance(target, threshold),
    },
  )


def read(path: pathlib.Path) -> StationReports:
  """Reads the file: of each station the first row, if it has a temperature.

  Raises:
    MalformedStationError: If a line is not a report.
  """
  lines = path.read_text(encoding='utf-8').splitlines()
  header = lines[0].split(',') if lines else []
  if not set(_COLUMNS) <= set(header):
    raise MalformedStationError(
      f'Expected the columns {", ".join(_COLUMNS)} in line 1 of {path}, found '
      f'{",".join(header)[:60]!r}; restore the original file.'
    )
  positions = [header.index(column) for column in _COLUMNS]
  first: dict[str, list[float]] = {}
  for number, line in enumerate(lines[1:], start=2):
    fields = line.split(',')
    try:
      station, *numbers = (fields[p] for p in positions)
      report = [float(n) for n in numbers]
    except (IndexError, ValueError) as error:
      raise MalformedStationError(
        f'Expected a report with the columns of the header in line {number} of '
        f'{path}, found {line[:60]!r}; restore the original file.'
      ) from error
    first.setdefault(station, report)
  known = {n: r for n, r in first.items() if not np.isnan(r[2])}
  table = np.array(list(known.values()), np.float64).reshape(-1, 3)
  return StationReports(
    tuple(known), table[:, :2], table[:, 2].astype(np.float32)
  )


def cells(coordinates: np.ndarray) -> tuple[str, ...]:
  """Returns the cell of each place, such as `38N_108W`, its south-west corner.

  Args:
    coordinates: float[n, 2], longitude and latitude in degrees.
  """
  corners = np.floor(coordinates / CELL_DEGREES) * CELL_DEGREES
  return tuple(
    f'{abs(lat):02.0f}{"N" if lat >= 0 else "S"}_'
    f'{abs(lon):03.0f}{"E" if lon >= 0 else "W"}'
    for lon, lat in corners
  )


def _target_provenance(
  target: place_records.Target, threshold: float | None
) -> dict[str, Any]:
  if target == 'temperature':
    return {'target': 'temperature in degrees Celsius'}
  return {
    'target': 'hot: above the median temperature of the training stations',
    'threshold_celsius': threshold,
  }
