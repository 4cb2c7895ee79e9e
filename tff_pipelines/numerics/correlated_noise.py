"""Correlated noise x = C^-1 z, one round after the other.

x_t = (z_t - sum_{d=1}^{b-1} C[t, t-d] x_{t-d}) / C[t, t], so a round needs the
last b - 1 outputs and fresh independent noise, whatever the number of rounds.

Source: Choquette-Choo et al. 2023, arXiv 2306.08153, section 4.1 (algorithm 9).
"""

import numpy as np


def correlate(
  fresh: np.ndarray, history: np.ndarray, row: np.ndarray
) -> np.ndarray:
  """Returns the noise of one round, in the shape of `fresh`.

  Assumes that `fresh` is drawn anew, and stays secret, every round: who knows
  z can take the noise off.

  Args:
    fresh: z_t, float[...], independent of everything before.
    history: float[b - 1, ...], the outputs x_{t-1}, x_{t-2}, ..., the newest
      first; zeros before the first round.
    row: float[b], C[t, t], C[t, t-1], ... as `BandedStrategy.row` gives it.
  """
  return (fresh - np.tensordot(row[1:], history, axes=1)) / row[0]


def remember(noise: np.ndarray, history: np.ndarray) -> np.ndarray:
  """Returns the next round's history, without changing this one's."""
  if not len(history):
    return history
  return np.concatenate([noise[np.newaxis], history[:-1]])
