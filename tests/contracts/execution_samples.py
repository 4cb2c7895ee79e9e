"""What the contract suites of the execution contexts share.

Tiny models, ragged cohorts, and the comparison of two contexts' results.
"""

import collections
from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import client_batches
from tff_pipelines.execution import native

RELATIVE = 1e-5
# Sums of up to 2**4 float32 numbers of size about 1 are rounded by up to
# 2**4 * 2**-24 = 1e-6, however small their sum is.
ABSOLUTE = 1e-6

BATCH_SIZE = 4
NUM_FEATURES = 3
# Examples of each client in three rounds: short last batches, a client with
# none, one with a single example, one with far more than the others.
COHORTS = ((7, 0, 3, 13, 1), (4, 2, 0, 5), (1, 8, 6, 0, 9, 2))
BATCH_SPEC = collections.OrderedDict(
  x=tf.TensorSpec([None, NUM_FEATURES], tf.float32),
  y=tf.TensorSpec([None, 1], tf.float32),
)


class Reference(native.NativeContext):
  """TFF's own runtime; secure sums are summed in the clear.

  As `tff.backends.test.create_sync_test_cpp_execution_context`, but its worker
  ends with the tests.
  """

  def __init__(self):
    super().__init__()
    self._context = tff.framework.SyncExecutionContext(
      tff.framework.ResourceManagingExecutorFactory(self._executor),
      lambda computation: tff.backends.native.desugar_and_transform_to_native(
        tff.backends.test.replace_secure_intrinsics_with_bodies(computation)
      ),
      transform_args=tff.tensorflow.transform_args,
      transform_result=tff.tensorflow.transform_result,
    )


@dataclasses.dataclass(frozen=True)
class Pair:
  """The context under test, and the one that it has to agree with."""

  reference: Reference
  xla: Any

  def same(self, computation: tff.Computation, *arguments: Any) -> Any:
    """Asserts that both contexts give the same; returns what XLA's gives."""
    expected = run(self.reference, computation, *arguments)
    found = run(self.xla, computation, *arguments)
    assert_same(found, expected)
    return found

  def same_rounds(self, process: Any, rounds: Sequence[Any]) -> Any:
    """Asserts it for the states and outputs of rounds; returns the last."""
    expected = run(self.reference, process.initialize)
    found = run(self.xla, process.initialize)
    assert_same(found, expected)
    for clients in rounds:
      expected = run(self.reference, process.next, state(expected), clients)
      found = run(self.xla, process.next, state(found), clients)
      assert_same(found, expected)
    return found

  def way(self, computation: tff.Computation) -> str:
    """How the context under test runs a computation."""
    return self.xla.explain(computation).way


def run(context: Any, computation: tff.Computation, *arguments: Any) -> Any:
  with tff.framework.get_context_stack().install(context):
    return computation(*arguments)


def state(output: Any) -> Any:
  """The state in a process' output; an initial state is one by itself."""
  return getattr(output, 'state', output)


def assert_same(found: Any, expected: Any, path: str = 'result') -> None:
  """Asserts equal containers, names, dtypes, shapes and (nearly) values."""
  assert type(found) is type(expected), path
  if isinstance(expected, Mapping):
    assert list(found) == list(expected), path
    pairs = [(k, found[k], expected[k]) for k in expected]
  elif isinstance(expected, tff.structure.Struct):
    assert dir(found) == dir(expected), path
    pairs = list(zip(range(len(expected)), found, expected, strict=True))
  elif hasattr(type(expected), '__attrs_attrs__'):
    names = [a.name for a in type(expected).__attrs_attrs__]
    pairs = [(n, getattr(found, n), getattr(expected, n)) for n in names]
  elif isinstance(expected, list | tuple):
    assert len(found) == len(expected), path
    pairs = list(zip(range(len(expected)), found, expected, strict=True))
  else:
    assert_same_tensor(found, expected, path)
    return
  for name, one, other in pairs:
    assert_same(one, other, f'{path}.{name}')


def assert_same_tensor(found: Any, expected: Any, path: str) -> None:
  one, other = np.asarray(found), np.asarray(expected)
  assert (one.dtype, one.shape) == (other.dtype, other.shape), path
  if one.dtype.kind == 'f':
    np.testing.assert_allclose(
      one, other, rtol=RELATIVE, atol=ABSOLUTE, err_msg=path
    )
  else:
    np.testing.assert_array_equal(one, other, err_msg=path)


