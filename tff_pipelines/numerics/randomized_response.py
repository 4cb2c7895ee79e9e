"""Categories told by chance: randomized response and unary encoding.

A report is a 0/1 vector with a place for every category. A client that has a
category marks it with probability p, one that does not with probability q < p,
so a server that sees nothing but reports can estimate how many have it, and
from one report can hardly tell who does (Wang et al. 2017's pure protocols).

Probabilities are compared with integers of 63 random bits, never with a
floating-point uniform number, so they are multiples of 2^-63 and nothing else.
They are rounded in the direction of more privacy: no report tells more than
`epsilon`, which is that of the probabilities in force. It is below what real
numbers would give, by less than k 2^-62 / q for k categories: 2^-59 for two at
epsilon 1.

Source: Warner 1965; Kairouz, Bonawitz, Ramage 2016, arXiv 1602.07387 (k-ary);
Erlingsson, Pihur, Korolova 2014, arXiv 1407.6981, section 2 (RAPPOR, its
permanent response, once); Wang, Blocki, Li, Jha 2017, USENIX Security,
"Locally Differentially Private Protocols for Frequency Estimation", sections 3
(estimator, equation 1; variance, equation 2) and 4 (optimized unary encoding).
"""

import abc
import dataclasses
import fractions
import math
from typing import Literal, get_args

import tensorflow as tf

from tff_pipelines.core import errors

Method = Literal['randomized_response', 'unary', 'optimized_unary']
METHODS: tuple[Method, ...] = get_args(Method)
# What random integers are below: thresholds are probabilities times this.
SCALE = 2**63
# Where q, about e^-epsilon, still has 5 bits of its 63.
MAX_EPSILON = 40.0


class RandomizedResponseError(errors.PipelineError):
  """Randomizers that tell everything, or nothing."""


