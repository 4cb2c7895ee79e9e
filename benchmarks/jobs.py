"""The jobs that simulators are compared on: data, initial weights, sizes.

NumPy only, so that every system's own environment can import it. All systems
compute the same mathematics: clients in a fixed order, batches in the order of
the data, client SGD, the mean of the clients' weights by examples.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Mlp:
  """A multi-layer perceptron, relu between the layers; mean cross entropy.

  Attributes:
    layers: Sizes, input first.
  """

  layers: tuple[int, ...]

  def weights(self) -> list[np.ndarray]:
    """Returns a kernel and a bias for each layer, float32."""
    rng = np.random.default_rng(0)
    weights = []
    for a, b in zip(self.layers[:-1], self.layers[1:], strict=True):
      weights += [_normal(rng, a, b), np.zeros(b, np.float32)]
    return weights

  def examples(
    self, rng: np.random.Generator, n: int
  ) -> tuple[np.ndarray, ...]:
    """Returns x float32[n, inputs] and labels int32[n]."""
    return (
      rng.normal(size=(n, self.layers[0])).astype(np.float32),
      rng.integers(0, self.layers[-1], n).astype(np.int32),
    )


@dataclasses.dataclass(frozen=True)
class CharacterLstm:
  """An LSTM that predicts the next character; mean cross entropy.

  Gates in the order i, f, g, o: z = x kernel + h recurrent + bias,
  c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c).

  Attributes:
    vocabulary_size: Characters.
    length: Of a sequence.
    embedding_size: Dimension of a character's vector.
    units: Of the LSTM.
  """

  vocabulary_size: int = 90
  length: int = 40
  embedding_size: int = 8
  units: int = 128

  def weights(self) -> list[np.ndarray]:
    """Returns embedding [v, e], kernel [e, 4u], recurrent kernel [u, 4u], bias
    [4u], output kernel [u, v] and output bias [v], float32."""
    rng = np.random.default_rng(0)
    v, e, u = self.vocabulary_size, self.embedding_size, self.units
    return [
      _normal(rng, v, e),
      _normal(rng, e, 4 * u),
      _normal(rng, u, 4 * u),
      np.repeat(np.float32([0, 1, 0, 0]), u),
      _normal(rng, u, v),
      np.zeros(v, np.float32),
    ]

  def examples(
    self, rng: np.random.Generator, n: int
  ) -> tuple[np.ndarray, ...]:
    """Returns characters and the next ones, int32[n, length]; 0 is unused."""
    text = rng.integers(1, self.vocabulary_size, (n, self.length + 1))
    return text[:, :-1].astype(np.int32), text[:, 1:].astype(np.int32)


@dataclasses.dataclass(frozen=True)
class CifgLstm:
  """The next-word model of Hard et al. 2018; mean cross entropy.

  What it computes is in tff_pipelines/models/cifg_lstm.py.

  Attributes:
    vocabulary_size: Words and marks.
    length: Of a row.
    embedding_size: Dimension of a word's vector.
    units: Of the LSTM.
  """

  vocabulary_size: int = 10_000
  length: int = 20
  embedding_size: int = 96
  units: int = 670

  @property
  def flops_per_token(self) -> int:
    """Multiplications and additions of a training step's products.

    Of the input kernel and the recurrent one e x 3u, the projection u x e and
    the output e x v, once forwards and twice for the gradients.
    """
    v, e, u = self.vocabulary_size, self.embedding_size, self.units
    return 3 * 2 * (2 * e * 3 * u + u * e + e * v)

  def weights(self) -> list[np.ndarray]:
    """Returns embedding [v, e], kernel [e, 3u], recurrent kernel [e, 3u], bias
    [3u], projection [u, e] and output bias [v], float32."""
    rng = np.random.default_rng(0)
    v, e, u = self.vocabulary_size, self.embedding_size, self.units
    return [
      _normal(rng, e, v).T.copy(),
      _normal(rng, e, 3 * u),
      _normal(rng, e, 3 * u),
      np.repeat(np.float32([1, 0, 0]), u),
      _normal(rng, u, e),
      np.zeros(v, np.float32),
    ]

  def examples(
    self, rng: np.random.Generator, n: int
  ) -> tuple[np.ndarray, ...]:
    """Returns words and the next ones, int32[n, length], sentences of 10."""
    text = rng.integers(4, self.vocabulary_size, (n, self.length + 1))
    text[:, ::10] = 3
    return text[:, :-1].astype(np.int32), text[:, 1:].astype(np.int32)


@dataclasses.dataclass(frozen=True)
class Job:
  """A round of federated averaging with client SGD.

  Attributes:
    model: What is trained.
    examples: Examples of each client of a round.
    batch_size: Examples in a batch; the last of a client can be short.
    epochs: Passes over a client's data, none of whose batches reaches into the
      next.
    learning_rate: Of the clients.
  """

  model: Mlp | CharacterLstm | CifgLstm
  examples: tuple[int, ...]
  batch_size: int
  epochs: int = 1
  learning_rate: float = 0.02

  def __post_init__(self) -> None:
    # Half of the systems batch each pass, the others all passes together.
    if self.epochs > 1 and any(n % self.batch_size for n in self.examples):
      raise ValueError('With several epochs, batches have to be full.')

  def clients(self) -> list[tuple[np.ndarray, ...]]:
    """Returns for each client its examples, x and y."""
    rng = np.random.default_rng(1)
    return [self.model.examples(rng, n) for n in self.examples]


def _normal(rng: np.random.Generator, a: int, b: int) -> np.ndarray:
  return (rng.normal(size=(a, b)) / np.sqrt(a)).astype(np.float32)


def _log_normal(count: int, mean: int = 60) -> tuple[int, ...]:
  draws = np.random.default_rng(2).normal(size=count)
  sizes = np.exp(0.8 * draws - 0.32) * mean
  return tuple(int(n) for n in np.clip(sizes, 10, 600))


JOBS = {
  'softmax': Job(Mlp((784, 10)), (20,) * 100, 20),
  '2nn': Job(Mlp((784, 200, 200, 10)), (60,) * 100, 10, epochs=5),
  'ragged': Job(Mlp((784, 200, 200, 10)), _log_normal(100), 10),
  'lstm': Job(CharacterLstm(), (20,) * 50, 10, learning_rate=0.5),
  'next_word': Job(CifgLstm(), _log_normal(20), 16, learning_rate=0.5),
  'wide': Job(Mlp((10_000, 2)), (10,) * 1000, 10),
}
