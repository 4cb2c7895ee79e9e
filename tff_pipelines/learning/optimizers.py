"""TFF's optimizers by name, as flags and configurations give them."""

import dataclasses
from typing import Literal, get_args

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import errors

Name = Literal['sgd', 'adagrad', 'adam', 'yogi', 'rmsprop']


class OptimizerError(errors.PipelineError):
  """An optimizer that cannot be built."""


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
  """An optimizer's name and its parameters.

  Attributes:
    name: The optimizer.
    learning_rate: Step size, above 0.
    momentum: For sgd only; 0 is none.
    epsilon: Added to the denominator of the adaptive ones, inside its root for
      adagrad (adaptivity; Reddi et al. 2021 call it tau and find 1e-3 a good
      default).
    beta_2: For adam and yogi only: how much of the mean of squares is kept from
      step to step (Reddi et al. 2021 take 0.99).
  """

  name: Name = 'sgd'
  learning_rate: float = 1.0
  momentum: float = 0.0
  epsilon: float = 1e-3
  beta_2: float = 0.999

  def __post_init__(self) -> None:
    if self.name not in get_args(Name):
      raise OptimizerError(
        f'Expected an optimizer out of {", ".join(get_args(Name))}, found '
        f'{self.name!r}.'
      )
    if not self.learning_rate > 0:
      raise OptimizerError(
        f'Expected a learning rate above 0, found {self.learning_rate}.'
      )
    if not 0 <= self.momentum < 1:
      raise OptimizerError(
        f'Expected a momentum from 0 to below 1, found {self.momentum}.'
      )
    if not 0 <= self.beta_2 < 1:
      raise OptimizerError(
        f'Expected a beta_2 from 0 to below 1, found {self.beta_2}.'
      )
    if self.momentum and self.name != 'sgd':
      raise OptimizerError(
        f'Expected no momentum with {self.name}, found {self.momentum}; '
        'momentum belongs to sgd.'
      )

  def build(self) -> tff.learning.optimizers.Optimizer:
    """Returns TFF's optimizer."""
    optimizers = tff.learning.optimizers
    rate, epsilon = self.learning_rate, self.epsilon
    if self.name == 'sgd':
      return optimizers.build_sgdm(rate, self.momentum or None)
    if self.name == 'adagrad':
      return optimizers.build_adagrad(rate, epsilon=epsilon)
    if self.name == 'adam':
      return optimizers.build_adam(rate, beta_2=self.beta_2, epsilon=epsilon)
    if self.name == 'yogi':
      return optimizers.build_yogi(rate, beta_2=self.beta_2, epsilon=epsilon)
    return optimizers.build_rmsprop(rate, epsilon=epsilon)


def sgd_momentum(
  optimizer: tff.learning.optimizers.Optimizer, algorithm: str
) -> float:
  """Returns the momentum of an optimizer that has to be SGD, 0 without.

  Args:
    optimizer: The optimizer.
    algorithm: What it has to be SGD for.

  Raises:
    OptimizerError: If it is another.
  """
  state = optimizer.initialize(tf.TensorSpec([], tf.float32))
  names = sorted(optimizer.get_hparams(state))
  if not {*names} <= {tff.learning.optimizers.LEARNING_RATE_KEY, 'momentum'}:
    raise OptimizerError(
      f'Expected sgd at the clients of {algorithm}, which has to know how much '
      f'each gradient counts in an update, found an optimizer with '
      f'{", ".join(names)}.'
    )
  return float(state.get('momentum', 0.0))
