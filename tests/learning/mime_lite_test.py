import numpy as np
import pytest
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tests.learning import numpy_clients
from tff_pipelines.learning import fed_avg, mime_lite, schedules

pytestmark = pytest.mark.usefixtures('native_context')

MOMENTUM = 0.9


def by_hand(rounds, weighting):
  w, velocity, found = np.zeros(4), np.zeros(4), []
  for batches in rounds:
    cohort = numpy_clients.clients(batches)
    shares = numpy_clients.client_weights(cohort, weighting)

    def with_momentum(y, g, velocity=velocity):
      del y
      return MOMENTUM * velocity + g

    mean, gradient = np.zeros(4), np.zeros(4)
    for share, client in zip(shares, cohort, strict=True):
      mean += share * (numpy_clients.trained(w, client, with_momentum) - w)
      if client:
        gradient += share * numpy_clients.gradient(
          w, numpy_clients.pooled(client)
        )
    w = w + numpy_clients.SERVER_RATE * mean
    velocity = MOMENTUM * velocity + gradient
    found.append(w)
  return np.array(found)


def build(weighting, momentum, **options):
  return numpy_clients.build(
    mime_lite,
    weighting,
    client_optimizer=tff.learning.optimizers.build_sgdm(
      numpy_clients.RATE, momentum
    ),
    **options,
  )


@pytest.mark.parametrize(
  'weighting', slow_cases.all_but(['weighted'], numpy_clients.AGGREGATORS)
)
def test_three_rounds_are_those_of_the_paper(weighting):
  found = numpy_clients.weights_after(
    build(weighting, MOMENTUM), samples.rounds()
  )
  expected = by_hand(samples.rounds(), weighting)
  np.testing.assert_allclose(found, expected, atol=numpy_clients.TOLERANCE)


@pytest.mark.slow
def test_a_constant_schedule_changes_nothing():
  schedule = schedules.Schedule(numpy_clients.RATE)
  found = numpy_clients.weights_after(
    build('weighted', MOMENTUM, client_schedule=schedule), samples.rounds()
  )
  expected = by_hand(samples.rounds(), 'weighted')
  np.testing.assert_allclose(found, expected, atol=numpy_clients.TOLERANCE)


def test_of_an_optimizer_without_a_state_it_is_federated_averaging():
  found, expected = (
    numpy_clients.weights_after(process, samples.rounds())
    for process in (
      build('weighted', None),
      numpy_clients.build(fed_avg, 'weighted'),
    )
  )
  np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
def test_gradients_are_summed_securely_where_updates_are():
  process = build(
    'weighted',
    MOMENTUM,
    aggregator=tff.learning.secure_aggregator(),
    secure_metrics=True,
  )
  tff.test.assert_not_contains_unsecure_aggregation(process.next)


@pytest.mark.parametrize(
  'optimizer, share',
  [
    (tff.learning.optimizers.build_sgdm(0.1), 0.0),
    (tff.learning.optimizers.build_sgdm(0.1, 0.9), 1.0),
    (tff.learning.optimizers.build_adam(0.1), 2.0),
  ],
)
def test_the_state_that_is_broadcast_is_counted(optimizer, share):
  model = samples.hand_written_model()
  assert mime_lite._state_share(optimizer, model) == share
