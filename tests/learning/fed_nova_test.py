import numpy as np
import pytest
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tests.learning import numpy_clients
from tff_pipelines.learning import (
  composition,
  fed_avg,
  fed_nova,
  optimizers,
)

pytestmark = pytest.mark.usefixtures('native_context')

MOMENTUM = 0.6


def trained(w, client, momentum):
  """What a client has, and how much its gradients count in it together."""
  y, velocity = w.copy(), np.zeros(4)
  total = of_next = 0.0
  for batch in client:
    velocity = momentum * velocity + numpy_clients.gradient(y, batch)
    y = y - numpy_clients.RATE * velocity
    # The same with gradients that are all 1.
    of_next = momentum * of_next + 1.0
    total += of_next
  return y, total


def by_hand(rounds, weighting, momentum=0.0):
  w, found = np.zeros(4), []
  for batches in rounds:
    cohort = numpy_clients.clients(batches)
    shares = numpy_clients.client_weights(cohort, weighting)
    mean, effective, taking_steps = np.zeros(4), 0.0, 0.0
    for share, client in zip(shares, cohort, strict=True):
      if not client:
        continue
      y, total = trained(w, client, momentum)
      mean += share * (y - w) / total
      effective += share * total
      taking_steps += share
    w = w + numpy_clients.SERVER_RATE * effective / taking_steps * mean
    found.append(w)
  return np.array(found)


@pytest.mark.parametrize(
  'weighting, momentum',
  slow_cases.all_but(
    [('weighted', MOMENTUM)],
    [(w, m) for w in numpy_clients.AGGREGATORS for m in (0.0, MOMENTUM)],
  ),
)
def test_three_rounds_are_those_of_the_paper(weighting, momentum):
  process = numpy_clients.build(
    fed_nova,
    weighting,
    client_optimizer=tff.learning.optimizers.build_sgdm(
      numpy_clients.RATE, momentum or None
    ),
  )
  found = numpy_clients.weights_after(process, samples.rounds())
  expected = by_hand(samples.rounds(), weighting, momentum)
  np.testing.assert_allclose(found, expected, atol=numpy_clients.TOLERANCE)


def test_where_all_take_as_many_steps_it_is_federated_averaging():
  found, expected = (
    numpy_clients.weights_after(
      numpy_clients.build(algorithm, 'weighted'), numpy_clients.even_rounds()
    )
    for algorithm in (fed_nova, fed_avg)
  )
  np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
def test_clients_without_steps_take_none_from_the_others():
  with_nobody = samples.batches([8, 0, 5, 0])
  found, expected = (
    numpy_clients.weights_after(
      numpy_clients.build(algorithm, 'unweighted'), [with_nobody]
    )
    for algorithm in (fed_nova, fed_avg)
  )
  np.testing.assert_allclose(found, expected, atol=1e-6)


def test_optimizers_whose_steps_do_not_add_up_are_refused():
  with pytest.raises(
    optimizers.OptimizerError, match=r'^Expected sgd at the clients of fed_nova'
  ):
    numpy_clients.build(
      fed_nova,
      'weighted',
      client_optimizer=tff.learning.optimizers.build_adam(0.1),
    )


def test_secure_sums_are_refused():
  with pytest.raises(
    composition.AlgorithmError, match=r'^Expected no secure sums with fed_nova,'
  ):
    numpy_clients.build(fed_nova, 'weighted', secure_metrics=True)
