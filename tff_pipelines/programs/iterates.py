"""The models of a run, round by round, for whoever looks at them afterwards."""

from collections.abc import Sequence
import pathlib
from typing import Any

import numpy as np

from tff_pipelines.core import errors
from tff_pipelines.programs import files


class MissingIterateError(errors.PipelineError):
  """A model of a round that was not kept."""


class Iterates:
  """Models as flat vectors, one file a round, whole or not there.

  Who sees them: nobody but the experimenter, if single rounds are not released.
  """

  def __init__(self, folder: pathlib.Path):
    """Initializes them; `folder` is made with the first."""
    self._folder = folder

  def save(self, round_num: int, weights: Sequence[Any]) -> None:
    """Saves the model after a round, its tensors in their order.

    Raises:
      SavingFailedError: If it cannot be written.
    """
    flat = np.concatenate([np.ravel(w) for w in weights]).astype(np.float32)
    path = self._path(round_num)
    files.write_array(path, flat)

  def load(self, num_rounds: int) -> np.ndarray:
    """Returns float32[num_rounds + 1, d], the initial model first.

    Raises:
      MissingIterateError: If one is missing, cannot be read, or is of another
        model.
    """
    rows: list[np.ndarray] = []
    for round_num in range(num_rounds + 1):
      try:
        row = np.load(self._path(round_num))
        if row.ndim != 1 or (rows and row.shape != rows[0].shape):
          raise ValueError(f'shape {row.shape}')
        rows.append(row)
      except (OSError, ValueError, EOFError) as error:
        raise MissingIterateError(
          f'Expected the models of the rounds 0 to {num_rounds} in '
          f'{self._folder}, found that of round {round_num} missing or damaged '
          f'({error}); choose another --output_dir.'
        ) from error
    return np.stack(rows)

  def _path(self, round_num: int) -> pathlib.Path:
    return self._folder / f'round_{round_num}.npy'
