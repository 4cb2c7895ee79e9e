"""Oracles by numerical integration that several tests share."""

from collections.abc import Callable

import numpy as np
import pytest


def hockey_stick(
  log_upper: np.ndarray, log_lower: np.ndarray, epsilon: float
) -> float:
  """Returns sum [upper - e^epsilon lower]_+ of two lists of masses."""
  return float(
    np.sum(np.maximum(np.exp(log_upper) - np.exp(epsilon + log_lower), 0.0))
  )


def product(logs: np.ndarray, times: int) -> np.ndarray:
  """Returns the log masses of independent repetitions, flat."""
  total = logs
  for _ in range(times - 1):
    total = np.add.outer(total, logs).ravel()
  return total


@pytest.fixture
def normal_masses() -> Callable[[float, float], np.ndarray]:
  """Log masses of N(mean, stddev^2) on a fine grid of stddevs."""

  def masses(mean: float, stddev: float = 1.0) -> np.ndarray:
    grid = np.linspace(-12.0, 12.0, 1201)
    step = grid[1] - grid[0]
    z = grid - mean / stddev
    return -(z**2) / 2 - np.log(np.sqrt(2 * np.pi)) + np.log(step)

  return masses


@pytest.fixture
def divergence() -> Callable[[np.ndarray, np.ndarray, int, float], float]:
  """Hockey-stick divergence of `times` independent repetitions."""

  def compute(
    log_upper: np.ndarray, log_lower: np.ndarray, times: int, epsilon: float
  ) -> float:
    return hockey_stick(
      product(log_upper, times), product(log_lower, times), epsilon
    )

  return compute
