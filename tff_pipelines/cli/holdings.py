"""Who holds what: the table of a data set, and how a day changes its labels."""

import csv
import dataclasses
import io
from typing import Any

import numpy as np

from tff_pipelines.core import participation as participation_lib
from tff_pipelines.data import client_table, label_mixes, population
from tff_pipelines.programs import files, results, run_directory

PRIMARY = 'examples'

_SIZES = (
  results.Column('clients', 'clients', 'clients', 'count'),
  results.Column('examples', PRIMARY, 'examples', 'count'),
  results.Column('size', 'size', 'examples a client', 'count'),
)
_LABELS = (
  results.Column('labels', 'labels', 'labels a client', 'count'),
  results.Column('distance', 'distance', 'distance', 'ratio'),
  results.Column('by_chance', 'by_chance', 'by chance', 'ratio'),
)
_NOTES = (
  'a client: the median (minimum to maximum)',
  "distance: half the sum of the differences between a client's shares of the "
  'labels and those of all examples, from 0 (alike) to 1, mean over the '
  'clients; by chance: the same, had these examples been dealt at random to '
  'clients of these sizes',
)


@dataclasses.dataclass(frozen=True)
class Holdings:
  """The table.

  Attributes:
    columns: Its columns.
    rows: The training and the test clients.
    notes: What has to be said of it.
    sentence: The same in one sentence.
  """

  columns: tuple[results.Column, ...]
  rows: tuple[dict[str, Any], ...]
  notes: tuple[str, ...]
  sentence: str


def measure(dataset: population.FederatedDataset, seed: int) -> Holdings:
  """Measures sizes, labels and how unlike clients are.

  Args:
    dataset: The clients.
    seed: The run's seed.
  """
  columns = (*_SIZES, *(_LABELS if dataset.label_names else ()))
  sides = {
    name: _side(side, len(dataset.label_names), seed)
    for name, side in (('train', dataset.train), ('test', dataset.test))
  }
  train = sides['train']
  sentence = (
    f'{train["clients"]:,} clients hold {train["examples"]:,} training '
    f'examples, {train["size_min"]:,} to {train["size_max"]:,} each'
  )
  if 'distance' in train:
    sentence += (
      f'; their labels are {train["distance"]:.3f} from those of all, '
      f'{train["by_chance"]:.3f} by chance'
    )
  return Holdings(
    columns,
    tuple({'system': name, **side} for name, side in sides.items()),
    _NOTES[: 2 if dataset.label_names else 1],
    f'{sentence}.',
  )


def write_label_mixes(
  dataset: population.FederatedDataset,
  participation: participation_lib.Participation,
  *,
  seed: int,
  directory: run_directory.RunDirectory,
) -> None:
  """Writes simulation_only/label_mixes.csv: who takes part in a day's rounds.

  A row a round: the shares of the labels `awake:<label>` of all who could be
  chosen, and `cohort:<label>` of those who were. Nothing of data without
  labels.

  Args:
    dataset: The clients.
    participation: How cohorts are drawn.
    seed: The run's seed.
    directory: Where to.
  """
  if not dataset.label_names:
    return
  counts = client_table.label_counts(dataset.train, len(dataset.label_names))
  rounds = range(1, participation.day_rounds + 1)
  awake = label_mixes.of_groups(counts, map(participation.awake, rounds))
  cohorts = label_mixes.of_groups(
    counts, (participation.select(seed, round_num) for round_num in rounds)
  )
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(
    ['round_num']
    + [f'awake:{label}' for label in dataset.label_names]
    + [f'cohort:{label}' for label in dataset.label_names]
  )
  for round_num, *shares in zip(rounds, awake, cohorts, strict=True):
    writer.writerow([round_num, *np.concatenate(shares).round(6).tolist()])
  files.write_text(
    directory.simulation_only / 'label_mixes.csv', text.getvalue()
  )


def _side(
  clients: population.ClientPopulation, num_labels: int, seed: int
) -> dict[str, Any]:
  sizes = clients.sizes
  found: dict[str, Any] = {
    'clients': clients.num_clients,
    'examples': clients.num_examples,
    'size': float(np.median(sizes)),
    'size_min': int(sizes.min()),
    'size_max': int(sizes.max()),
  }
  counts = client_table.label_counts(clients, num_labels)
  if counts.sum():
    held = (counts > 0).sum(axis=1)
    found |= {
      'labels': float(np.median(held)),
      'labels_min': int(held.min()),
      'labels_max': int(held.max()),
      'distance': float(label_mixes.distances(counts).mean()),
      'by_chance': label_mixes.mean_distance_by_chance(counts, seed),
    }
  return found
