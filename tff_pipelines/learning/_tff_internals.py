"""Private symbols of TFF 0.87 that learning processes need.

Each is guarded by a test in tests/learning/tff_internals_test.py.
"""

from collections.abc import Callable
from typing import Any

import tensorflow_federated as tff
from tensorflow_federated.python.learning.templates import (
  model_delta_client_work,
)


def client_update(
  model: tff.learning.models.FunctionalModel,
  weighting: tff.learning.ClientWeighting,
) -> Callable[..., Any]:
  """Returns what TFF's federated averaging does at a client.

  From (optimizer, (trainable, non-trainable weights), dataset of batches) to
  (`tff.learning.templates.ClientResult`, state of the model's metrics), in
  TensorFlow. TFF itself offers it only with an optimizer that every round is
  the same.
  """
  return model_delta_client_work.build_functional_model_delta_update(
    model=model,
    weighting=weighting,
    loop_implementation=tff.learning.LoopImplementation.DATASET_REDUCE,
  )
