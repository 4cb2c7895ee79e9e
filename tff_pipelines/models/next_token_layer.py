"""A language model as a layer of Keras.

The architectures reset their state within a row and share a matrix between
input and output, which no stock layer does. A file that holds the layer is
loaded after `import tff_pipelines.models.next_token_layer`, which registers it
(and imports TensorFlow, not TensorFlow Federated).
"""

from collections.abc import Sequence
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tff_pipelines.models import character_lstm, cifg_lstm, gru, transformer

if TYPE_CHECKING:
  from tff_pipelines.models import language_models

ARCHITECTURES = {
  'character_lstm': character_lstm.CharacterLstm,
  'cifg_lstm': cifg_lstm.CifgLstm,
  'gru': gru.Gru,
  'transformer': transformer.Transformer,
}


@tf.keras.utils.register_keras_serializable('tff_pipelines')
class NextTokenLayer(tf.keras.layers.Layer):
  """From tokens int32[n, length] to the logits of what follows each of them.

  Output: float32[n, length, vocabulary_size].
  """

  def __init__(
    self, architecture: str, sizes: dict[str, int], **kwargs: Any
  ) -> None:
    """Initializes the layer.

    Args:
      architecture: The architecture's name.
      sizes: Its arguments.
      **kwargs: A Keras layer's.
    """
    super().__init__(**kwargs)
    self._architecture = ARCHITECTURES[architecture](**sizes)

  def build(self, input_shape: Any) -> None:
    """Makes the weights."""
    for i, initial in enumerate(self._architecture.initial_weights()):
      self.add_weight(
        name=f'weight_{i}',
        shape=np.shape(initial),
        dtype=tf.float32,
        initializer=tf.keras.initializers.Zeros(),
      )
    super().build(input_shape)

  def call(self, inputs: tf.Tensor) -> tf.Tensor:
    """Computes the logits."""
    weights = [tf.convert_to_tensor(w) for w in self.weights]
    return self._architecture.logits(weights, inputs)

  def get_config(self) -> dict[str, Any]:
    """Returns the arguments of `__init__`."""
    return {
      **super().get_config(),
      'architecture': self._architecture.name,
      'sizes': dataclasses.asdict(self._architecture),
    }


def to_keras(
  architecture: 'language_models.Architecture', weights: Sequence[np.ndarray]
) -> tf.keras.Model:
  """Returns a model tokens int32[n, length] -> logits with the given weights.

  All is named: Keras would number by what the process made before.
  """
  tokens = tf.keras.Input([architecture.length], dtype=tf.int32, name='tokens')
  layer = NextTokenLayer(
    architecture.name, dataclasses.asdict(architecture), name='next_token'
  )
  model = tf.keras.Model(tokens, layer(tokens), name=architecture.name)
  layer.set_weights([np.asarray(w, np.float32) for w in weights])
  return model
