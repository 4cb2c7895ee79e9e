"""Saving the state of a training program, and finding it again."""

import pathlib
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import errors
from tff_pipelines.programs import files


class CheckpointUnreadableError(errors.PipelineError):
  """A checkpoint that is there but cannot be read."""


# The participation history of a run that keeps none.
NO_HISTORY = np.zeros([0, 2], np.int32)


class ProgramState(NamedTuple):
  """What a training program needs to go on.

  Attributes:
    process_state: The state of the learning process, after `round_num` rounds.
    round_num: Rounds done.
    elapsed_seconds: Time spent on them, over all sessions.
    secure_sum_seconds: Of these, in the protocol of secure sums.
    participation_history: int32[population_size, 2], by client the number of
      its rounds and the last of them; no row where nobody counts.
  """

  process_state: Any
  round_num: int
  elapsed_seconds: float
  secure_sum_seconds: float = 0.0
  participation_history: np.ndarray = NO_HISTORY


class Checkpoints:
  """Program states in a folder, on a `tff.program.FileProgramStateManager`.

  A state appears under its name when it is whole, so a process that is killed
  while it saves leaves the one before as the latest.
  """

  def __init__(self, folder: pathlib.Path, keep: int = 2):
    """Initializes the checkpoints and clears half-written ones away.

    Args:
      folder: Where they are, made if need be.
      keep: How many of the latest to keep.
    """
    self._folder = folder
    with files.saving('checkpoints', folder):
      folder.mkdir(parents=True, exist_ok=True)
      files.remove_leftovers(folder)
      self._manager: tff.program.FileProgramStateManager = (
        tff.program.FileProgramStateManager(
          folder, prefix='round_', keep_total=keep, keep_first=False
        )
      )

  async def load_latest(self, template: Any) -> ProgramState | None:
    """Returns the latest state, or None if there is none.

    Args:
      template: A process state whose structure the loaded one takes.

    Raises:
      CheckpointUnreadableError: If the latest cannot be read.
    """
    versions = await self._manager.get_versions()
    if versions is None:
      return None
    structure = _leaves(ProgramState(template, 0, 0.0))
    try:
      found = await self._manager.load(versions[-1], structure)
      *values, round_num, elapsed, of_sums, history = found
    # TensorFlow has no error for a damaged file: it raises OpError, OSError,
    # IndexError, KeyError, AttributeError, whatever the damage led to.
    except Exception as error:
      raise CheckpointUnreadableError(
        f'Expected a checkpoint in {self._folder}/round_{versions[-1]}, found '
        'that it cannot be read; delete that folder to resume from the one '
        'before it.'
      ) from error
    state = tf.nest.pack_sequence_as(template, values)
    return ProgramState(
      state,
      int(round_num),
      float(elapsed),
      float(of_sums),
      np.asarray(history) if np.size(history) else NO_HISTORY,
    )

  async def save(self, state: ProgramState) -> None:
    """Saves a state under its round, once.

    Raises:
      SavingFailedError: If it cannot be written; earlier ones stay.
    """
    if state.round_num in (await self._manager.get_versions() or ()):
      return
    with files.saving(f'checkpoint {state.round_num}', self._folder):
      await self._manager.save(_leaves(state), state.round_num)


def _leaves(state: ProgramState) -> list[Any]:
  # A flat list: with TensorFlow 2.14 and a current typing_extensions a
  # SavedModel cannot hold tuples or dictionaries (BUILD_NOTES.md).
  return [np.asarray(leaf) for leaf in tf.nest.flatten(state)]
