"""What is measured of who holds what, and what is written of a day."""

import csv
import itertools

import numpy as np
import pytest

from tff_pipelines.cli import holdings
from tff_pipelines.core import participation
from tff_pipelines.data import population
from tff_pipelines.programs import run_directory


def side(*labels_by_client: list[int]) -> population.ArrayPopulation:
  """Clients, whose examples are given by their labels."""
  labels = np.array(list(itertools.chain(*labels_by_client)), np.int32)
  ends = np.cumsum([len(owned) for owned in labels_by_client])
  return population.ArrayPopulation(
    (np.zeros([len(labels), 2]), labels),
    {
      f'client {c}': np.arange(end - len(owned), end)
      for c, (owned, end) in enumerate(zip(labels_by_client, ends, strict=True))
    },
  )


def dataset(names=('cold', 'hot')) -> population.FederatedDataset:
  return population.FederatedDataset(
    name='by hand',
    train=side([0, 0, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1], [1]),
    test=side([0, 1]),
    label_names=names,
    provenance={},
  )


def test_the_table_by_hand():
  found = holdings.measure(dataset(), seed=0)
  train, test = found.rows
  chance = train.pop('by_chance')
  # 6 of 13 are cold: |1 - 6/13|, |1/2 - 6/13|, |0 - 6/13| twice.
  assert train == pytest.approx(
    {
      'system': 'train', 'clients': 4, 'examples': 13,
      'size': 4, 'size_min': 1, 'size_max': 4,
      'labels': 1, 'labels_min': 1, 'labels_max': 2,
      'distance': (7 / 13 + 1 / 26 + 2 * 6 / 13) / 4,
    }
  )  # fmt: skip
  assert 0 < chance < train['distance']
  assert test == {
    'system': 'test', 'clients': 1, 'examples': 2,
    'size': 2, 'size_min': 2, 'size_max': 2,
    'labels': 2, 'labels_min': 2, 'labels_max': 2,
    'distance': 0, 'by_chance': 0,
  }  # fmt: skip
  assert found.sentence == (
    '4 clients hold 13 training examples, 1 to 4 each; their labels are 0.375 '
    f'from those of all, {chance:.3f} by chance.'
  )
  keys = [column.key for column in found.columns]
  assert keys == [
    'clients',
    'examples',
    'size',
    'labels',
    'distance',
    'by_chance',
  ]
  assert holdings.PRIMARY in keys
  assert len(found.notes) == 2


def test_without_labels_only_sizes_count():
  found = holdings.measure(dataset(names=()), seed=0)
  assert found.rows[0] == {
    'system': 'train', 'clients': 4, 'examples': 13,
    'size': 4, 'size_min': 1, 'size_max': 4,
  }  # fmt: skip
  assert [column.key for column in found.columns] == [
    'clients', 'examples', 'size',
  ]  # fmt: skip
  assert found.sentence == ('4 clients hold 13 training examples, 1 to 4 each.')
  assert len(found.notes) == 1


def written(tmp_path, drawn, names=('cold', 'hot')):
  directory = run_directory.RunDirectory(tmp_path)
  directory.simulation_only.mkdir()
  holdings.write_label_mixes(dataset(names), drawn, seed=0, directory=directory)
  path = directory.simulation_only / 'label_mixes.csv'
  if not path.exists():
    return None
  with open(path, newline='', encoding='utf-8') as file:
    return list(csv.reader(file))


def test_a_day_by_hand(tmp_path):
  day = participation.Participation(4, 1, 'diurnal', 4, 0.25)
  assert written(tmp_path, day) == [
    ['round_num', 'awake:cold', 'awake:hot', 'cohort:cold', 'cohort:hot'],
    ['1', '1.0', '0.0', '1.0', '0.0'],
    ['2', '0.5', '0.5', '0.5', '0.5'],
    ['3', '0.0', '1.0', '0.0', '1.0'],
    ['4', '0.0', '1.0', '0.0', '1.0'],
  ]


def test_without_a_day_everyone_can_be_chosen_in_every_round(tmp_path):
  _, *rows = written(tmp_path, participation.Participation(4, 2))
  assert len(rows) == 24
  assert {tuple(row[1:3]) for row in rows} == {('0.461538', '0.538462')}
  # Cohorts differ: of 24 pairs out of 6, all alike has probability 6^-23.
  assert len({tuple(row[3:]) for row in rows}) > 1


def test_without_labels_nothing_is_written(tmp_path):
  assert written(tmp_path, participation.Participation(4, 2), ()) is None
