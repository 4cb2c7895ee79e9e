"""Gaussian noise that is correlated between rounds: trees and matrices.

Both are one Gaussian mechanism over all rounds, however adaptively the updates
were chosen (Denisov et al. 2022, arXiv 2202.08312, theorem 2.1), so zCDP and
the exact conversion apply. Sampling does not amplify them here.
"""

import dataclasses
from typing import Literal

from tff_pipelines.privacy import contributions, mechanism, tree_sensitivity


@dataclasses.dataclass(frozen=True)
class TreeAggregation(mechanism.CorrelatedMechanism):
  """Prefix sums from binary trees whose nodes are noisy (DP-FTRL).

  Attributes:
    noise_multiplier: A node's noise stddev over the clip norm.
    restart_rounds: Rounds after which a new tree begins; None: never.
    variance: `standard`, or `honaker`: estimates that also use lower nodes.
      Post-processing of the same nodes, so the privacy is the same.

  Source: Kairouz et al. 2021, arXiv 2103.00039, appendix D.
  """

  noise_multiplier: float
  restart_rounds: int | None = None
  variance: Literal['standard', 'honaker'] = 'standard'

  def __post_init__(self) -> None:
    mechanism.check_positive(noise_multiplier=self.noise_multiplier)
    if self.restart_rounds is not None:
      mechanism.check_count(restart_rounds=self.restart_rounds)
    if self.variance not in ('standard', 'honaker'):
      raise mechanism.MechanismError(
        'Expected a variance out of standard, honaker, found '
        f'{self.variance!r}.'
      )

  @property
  def assumptions(self) -> tuple[str, ...]:
    """See base class."""
    return (mechanism.CONTINUOUS_NOISE,)

  def mu_squared(
    self, num_rounds: int, limits: contributions.ContributionLimits
  ) -> float:
    """See base class and `tree_sensitivity.max_squared_sensitivity`."""
    squared = tree_sensitivity.max_squared_sensitivity(
      num_rounds,
      limits.participations_in(num_rounds),
      limits.min_separation,
      self.restart_rounds,
    )
    return squared / self.noise_multiplier**2


@dataclasses.dataclass(frozen=True)
class BandedMatrixFactorization(mechanism.CorrelatedMechanism):
  """Noise C^-1 z for a lower triangular C with bands.

  Attributes:
    noise_multiplier: Stddev of z over the clip norm.
    num_bands: Bands of C with the diagonal.
    max_column_norm: The largest L2 norm of C's columns. 1 for the strategies of
      `numerics.banded_factorization`; deployments that divide C by its planned
      sensitivity sqrt(p) state 1 / sqrt(p).

  Participations at least `num_bands` apart touch disjoint rows, so k of them
  move C x by at most sqrt(k) max_column_norm. Closer ones: every g-th is apart,
  g = ceil(num_bands / separation), and the triangle inequality over these g
  groups gives sqrt(g k).

  Source: Choquette-Choo et al. 2023, arXiv 2306.08153, theorem 2.
  """

  noise_multiplier: float
  num_bands: int
  max_column_norm: float = 1.0

  def __post_init__(self) -> None:
    mechanism.check_positive(
      noise_multiplier=self.noise_multiplier,
      max_column_norm=self.max_column_norm,
    )
    mechanism.check_count(num_bands=self.num_bands)

  @property
  def assumptions(self) -> tuple[str, ...]:
    """See base class."""
    return (
      f'The strategy matrix has {self.num_bands} bands and columns of norm at '
      f'most {self.max_column_norm:.6g}.',
      mechanism.CONTINUOUS_NOISE,
    )

  def mu_squared(
    self, num_rounds: int, limits: contributions.ContributionLimits
  ) -> float:
    """See base class."""
    count = limits.participations_in(num_rounds)
    groups = min(count, -(-self.num_bands // limits.min_separation))
    squared = max(groups, 1) * count * self.max_column_norm**2
    return squared / self.noise_multiplier**2
