"""Flags that name a map to learn, who knows which places, and the model."""

from collections.abc import Callable
import pathlib
from typing import Any

from absl import flags
import tensorflow_federated as tff

from tff_pipelines.cli import file_flags, flag_groups
from tff_pipelines.data import (
  fetching,
  grid_world,
  map_frames,
  place_records,
  places_table,
  population,
  stations,
  truths,
)
from tff_pipelines.models import place_models

_GRID = ('dataset', ('grid',))
_STATIONS = ('dataset', ('stations',))
_CSV = ('dataset', ('csv',))
_REAL = ('dataset', ('stations', 'csv'))
_IMAGE = 'image'


class PlaceFlags(flag_groups.FlagGroup):
  """`--dataset` and all that belongs to it."""

  def __init__(self) -> None:
    super().__init__('The data')
    define = self.define
    self._dataset = define(
      'dataset',
      'grid',
      'grid: users who each know a few places of a square, drawn from the '
      'seed; stations: the temperature at 1,485 weather stations of North '
      'America; csv: places of your own',
      choices=('grid', 'stations', 'csv'),
    )
    self._define_grid()
    self._data_dir = define(
      'data_dir',
      str(fetching.default_data_dir()),
      'folder of data sets; what is not there is fetched once',
      only_with=_STATIONS,
      identifies_run=False,
    )
    self._station_clients = define(
      'station_clients',
      'station',
      'station: each station by itself, with its one report; cell: all '
      'stations of 2 degrees of latitude by 3 of longitude',
      choices=('station', 'cell'),
      only_with=_STATIONS,
    )
    self._target = define(
      'target',
      'hot',
      'hot: whether the value is high (of stations: above the median); '
      'temperature: the value itself, a number',
      choices=('hot', 'temperature'),
      only_with=_REAL,
    )
    self._define_csv()

  def _define_grid(self) -> None:
    define = self.define
    # By the name in `GridWorld`, and of the heat map's settings.
    self._knobs: dict[str, flags.FlagHolder] = {
      'users': define('users', 16, 'how many users', only_with=_GRID),
      'points': define(
        'points_per_user', 4, 'places that each knows', only_with=_GRID
      ),
      'truth': define(
        'truth',
        'diagonal',
        'what is hot',
        choices=(*truths.NAMES, _IMAGE),
        only_with=_GRID,
      ),
      'avoid_middle': define(
        'avoid_middle',
        False,
        'whether nobody knows places near the border of hot and cold',
        only_with=_GRID,
      ),
      'force_pair': define(
        'force_pair',
        False,
        'whether the first four places of each user are two hot and two cold '
        'ones',
        only_with=_GRID,
      ),
      'outliers': define(
        'outliers', 0, 'users who report cold everywhere', only_with=_GRID
      ),
      'noise': define(
        'noise',
        0.0,
        'from 0 to 5: how far from where it is a place is reported',
        only_with=_GRID,
      ),
    }
    self._truth_image = define(
      'truth_image',
      None,
      'a PNG or JPEG image; where it is bright, it is hot',
      only_with=('truth', (_IMAGE,)),
    )

  def _define_csv(self) -> None:
    define = self.define
    self._file = file_flags.FileFlags(self, ('csv',))
    self._columns = [
      define(f'{name}_column', name, f'column of {what}', only_with=_CSV)
      for name, what in (
        ('client', 'the client'),
        ('x', 'the first coordinate (of a map: longitude)'),
        ('y', 'the second coordinate (of a map: latitude)'),
        ('value', 'what was found there'),
      )
    ]
    self._hot_values = define(
      'hot_values',
      ['hot', '1', 'true', 'yes'],
      'values that mean hot, with --target=hot',
      only_with=_CSV,
    )
    self._cold_values = define(
      'cold_values',
      ['cold', '0', 'false', 'no'],
      'values that mean cold, with --target=hot',
      only_with=_CSV,
    )
    self._hot_above = define(
      'hot_above',
      None,
      'values are numbers, and hot above this one, with --target=hot',
      only_with=_CSV,
      kind=float,
    )
    self._area = define(
      'area',
      [],
      'west,east,south,north: the part of the map to learn; without it the '
      'smallest that encloses all places',
      only_with=_CSV,
    )
    self._test_fraction = define(
      'test_fraction',
      0.2,
      'share of the distinct places that is for testing',
      only_with=_CSV,
    )

  def check(self) -> None:
    """Refuses flags without an effect, and what is wrong with the choice."""
    super().check()
    of_words = (self._hot_values, self._cold_values)
    for flag in (*of_words, self._hot_above):
      if flag.present and self._target.value != 'hot':
        raise flag_groups.FlagError(
          f'Expected --target=hot where --{flag.name} is given, found '
          f'--target={self._target.value}, with which it has no effect; remove '
          'one of them.'
        )
    for flag in of_words:
      if flag.present and self._hot_above.present:
        raise flag_groups.FlagError(
          f'Expected --{flag.name} or --{self._hot_above.name}, for words or '
          'for numbers, found both; remove one of them.'
        )

  @property
  def name(self) -> str:
    """The data set's name."""
    return self._dataset.value

  def world(self) -> grid_world.GridWorld:
    """Returns the world of users that the flags describe.

    Raises:
      FlagError: If the data set is another, or an image is missing.
      PipelineError: If there is no such world.
    """
    if self.name != 'grid':
      raise flag_groups.FlagError(
        f'Expected --dataset=grid, whose users can be drawn anew, found '
        f'--dataset={self.name}.'
      )
    return grid_world.GridWorld(
      **{name: self._knob(name) for name in self._knobs}
    )

  def given_settings(self) -> dict[str, Any]:
    """Returns the knobs of the world that were given, by `GridWorld`'s names.

    Raises:
      FlagError: If an image is missing.
    """
    return {
      name: self._knob(name)
      for name, flag in self._knobs.items()
      if flag.present
    }

  def _knob(self, name: str) -> Any:
    value = self._knobs[name].value
    if (name, value) == ('truth', _IMAGE):
      return (
        f'image:{file_flags.given_path(self._truth_image, "--truth=image")}'
      )
    return value

  def load(self, seed: int) -> population.FederatedDataset:
    """Draws or loads the data; without label names the label is a number."""
    sources: dict[str, Callable[[], population.FederatedDataset]] = {
      'grid': lambda: self.world().dataset(seed),
      'stations': lambda: stations.load(
        pathlib.Path(self._data_dir.value).expanduser(),
        clients=self._station_clients.value,
        target=self._target.value,
        seed=seed,
      ),
      'csv': lambda: places_table.load(
        self._source(), test_fraction=self._test_fraction.value, seed=seed
      ),
    }
    return sources[self.name]()

  def _source(self) -> places_table.PlacesSource:
    client, x, y, value = (column.value for column in self._columns)
    return places_table.PlacesSource(
      client_column=client,
      x_column=x,
      y_column=y,
      value_column=value,
      target=self._target.value,
      hot_values=tuple(self._hot_values.value),
      cold_values=tuple(self._cold_values.value),
      hot_above=self._hot_above.value,
      label_names=place_records.LABEL_NAMES,
      area=self._frame(),
      **self._file.source('csv'),
    )

  def _frame(self) -> map_frames.MapFrame | None:
    given = self._area.value
    if not given:
      return None
    try:
      west, east, south, north = map(float, given)
    except ValueError as error:
      raise flag_groups.FlagError(
        'Expected four numbers west,east,south,north in --area, such as '
        f'-120,-60,20,50, found {",".join(given)}.'
      ) from error
    return map_frames.MapFrame(west, east, south, north)


