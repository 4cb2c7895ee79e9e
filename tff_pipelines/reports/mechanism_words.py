"""The mechanisms of privacy.json in a reader's words and in one unit of noise.

The unit is the most that one client can move the sum (its clip norm, where the
contributions are clipped): noise of the same size in it hides a client equally
well, whichever mechanism made it.
"""

from collections.abc import Callable, Mapping
import dataclasses
import math
from typing import Any

from tff_pipelines.reports import privacy_record

_SUM = 'of the sum'
_PARTS = 'of the independent parts that it is mixed from'


@dataclasses.dataclass(frozen=True)
class _Words:
  """How one kind is described.

  Attributes:
    name: Its name for a reader.
    noise: Standard deviation over the most that one client moves the sum, from
      the mechanism's numbers and the contributors of a round; None if there is
      no such number.
    of: Of what the noise is; of the sum, but for correlated mechanisms.
  """

  name: str
  noise: Callable[[Mapping[str, Any], int], float] | None
  of: str = _SUM


def _multiplier(numbers: Mapping[str, Any], contributors: int) -> float:
  del contributors  # The server adds as much whoever comes.
  return float(numbers['noise_multiplier'])


def _laplace(numbers: Mapping[str, Any], contributors: int) -> float:
  return math.sqrt(2.0) * _multiplier(numbers, contributors)


def _geometric(numbers: Mapping[str, Any], contributors: int) -> float:
  del contributors  # The server adds as much whoever comes.
  # Variance 2 a / (1 - a)^2 for P(x) ~ a^|x|.
  ratio = math.exp(-1.0 / numbers['noise_scale'])
  return math.sqrt(2.0 * ratio) / (1.0 - ratio) / numbers['l1_sensitivity']


def _integers(numbers: Mapping[str, Any], contributors: int) -> float:
  del contributors  # The server adds as much whoever comes.
  return float(numbers['noise_stddev'] / numbers['l2_sensitivity'])


def _shares(numbers: Mapping[str, Any], contributors: int) -> float:
  # Independent shares, so variances add up; those that may be missing do not.
  honest = max(contributors - int(numbers.get('num_colluding') or 0), 0)
  return math.sqrt(honest) * _integers(numbers, contributors)


def _local(numbers: Mapping[str, Any], contributors: int) -> float:
  return math.sqrt(contributors) * _multiplier(numbers, contributors)


def _local_laplace(numbers: Mapping[str, Any], contributors: int) -> float:
  return math.sqrt(2.0) * _local(numbers, contributors)


_KINDS = {
  'Gaussian': _Words('Gaussian', _multiplier),
  'AdaptiveClippingGaussian': _Words('Gaussian, adaptive clip', _multiplier),
  'Laplace': _Words('Laplace', _laplace),
  'Geometric': _Words('geometric', _geometric),
  'CentralDiscreteGaussian': _Words('discrete Gaussian', _integers),
  'TreeAggregation': _Words('tree', _multiplier, _PARTS),
  'BandedMatrixFactorization': _Words('banded matrix', _multiplier, _PARTS),
  'DistributedDiscreteGaussian': _Words(
    'discrete Gaussian shares', _shares
  ),
  'DistributedSkellam': _Words('Skellam shares', _shares),
  'LocalGaussian': _Words('Gaussian, local', _local),
  'LocalLaplace': _Words('Laplace, local', _local_laplace),
  'RandomizedResponse': _Words('randomized response', None),
  'UnaryEncoding': _Words('unary encoding', None),
}  # fmt: skip


def name(setting: privacy_record.Setting) -> str:
  """A mechanism's name for a reader; its own where it is not known here."""
  words = _KINDS.get(setting.kind)
  return setting.kind if words is None else words.name


def noise(setting: privacy_record.Setting, contributors: int) -> float | None:
  """The noise's standard deviation over what one client can move the sum by.

  Args:
    setting: What ran.
    contributors: Clients of a round.

  Returns:
    The ratio, None if the mechanism has none or its numbers are not known here.
  """
  words = _KINDS.get(setting.kind)
  if words is None or words.noise is None:
    return None
  try:
    found = words.noise(setting.numbers, contributors)
  except (KeyError, TypeError, ValueError, ArithmeticError):
    return None
  return found if math.isfinite(found) else None


def is_correlated(setting: privacy_record.Setting) -> bool:
  """Whether a round's noise is mixed from parts that other rounds have too."""
  words = _KINDS.get(setting.kind)
  return words is not None and words.of == _PARTS
