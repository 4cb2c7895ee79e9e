"""A running sum in Z_m."""

import numpy as np

from tff_pipelines.secagg import layout


class ModularSum:
  """Adds and subtracts vectors modulo m, in place.

  Powers of two let the machine's words wrap around (2^32 and 2^64 are multiples
  of m) and are reduced once, at the end; other moduli are reduced at each
  addition, which m <= 2^62 keeps below 2^63.

  Source: the sums in Z_R of Bonawitz et al. 2017, section 4.
  """

  def __init__(self, group: layout.Group) -> None:
    self._group = group
    self._total = np.zeros(group.length, group.dtype)
    # A power of two needs only m - 1, and m = 2^32 would not fit.
    self._highest = group.dtype.type(group.modulus - 1)
    self._modulus = np.uint64(group.modulus)

  def add(self, values: np.ndarray) -> None:
    """Adds entries of the group's dtype (Bonawitz et al. 2017, section 4)."""
    self._total += values
    self._reduce()

  def subtract(self, values: np.ndarray) -> None:
    """Subtracts entries of the group's dtype (Bonawitz, section 4)."""
    if not self._group.is_power_of_two:
      self._total += self._modulus
    self._total -= values
    self._reduce()

  def result(self) -> np.ndarray:
    """Returns the sum so far, in [0, m), of the group's dtype."""
    if self._group.is_power_of_two:
      return self._total & self._highest
    return self._total.copy()

  def _reduce(self) -> None:
    """Brings a total below 2 m, of a modulus that does not wrap, below m."""
    if not self._group.is_power_of_two:
      # Below m the difference wraps to a huge number.
      np.minimum(self._total, self._total - self._modulus, out=self._total)