class PlaceModelFlags(flag_groups.FlagGroup):
  """A small network for the grid, one with waves for real maps.

  Its flags depend on `--dataset` of `PlaceFlags`.
  """

  def __init__(self) -> None:
    super().__init__('The model')
    define = self.define
    self._tanh_units = define(
      'tanh_units', 4, 'units of the hidden layer', only_with=_GRID
    )
    self._features = define(
      'fourier_features',
      32,
      'sines and cosines of random waves across the map, which are what the '
      'network sees of a place; an even number',
      only_with=_REAL,
    )
    self._waves = define(
      'waves_across',
      1.0,
      'standard deviation of how many waves lie from edge to edge of the map',
      only_with=_REAL,
    )
    self._hidden_sizes = define(
      'hidden_sizes',
      ['16'],
      'units of each hidden layer; empty is linear',
      only_with=_REAL,
    )
    self._activation = define(
      'activation',
      'tanh',
      'of the hidden layers',
      choices=('tanh', 'relu'),
      only_with=_REAL,
    )

  def tanh_net(self) -> place_models.TanhNet:
    """Returns the network for the grid."""
    return place_models.TanhNet(self._tanh_units.value)

  def net(self, dataset: population.FederatedDataset) -> place_models.PlaceNet:
    """Returns the network that the flags describe."""
    if dataset.name == 'grid':
      return self.tanh_net()
    features = self._features.value
    if features < 2 or features % 2:
      raise flag_groups.FlagError(
        'Expected an even number from 2 in --fourier_features, a sine and a '
        f'cosine a wave, found {features}.'
      )
    return place_models.FourierMlp(
      num_frequencies=features // 2,
      waves_across=self._waves.value,
      hidden_sizes=flag_groups.whole_numbers(self._hidden_sizes, '16,16'),
      activation=self._activation.value,
    )

  def build(
    self, dataset: population.FederatedDataset, seed: int
  ) -> tff.learning.models.FunctionalModel:
    """Builds the model: of the grid as the published one, squared error."""
    if dataset.name == 'grid':
      return place_models.build(self.net(dataset), loss='squared', seed=seed)
    if dataset.label_names:
      return place_models.build(self.net(dataset), loss='logistic', seed=seed)
    return place_models.build(
      self.net(dataset), loss='squared', task='regression', seed=seed
    )
