"""Directions of canary clients, drawn again whenever they are needed.

A canary is a client without data whose update is clip_norm times a random unit
vector: what the sum shows of it is what the mechanism lets through.

Source: Andrew et al. 2023, arXiv 2302.03098, section 3. Deviation: a direction
is never stored, as it is a function of the seed and the canary's index.
"""

from collections.abc import Callable
from concurrent import futures
import dataclasses
import os

import numpy as np

from tff_pipelines.privacy import error_rates


@dataclasses.dataclass(frozen=True)
class Canaries:
  """k independent directions, uniform on the unit sphere of d dimensions.

  A direction depends on the seed, its index and d alone, so indices from k on
  name unobserved canaries: as good as any, but never inserted. NumPy's SFC64
  and ziggurat, fixed with NumPy's version; the model's update is one vector, so
  its parts have to be concatenated in a fixed order.

  Attributes:
    seed: At least 0, of up to 128 bits. Independent of the noise's seed and the
      data, else the cosines of unobserved canaries are not as computed.
    num_canaries: k, at least 1.
    num_dimensions: d, at least 2.
  """

  seed: int
  num_canaries: int
  num_dimensions: int

  def __post_init__(self) -> None:
    if not 0 <= self.seed < 2**128:
      raise error_rates.AuditError(
        f'Expected a seed of 0 to 128 bits, found {self.seed}; draw one with '
        'secrets.randbits(128).'
      )
    if self.num_canaries < 1 or self.num_dimensions < 2:
      raise error_rates.AuditError(
        'Expected at least 1 canary in at least 2 dimensions, found '
        f'{self.num_canaries} in {self.num_dimensions}; an audit needs both.'
      )

  def direction(self, index: int) -> np.ndarray:
    """Returns the unit vector of canary index >= 0, float32[d]."""
    sequence = np.random.SeedSequence(self.seed, spawn_key=(index,))
    generator = np.random.Generator(np.random.SFC64(sequence))
    vector = generator.standard_normal(self.num_dimensions, dtype=np.float32)
    norm = np.sqrt(np.einsum('i,i->', vector, vector, dtype=np.float64))
    return np.divide(vector, np.float32(norm), out=vector)

  def coins(self) -> np.ndarray:
    """Returns who is to take part, each with chance 1/2, bool[k].

    For `one_run_audit`. Drawn from a stream of their own, so directions tell
    nothing of them; keep the seed from whoever guesses.
    """
    sequence = np.random.SeedSequence(self.seed, spawn_key=(0, 0))
    generator = np.random.Generator(np.random.SFC64(sequence))
    return generator.integers(0, 2, self.num_canaries).astype(bool)

  def total(self, weights: np.ndarray | None = None) -> np.ndarray:
    """Returns the weighted sum of the k directions, float64[d].

    Args:
      weights: [k], how often each canary took part; None is once. Directions of
        weight 0 are not drawn.

    Memory: two vectors for each thread, not k.
    """
    weights = np.ones(self.num_canaries) if weights is None else weights
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (self.num_canaries,):
      raise error_rates.AuditError(
        f'Expected {self.num_canaries} weights, found shape {weights.shape}; '
        'give one number for each canary.'
      )

    def part(indices: range) -> np.ndarray:
      sums = np.zeros(self.num_dimensions)
      for index in indices:
        if weights[index] != 0.0:
          sums += weights[index] * self.direction(index)
      return sums

    return np.sum(_in_threads(part, 0, self.num_canaries), axis=0)

  def cosines(
    self, vectors: np.ndarray, *, first: int = 0, count: int | None = None
  ) -> np.ndarray:
    """Returns the cosines of vectors with directions, float64[n, count].

    Each direction is drawn once, whatever n. Errors are those of float32 inner
    products of unit vectors: some 1e-7, where the cosine of an unobserved
    canary has stddev d^-1/2.

    Args:
      vectors: float[n, d]: updates of rounds, or the model less its initial
        state.
      first: First index; num_canaries for unobserved ones.
      count: How many; None is num_canaries.

    Raises:
      AuditError: If a vector has another length, is zero or is not finite.
    """
    count = self.num_canaries if count is None else count
    units = _unit_vectors(vectors, self.num_dimensions)

    def part(indices: range) -> np.ndarray:
      rows = [units @ self.direction(index) for index in indices]
      return np.stack(rows, axis=1).astype(np.float64)

    return np.concatenate(_in_threads(part, first, first + count), axis=1)


def _unit_vectors(vectors: np.ndarray, num_dimensions: int) -> np.ndarray:
  vectors = np.asarray(vectors)
  if vectors.ndim != 2 or vectors.shape[1] != num_dimensions:
    raise error_rates.AuditError(
      f'Expected vectors of shape [n, {num_dimensions}], found '
      f'{vectors.shape}; concatenate the parts of the model.'
    )
  norms = np.sqrt(np.einsum('nd,nd->n', vectors, vectors, dtype=np.float64))
  if not np.all(np.isfinite(norms) & (norms > 0.0)):
    raise error_rates.AuditError(
      'Expected finite vectors that are not zero, found norms '
      f'{norms.tolist()}; leave out rounds without an update.'
    )
  return (vectors / norms[:, None]).astype(np.float32)


def _in_threads(
  part: Callable[[range], np.ndarray], start: int, stop: int
) -> list[np.ndarray]:
  """Results for contiguous shares of the indices, in order, never empty."""
  shares = min(os.cpu_count() or 1, 8, stop - start)
  edges = np.linspace(start, stop, shares + 1).astype(int).tolist()
  with futures.ThreadPoolExecutor(shares) as pool:
    return list(pool.map(part, map(range, edges[:-1], edges[1:])))
