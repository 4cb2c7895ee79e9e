"""Clients get the weights within a step, and in fewer bytes."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_pipelines.aggregators import compressed_broadcast
from tff_pipelines.execution import contexts
from tff_pipelines.numerics import quantization

SIZE = 1000
WEIGHTS = tff.types.to_type(
  tff.learning.models.ModelWeights(
    trainable=(
      tff.TensorType(np.float32, [100, 9]),
      tff.TensorType(np.float32, [100]),
    ),
    non_trainable=(tff.TensorType(np.int64, [2]),),
  )
)


@pytest.fixture(scope='module')
def process():
  return compressed_broadcast.build(
    WEIGHTS, quantization.Quantization(8), seed=1
  )


@pytest.fixture(scope='module')
def received(process):
  """What the first of two clients got in two rounds, and measurements."""

  @tff.federated_computation(
    process.initialize.type_signature.result,
    tff.FederatedType(WEIGHTS, tff.SERVER),
    tff.FederatedType(np.float32, tff.CLIENTS),
  )
  def one_round(state, weights, share):
    output = process.next(state, weights)

    @tff.tensorflow.computation(WEIGHTS.trainable, np.float32)
    def scaled(trainable, share):
      return tuple(share * t for t in trainable)

    @tff.tensorflow.computation(WEIGHTS)
    def trainable(weights):
      return weights.trainable

    @tff.tensorflow.computation(WEIGHTS)
    def others(weights):
      return weights.non_trainable

    got = tff.federated_map(trainable, output.result)
    return (
      output.state,
      tff.federated_sum(tff.federated_map(scaled, (got, share))),
      tff.federated_sum(tff.federated_map(others, output.result)),
      output.measurements,
    )

  rounds = []
  with contexts.using('xla') as context:
    state = process.initialize()
    for _ in range(2):
      state, *found = one_round(state, weights(), [1.0, 0.0])
      rounds.append(found)
    way = context.explain(one_round).way
  return rounds, way


def weights():
  rng = np.random.default_rng(0)
  return tff.learning.models.ModelWeights(
    trainable=(
      rng.normal(size=[100, 9]).astype(np.float32),
      rng.normal(size=[100]).astype(np.float32),
    ),
    non_trainable=(np.array([3, 4]),),
  )


def test_weights_arrive_within_a_step(received):
  (first, *_), _ = received
  for found, sent in zip(first[0], weights().trainable, strict=True):
    # 255 steps of at most 8 stddevs, each wrong by less than one: rotated back,
    # an error of stddev below 1 / sqrt(6) of a step, 6 of those.
    assert np.abs(found - sent).max() < 6 * 8 / 255 / np.sqrt(6)
    assert np.abs(found - sent).max() > 0


def test_others_arrive_as_they_are(received):
  (first, *_), _ = received
  np.testing.assert_array_equal(first[1][0], [6, 8])  # Of two clients.


def test_rounds_are_rounded_anew(received):
  (first, second), _ = received
  assert (first[0][0] != second[0][0]).any()


def test_bytes_are_those_of_the_message(received):
  (first, _), _ = received
  # One block of 1024 levels, its range, half a seed, two int64.
  num_bytes = 1024 + 8 + 8 + 16
  assert first[2] == {
    'downlink_bytes_per_client': num_bytes,
    'downlink_compression': np.float32((4 * SIZE + 16) / num_bytes),
  }


def test_it_is_compiled(received):
  assert received[1] == 'xla'


def test_it_is_a_distribution_process(process):
  assert isinstance(process, tff.learning.templates.DistributionProcess)
  result = process.next.type_signature.result.result
  assert result.placement is tff.CLIENTS
  assert result.member.is_equivalent_to(WEIGHTS)
