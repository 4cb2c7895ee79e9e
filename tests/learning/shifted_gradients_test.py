import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.learning import shifted_gradients


def test_the_shift_is_added_to_the_gradient_at_the_weights():
  weights = (tf.constant([1.0, 2.0]), tf.constant(3.0))
  optimizer = shifted_gradients.ShiftedGradients(
    tff.learning.optimizers.build_sgdm(0.5, momentum=0.5),
    lambda at: tf.nest.map_structure(lambda w: 2.0 * w, at),
  )
  state = optimizer.initialize(
    tf.nest.map_structure(lambda w: tf.TensorSpec(w.shape, w.dtype), weights)
  )
  gradients = (tf.constant([1.0, 0.0]), tf.constant(-6.0))
  state, once = optimizer.next(state, weights, gradients)
  np.testing.assert_allclose(once[0], [1 - 1.5, 2 - 2.0])
  np.testing.assert_allclose(once[1], 3.0)
  # Momentum is of the shifted gradients: 0.5 (3, 4) + (1 - 1, 0).
  _, twice = optimizer.next(state, once, gradients)
  np.testing.assert_allclose(twice[0], [-0.5 - 0.75, 0.0 - 1.0])
