"""Exposure: how much better a model knows a secret than one it never saw.

A canary is a sentence with random words, inserted into what some people typed.
It is ranked by its log-perplexity (the sum of its losses) among candidates:
sentences of the same form with other random words. Exposure is in bits, how
many the model saves whoever guesses the canary:

  exposure = log2 |R| - log2 rank

By chance, that is of a canary that was never inserted, all ranks are equally
likely: exposure e or more has a probability of at most 2^-e, the mean is
log2(e) = 1.44 bits, and the tests below say whether several canaries are above
that. They hold whatever the model is, because the canary's words were drawn as
those of the candidates were.

Source: Carlini et al. 2019, "The Secret Sharer: Evaluating and Testing
Unintended Memorization in Neural Networks", USENIX Security, arXiv 1802.08232,
section 4 (exposure, and its extrapolation by a skew-normal distribution).
Deviations: R is a sample of the candidates with the canary, not all that there
could be; ties count against the canary; the tests are ours (Fisher 1925 for
independent canaries; a permutation test where candidates are shared).
"""

import dataclasses
import math

import numpy as np
from scipy import integrate, optimize, special

from tff_pipelines.privacy import error_rates

# What chance gives on average, with many candidates: -log2 of a uniform number.
CHANCE_BITS = math.log2(math.e)
# Below this probability a skew-normal's tail is integrated, not subtracted.
_TAIL = 1e-6
# The largest shape a fit gives: half a normal, to the eye.
_STEEPEST = 100.0
# Draws of the permutation test that are summed at once.
_DRAWS_AT_ONCE = 500