def examples(count: int, seed: Any = 0) -> Any:
  """Examples of a logistic regression, as one structure of arrays."""
  rng = np.random.default_rng(seed)
  x = rng.normal(size=[count, NUM_FEATURES]).astype(np.float32)
  score = x @ np.array([[1.0], [-2.0], [0.5]], np.float32) + rng.normal(
    size=[count, 1]
  )
  return collections.OrderedDict(x=x, y=(score > 0).astype(np.float32))


def batches(
  sizes: Sequence[int],
  seed: int = 0,
  *,
  batch_size: int = BATCH_SIZE,
  make: Any = examples,
) -> client_batches.ClientBatches:
  """Client data with so many examples a client, in dense form."""
  nobody = make(0, [seed])  # Its dtypes and shapes.
  rows = [make(count, [seed, c]) for c, count in enumerate(sizes)]
  counts = [-(-count // batch_size) for count in sizes]
  batch_sizes = [
    min(batch_size, count - batch_size * b)
    for count, of_client in zip(sizes, counts, strict=True)
    for b in range(of_client)
  ]

  def dense(*components: np.ndarray) -> np.ndarray:
    padded = [
      np.concatenate(
        [a, np.zeros([-len(a) % batch_size, *a.shape[1:]], a.dtype)]
      ).reshape(-1, batch_size, *a.shape[1:])
      for a in components
    ]
    return np.concatenate(padded)

  return client_batches.ClientBatches(
    elements=tf.nest.map_structure(dense, nobody, *rows),
    batch_sizes=np.array(batch_sizes, np.int32),
    offsets=np.cumsum([0, *counts]).astype(np.int32),
    client_ids=tuple(f'client_{c}' for c in range(len(sizes))),
  )


def rounds() -> list[client_batches.ClientBatches]:
  """Three rounds of ragged clients."""
  return [batches(sizes, seed=10 + r) for r, sizes in enumerate(COHORTS)]


def hand_written_model() -> tff.learning.models.FunctionalModel:
  """Logistic regression with a mean of its loss among its metrics."""

  @tf.function
  def predict(weights: Any, x: Any, training: bool = True) -> tf.Tensor:
    del training  # Unused.
    matrix, intercept = weights[0]
    return tf.matmul(x, matrix) + intercept

  def loss(output: Any, label: Any, sample_weight: Any = None) -> tf.Tensor:
    del sample_weight  # Unused.
    return tf.reduce_mean(
      tf.nn.sigmoid_cross_entropy_with_logits(labels=label, logits=output)
    )

  def update(metrics: Any, labels: Any, batch_output: Any, sample_weight=None):
    del sample_weight  # Unused.
    hits = tf.equal(batch_output.predictions > 0, labels > 0.5)
    return collections.OrderedDict(
      loss=metrics['loss'] + batch_output.loss,
      num_batches=metrics['num_batches'] + 1.0,
      hits=metrics['hits'] + tf.reduce_sum(tf.cast(hits, tf.int64)),
    )

  return tff.learning.models.FunctionalModel(
    initial_weights=(
      (np.zeros([NUM_FEATURES, 1], np.float32), np.zeros([1], np.float32)),
      (),
    ),
    predict_on_batch_fn=predict,
    loss_fn=loss,
    metrics_fns=(
      lambda: collections.OrderedDict(
        loss=tf.constant(0.0),
        num_batches=tf.constant(0.0),
        hits=tf.constant(0, tf.int64),
      ),
      update,
      lambda state: collections.OrderedDict(
        loss=tf.math.divide_no_nan(state['loss'], state['num_batches']),
        hits=state['hits'],
      ),
    ),
    input_spec=BATCH_SPEC,
  )


def keras_model() -> tff.learning.models.FunctionalModel:
  """A network of one hidden layer, made with Keras."""

  def constant(seed: int) -> tf.keras.initializers.Initializer:
    return tf.keras.initializers.GlorotUniform(seed=seed)

  return tff.learning.models.functional_model_from_keras(
    lambda: tf.keras.Sequential(
      [
        tf.keras.layers.InputLayer([NUM_FEATURES]),
        tf.keras.layers.Dense(
          2, activation='relu', kernel_initializer=constant(1)
        ),
        tf.keras.layers.Dense(
          1, activation='sigmoid', kernel_initializer=constant(2)
        ),
      ]
    ),
    loss_fn=tf.keras.losses.BinaryCrossentropy(),
    input_spec=BATCH_SPEC,
    metrics_constructor=lambda: collections.OrderedDict(
      loss=tf.keras.metrics.BinaryCrossentropy(),
      accuracy=tf.keras.metrics.BinaryAccuracy(),
    ),
  )
