"""What the picture of a trained map of real places is drawn from."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tff_pipelines.data import grid_world, map_frames, population
from tff_pipelines.models import place_models
from tff_pipelines.programs import files, map_records, results, run_directory

_NAME = 'stations'
# Of the final table: of values, and of classes.
COLUMNS = (
  (
    results.Column(
      'root_mean_squared_error', 'error', 'root mean squared error', 'ratio',
      'lower',
    ),
    results.Column('r_squared', 'r_squared', 'R squared', 'ratio', 'higher'),
    *results.EFFORT,
  ),
  (
    results.Column('accuracy', 'accuracy', 'accuracy', 'percent', 'higher'),
    results.Column('loss', 'loss', 'loss', 'ratio', 'lower'),
    *results.EFFORT,
  ),
)  # fmt: skip


def write(
  directory: run_directory.RunDirectory,
  dataset: population.FederatedDataset,
  net: place_models.PlaceNet,
  weights: Any,
  resolution: int = 121,
) -> None:
  """Writes maps/stations: the trained map, and the places it was learned from.

  Args:
    directory: The run's.
    dataset: Real places, whose provenance has their frame on the map.
    net: The model.
    weights: Its trained weights.
    resolution: Of the map, places an edge.

  Raises:
    SavingFailedError: If it cannot be written.
  """
  frame = map_frames.MapFrame(**dataset.provenance['frame'])
  outputs = place_models.outputs(net, weights, grid_world.grid(resolution))
  is_class = bool(dataset.label_names)
  if is_class:
    # From logits to the probability of hot, whose border is one half.
    outputs = (1 + np.tanh(outputs.astype(np.float64) / 2)) / 2
  square = outputs.astype(np.float32).reshape(resolution, resolution)
  with files.writing_folder(directory.path / 'maps' / _NAME) as path:
    hidden = path / 'simulation_only'
    hidden.mkdir()
    map_records.write_head(
      path,
      _NAME,
      _NAME,
      'The map that was learned',
      settings={
        **frame.config(),
        'quantity': 'probability of hot' if is_class else 'the value',
        'unit': '' if is_class else _unit(dataset),
      },
      curves=[{'name': 'federated'}],
      notes=[f'{dataset.name}: {dataset.provenance.get("target", "value")}'],
    )
    np.savez_compressed(path / 'server_maps.npz', **{'0/0': square})
    files.write_text(
      hidden / 'places.csv',
      files.csv_text(
        ('user', 'kind', 'x0', 'x1', 'label', 'held_out'), _places(dataset)
      ),
    )


def _unit(dataset: population.FederatedDataset) -> str:
  return '\N{DEGREE SIGN}C' if dataset.name == 'stations' else ''


def _places(
  dataset: population.FederatedDataset,
) -> Iterator[tuple[Any, ...]]:
  """Yields a row a place: user, kind, x0, x1, label, held_out."""
  for held_out, people in enumerate((dataset.train, dataset.test)):
    for client, name in enumerate(people.client_ids):
      for place, label in zip(*people.examples(client), strict=True):
        x0, x1 = (round(float(c), 6) for c in place)
        yield name, 'honest', x0, x1, f'{label:g}', held_out
