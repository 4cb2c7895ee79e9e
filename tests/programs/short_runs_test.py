"""Training many times over, without records."""

import types

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_pipelines.core import participation
from tff_pipelines.data import batching, population
from tff_pipelines.programs import run_directory, short_runs, training

PEOPLE = population.ArrayPopulation(
  np.arange(6, dtype=np.float32), {f'c{i}': np.array([i]) for i in range(6)}
)
PROGRAM = training.TrainingProgram(
  5, participation.Participation(6, 2), batching.Batching(1), seed=4
)


def process() -> types.SimpleNamespace:
  """Adds up the examples that it sees, each time ten times the last."""

  def next_round(state, batches):
    seen = float(np.asarray(batches.elements).sum())
    return types.SimpleNamespace(state=10 * state + seen, metrics={})

  return types.SimpleNamespace(
    initialize=lambda: np.float64(0.0),
    next=next_round,
    get_model_weights=lambda state: tff.learning.models.ModelWeights(
      [state], []
    ),
  )


def by_hand() -> float:
  state = 0.0
  for round_num in range(1, 6):
    state = 10 * state + PROGRAM.participation.select(4, round_num).sum()
  return state


def test_all_rounds_are_run_on_the_cohorts_of_the_program():
  assert short_runs.train(process(), PEOPLE, PROGRAM) == by_hand()


def test_the_state_is_that_of_a_run_with_records(tmp_path):
  recorded = training.run(
    'test',
    process(),
    PEOPLE,
    lambda state: {'loss': 0.0},
    PROGRAM,
    run_directory.RunDirectory(tmp_path),
  )
  found = short_runs.train(process(), PEOPLE, PROGRAM)
  assert found == pytest.approx(float(recorded.state))


def test_all_states_are_observed():
  seen = []
  last = short_runs.train(
    process(), PEOPLE, PROGRAM, lambda *both: seen.append(both)
  )
  assert [round_num for round_num, _ in seen] == [0, 1, 2, 3, 4, 5]
  assert seen[0][1] == 0
  assert seen[-1][1] == last == by_hand()
