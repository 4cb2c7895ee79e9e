"""Computations of the model world, with and without a guarantee."""

import dataclasses

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_pipelines.aggregators import registry
from tff_pipelines.cli import heat_map_computations
from tff_pipelines.data import grid_world
from tff_pipelines.execution import contexts
from tff_pipelines.models import place_models
from tff_pipelines.privacy import calibration, guarantee
from tff_pipelines.programs import map_runs

USERS, MERGES, EPSILON, DELTA = 3, 2, 4.0, 1e-5
SETTINGS = map_runs.MapSettings(users=USERS, points=2, merge=2, steps=5)


@pytest.fixture(scope='module', autouse=True)
def xla():
  with contexts.using('xla', threads=2) as context:
    yield context


@dataclasses.dataclass
class Asked:
  """Counts which cohorts an aggregator was built for."""

  cohorts: list[int] = dataclasses.field(default_factory=list)

  def __call__(self, participants: int) -> registry.Factory:
    self.cohorts.append(participants)
    return tff.aggregators.UnweightedMeanFactory()


@pytest.fixture(scope='module')
def shared():
  """Computations that do not depend on the users, and what was asked."""
  asked = Asked()
  return heat_map_computations.HeatMapComputations(
    place_models.TanhNet(), asked, depends_on_users=False
  ), asked


@pytest.fixture(scope='module')
def built(shared) -> map_runs.MapComputations:
  return shared[0].of(USERS)


@pytest.fixture(scope='module')
def private(shared) -> tuple[map_runs.MapComputations, guarantee.Guarantee]:
  return shared[0].with_guarantee(USERS, MERGES, EPSILON, DELTA)


def test_what_does_not_depend_on_users_is_built_once(shared, built):
  computations, asked = shared
  assert computations.of(USERS + 1) is built
  assert computations.of(USERS) is built
  assert asked.cohorts == [USERS]


def test_what_depends_on_users_is_built_for_each_number(shared, monkeypatch):
  computations = dataclasses.replace(shared[0], depends_on_users=True)
  # Building takes a second; which one is built is what counts here.
  monkeypatch.setattr(
    heat_map_computations.HeatMapComputations, '_with', lambda _, made: made
  )
  asked = shared[1]
  before = len(asked.cohorts)
  first = computations.of(5)
  assert computations.of(6) is not first
  assert computations.of(5) is first
  assert asked.cohorts[before:] == [5, 6]


def test_the_start_is_that_of_the_seed(built):
  (run,) = map_runs.run(built, SETTINGS, [7], follow_users=False)
  expected = place_models.TanhNet().initial_weights(7)
  for found, weight in zip(run.server.weights, expected, strict=True):
    np.testing.assert_array_equal(found[0], weight)


def test_a_merge_is_the_mean_of_gradient_descent_at_a_tenth(built):
  # By hand: two steps of each user on both its places, then their mean.
  (run,) = map_runs.run(built, SETTINGS, [7], follow_users=False)
  world = SETTINGS.world.dataset(7)
  ends = []
  for user in range(USERS):
    weights = [w.astype(np.float64) for w in initial(7)]
    for _ in range(2):
      step = gradient(weights, *world.train.examples(user))
      weights = [
        w - heat_map_computations.CLIENT_LEARNING_RATE * g
        for w, g in zip(weights, step, strict=True)
      ]
    ends.append(weights)
  for found, mine in zip(
    run.server.weights, zip(*ends, strict=True), strict=True
  ):
    # Of float32 sums of a few terms of size 1.
    np.testing.assert_allclose(found[1], np.mean(mine, axis=0), atol=1e-5)


def initial(seed: int):
  return place_models.TanhNet().initial_weights(seed)


def gradient(weights, x, y):
  """Of the mean squared error of tanh(tanh(x A + a) B + b)."""
  kernel, bias, last_kernel, last_bias = weights
  hidden = np.tanh(x @ kernel + bias)
  output = np.tanh(hidden @ last_kernel + last_bias)[:, 0]
  error = (2 / len(y) * (output - y) * (1 - output**2))[:, np.newaxis]
  back = (error @ last_kernel.T) * (1 - hidden**2)
  return [x.T @ back, back.sum(0), hidden.T @ error, error.sum(0)]


def test_output_is_the_models(shared):
  places = grid_world.grid(5)
  kernel, bias, last_kernel, last_bias = initial(3)
  hidden = np.tanh(places @ kernel + bias)
  expected = np.tanh(hidden @ last_kernel + last_bias)[:, 0]
  found = shared[0].output(initial(3), places)
  np.testing.assert_allclose(found, expected, atol=1e-6)


def test_all_have_one_evaluation_and_one_training_of_users(built, private):
  assert private[0].evaluation is built.evaluation
  assert private[0].local_steps is built.local_steps
  assert private[0].process is not built.process


# With a guarantee.


def test_at_most_the_epsilon_that_was_asked_is_promised(private):
  promised = private[1]
  # A ten thousandth less noise would exceed it; epsilon is about inverse to
  # the noise, or where it is small to its square.
  assert (1 - 2.5e-4) * EPSILON < promised.epsilon <= EPSILON
  assert promised.delta == DELTA
  assert promised.num_rounds == MERGES
  assert promised.trust is guarantee.Trust.SERVER


def test_clipped_and_noisy_maps_are_no_exact_ones(built, private):
  (exact,) = map_runs.run(built, SETTINGS, [7], follow_users=False)
  (noisy,) = map_runs.run(private[0], SETTINGS, [7], follow_users=False)
  assert noisy.server.steps == exact.server.steps == (0, 2, 4)
  for found, expected in zip(
    noisy.server.weights, exact.server.weights, strict=True
  ):
    np.testing.assert_array_equal(found[0], expected[0])
    assert np.all(found[1] != expected[1])


def test_the_mean_is_over_as_many_as_were_promised(shared, built):
  # So much epsilon that there is next to no noise; one user too few comes.
  almost_exact, promised = shared[0].with_guarantee(USERS, MERGES, 1e8, DELTA)
  fewer = dataclasses.replace(SETTINGS, excluded=(1,))
  (exact,) = map_runs.run(built, fewer, [7], follow_users=False)
  (found,) = map_runs.run(almost_exact, fewer, [7], follow_users=False)
  # zCDP of T Gaussian sums: rho = T (s / stddev)^2 / 2, the sensitivity s at
  # most two clip norms of 1. Further off than six standard deviations is one of
  # 17 weights with a probability below 4e-8.
  stddev = 2 * np.sqrt(MERGES / (2 * promised.rho))
  tolerance = 6 * stddev / USERS
  moved, expected = (
    np.concatenate([(w[1] - w[0]).ravel() for w in run.server.weights])
    for run in (found, exact)
  )
  np.testing.assert_allclose(
    moved, expected * (USERS - 1) / USERS, atol=tolerance
  )
  assert np.abs(expected).max() / USERS > 2 * tolerance


def test_an_epsilon_that_is_none_is_refused(shared):
  with pytest.raises(calibration.CalibrationError) as raised:
    shared[0].with_guarantee(USERS, MERGES, 0.0, DELTA)
  assert str(raised.value) == (
    'Expected a finite epsilon above 0 as target, found 0.0.'
  )
