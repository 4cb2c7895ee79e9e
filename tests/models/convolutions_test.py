"""Layers of images, against TensorFlow's own and their gradients."""

import numpy as np
import pytest
import tensorflow as tf

from tests import slow_cases
from tff_pipelines.models import convolutions


def _normal(*shape, seed=0):
  values = np.random.default_rng([seed, *shape]).normal(size=shape)
  return tf.constant(values, tf.float32)


def _plain_convolution(x, kernel):
  return tf.nn.conv2d(x, kernel, strides=1, padding='SAME')


def _plain_pooled(pixels, kernel):
  maps = _plain_convolution(pixels[..., tf.newaxis], kernel)
  return tf.nn.max_pool2d(maps, 2, 2, 'VALID')


def _plain_dense(x, kernel):
  return tf.matmul(tf.reshape(x, [-1, kernel.shape[0]]), kernel)


# Ours, TensorFlow's, the inputs' shapes without the number of images.
LAYERS = {
  'convolution': (
    convolutions.convolution, _plain_convolution, (6, 8, 3), (5, 5, 3, 4)
  ),
  'small_kernel': (
    convolutions.convolution, _plain_convolution, (4, 4, 2), (3, 3, 2, 5)
  ),
  'pooled_convolution': (
    convolutions.pooled_convolution, _plain_pooled, (6, 8), (5, 5, 1, 4)
  ),
  'pooled_small_kernel': (
    convolutions.pooled_convolution, _plain_pooled, (4, 4), (3, 3, 1, 2)
  ),
  'max_pool': (
    lambda x, _: convolutions.max_pool(x),
    lambda x, _: tf.nn.max_pool2d(x, 2, 2, 'VALID'),
    (4, 6, 3), (1,),
  ),
  'dense': (convolutions.dense, _plain_dense, (2, 3, 4), (24, 5)),
  'dense_of_one_place': (convolutions.dense, _plain_dense, (1, 1, 4), (4, 5)),
}  # fmt: skip


def _values(layer, x, kernel):
  """The output, and the gradients of a sum of its squares, weighted."""
  with tf.GradientTape() as tape:
    tape.watch([x, kernel])
    output = layer(x, kernel)
    weights = _normal(*output.shape[1:], seed=1)
    loss = tf.reduce_sum(weights * output**2)
  gradients = tape.gradient(
    loss, [x, kernel], unconnected_gradients=tf.UnconnectedGradients.ZERO
  )
  return [output, *gradients]


@pytest.mark.parametrize('name', LAYERS)
@pytest.mark.parametrize('num_images', [slow_cases.slow(1), 3])
@pytest.mark.parametrize('jit_compile', [False, True])
def test_values_and_gradients_are_those_of_tensorflow(
  name, num_images, jit_compile
):
  ours, plain, of_image, of_kernel = LAYERS[name]
  x, kernel = _normal(num_images, *of_image), _normal(*of_kernel)
  expected = _values(plain, x, kernel)
  found = tf.function(
    lambda x, kernel: _values(ours, x, kernel), jit_compile=jit_compile
  )(x, kernel)
  for one, other in zip(found, expected, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name', LAYERS)
def test_a_batch_of_unknown_size(name):
  ours, plain, of_image, of_kernel = LAYERS[name]

  @tf.function(
    input_signature=[
      tf.TensorSpec([None, *of_image]), tf.TensorSpec(of_kernel)
    ],
  )  # fmt: skip
  def found(x, kernel):
    return _values(ours, x, kernel)

  for num_images in (2, 4):
    x, kernel = _normal(num_images, *of_image), _normal(*of_kernel)
    expected = _values(plain, x, kernel)
    for one, other in zip(found(x, kernel), expected, strict=True):
      np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_equal_maxima_share_the_gradient():
  x = tf.constant([[[1.0, 2], [2, 0]], [[3.0, 3], [3, 3]]])[..., tf.newaxis]
  with tf.GradientTape() as tape:
    tape.watch(x)
    best = convolutions.max_pool(x)
  np.testing.assert_array_equal(tf.reshape(best, [-1]), [2, 3])
  np.testing.assert_array_equal(
    tape.gradient(best, x)[..., 0],
    [[[0, 0.5], [0.5, 0]], [[0.25, 0.25], [0.25, 0.25]]],
  )
