"""Composes losses into one epsilon."""

import collections
from collections.abc import Sequence
import dataclasses
import functools
import math
from typing import Literal

from dp_accounting import rdp as rdp_lib
from dp_accounting.pld import privacy_loss_distribution as pld_lib
import numpy as np

from tff_pipelines.core import errors
from tff_pipelines.privacy import _scipy_warnings, gaussian_conversion, losses

Method = Literal['gaussian', 'pld', 'rdp', 'pure']

# Below this delta, the FFTs' rounding is no longer small beside delta.
_LEAST_PLD_DELTA = 1e-12
_INTERVAL = 1e-4
_MAX_CELLS = 100_000


class NoMethodError(errors.PipelineError):
  """A composition that the chosen, or any, method cannot bound."""


@dataclasses.dataclass(frozen=True)
class Part:
  """A loss, how often it is paid, and on which random cohorts."""

  loss: losses.Loss
  count: int = 1
  sampling: losses.Sampling | None = None


@dataclasses.dataclass(frozen=True)
class Composed:
  """Epsilon of all parts, how it was found, and rho if all is Gaussian."""

  epsilon: float
  method: Method
  rho: float | None = None


def compose(
  parts: Sequence[Part], delta: float, method: Method | None = None
) -> Composed:
  """Returns an upper bound of epsilon for adaptive composition of the parts.

  Args:
    parts: What is paid, in one neighbouring relation.
    delta: In [0, 1).
    method: None: `gaussian` (exact) if no part is anything else, `pure` at
      delta 0, else `pld`, else `rdp`.

  Raises:
    NoMethodError: If the method does not apply to a part, by its name.
  """
  merged = _merge(parts)
  mu_squared = _gaussian_mu_squared(merged)
  rho = None if mu_squared is None else mu_squared / 2
  if not merged:
    return Composed(0.0, method or 'gaussian', 0.0)
  if delta == 0.0 and method is None:
    method = 'pure'
  if method is None and mu_squared is not None:
    method = 'gaussian'
  if method == 'gaussian':
    if mu_squared is None:
      raise NoMethodError(
        'Expected Gaussian mechanisms without sampling for the method '
        f'gaussian, found {_names(merged)}.'
      )
    if delta == 0.0:
      return Composed(math.inf, 'gaussian', rho)
    epsilon = gaussian_conversion.epsilon_of(math.sqrt(mu_squared), delta)
    return Composed(epsilon, 'gaussian', rho)
  if method == 'pure':
    return Composed(_pure_epsilon(merged), 'pure', rho)
  if method is None and delta < _LEAST_PLD_DELTA:
    method = 'rdp'
  if method in (None, 'pld'):
    epsilon_by_pld = _pld_epsilon(tuple(merged), delta)
    if epsilon_by_pld is not None:
      return Composed(epsilon_by_pld, 'pld', rho)
    if method == 'pld':
      raise NoMethodError(
        'Expected mechanisms with a privacy loss distribution for the method '
        f'pld, found {_names(merged)}; use rdp.'
      )
  return Composed(_rdp_epsilon(merged, delta), 'rdp', rho)


def _merge(parts: Sequence[Part]) -> list[Part]:
  """Adds up equal parts, leaves out free ones; plain Gaussians become one."""
  counts: collections.Counter[tuple] = collections.Counter()
  mu_squared = 0.0
  for part in parts:
    rate = 1.0 if part.sampling is None else part.sampling.rate
    sampling = None if rate == 1.0 else part.sampling
    if part.count == 0 or part.loss.pure_epsilon == 0.0:
      continue
    if sampling is None and isinstance(part.loss, losses.Gaussian):
      mu_squared += part.count * part.loss.mu**2
    else:
      counts[part.loss, sampling] += part.count
  merged = [
    Part(loss, count, sampling) for (loss, sampling), count in counts.items()
  ]
  if mu_squared > 0.0:
    merged.append(Part(losses.Gaussian(math.sqrt(mu_squared))))
  return merged


def _gaussian_mu_squared(merged: Sequence[Part]) -> float | None:
  if not merged:
    return 0.0
  first = merged[0]
  if len(merged) == 1 and first.sampling is None:
    if isinstance(first.loss, losses.Gaussian):
      return first.count * first.loss.mu**2
  return None


def _pure_epsilon(merged: Sequence[Part]) -> float:
  """Basic composition; sampled parts by Balle et al. 2018, theorem 9."""
  total = 0.0
  for part in merged:
    epsilon = part.loss.pure_epsilon
    if math.isinf(epsilon):
      raise NoMethodError(
        'Expected mechanisms of pure differential privacy at delta 0, found '
        f'{_names([part])}: its epsilon is infinite there; give a delta.'
      )
    if part.sampling is not None:
      epsilon = math.log1p(part.sampling.rate * math.expm1(epsilon))
    total += part.count * epsilon
  return total


def _rdp_epsilon(merged: Sequence[Part], delta: float) -> float:
  total = np.zeros(len(losses.ORDERS))
  for part in merged:
    total += part.count * part.loss.rdp(part.sampling)
  epsilon, _ = rdp_lib.rdp_privacy_accountant.compute_epsilon(
    losses.ORDERS, total, delta
  )
  return float(epsilon)


# A run asks for the same composition again: ahead of a round, and after it.
@functools.lru_cache(maxsize=64)
@_scipy_warnings.silenced()
def _pld_epsilon(merged: tuple[Part, ...], delta: float) -> float | None:
  interval = _interval(merged)
  total: losses.Pld | None = None
  for part in merged:
    pld = _cached_pld(part.loss, part.sampling, interval)
    if pld is None:
      return None
    if part.count > 1:
      pld = pld.self_compose(part.count)
    total = pld if total is None else total.compose(pld)
  assert total is not None
  return float(total.get_epsilon_for_delta(delta))


@functools.lru_cache(maxsize=32)
def _cached_pld(
  loss: losses.Loss, sampling: losses.Sampling | None, interval: float
) -> pld_lib.PrivacyLossDistribution | None:
  return loss.pld(sampling, interval)


def _interval(merged: Sequence[Part]) -> float:
  """Returns the grid's step: 1e-4, or 2^n as much for huge losses."""
  span = max(
    (part.loss.span for part in merged if math.isfinite(part.loss.span)),
    default=1.0,
  )
  interval = _INTERVAL
  while span / interval > _MAX_CELLS:
    interval *= 2
  return interval


def _names(merged: Sequence[Part]) -> str:
  return ', '.join(
    sorted(
      type(part.loss).__name__
      + (f' with {part.sampling.scheme} sampling' if part.sampling else '')
      for part in merged
    )
  )
