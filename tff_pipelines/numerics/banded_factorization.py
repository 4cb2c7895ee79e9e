"""Strategy matrices for correlated noise on prefix sums: A = B C.

A (n x n, ones on and below the diagonal) sums the rounds; noise enters as
A x + B z = A (x + C^-1 z) with z independent. C is lower triangular with b
bands (C[i, j] = 0 unless 0 <= i - j < b) and columns of norm 1. Two columns at
least b apart share no row, so a client in at most k rounds at least b apart
changes C x by at most sqrt(k) clip norms.

Source: Choquette-Choo et al. 2023, "(Amplified) Banded Matrix Factorization",
arXiv 2306.08153, section 3 (banded C, problem 5, column normalization) and
Choquette-Choo et al. 2023, "Multi-Epoch Matrix Factorization Mechanisms",
arXiv 2211.06530, section 4 (the loss ||A C^-1||_F^2 and its gradient). First
guess: the square root of A, Fichtenberger, Henzinger, Upadhyay 2023,
arXiv 2202.11205, equation 1. Deviation: the gradient is taken with respect to
C's bands and not to C^T C, and needs O(n^2 b) operations.
"""

import dataclasses

import numpy as np
from scipy import linalg, optimize

from tff_pipelines.core import errors

# Rows solved together: large enough for matrix products, below most b.
_BLOCK = 128


class StrategyError(errors.PipelineError):
  """A strategy matrix that does not exist."""


@dataclasses.dataclass(frozen=True, eq=False)
class BandedStrategy:
  """A lower triangular matrix C of `num_bands` bands, columns of norm 1.

  Attributes:
    columns: float64[num_rounds, num_bands]; columns[j, d] = C[j + d, j], zero
      where j + d is beyond the last round.
  """

  columns: np.ndarray

  def __post_init__(self) -> None:
    norms = np.linalg.norm(self.columns, axis=1)
    if not np.all(np.abs(norms - 1.0) < 1e-9):
      raise StrategyError(
        'Expected columns of norm 1, on which the noise multiplier rests, '
        f'found norms from {norms.min()} to {norms.max()}.'
      )
    if not np.all(self.columns[:, 0] > 0.0):
      raise StrategyError(
        'Expected a positive diagonal, found '
        f'{self.columns[:, 0].min()}; the matrix has no inverse.'
      )
    if np.any(self.columns[~_inside(*self.columns.shape)] != 0.0):
      raise StrategyError(
        'Expected zeros below the last round, found other numbers.'
      )

  @property
  def num_rounds(self) -> int:
    """Rounds that the matrix serves, n."""
    return self.columns.shape[0]

  @property
  def num_bands(self) -> int:
    """Bands with the diagonal, b."""
    return self.columns.shape[1]

  def row(self, index: int) -> np.ndarray:
    """Returns C[index, index - d] for d = 0..b-1, float64[num_bands].

    Zero where index - d is negative; `index` counts from 0.
    """
    band = np.arange(min(self.num_bands, index + 1))
    row = np.zeros(self.num_bands)
    row[band] = self.columns[index - band, band]
    return row

  def to_dense(self) -> np.ndarray:
    """Returns C, float64[num_rounds, num_rounds]."""
    dense = np.zeros((self.num_rounds, self.num_rounds))
    for band in range(self.num_bands):
      start = np.arange(self.num_rounds - band)
      dense[start + band, start] = self.columns[: self.num_rounds - band, band]
    return dense


def optimal_strategy(
  num_rounds: int,
  num_bands: int,
  separation: int,
  max_iterations: int = 200,
) -> BandedStrategy:
  """Computes the strategy of the least mean squared error of prefix sums.

  Minimizes ||A C^-1||_F^2 over the entries of C's bands by L-BFGS. 2,000
  rounds and 400 bands take minutes on one core.

  Args:
    num_rounds: Rounds, n.
    num_bands: Bands with the diagonal, b; more bands, less error.
    separation: Rounds between two participations of a client, at the least.
    max_iterations: Steps of L-BFGS at the most; it stops earlier when the loss
      falls by less than 1e-7 of itself.

  Returns:
    The strategy. Its error is at most that of the first guess.

  Raises:
    StrategyError: If there are more bands than the separation, so that the
      sensitivity would not be sqrt(participations), or than rounds.
  """
  check_bands(num_rounds, num_bands, separation)
  shape = (num_rounds, num_bands)
  inside = _inside(*shape)
  guess = square_root_strategy(num_rounds, num_bands).columns
  scale = squared_error(guess)

  def objective(free: np.ndarray) -> tuple[float, np.ndarray]:
    raw = np.zeros(shape)
    raw[inside] = free
    norms = np.linalg.norm(raw, axis=1, keepdims=True)
    columns = raw / norms
    loss, gradient = squared_error_and_gradient(columns)
    # Through the normalization: the part along the column has no effect.
    along = np.sum(gradient * columns, axis=1, keepdims=True)
    gradient = (gradient - along * columns) / norms
    return loss / scale, gradient[inside] / scale

  found = optimize.minimize(
    objective,
    guess[inside],
    jac=True,
    method='L-BFGS-B',
    options={
      'maxiter': max_iterations,
      'maxfun': 2 * max_iterations,
      'maxcor': 10,
      'ftol': 1e-7,
      'gtol': 1e-9,
    },
  )
  raw = np.zeros(shape)
  raw[inside] = found.x
  # The sign of a column changes neither error nor sensitivity.
  raw *= np.sign(raw[:, :1])
  return BandedStrategy(raw / np.linalg.norm(raw, axis=1, keepdims=True))


