"""Training many times over, without records: for experiments about training."""

from collections.abc import Sequence
import functools
from typing import Any

import numpy as np
import tensorflow_federated as tff

from tff_pipelines.data import population as population_lib
from tff_pipelines.programs import rounds, training


def train(
  process: tff.learning.templates.LearningProcess,
  population: population_lib.ClientPopulation,
  program: training.TrainingProgram,
  observe: training.Observe | None = None,
  initial_weights: Sequence[np.ndarray] | None = None,
) -> Any:
  """Returns the last state of a process after all rounds of a program.

  As `training.run` without evaluation, checkpoints, stop rules and ledger: what
  is released here is the experimenter's, not a server's.

  Args:
    process: The learning process.
    population: The clients.
    program: Rounds, participation, batching and seed.
    observe: Sees every state, the initial one included.
    initial_weights: The model's trainable weights to begin with; None for those
      that the process has.
  """
  state = process.initialize()
  if initial_weights is not None:
    state = process.set_model_weights(
      state,
      process.get_model_weights(state)._replace(
        trainable=tuple(initial_weights)
      ),
    )
  if observe is not None:
    observe(0, state)
  for round_num in range(1, program.rounds + 1):
    state = rounds.run(
      process,
      state,
      functools.partial(training.cohort, population, program, round_num),
      round_num,
      program.round_retries,
    ).process_state
    if observe is not None:
      observe(round_num, state)
  return state
