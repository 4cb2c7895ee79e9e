"""Binary text classifiers on weighted bags of words.

Input `(x, y)`: x = (ids int32[n, length], weights float32[n, length]) as
`data.text_features` gives them, y = int32[n] with 0 or 1. Output: logits
float32[n]. Loss: mean cross entropy.
"""

from collections.abc import Callable, Sequence
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import seeds
from tff_pipelines.models import bags, binary_metrics, sizes


@dataclasses.dataclass(frozen=True)
class TextClassifier:
  """A functional model and the Keras model that computes the same.

  Attributes:
    name: The model's name.
    functional: What is trained.
    to_keras: From trained weights (a sequence of arrays) to a Keras model
      `{ids, weights} -> probability float32[n, 1]` of stock layers only, all
      named: Keras would number them by what the process made before.
  """

  name: str
  functional: tff.learning.models.FunctionalModel
  to_keras: Callable[[Sequence[np.ndarray]], tf.keras.Model]

  @property
  def num_parameters(self) -> int:
    """Number of trained values."""
    return sum(int(np.size(w)) for w in self.functional.initial_weights[0])


def build_logistic_regression(num_ids: int, batch_spec: Any) -> TextClassifier:
  """Builds logistic regression: one weight a feature and an intercept.

  Args:
    num_ids: Feature ids, padding included.
    batch_spec: The `tf.TensorSpec`s of a batch (x, y).

  Returns:
    A classifier with num_ids + 1 parameters, all zero at the start.
  """
  sizes.check(num_ids=num_ids)

  @tf.function
  def predict(weights: Any, x: Any, training: bool = True) -> tf.Tensor:
    del training  # Unused.
    table, intercept = weights[0]
    return (
      tf.squeeze(bags.weighted_bag(table, x['ids'], x['weights']), 1)
      + intercept
    )

  def to_keras(weights: Sequence[np.ndarray]) -> tf.keras.Model:
    table, intercept = weights
    inputs, bag = _keras_bag(batch_spec, table)
    output = tf.keras.layers.Dense(1, activation='sigmoid', name='probability')
    model = tf.keras.Model(inputs, output(bag), name='logistic_regression')
    output.set_weights(
      [np.ones([1, 1], np.float32), np.reshape(intercept, [1])]
    )
    return model

  initial = (np.zeros([num_ids, 1], np.float32), np.zeros([], np.float32))
  return TextClassifier(
    'logistic_regression', _functional(initial, predict, batch_spec), to_keras
  )


def build_embedding_bag(
  num_ids: int,
  batch_spec: Any,
  *,
  embedding_size: int = 16,
  hidden_size: int = 16,
  seed: int = 0,
) -> TextClassifier:
  """Builds an embedding bag with one hidden layer of rectified units.

  Args:
    num_ids: Feature ids, padding included.
    batch_spec: The `tf.TensorSpec`s of a batch (x, y).
    embedding_size: Dimension of a feature's vector.
    hidden_size: Units of the hidden layer.
    seed: Seed of the initial weights.

  Returns:
    A classifier with num_ids * e + (e + 1) * h + h + 1 parameters, e and h the
    embedding's and the hidden layer's size.
  """
  sizes.check(
    num_ids=num_ids, embedding_size=embedding_size, hidden_size=hidden_size
  )

  @tf.function
  def predict(weights: Any, x: Any, training: bool = True) -> tf.Tensor:
    del training  # Unused.
    table, hidden, hidden_bias, output, output_bias = weights[0]
    bag = bags.weighted_bag(table, x['ids'], x['weights'])
    units = tf.nn.relu(tf.matmul(bag, hidden) + hidden_bias)
    return tf.squeeze(tf.matmul(units, output), 1) + output_bias

  def to_keras(weights: Sequence[np.ndarray]) -> tf.keras.Model:
    table, hidden, hidden_bias, output, output_bias = weights
    inputs, bag = _keras_bag(batch_spec, table)
    first = tf.keras.layers.Dense(hidden_size, activation='relu', name='hidden')
    last = tf.keras.layers.Dense(1, activation='sigmoid', name='probability')
    model = tf.keras.Model(inputs, last(first(bag)), name='embedding_bag')
    first.set_weights([hidden, hidden_bias])
    last.set_weights([output, np.reshape(output_bias, [1])])
    return model

  rng = seeds.generator(seed, 'initial weights')

  def normal(*shape: int, scale: float) -> np.ndarray:
    return (rng.normal(size=shape) * scale).astype(np.float32)

  initial = (
    # A text's weights have norm 1, so a bag's entries have unit variance.
    normal(num_ids, embedding_size, scale=1.0),
    normal(embedding_size, hidden_size, scale=(2 / embedding_size) ** 0.5),
    np.zeros([hidden_size], np.float32),
    normal(hidden_size, 1, scale=hidden_size**-0.5),
    np.zeros([], np.float32),
  )
  return TextClassifier(
    'embedding_bag', _functional(initial, predict, batch_spec), to_keras
  )


def _functional(
  initial: tuple[np.ndarray, ...], predict: Any, batch_spec: Any
) -> tff.learning.models.FunctionalModel:
  def loss(output: tf.Tensor, label: tf.Tensor, sample_weight: Any = None):
    del sample_weight  # Unused.
    return tf.reduce_mean(
      tf.nn.sigmoid_cross_entropy_with_logits(
        labels=tf.cast(label, tf.float32), logits=output
      )
    )

  return tff.learning.models.FunctionalModel(
    initial_weights=(initial, ()),
    predict_on_batch_fn=predict,
    loss_fn=loss,
    metrics_fns=binary_metrics.metric_fns(),
    input_spec=batch_spec,
  )


def _keras_bag(batch_spec: Any, table: np.ndarray) -> tuple[dict, Any]:
  length = batch_spec[0]['ids'].shape[1]
  inputs = {
    'ids': tf.keras.Input([length], dtype=tf.int32, name='ids'),
    'weights': tf.keras.Input([length], dtype=tf.float32, name='weights'),
  }
  embedding = tf.keras.layers.Embedding(
    *table.shape,
    embeddings_initializer=tf.keras.initializers.Constant(0.0),
    name='features',
  )
  rows = embedding(inputs['ids'])  # [n, length, dimension]
  embedding.set_weights([table])
  bag = tf.keras.layers.Dot(axes=1, name='bag')([inputs['weights'], rows])
  return inputs, bag
