"""A model's metrics on each client, and the file of them."""

import csv

import numpy as np
import pytest

from tff_pipelines.data import population
from tff_pipelines.programs import files, people, run_directory


def clients(**examples: list[float]) -> population.ArrayPopulation:
  values = np.concatenate([np.zeros(0), *examples.values()]).astype('f4')
  ends = np.cumsum([len(owned) for owned in examples.values()])
  rows = np.split(np.arange(len(values)), ends[:-1])
  return population.ArrayPopulation(
    values, dict(zip(examples, rows, strict=True))
  )


TEST = clients(ann=[1, 2, 3, 4, 5], bob=[], cleo=[7])


def sums(weights, batches):
  """Weights times the sum of a client's examples, and which came first."""
  for dataset in batches.datasets():
    owned = [float(x) for batch in dataset for x in batch]
    yield {
      'sum': np.float32(weights * sum(owned)),
      'first': np.float32(owned[0] if owned else np.nan),
    }


@pytest.mark.parametrize('batch_size', [1, 2, 50])
def test_everyone_is_measured_on_all_of_their_examples(batch_size):
  ann, bob, cleo = people.evaluate(sums, 2.0, TEST, batch_size)
  # Not shuffled.
  assert ann == {'sum': 30.0, 'first': 1.0}
  assert (bob['sum'], cleo) == (0.0, {'sum': 14.0, 'first': 7.0})
  assert type(ann['sum']) is float


def test_batches_have_the_size_asked_for_and_the_examples_order():
  batches = TEST.batches([0], people.testing(2), seed=9, round_num=3)
  (dataset,) = batches.datasets()
  assert [b.numpy().tolist() for b in dataset] == [[1, 2], [3, 4], [5]]


@pytest.fixture
def directory(tmp_path) -> run_directory.RunDirectory:
  return run_directory.RunDirectory(tmp_path)


def test_a_row_is_a_person_and_a_system(directory):
  of_system = {
    'bigram': [{'hits': h, 'loss': 0.5} for h in (0.25, 0.5, 1.0)],
    'federated': [{'loss': 2.0, 'hits': h} for h in (0.5, 0.75, 0.125)],
  }
  people.write(directory, TEST, of_system, ['hits'])
  with open(directory.simulation_only / 'people.csv', newline='') as file:
    head, *rows = csv.reader(file)
  assert head == ['client_id', 'test_examples', 'system', 'hits']
  assert rows == [
    ['ann', '5', 'bigram', '0.25'],
    ['bob', '0', 'bigram', '0.5'],
    ['cleo', '1', 'bigram', '1.0'],
    ['ann', '5', 'federated', '0.5'],
    ['bob', '0', 'federated', '0.75'],
    ['cleo', '1', 'federated', '0.125'],
  ]


def test_metrics_of_other_people_are_no_row_of_theirs(directory):
  with pytest.raises(ValueError, match='shorter'):
    people.write(directory, TEST, {'bigram': [{'hits': 1.0}]}, ['hits'])


def test_file_that_cannot_be_written_is_told(directory):
  (directory.path / 'simulation_only').write_text('in the way')
  with pytest.raises(files.SavingFailedError):
    people.write(directory, TEST, {}, ['hits'])
