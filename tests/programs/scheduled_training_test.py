"""A run on schedules that is resumed keeps the rates it would have had."""

import csv

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import participation
from tff_pipelines.data import batching, population
from tff_pipelines.learning import evaluation, fed_avg, schedules
from tff_pipelines.models import image_classifiers
from tff_pipelines.programs import run_directory, training

RNG = np.random.default_rng(0)
PEOPLE = population.ArrayPopulation(
  (
    RNG.random([12, 3], dtype=np.float32),
    RNG.integers(0, 2, 12).astype(np.int32),
  ),
  {'ann': range(4), 'bob': range(4, 12), 'eve': range(7)},
)
CLIENT = schedules.Schedule(0.4, 'inverse_sqrt', 2, 3)
SERVER = schedules.Schedule(1.0, 'cosine', 0, 5)


class Killed(BaseException):
  """Stands for kill -9: nothing of the program catches it."""


@pytest.fixture(scope='module')
def model():
  return image_classifiers.build_mlp(image_classifiers.Mlp(3, (2,), 2), seed=1)


@pytest.fixture(scope='module')
def process(model, native_context):
  return fed_avg.build(
    model,
    client_optimizer=tff.learning.optimizers.build_sgdm(9.0),
    server_optimizer=tff.learning.optimizers.build_adam(9.0, epsilon=1e-3),
    aggregator=tff.aggregators.MeanFactory(),
    client_schedule=CLIENT,
    server_schedule=SERVER,
  )


def run(process, model, folder, rounds: int, killed_in: int | None = None):
  def observe(round_num: int, state) -> None:
    del state  # Unused.
    if round_num == killed_in:
      raise Killed

  return training.run(
    'run',
    process,
    PEOPLE,
    training.federated_evaluation(process, evaluation.build(model), PEOPLE),
    training.TrainingProgram(
      rounds,
      participation.Participation(3, 2),
      batching.Batching(2),
      seed=5,
      checkpoint_every=2,
    ),
    run_directory.RunDirectory(folder),
    observe=observe,
  )


@pytest.mark.slow
def test_a_run_that_is_killed_and_resumed_keeps_its_schedules(
  process, model, tmp_path
):
  whole = run(process, model, tmp_path / 'whole', 6)
  with pytest.raises(Killed):
    run(process, model, tmp_path / 'cut', 6, killed_in=4)
  resumed = run(process, model, tmp_path / 'cut', 6)
  tf.nest.map_structure(
    np.testing.assert_array_equal,
    tf.nest.flatten(process.get_model_weights(resumed.state).trainable),
    tf.nest.flatten(process.get_model_weights(whole.state).trainable),
  )
  assert resumed.state.client_work == whole.state.client_work == 6
  for name in ('whole', 'cut'):
    with open(tmp_path / name / 'metrics.csv', newline='') as file:
      column = [row['client_learning_rate'] for row in csv.DictReader(file)]
    np.testing.assert_allclose(
      [float(rate) for rate in column[1:]],
      [float(CLIENT.rate(r)) for r in range(6)],
      rtol=1e-6,
    )
