import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.learning import scaled_mean

pytestmark = pytest.mark.usefixtures('native_context')


@pytest.fixture(scope='module')
def process():
  factory = scaled_mean.ScaledMeanFactory(
    tff.aggregators.MeanFactory(), lambda t, n: t * n, 'number'
  )
  value = scaled_mean.Scaled(
    tf.TensorSpec([2], tf.float32),
    tf.TensorSpec([], tf.float32),
    tf.TensorSpec([], tf.float32),
  )
  return factory.create(
    tff.types.tensorflow_to_type(value), tff.TensorType(np.float32)
  )


def test_the_mean_update_is_scaled_by_the_mean_number(process):
  values = [
    scaled_mean.Scaled(np.array([1, 0], 'f4'), np.float32(2), np.float32(3)),
    scaled_mean.Scaled(np.array([0, 4], 'f4'), np.float32(6), np.float32(1)),
  ]
  output = process.next(
    process.initialize(), values, [np.float32(1), np.float32(3)]
  )
  assert output.measurements['number'] == 3.0
  np.testing.assert_allclose(output.result, [0.25 * 3, 3.0 * 3])


def test_of_no_weight_the_number_is_0(process):
  nobody = scaled_mean.Scaled(np.ones([2], 'f4'), np.float32(2), np.float32(0))
  output = process.next(process.initialize(), [nobody], [np.float32(1)])
  assert output.measurements['number'] == 0.0
  np.testing.assert_allclose(output.result, [0.0, 0.0])
