"""How likely a sparse graph fails: hypergeometric tails.

A graph with k neighbours is drawn at random after the corrupted clients and the
dropouts are fixed, so that each client's neighbours are a sample without
replacement. All probabilities are union bounds over the n clients.

Source: Bell et al. 2020, "Secure Single-Server Aggregation with
(Poly)Logarithmic Overhead", section 3 (the events E1, E2, E3 of its "good"
graphs). n = num_clients, k = degree, t = threshold.
"""

import numpy as np
from scipy import stats


def _pmf(num_clients: int, num_marked: int, degree: int) -> np.ndarray:
  """P[x marked neighbours], x = 0..degree, with num_marked among n-1 others."""
  return stats.hypergeom.pmf(
    np.arange(degree + 1), num_clients - 1, num_marked, degree
  )


def too_many_corrupted(
  num_clients: int, degree: int, max_corrupted: int
) -> np.ndarray:
  """Bounds P[some client has at least t corrupted neighbours].

  Such neighbours could put a secret of the client together on their own.
  Source: Bell et al. 2020, section 3, event E1.

  Returns:
    float64[degree + 2], the bound for t = 0..degree + 1.
  """
  pmf = _pmf(num_clients, max_corrupted, degree)
  # Summed from the small end, so that tiny tails keep their digits.
  tails = np.append(np.cumsum(pmf[::-1])[::-1], 0.0)
  return np.minimum(num_clients * tails, 1.0)


def disconnected(num_clients: int, degree: int, num_removed: int) -> float:
  """Bounds P[the graph falls apart without num_removed clients].

  A Harary graph stays connected unless k/2 neighbours on the circle are all
  gone; a server could else unmask the sum of one part.
  Source: Bell et al. 2020, section 3, event E2: at most
  n (gamma + delta)^(k/2); here with the exact probability of a run instead of
  the power.
  """
  half = degree // 2
  if num_removed < half:
    return 0.0
  run = np.arange(half)
  one_run = float(np.prod((num_removed - run) / (num_clients - run)))
  return min(1.0, num_clients * one_run)


def too_few_survivors(
  num_clients: int, degree: int, max_dropouts: int
) -> np.ndarray:
  """Bounds P[some client keeps fewer than t of its neighbours].

  Its secret could not be reconstructed, and the session would abort.
  Source: Bell et al. 2020, section 3, event E3.

  Returns:
    float64[degree + 2], the bound for t = 0..degree + 1.
  """
  pmf = _pmf(num_clients, num_clients - 1 - max_dropouts, degree)
  return np.minimum(num_clients * np.append(0.0, np.cumsum(pmf)), 1.0)
