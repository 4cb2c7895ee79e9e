"""A model on examples that say what kind of client they come from."""

import collections
from typing import Any

import tensorflow as tf
import tensorflow_federated as tff


def build(
  model: tff.learning.models.FunctionalModel,
) -> tff.learning.models.FunctionalModel:
  """Returns the same model, which does not look at the kind.

  Its input is `(OrderedDict(features=x, kind=int32[n], attack_seed=int64[n]),
  y)` for the model's (x, y), as `data.client_kinds` gives them. All else is as
  in the model itself: whoever attacks does so with what it has trained.

  Args:
    model: Any functional model of pairs (x, y).
  """
  x_spec, y_spec = model.input_spec

  @tf.function
  def predict(weights: Any, x: Any, training: bool = True) -> Any:
    return model.predict_on_batch(weights, x['features'], training)

  return tff.learning.models.FunctionalModel(
    initial_weights=model.initial_weights,
    predict_on_batch_fn=predict,
    loss_fn=model.loss,
    metrics_fns=(
      model.initialize_metrics_state,
      model.update_metrics_state,
      model.finalize_metrics,
    ),
    input_spec=(
      collections.OrderedDict(
        features=x_spec,
        kind=tf.TensorSpec([None], tf.int32),
        attack_seed=tf.TensorSpec([None], tf.int64),
      ),
      y_spec,
    ),
  )
