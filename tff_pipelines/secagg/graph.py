"""Who shares keys and masks with whom.

The complete graph, or a k-regular Harary graph on a random circle: clients are
put on the circle in the order of the server's public randomness, and each is
joined to the k/2 next ones on both sides. The order must not be known before
the corrupted clients are fixed.

Source: Bell et al. 2020, "Secure Single-Server Aggregation with
(Poly)Logarithmic Overhead", section 3 and algorithm 1.
"""

import dataclasses
import functools

from cryptography.hazmat.primitives import ciphers
from cryptography.hazmat.primitives.ciphers import algorithms, modes
import numpy as np

SEED_BYTES = 32


def _circle(num_clients: int, seed: bytes) -> np.ndarray:
  """Returns a uniform order of the clients, a function of the public seed."""
  stream = ciphers.Cipher(algorithms.AES(seed), modes.CTR(bytes(16)))
  words = stream.encryptor().update(bytes(8 * num_clients))
  # 64-bit sort keys: two are equal with probability below n^2 / 2^65.
  return np.argsort(np.frombuffer(words, '<u8'), kind='stable')


@dataclasses.dataclass(frozen=True)
class Graph:
  """An undirected graph of clients (Bell et al. 2020, section 3).

  Attributes:
    num_clients: n.
    degree: k, even; None for the complete graph.
    seed: 32 public bytes of the server that place the clients.
  """

  num_clients: int
  degree: int | None
  seed: bytes

  @functools.cached_property
  def _positions(self) -> tuple[np.ndarray, np.ndarray]:
    circle = _circle(self.num_clients, self.seed)
    positions = np.empty_like(circle)
    positions[circle] = np.arange(self.num_clients)
    return circle, positions

  def neighbours(self, client: int) -> tuple[int, ...]:
    """Returns a client's neighbours in order (Bell et al. 2020, section 3)."""
    if self.degree is None:
      return (*range(client), *range(client + 1, self.num_clients))
    circle, positions = self._positions
    half = self.degree // 2
    steps = np.concatenate([np.arange(-half, 0), np.arange(1, half + 1)])
    chosen = circle[(positions[client] + steps) % self.num_clients]
    return tuple(np.sort(chosen).tolist())
