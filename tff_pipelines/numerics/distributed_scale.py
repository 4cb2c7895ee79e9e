"""How finely updates are rounded, so that their noisy sum fits its modulus.

The finer, the less rounding adds to what one client can change, and the larger
the integers. A sum that does not fit wraps around: that coordinate is then off
by the modulus. How likely that is, at most, is told here, whatever the clients
hand in.

Source: Kairouz, Liu, Steinke 2021, arXiv 2102.06387, theorem 2 and section 6
(modulus of 2 k standard deviations of a coordinate). Deviation: the scale comes
from a bound of the probability over all coordinates, which also counts the bias
of conditional rounding.
"""

from collections.abc import Callable
import dataclasses
import math
from typing import Literal, get_args

from tff_pipelines.core import errors
from tff_pipelines.numerics import rounding

Mechanism = Literal['discrete_gaussian', 'skellam']

MIN_BITS, MAX_BITS = 2, 32
# Integers that are finer than this gain nothing: rounding is then below a
# millionth of the noise's variance, and within float32's own.
_MAX_SHARE_STDDEV = 1024.0
_MAX_NORM = 2.0**30
# Of one share: Kairouz, Liu, Steinke 2021, theorem 1 asks for it.
_MIN_SHARE_STDDEV = {'discrete_gaussian': 0.5, 'skellam': 0.0}
_MAX_INFLATION = 2.0


class DistributedScaleError(errors.PipelineError):
  """Numbers with which noise in shares cannot work."""


class TooFewBitsError(DistributedScaleError):
  """A modulus too small for sum and noise to be told apart.

  Attributes:
    enough: The least bits that would do; None if there are none.
  """

  def __init__(self, message: str, enough: int | None):
    """Initializes the error."""
    super().__init__(message)
    self.enough = enough


@dataclasses.dataclass(frozen=True)
class Request:
  """What a scale is chosen for.

  Attributes:
    mechanism: Distribution of a client's share of the noise.
    clip_norm: Most that an update is long.
    size: Coordinates, a power of two: the padding is included.
    num_contributors: Clients whose shares make up the noise asked for.
    num_clients: The most clients of a sum.
    bits: Of the modulus 2^bits.
    noise_multiplier: Stddev of `num_contributors` shares over the clip norm.
    beta: Of `rounding.max_norm`.
    wrap_around_probability: Of any coordinate of one sum, at most.
    head_room: If given, the scale is such that so many standard deviations (of
      a coordinate of the longest sum) fit, instead, whatever the probability.
  """

  mechanism: Mechanism
  clip_norm: float
  size: int
  num_contributors: int
  num_clients: int
  bits: int
  noise_multiplier: float
  beta: float = math.exp(-0.5)
  wrap_around_probability: float = 1e-6
  head_room: float | None = None

  def __post_init__(self) -> None:
    for name, is_right, expected in (
      (
        'mechanism',
        self.mechanism in get_args(Mechanism),
        ' or '.join(get_args(Mechanism)),
      ),
      ('clip_norm', 0 < self.clip_norm < math.inf, 'finite and above 0'),
      (
        'size',
        self.size >= 1 and self.size & (self.size - 1) == 0,
        'a power of two',
      ),
      ('num_contributors', self.num_contributors >= 1, 'at least 1'),
      (
        'num_clients',
        self.num_clients >= self.num_contributors,
        f'at least num_contributors, {self.num_contributors}',
      ),
      (
        'bits',
        MIN_BITS <= self.bits <= MAX_BITS,
        f'{MIN_BITS} to {MAX_BITS}',
      ),
      (
        'noise_multiplier',
        0 < self.noise_multiplier < math.inf,
        'finite and above 0',
      ),
      ('beta', 0 < self.beta < 1, 'above 0 and below 1'),
      (
        'wrap_around_probability',
        0 < self.wrap_around_probability < 1,
        'above 0 and below 1',
      ),
      (
        'head_room',
        self.head_room is None or self.head_room > 0,
        'above 0, or None',
      ),
    ):
      if not is_right:
        raise DistributedScaleError(
          f'Expected {name} {expected}, found {getattr(self, name)}.'
        )


@dataclasses.dataclass(frozen=True)
class Scale:
  """How updates and noise become integers.

  Attributes:
    scale: Integers per unit of an update.
    share_stddev: Of one client's noise, in integers.
    l2_sensitivity: Most that a rounded update is long, in integers.
    wrap_around_probability: Bound for any coordinate of one sum, whatever the
      clients hand in; over the signs of the rotation, rounding and noise.
    inflation: How much rounding adds to the sensitivity: l2_sensitivity over
      scale * clip_norm.
  """

  scale: float
  share_stddev: float
  l2_sensitivity: float
  wrap_around_probability: float
  inflation: float