def ranks(canaries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
  """Returns the rank of each canary among candidates, int64[m], from 1.

  Args:
    canaries: float[m], log-perplexities; a model that knows a canary gives it
      a low one.
    candidates: float[n], those of sentences that were not inserted, drawn
      independently of the canary and as it was.

  Raises:
    AuditError: If there are none, or some are not finite.
  """
  canaries = error_rates.finite_vector('canaries', canaries, 1)
  candidates = error_rates.finite_vector('candidates', candidates, 1)
  return 1 + np.searchsorted(np.sort(candidates), canaries, side='right')


def measured(canaries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
  """Returns the exposure of each canary in bits, float64[m], by its rank.

  From 0 to log2(n + 1): |R| is the n candidates and the canary.

  Args and Raises as `ranks`.
  """
  found = ranks(canaries, candidates)
  return np.log2(len(np.ravel(candidates)) + 1) - np.log2(found)


@dataclasses.dataclass(frozen=True)
class SkewNormal:
  """A skew-normal distribution of candidates' log-perplexities.

  Attributes:
    shape: 0 is normal; below 0 the left tail is the longer.
    location: In the units of log-perplexity.
    scale: Likewise, above 0.
    distance: Largest difference between the candidates' distribution function
      and this one (Kolmogorov and Smirnov's); above about 1.4 / sqrt(n) it fits
      badly, and what it extrapolates is a guess.
  """

  shape: float
  location: float
  scale: float
  distance: float

  def exposure(self, canaries: np.ndarray) -> np.ndarray:
    """Returns -log2 P(candidate <= canary), in bits, float64[m].

    Goes on where no candidate is, without a limit: more than log2 of how many
    sentences of the form there could be says no more than that.
    """
    canaries = error_rates.finite_vector('canaries', canaries, 1)
    places = (canaries - self.location) / self.scale
    return np.array([-self._log_cdf(z) / math.log(2) for z in places])

  def _log_cdf(self, place: float) -> float:
    """Returns log P(Z <= place) of the standardized distribution."""
    probability = float(_cdf(np.array(place), self.shape))
    if probability > _TAIL:
      return math.log(min(probability, 1.0))
    # The distribution function is a difference there, of which no digit is
    # left. The density at place - t over that at place falls about as
    # exp(-slope t).
    slope = abs(place) + max(0.0, self.shape) * abs(self.shape * place) + 1.0
    at_place = self._log_density(place)
    value, _ = integrate.quad(
      lambda t: math.exp(self._log_density(place - t / slope) - at_place),
      0.0,
      math.inf,
    )
    return at_place + math.log(value / slope)

  def _log_density(self, place: float) -> float:
    return float(
      0.5 * math.log(2 / math.pi)
      - place**2 / 2
      + special.log_ndtr(self.shape * place)
    )


def fit(candidates: np.ndarray) -> SkewNormal:
  """Fits a skew-normal distribution to candidates by maximum likelihood.

  Args:
    candidates: float[n], log-perplexities, at least 100 of them; 1,000 or more
      are better.

  Raises:
    AuditError: If there are fewer, some are not finite, or all are equal.
  """
  candidates = error_rates.finite_vector('candidates', candidates, 100)
  center, spread = float(np.mean(candidates)), float(np.std(candidates))
  if spread <= 1e-12 * max(1.0, abs(center)):
    raise error_rates.AuditError(
      'Expected candidates of different log-perplexities, found all equal; '
      'the model gives every sentence the same.'
    )
  standardized = (candidates - center) / spread
  found = optimize.minimize(
    _negative_log_likelihood,
    _moments(standardized),
    args=(standardized,),
    jac=True,
    method='L-BFGS-B',
    bounds=((-_STEEPEST, _STEEPEST), (-10.0, 10.0), (-7.0, 7.0)),
  )
  shape, location, scale = found.x[0], found.x[1], math.exp(found.x[2])
  fitted = _cdf((np.sort(standardized) - location) / scale, shape)
  steps = np.arange(len(fitted) + 1) / len(fitted)
  distance = max(np.max(steps[1:] - fitted), np.max(fitted - steps[:-1]))
  return SkewNormal(
    shape=float(shape),
    location=center + spread * float(location),
    scale=spread * float(scale),
    distance=float(distance),
  )


def _moments(standardized: np.ndarray) -> np.ndarray:
  """Returns shape, location and log scale by the first three moments.

  For numbers of mean 0 and variance 1. A skew-normal's skewness ends at 0.995.
  """
  skewness = float(np.clip(np.mean(standardized**3), -0.95, 0.95))
  root = float(np.cbrt(2 * skewness / (4 - math.pi)))
  mean = root / math.sqrt(1 + root**2)  # In scales.
  delta = mean * math.sqrt(math.pi / 2)
  scale = 1 / math.sqrt(1 - mean**2)
  shape = delta / math.sqrt(1 - delta**2)
  return np.array([shape, -mean * scale, math.log(scale)])


def _negative_log_likelihood(
  parameters: np.ndarray, values: np.ndarray
) -> tuple[float, np.ndarray]:
  """Returns the mean over values, without constants, and its gradient.

  Args:
    parameters: float64[3], shape, location and log scale.
    values: float64[n].
  """
  shape, location, log_scale = parameters
  scale = math.exp(log_scale)
  places = (values - location) / scale
  below = special.log_ndtr(shape * places)
  # The normal density over its distribution function, at shape * places.
  ratio = np.exp(-((shape * places) ** 2) / 2 - below) / math.sqrt(2 * math.pi)
  by_place = places - shape * ratio
  return (
    float(log_scale + np.mean(places**2 / 2 - below)),
    np.array(
      [
        -np.mean(ratio * places),
        -np.mean(by_place) / scale,
        1.0 - np.mean(by_place * places),
      ]
    ),
  )


def _cdf(places: np.ndarray, shape: float) -> np.ndarray:
  """Returns P(Z <= place) of a skew-normal by Owen's T function."""
  return special.ndtr(places) - 2 * special.owens_t(places, shape)


def p_value(exposures: np.ndarray) -> float:
  """Returns how likely chance gives exposures that sum to as much.

  Fisher's method: the sum of m independent exposures, times ln 2, has by chance
  at most a gamma distribution of shape m. An upper bound at any number of
  candidates, so a test at its level.

  Args:
    exposures: float[m], bits by `measured`, each canary among candidates of its
      own. Of canaries that share candidates use `shared_p_value`.

  Raises:
    AuditError: If there are none, or some are not finite or below 0.
  """
  exposures = error_rates.finite_vector('exposures', exposures, 1)
  if exposures.min() < 0:
    raise error_rates.AuditError(
      f'Expected exposures of at least 0 bits, found {exposures.min()}; give '
      'those of `measured`.'
    )
  total = float(exposures.sum()) * math.log(2)
  return float(special.gammaincc(len(exposures), total))


def shared_p_value(
  canaries: np.ndarray,
  candidates: np.ndarray,
  rng: np.random.Generator,
  num_draws: int = 9_999,
) -> float:
  """Returns how likely chance gives canaries that are exposed as much.

  By chance any m of the m + n sentences could have been the canaries: a
  permutation test of the sum of their exposures, exact whatever the candidates
  share. Its result is at least 1 / (num_draws + 1).

  Args:
    canaries: float[m], log-perplexities.
    candidates: float[n], those that all canaries are ranked among.
    rng: Draws who could have been the canaries.
    num_draws: How often.

  Raises:
    AuditError: As `ranks`, or if there is not one draw.
  """
  if num_draws < 1:
    raise error_rates.AuditError(
      f'Expected at least 1 draw, found {num_draws}; 9,999 are usual.'
    )
  found = float(np.log(ranks(canaries, candidates)).sum())
  # Equal sums may differ by their rounding.
  found *= 1 + 1e-12
  num_canaries, num_all = (
    len(canaries),
    len(canaries) + len(np.ravel(candidates)),
  )
  as_exposed = 0
  for start in range(0, num_draws, _DRAWS_AT_ONCE):
    drawn = np.stack(
      [
        np.sort(rng.choice(num_all, num_canaries, replace=False, shuffle=False))
        for _ in range(min(_DRAWS_AT_ONCE, num_draws - start))
      ]
    )
    # Of the places below the k-th canary k are canaries', from 0.
    drawn_ranks = 1 + drawn - np.arange(num_canaries)
    as_exposed += int(np.sum(np.log(drawn_ranks).sum(axis=1) <= found))
  return (1 + as_exposed) / (1 + num_draws)