def check_bands(num_rounds: int, num_bands: int, separation: int) -> None:
  """Raises StrategyError as `optimal_strategy` does."""
  if not 1 <= num_bands <= min(separation, num_rounds):
    raise StrategyError(
      'Expected between 1 and min(separation, num_rounds) = '
      f'{min(separation, num_rounds)} bands, found {num_bands}: with more, two '
      'participations of one client overlap.'
    )


def square_root_strategy(num_rounds: int, num_bands: int) -> BandedStrategy:
  """Returns the square root of A, cut to the bands, columns of norm 1.

  Its coefficients are binom(2d, d) / 4^d, the series of (1 - x)^(-1/2).
  Source: arXiv 2202.11205, equation 1. The cut alone gives no optimum.
  """
  band = np.arange(1, num_bands)
  coefficients = np.cumprod(np.append(1.0, (2.0 * band - 1.0) / (2.0 * band)))
  columns = np.where(_inside(num_rounds, num_bands), coefficients, 0.0)
  return BandedStrategy(
    columns / np.linalg.norm(columns, axis=1, keepdims=True)
  )


def squared_error(columns: np.ndarray) -> float:
  """Returns ||A C^-1||_F^2, the prefix sums' variances added up."""
  return float(np.sum(_right_factor_transposed(_Blocks(columns)) ** 2))


def right_factor(strategy: BandedStrategy) -> np.ndarray:
  """Returns B = A C^-1, float64[num_rounds, num_rounds], lower triangular."""
  return _right_factor_transposed(_Blocks(strategy.columns)).T


def squared_error_and_gradient(
  columns: np.ndarray,
) -> tuple[float, np.ndarray]:
  """Returns ||A C^-1||_F^2 and its derivative by the entries of C's bands.

  With E = A (C^T C)^-1: dL/dC = -2 C E^T E. C has b bands, so the wanted b
  bands of the result need only the 2b - 1 middle bands of E^T E: O(n^2 b).

  Args:
    columns: float64[n, b] as in `BandedStrategy`, of any norm.

  Returns:
    The loss and float64[n, b].
  """
  n, b = columns.shape
  blocks = _Blocks(columns)
  upper = _right_factor_transposed(blocks)  # U = C^-T A^T
  loss = float(np.sum(upper**2))
  e_transposed = blocks.solve(upper)  # C^-1 U = E^T
  gradient = np.zeros((n, b))
  size = max(_BLOCK, b // 2)
  for first in range(0, n, size):
    last = min(first + size, n)
    low, high = max(0, first - b + 1), min(n, last + b - 1)
    # Rows low..high of E^T E in these columns, [high - low, last - first].
    middle = e_transposed[low:high] @ e_transposed[first:last].T
    product = blocks.rows(first, high, low) @ middle
    for column in range(first, last):
      entries = min(b, n - column)
      gradient[column, :entries] = product[
        column - first : column - first + entries, column - first
      ]
  return loss, -2.0 * gradient


class _Blocks:
  """A banded lower triangular matrix, solved in blocks of rows."""

  def __init__(self, columns: np.ndarray):
    n, b = columns.shape
    self._num_rows, self._num_bands = n, b
    # Row-wise storage, padded on the left: row_bands[i, d] = C[i, i - b+1 + d].
    self._row_bands = np.zeros((n, b))
    for band in range(b):
      self._row_bands[band:, b - 1 - band] = columns[: n - band, band]

  def rows(self, first: int, last: int, left: int) -> np.ndarray:
    """Returns C[first:last, left:last], dense."""
    b = self._num_bands
    dense = np.zeros((last - first, last - left))
    for row in range(first, last):
      start = max(left, row - b + 1)
      dense[row - first, start - left : row + 1 - left] = self._row_bands[
        row, start - (row - b + 1) :
      ]
    return dense

  def solve(self, right: np.ndarray) -> np.ndarray:
    """Returns C^-1 right for right float64[n, m]."""
    result = np.array(right)
    for first in range(0, self._num_rows, _BLOCK):
      last = min(first + _BLOCK, self._num_rows)
      left = max(0, first - self._num_bands + 1)
      part = self.rows(first, last, left)
      if left < first:
        result[first:last] -= part[:, : first - left] @ result[left:first]
      result[first:last] = linalg.solve_triangular(
        part[:, first - left :], result[first:last], lower=True
      )
    return result

  def solve_transposed(self, right: np.ndarray) -> np.ndarray:
    """Returns C^-T right for right float64[n, m]."""
    result = np.array(right)
    starts = range(0, self._num_rows, _BLOCK)
    for first in reversed(starts):
      last = min(first + _BLOCK, self._num_rows)
      left = max(0, first - self._num_bands + 1)
      part = self.rows(first, last, left)
      result[first:last] = linalg.solve_triangular(
        part[:, first - left :], result[first:last], lower=True, trans='T'
      )
      if left < first:
        result[left:first] -= part[:, : first - left].T @ result[first:last]
    return result

  @property
  def num_rows(self) -> int:
    return self._num_rows


def _right_factor_transposed(blocks: _Blocks) -> np.ndarray:
  """Returns B^T = C^-T A^T, upper triangular."""
  n = blocks.num_rows
  return blocks.solve_transposed(np.triu(np.ones((n, n))))


def _inside(num_rounds: int, num_bands: int) -> np.ndarray:
  """Which entries of `columns` lie inside the matrix, bool[n, b]."""
  return (
    np.arange(num_rounds)[:, np.newaxis] + np.arange(num_bands) < num_rounds
  )
