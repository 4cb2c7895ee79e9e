"""Cosines of canaries under the plain Gaussian mechanism, without the vectors.

Only inner products enter a cosine. Those of k independent directions in d
dimensions are the Gram matrix of a k x min(k, d) matrix (Bartlett's
decomposition of the Wishart distribution); what is left of the noise outside of
their span enters by its length alone, a chi variable. So the joint distribution
is exact at O(k^2) memory, whatever d.

Sources: Andrew et al. 2023, arXiv 2302.03098, section 3, algorithm 1, for what
is simulated; Bartlett 1933, and Muirhead 1982, "Aspects of Multivariate
Statistical Theory", theorem 3.2.14, for how.
"""

import numpy as np

from tff_pipelines.privacy import error_rates


def simulate(
  weights: np.ndarray,
  noise_stddev: float,
  num_dimensions: int,
  *,
  seed: int,
  others_norm: float = 0.0,
) -> np.ndarray:
  """Returns cosines of canaries with released sums, float64[rounds, k].

  Round t releases sum_j weights[t, j] c_j + x + noise_stddev Z_t, where the c_j
  are the canaries' directions (the same in every round), x is a fixed vector of
  length others_norm and Z_t a standard normal vector of d dimensions.

  The final sum of T rounds is one round with weights = how often each canary
  took part and noise_stddev = stddev of a round times sqrt(T). A weight 0
  everywhere is an unobserved canary.

  Args:
    weights: float[rounds, k], in units of the sensitivity.
    noise_stddev: At least 0, in the same units.
    num_dimensions: d, at least 2.
    seed: Of the simulation; it protects nobody.
    others_norm: Length of the sum of the other clients' updates.
  """
  weights = np.asarray(weights, dtype=np.float64)
  if weights.ndim != 2 or 0 in weights.shape:
    raise error_rates.AuditError(
      'Expected weights of shape [rounds, canaries], found '
      f'{weights.shape}; give one row for each release.'
    )
  if noise_stddev < 0.0 or others_norm < 0.0 or num_dimensions < 2:
    raise error_rates.AuditError(
      'Expected a noise_stddev and others_norm of at least 0 and at least 2 '
      f'dimensions, found {noise_stddev}, {others_norm} and {num_dimensions}; '
      'give lengths.'
    )
  rng = np.random.default_rng(seed)
  rounds, num_canaries = weights.shape
  # The first coordinate points to the other clients' sum.
  units = _directions(rng, num_canaries, num_dimensions)
  span = units.shape[1]
  inside = weights @ units  # [rounds, span].
  inside[:, 0] += others_norm
  inside += noise_stddev * rng.standard_normal((rounds, span))
  outside = np.zeros(rounds)
  if num_dimensions > span:
    outside = noise_stddev**2 * rng.chisquare(
      num_dimensions - span, size=rounds
    )
  norms = np.sqrt(np.sum(inside**2, axis=1) + outside)
  if np.any(norms == 0.0):
    raise error_rates.AuditError(
      'Expected a release other than zero in every round, found none: no '
      'canary, no other client and no noise; leave the round out.'
    )
  return inside @ units.T / norms[:, None]


def _directions(
  rng: np.random.Generator, num_canaries: int, num_dimensions: int
) -> np.ndarray:
  """Unit rows [k, min(k + 1, d)] with the Gram matrix of random directions.

  The first coordinate is that along a fixed vector: the triangle's first row,
  which belongs to that vector, is left out.
  """
  span = min(num_canaries + 1, num_dimensions)
  rows = rng.standard_normal((num_canaries, span))
  if span == num_canaries + 1:
    rows = np.tril(rows, k=1)
    freedom = num_dimensions - 1 - np.arange(num_canaries)
    places = np.arange(num_canaries)
    rows[places, places + 1] = np.sqrt(rng.chisquare(freedom))
  return rows / np.linalg.norm(rows, axis=1, keepdims=True)
