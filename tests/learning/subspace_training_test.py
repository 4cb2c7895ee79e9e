"""Clients train in the subspace that they send."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tests.learning import numpy_clients
from tff_pipelines.aggregators import (
  composition,
  encoded_mean,
  random_subspaces,
  sketched_mean,
)
from tff_pipelines.execution import contexts
from tff_pipelines.learning import (
  fed_avg,
  fed_prox,
  optimizers,
  subspace_training,
)
from tff_pipelines.numerics import low_rank, subsampling


@pytest.fixture(scope='module', autouse=True)
def runtime():
  with contexts.using('xla') as context:
    yield context


HALF = subsampling.Subsampling(0.5, is_scaled=False)


def own(code=HALF):
  return encoded_mean.EncodedMeanFactory(code, seed=5)


def common(code=HALF):
  return sketched_mean.SketchedMeanFactory(
    code,
    tff.aggregators.MeanFactory(),
    (composition.WEIGHT, composition.PLAIN_SUM),
    seed=5,
  )


def masks(subspaces, round_num, batches):
  """The mask of each client, [clients, 4]."""
  found = []
  for dataset in batches.datasets():
    seed = subspaces.seed_of(
      tf.constant(round_num), subspace_training._fingerprint(dataset)
    )
    like = (tf.ones([3, 1]), tf.ones([1]))
    projected = subspaces.projection(like, seed)(like)
    found.append(np.concatenate([np.ravel(t) for t in projected]))
  return np.array(found)


def by_hand(factory):
  """Federated averaging of clients whose gradients are masked."""
  w, found = np.zeros(4), []
  for round_num, batches in enumerate(samples.rounds()):
    cohort = numpy_clients.clients(batches)
    shares = numpy_clients.client_weights(cohort, 'weighted')
    drawn = masks(factory.subspaces, round_num, batches)
    # Of five places, a prime, of which the last is none, two are drawn.
    assert set(drawn.sum(axis=1)) <= {1.0, 2.0}
    updates = [
      numpy_clients.trained(w, client, lambda y, g, mask=mask: mask * g) - w
      for client, mask in zip(cohort, drawn, strict=True)
    ]
    w = w + numpy_clients.SERVER_RATE * (shares @ np.array(updates))
    found.append(w)
  return np.array(found)


@pytest.mark.parametrize('make', slow_cases.all_but([own], [own, common]))
def test_masked_coordinates_alone_are_trained(make):
  process = numpy_clients.build(fed_avg, 'weighted', aggregator=make())
  found = numpy_clients.weights_after(process, samples.rounds())
  np.testing.assert_allclose(
    found, by_hand(make()), atol=numpy_clients.TOLERANCE
  )


@pytest.mark.slow
def test_clients_and_rounds_have_masks_of_their_own_or_rounds_alone():
  batches = samples.batches([4] * 20)
  of_clients = [masks(own().subspaces, r, batches) for r in (0, 1)]
  of_rounds = [masks(common().subspaces, r, batches) for r in range(8)]
  # Of 6 masks, 20 draws miss five with probability 6^-19 each.
  assert len({tuple(mask) for mask in of_clients[0]}) > 1
  assert (of_clients[0] != of_clients[1]).any()
  for drawn in of_rounds:
    assert len({tuple(mask) for mask in drawn}) == 1
  # All alike with probability 6^-7.
  assert len({tuple(drawn[0]) for drawn in of_rounds}) > 1


def test_the_fingerprint_tells_clients_and_orders_of_batches_apart():
  one, other = samples.batches([9, 9]).datasets()
  found = [
    int(subspace_training._fingerprint(d))
    for d in (one, other, one, one.skip(1))
  ]
  assert found[0] == found[2]
  assert len(set(found)) == 3


def first_step(aggregator, sizes):
  """What one step of each client changes, of plain SGD."""
  sgd = tff.learning.optimizers.build_sgdm
  process = fed_avg.build(
    samples.keras_model(),
    client_optimizer=sgd(0.3),
    server_optimizer=sgd(1.0),
    aggregator=aggregator,
  )
  state = process.initialize()
  before = process.get_model_weights(state).trainable
  state = process.next(state, samples.batches(sizes)).state
  after = process.get_model_weights(state).trainable
  return [a - b for a, b in zip(after, before, strict=True)]


@pytest.mark.slow
def test_a_step_at_low_rank_is_the_nearest_to_the_free_one():
  factory = own(low_rank.LowRank(1, is_scaled=False))
  free = first_step(tff.aggregators.MeanFactory(), [4])
  found = first_step(factory, [4])
  (dataset,) = samples.batches([4]).datasets()
  seed = factory.subspaces.seed_of(
    tf.constant(0), subspace_training._fingerprint(dataset)
  )
  free = [tf.constant(step) for step in free]
  expected = factory.subspaces.projection(free, seed)(free)
  for one, other in zip(found, expected, strict=True):
    np.testing.assert_allclose(one, other, atol=1e-6)
  assert np.linalg.matrix_rank(found[0], tol=1e-6) == 1
  assert np.abs(found[0] - free[0]).max() > 1e-4


@pytest.mark.slow
def test_it_is_for_fed_prox_too():
  process = numpy_clients.build(
    fed_prox, 'weighted', aggregator=own(), proximal_strength=0.0
  )
  batches = samples.batches([7])
  (weights,) = numpy_clients.weights_after(process, [batches])
  (mask,) = masks(own().subspaces, 0, batches)
  np.testing.assert_array_equal(weights[mask == 0], 0.0)
  assert np.all(weights[mask == 1] != 0.0)


def test_adaptive_steps_stay_among_coordinates_but_not_among_matrices():
  adam = tff.learning.optimizers.build_adam(0.1)
  assert subspace_training.of_aggregator(own(), adam) == own().subspaces
  factory = own(low_rank.LowRank(1, is_scaled=False))
  with pytest.raises(
    optimizers.OptimizerError,
    match=r'^Expected sgd at clients that train matrices of low rank',
  ):
    subspace_training.of_aggregator(factory, adam)


def test_other_aggregators_have_no_subspaces():
  sgd = tff.learning.optimizers.build_sgdm(0.1)
  for factory in (
    tff.aggregators.MeanFactory(),
    own(subsampling.Subsampling(0.5)),
    own(low_rank.LowRank(1)),
    common(low_rank.LowRank(1)),
  ):
    assert subspace_training.of_aggregator(factory, sgd) is None
  assert isinstance(common().subspaces, random_subspaces.Subspaces)
