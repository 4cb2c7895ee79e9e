"""The noise that a trusted server adds to the sum of clipped updates."""

from collections.abc import Sequence
import dataclasses
import math
from typing import Any, Literal

import tensorflow as tf

from tff_pipelines.core import errors
from tff_pipelines.numerics import (
  banded_factorization,
  banded_noise,
  correlated_noise,
  tree_noise,
)


class ServerNoiseError(errors.PipelineError):
  """Noise that hides nothing."""


@dataclasses.dataclass(frozen=True)
class IndependentNoise:
  """Gaussian noise, independent between rounds.

  Privacy: `privacy.central.Gaussian`.

  Attributes:
    noise_multiplier: Stddev of the noise on the sum over the clip norm.
  """

  noise_multiplier: float

  def __post_init__(self) -> None:
    _check(self.noise_multiplier)

  def rounds(self) -> correlated_noise.CorrelatedNoise:
    """Returns what gives the noise, one round after the other."""
    return _Independent()


@dataclasses.dataclass(frozen=True)
class TreeNoise:
  """Tree noise: prefix sums have the noise of the nodes that cover them.

  Privacy: `privacy.correlated.TreeAggregation`.

  Attributes:
    noise_multiplier: Stddev of a node's noise over the clip norm.
    restart_rounds: Rounds after which a new tree begins; None: never.
    variance: As `tree_noise.Tree`.
    unrestarted_rounds: As `tree_noise.Tree`; the number of rounds, where it is
      known, keeps the state small.

  Source: Kairouz et al. 2021, arXiv 2103.00039, algorithm 1.
  """

  noise_multiplier: float
  restart_rounds: int | None = None
  variance: Literal['standard', 'honaker'] = 'honaker'
  unrestarted_rounds: int = 2**16 - 1

  def __post_init__(self) -> None:
    _check(self.noise_multiplier)
    self.rounds()

  def rounds(self) -> correlated_noise.CorrelatedNoise:
    """Returns what gives the noise, one round after the other."""
    return tree_noise.Tree(
      self.restart_rounds, self.variance, self.unrestarted_rounds
    )


@dataclasses.dataclass(frozen=True)
class BandedNoise:
  """Noise C^-1 z of a banded strategy.

  Privacy: `privacy.correlated.BandedMatrixFactorization`.

  Attributes:
    noise_multiplier: Stddev of z over the clip norm; C has columns of norm 1.
    strategy: C, for all rounds of the run.

  Source: Choquette-Choo et al. 2023, arXiv 2306.08153, section 4.
  """

  noise_multiplier: float
  strategy: banded_factorization.BandedStrategy

  def __post_init__(self) -> None:
    _check(self.noise_multiplier)

  def rounds(self) -> correlated_noise.CorrelatedNoise:
    """Returns what gives the noise, one round after the other."""
    return banded_noise.Banded(self.strategy)


ServerNoise = IndependentNoise | TreeNoise | BandedNoise


class _Independent:
  """x_t = z_t; a `correlated_noise.CorrelatedNoise`."""

  max_rounds = None

  def initial(self, specs: Sequence[tf.TensorSpec]) -> Any:
    del specs  # Unused.
    return ()

  def step(
    self, state: Any, fresh: Sequence[tf.Tensor]
  ) -> correlated_noise.Step:
    return correlated_noise.Step(
      list(fresh), tf.constant(1.0, tf.float64), state
    )


def _check(noise_multiplier: float) -> None:
  if not (noise_multiplier > 0.0 and math.isfinite(noise_multiplier)):
    raise ServerNoiseError(
      f'Expected a finite noise_multiplier above 0, found {noise_multiplier}; '
      'for training without privacy take another aggregator.'
    )