def choose(request: Request) -> Scale:
  """Returns the finest scale that keeps the request.

  Raises:
    TooFewBitsError: If rounding would more than double the sensitivity, or the
      shares would be too narrow to account for. The message tells how many
      bits would do.
  """
  found = unchecked(request)
  problem = _problem(request, found)
  if problem is None:
    return found
  enough = next(
    (
      bits
      for bits in range(request.bits + 1, MAX_BITS + 1)
      if not _problem(
        request, unchecked(dataclasses.replace(request, bits=bits))
      )
    ),
    None,
  )
  raise TooFewBitsError(
    f'{problem} with {request.bits} bits a coordinate for '
    f'{request.num_clients} clients; take '
    + (
      'more noise or fewer clients, no number of bits suffices.'
      if enough is None
      else f'at least {enough} bits.'
    ),
    enough,
  )


def unchecked(request: Request) -> Scale:
  """As `choose`, without refusing coarse scales.

  With a `head_room`, sums may wrap around as often as that makes them.
  """
  norm = request.clip_norm
  root = math.sqrt(request.num_contributors)
  # Of a share, for a scale of 1.
  share = request.noise_multiplier * norm / root
  most = min(_MAX_SHARE_STDDEV / share, _MAX_NORM / norm)
  if request.head_room is None:
    target = math.log(request.wrap_around_probability)
    scale = _largest(lambda s: _log_wrap(request, s) <= target, most)
  else:
    head_room = request.head_room
    scale = _largest(
      lambda s: head_room * _stddev(request, s) <= 2.0 ** (request.bits - 1),
      most,
    )
  bound = rounding.max_norm(scale * norm, request.size, request.beta)
  return Scale(
    scale=scale,
    share_stddev=scale * share,
    l2_sensitivity=bound,
    wrap_around_probability=math.exp(min(0.0, _log_wrap(request, scale))),
    inflation=bound / (scale * norm),
  )


def _problem(request: Request, found: Scale) -> str | None:
  least = _MIN_SHARE_STDDEV[request.mechanism]
  if found.inflation > _MAX_INFLATION:
    return (
      'Expected rounding that makes the sensitivity at most '
      f'{_MAX_INFLATION:g} times as large, found {found.inflation:.3g} times'
    )
  if found.share_stddev < least:
    return (
      f'Expected shares of the noise with a stddev of at least {least:g} '
      f'integers, found {found.share_stddev:.3g}'
    )
  return None


def _stddev(request: Request, scale: float) -> float:
  """Of a coordinate of the longest sum: aligned updates, rounding, noise."""
  return math.sqrt(
    _signal_variance(request, scale)
    + request.num_clients * _share_variance(request, scale)
  )


def _signal_variance(request: Request, scale: float) -> float:
  """Sub-Gaussian proxy: random signs, then a range of 1 for each rounding."""
  count = request.num_clients
  longest = count * scale * request.clip_norm
  return longest**2 / request.size + count / 4


def _share_variance(request: Request, scale: float) -> float:
  total = request.noise_multiplier * scale * request.clip_norm
  return total**2 / request.num_contributors


def _log_wrap(request: Request, scale: float) -> float:
  """Bounds log P[some coordinate of a sum does not fit].

  Chernoff for both sides and every coordinate: rotated sums and roundings
  around their means are sub-Gaussian (Hoeffding), so is the discrete Gaussian
  (Canonne, Kamath, Steinke 2020, corollary 17); log E exp(t X) of Skellam noise
  is v (cosh t - 1). Any t gives a bound; the best for the sub-Gaussian part
  starts the search.
  """
  count = request.num_clients
  room = 2.0 ** (request.bits - 1) - 1 - count * rounding.max_bias(request.beta)
  if room <= 0:
    return math.inf
  signal = _signal_variance(request, scale)
  noise = count * _share_variance(request, scale)
  both = math.log(2 * request.size)
  if request.mechanism == 'discrete_gaussian':
    return both - room**2 / (2 * (signal + noise))

  def exponent(t: float) -> float:
    # 2 sinh(t/2)^2 = cosh t - 1, without cancellation.
    return signal * t * t / 2 + noise * 2 * math.sinh(t / 2) ** 2 - t * room

  # Convex in t; the minimum is below the one without the higher terms.
  low, high = 0.0, min(room / (signal + noise), 500.0)
  for _ in range(100):
    third = (high - low) / 3
    if exponent(low + third) < exponent(high - third):
      high -= third
    else:
      low += third
  return both + exponent(high)


def _largest(fits: Callable[[float], bool], most: float) -> float:
  """Returns the largest scale up to `most` that fits."""
  if fits(most):
    return most
  low, high = most * 2.0**-200, most
  while high / low > 1 + 1e-12:
    middle = math.sqrt(low * high)
    if fits(middle):
      low = middle
    else:
      high = middle
  return low
