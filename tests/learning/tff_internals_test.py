"""Fails when TFF moves a private symbol, or changes what it does."""

import inspect

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tests.contracts import execution_samples as samples
from tff_pipelines.learning import _tff_internals


def test_the_clients_update_takes_an_optimizer_weights_and_batches():
  update = _tff_internals.client_update(
    samples.hand_written_model(), tff.learning.ClientWeighting.NUM_EXAMPLES
  )
  assert list(inspect.signature(update.python_function).parameters) == [
    'optimizer', 'initial_weights', 'dataset',
  ]  # fmt: skip
  examples = samples.examples(4)
  trainable, _ = samples.hand_written_model().initial_weights
  result, metrics = update(
    tff.learning.optimizers.build_sgdm(0.5),
    (tuple(map(tf.constant, trainable)), ()),
    tf.data.Dataset.from_tensors(examples),
  )
  # From 0 all probabilities are 1/2.
  error = 0.5 - examples['y']
  np.testing.assert_allclose(
    result.update[0], 0.5 * examples['x'].T @ error / 4, rtol=1e-5
  )
  assert result.update_weight == 4
  assert metrics['num_batches'] == 1
