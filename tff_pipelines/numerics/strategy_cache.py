"""Optimal strategies, computed once and kept in a folder.

A strategy depends on rounds, bands and the algorithm alone. Whatever a file
holds is checked to be a strategy of that size, columns of norm 1, so no
guarantee rests on the folder; at worst a bad file costs accuracy. It also has a
checksum, and one that is damaged is computed again.
"""

import contextlib
import os
import pathlib
import tempfile
import zipfile

import numpy as np

from tff_pipelines.numerics import banded_factorization

# Raise it whenever `banded_factorization.optimal_strategy` gives others.
VERSION = 1


def optimal_strategy(
  num_rounds: int,
  num_bands: int,
  separation: int,
  folder: pathlib.Path | None,
) -> banded_factorization.BandedStrategy:
  """Returns `banded_factorization.optimal_strategy`, from the folder if there.

  Args:
    num_rounds: Rounds, n.
    num_bands: Bands with the diagonal, b.
    separation: Rounds between two participations of a client, at the least;
      bounds the bands, and has no other effect.
    folder: Made if it is missing; a folder that cannot be read or written is as
      good as None, which computes anew.

  Raises:
    StrategyError: As `banded_factorization.optimal_strategy`.
  """
  banded_factorization.check_bands(num_rounds, num_bands, separation)
  path = folder and folder / _name(num_rounds, num_bands)
  found = path and _read(path, (num_rounds, num_bands))
  if found:
    return found
  strategy = banded_factorization.optimal_strategy(
    num_rounds, num_bands, separation
  )
  if path:
    _write(path, strategy)
  return strategy


def _name(num_rounds: int, num_bands: int) -> str:
  return f'banded_strategy_v{VERSION}_{num_rounds}_rounds_{num_bands}_bands.npz'


def _read(
  path: pathlib.Path, shape: tuple[int, int]
) -> banded_factorization.BandedStrategy | None:
  """Returns the strategy in a file; None if there is none of this shape."""
  try:
    # Reading a member of a zip archive verifies its checksum.
    with open(path, 'rb') as file, np.load(file, allow_pickle=False) as archive:
      columns = archive['columns']
    if columns.shape != shape or columns.dtype != np.float64:
      return None
    return banded_factorization.BandedStrategy(columns)
  except (
    OSError,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    NotImplementedError,
    zipfile.BadZipFile,
    banded_factorization.StrategyError,
  ):
    return None


def _write(
  path: pathlib.Path, strategy: banded_factorization.BandedStrategy
) -> None:
  """Writes the file in one step, or not at all."""
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix='.strategy_')
  except OSError:
    return
  try:
    with os.fdopen(handle, 'wb') as file:
      np.savez(file, columns=strategy.columns)
    os.replace(name, path)
  except OSError:
    with contextlib.suppress(OSError):
      os.unlink(name)
