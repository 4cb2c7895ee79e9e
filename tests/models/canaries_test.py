"""Models that canary clients train on into chosen directions."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests import slow_cases
from tff_pipelines.data import batching, canary_population, population
from tff_pipelines.execution import contexts
from tff_pipelines.learning import client_updates, evaluation
from tff_pipelines.models import canaries, image_classifiers

SEED = 5
SIZES = image_classifiers.Mlp(6, (4,), 3)
MODEL = image_classifiers.build_mlp(SIZES)
AUDITED = canaries.with_canaries(MODEL, SEED)


@pytest.fixture(scope='module', autouse=True)
def xla():
  with contexts.using('xla') as context:
    yield context


@pytest.fixture(scope='module')
def clients() -> canary_population.CanaryPopulation:
  rng = np.random.default_rng(0)
  images = rng.random([7, 6], dtype=np.float32)
  labels = rng.integers(0, 3, 7).astype(np.int32)
  return canary_population.CanaryPopulation(
    population.ArrayPopulation(
      (images, labels), {'a': np.arange(3), 'b': np.arange(3, 7)}
    ),
    num_canaries=3,
  )


def batches(clients, epochs: int = 1):
  return clients.batches(
    range(clients.num_clients),
    batching.Batching(2, epochs),
    seed=0,
    round_num=1,
  )


def weights(model) -> tff.learning.models.ModelWeights:
  return tff.learning.models.ModelWeights(*model.initial_weights)


def flat(parts) -> np.ndarray:
  return np.concatenate([np.ravel(part) for part in parts])


def direction(index: int) -> np.ndarray:
  return flat(canaries.direction(SEED, index, MODEL.initial_weights[0]))


def test_a_direction_is_a_unit_vector_in_the_shapes_given():
  parts = canaries.direction(SEED, 3, MODEL.initial_weights[0])
  assert [p.shape for p in parts] == [w.shape for w in MODEL.initial_weights[0]]
  assert np.linalg.norm(flat(parts)) == pytest.approx(1.0, abs=1e-6)


def test_directions_depend_on_seed_and_index_only():
  np.testing.assert_array_equal(direction(3), direction(3))
  assert not np.allclose(direction(3), direction(4))
  other = flat(canaries.direction(6, 3, MODEL.initial_weights[0]))
  assert not np.allclose(direction(3), other)


def test_directions_are_uniform_on_the_sphere():
  # A cosine of two independent directions in d dimensions has variance 1/d;
  # the mean of 300 d cosine^2 is chi-square(300)/300 for large d: within 0.42
  # of 1 but for a probability of 1e-6.
  like = [np.zeros([40, 50])]
  vectors = [flat(canaries.direction(1, k, like)) for k in range(301)]
  cosines = np.stack(vectors[1:]) @ vectors[0]
  assert np.mean(cosines**2) * 2000 == pytest.approx(1.0, abs=0.42)


@pytest.fixture(scope='module')
def updates() -> tff.Computation:
  return client_updates.build(AUDITED, tff.learning.optimizers.build_sgdm(0.1))


@pytest.mark.parametrize('epochs', [slow_cases.slow(1), 4])
def test_updates_of_canaries_point_into_their_directions(
  clients, updates, epochs
):
  updates = updates(weights(AUDITED), batches(clients, epochs))
  for index in range(3):
    update = flat(updates[2 + index].update)
    cosine = update @ direction(index) / np.linalg.norm(update)
    assert cosine == pytest.approx(1.0, abs=1e-5)
    # Epochs go on without a break, two examples a step.
    steps = -(-epochs // 2)
    assert np.linalg.norm(update) == pytest.approx(1e3 * steps, rel=1e-3)


def test_updates_of_other_clients_are_those_of_the_model_itself(
  clients, updates
):
  optimizer = tff.learning.optimizers.build_sgdm(0.1)
  audited = updates(weights(AUDITED), batches(clients))
  base = clients.base.batches(
    range(2), batching.Batching(2, 1), seed=0, round_num=1
  )
  expected = client_updates.build(MODEL, optimizer)(weights(MODEL), base)
  for found, wanted in zip(audited[:2], expected, strict=True):
    np.testing.assert_allclose(
      flat(found.update), flat(wanted.update), rtol=1e-5, atol=1e-7
    )


def test_metrics_leave_canaries_out(clients):
  found = evaluation.build(AUDITED)(weights(AUDITED), batches(clients))
  base = clients.base.batches(
    range(2), batching.Batching(2, 1), seed=0, round_num=1
  )
  expected = evaluation.build(MODEL)(weights(MODEL), base)
  assert found['num_examples'] == expected['num_examples'] == 7
  assert found['loss'] == pytest.approx(expected['loss'])


def test_its_work_is_compiled(updates, xla):
  assert xla.explain(updates).way == 'xla'


def test_its_input_says_who_is_a_canary():
  x, y = AUDITED.input_spec
  assert x == collections.OrderedDict(
    features=tf.TensorSpec([None, 6], tf.float32),
    canary=tf.TensorSpec([None], tf.int32),
  )
  assert y == tf.TensorSpec([None], tf.int32)