@dataclasses.dataclass(frozen=True)
class Randomizer(abc.ABC):
  """What a client says about its category, and what the server makes of it.

  Attributes:
    num_values: Categories, k; they are 0 to k - 1.
    noise_probability: In (0, 1), as in `privacy/local.py`.
  """

  num_values: int
  noise_probability: float

  def __post_init__(self) -> None:
    if self.num_values < 2:
      raise RandomizedResponseError(
        f'Expected at least 2 values, found {self.num_values}; one value '
        'needs no report.'
      )
    if not 0.0 < self.noise_probability < 1.0:
      raise RandomizedResponseError(
        'Expected a noise_probability in (0, 1), found '
        f'{self.noise_probability}; 0 hides nothing and 1 tells nothing.'
      )
    true, false = self.thresholds
    if true <= false:
      raise RandomizedResponseError(
        'Expected answers that depend on the truth, found a noise_probability '
        f'of {self.noise_probability} with {self.num_values} values; take a '
        'smaller one.'
      )

  @property
  @abc.abstractmethod
  def thresholds(self) -> tuple[int, int]:
    """p and q times SCALE, exactly."""

  @property
  @abc.abstractmethod
  def epsilon(self) -> float:
    """Of one report, at delta 0, with the thresholds in force."""

  @abc.abstractmethod
  def report(self, seed: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Draws what clients report, independently of each other.

    Args:
      seed: int64[2], for this call only.
      values: int32[...] or int64[...], a category each, of known shape. A
        number that is no category is answered for as some category would be,
        or as none would: its report hides it as well as any other.

    Returns:
      int64[..., num_values] of zeros and ones.
    """

  @property
  def true_probability(self) -> float:
    """p, of marking the category that one has."""
    return self.thresholds[0] / SCALE

  @property
  def false_probability(self) -> float:
    """q, of marking any other category."""
    return self.thresholds[1] / SCALE

  @property
  def difference(self) -> float:
    """p - q, without the rounding of either."""
    true, false = self.thresholds
    return (true - false) / SCALE

  def estimate(self, marks: tf.Tensor, num_reports: tf.Tensor) -> tf.Tensor:
    """Estimates how many clients have each category, without bias.

    Estimates can be negative: cutting them off would bias sums of them.

    Args:
      marks: float64[..., num_values], the sum of all reports; array or tensor.
      num_reports: float64[...], how many.

    Returns:
      float64[..., num_values].
    """
    return (marks - num_reports * self.false_probability) / self.difference

  def variance(self, counts: tf.Tensor, num_reports: tf.Tensor) -> tf.Tensor:
    """Returns the variance of `estimate` where `counts` have the category.

    Args:
      counts: float64[...], true numbers of clients, 0 to num_reports.
      num_reports: float64[...].

    Returns:
      float64[...], (c p (1 - p) + (n - c) q (1 - q)) / (p - q)^2.
    """
    p, q = self.true_probability, self.false_probability
    marks = counts * (p * (1 - p)) + (num_reports - counts) * (q * (1 - q))
    return marks / self.difference**2


@dataclasses.dataclass(frozen=True)
class RandomizedResponse(Randomizer):
  """Tells one of k values: the truth, or one drawn uniformly from all of them.

  `noise_probability` is that of the draw. A client whose number is no category
  answers with a uniform one.
  """

  @property
  def thresholds(self) -> tuple[int, int]:
    """See base class; q = noise_probability / k, rounded up."""
    wanted = fractions.Fraction(self.noise_probability) * SCALE
    false = min(math.ceil(wanted / self.num_values), SCALE // self.num_values)
    return SCALE - (self.num_values - 1) * false, false

  @property
  def epsilon(self) -> float:
    """log(p / q)."""
    true, false = self.thresholds
    return math.log1p((true - false) / false)

  def report(self, seed: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """See base class; one integer a report decides everything."""
    k, (_, false) = self.num_values, self.thresholds
    drawn = _integers(seed, [*values.shape, 2])
    values = tf.cast(values, tf.int64)
    is_category = (values >= 0) & (values < k)
    truth = tf.where(is_category, values, drawn[..., 1] % k)
    # Each of the other values has `false` integers; the truth has the rest.
    other = drawn[..., 0] // false
    passed = other + tf.cast(other >= truth, tf.int64)
    return tf.one_hot(tf.where(other < k - 1, passed, truth), k, dtype=tf.int64)


@dataclasses.dataclass(frozen=True)
class UnaryEncoding(Randomizer):
  """Tells of each category by itself whether one has it, or a random bit.

  `noise_probability` f is that of a random bit, so q = f / 2 and p = 1 - f / 2:
  RAPPOR's permanent randomized response with one hash function. A client whose
  number is no category answers as one that has none.

  Attributes:
    optimized: Whether the bit of the category that one has is always random,
      p = 1/2. At equal epsilon this lets q be smaller, and most bits are of
      categories one does not have.
  """

  optimized: bool = False

  @property
  def thresholds(self) -> tuple[int, int]:
    """See base class; q is rounded up."""
    wanted = fractions.Fraction(self.noise_probability) * SCALE
    false = math.ceil(wanted / 2)
    return (SCALE // 2 if self.optimized else SCALE - false), false

  @property
  def epsilon(self) -> float:
    """log(p (1 - q) / (q (1 - p))): two categories differ in two bits."""
    true, false = self.thresholds
    likely, unlikely = true * (SCALE - false), false * (SCALE - true)
    return math.log1p((likely - unlikely) / unlikely)

  def report(self, seed: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """See base class; one integer a bit."""
    drawn = _integers(seed, [*values.shape, self.num_values])
    has = tf.one_hot(values, self.num_values, True, False, dtype=tf.bool)
    true, false = (tf.constant(t, tf.int64) for t in self.thresholds)
    return tf.cast(drawn < tf.where(has, true, false), tf.int64)


def for_epsilon(method: Method, num_values: int, epsilon: float) -> Randomizer:
  """Returns the randomizer of which one report costs epsilon.

  Args:
    method: `randomized_response` has the smaller variance for fewer than about
      3 e^epsilon + 2 values (Wang et al. 2017, section 5), `optimized_unary`
      for more; `unary` is RAPPOR's.
    num_values: At least 2.
    epsilon: In (0, MAX_EPSILON].

  Raises:
    RandomizedResponseError: If one of them is something else.
  """
  if not 0.0 < epsilon <= MAX_EPSILON:
    raise RandomizedResponseError(
      f'Expected an epsilon above 0, at most {MAX_EPSILON:g}, found {epsilon}; '
      'a report of more hides nothing.'
    )
  if method == 'randomized_response':
    probability = num_values / (math.exp(epsilon) + num_values - 1)
    return RandomizedResponse(num_values, probability)
  if method == 'unary':
    return UnaryEncoding(num_values, 2.0 / (math.exp(epsilon / 2) + 1.0))
  if method == 'optimized_unary':
    return UnaryEncoding(num_values, 2.0 / (math.exp(epsilon) + 1.0), True)
  raise RandomizedResponseError(
    f'Expected a method out of {", ".join(METHODS)}, found {method!r}.'
  )


def _integers(seed: tf.Tensor, shape: list[int]) -> tf.Tensor:
  """Returns int64[shape], uniform on 0 to SCALE - 1."""
  drawn = tf.random.stateless_uniform(
    shape, seed, minval=None, maxval=None, dtype=tf.int64, alg='philox'
  )
  return tf.bitwise.bitwise_and(drawn, tf.constant(SCALE - 1, tf.int64))
