import numpy as np
import pytest

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tests.learning import numpy_clients
from tff_pipelines.learning import composition, fed_avg, fed_prox

pytestmark = pytest.mark.usefixtures('native_context')


def by_hand(rounds, weighting, strength):
  w, found = np.zeros(4), []
  for batches in rounds:
    cohort = numpy_clients.clients(batches)
    shares = numpy_clients.client_weights(cohort, weighting)

    def pulled(y, g, received=w):
      return g + strength * (y - received)

    mean = sum(
      share * (numpy_clients.trained(w, client, pulled) - w)
      for share, client in zip(shares, cohort, strict=True)
    )
    w = w + numpy_clients.SERVER_RATE * mean
    found.append(w)
  return np.array(found)


@pytest.mark.parametrize(
  'weighting', slow_cases.all_but(['weighted'], numpy_clients.AGGREGATORS)
)
def test_three_rounds_are_those_of_the_paper(weighting):
  process = numpy_clients.build(fed_prox, weighting, proximal_strength=0.7)
  found = numpy_clients.weights_after(process, samples.rounds())
  expected = by_hand(samples.rounds(), weighting, 0.7)
  np.testing.assert_allclose(found, expected, atol=numpy_clients.TOLERANCE)
  # The pull is felt.
  without = by_hand(samples.rounds(), weighting, 0.0)
  assert np.abs(expected - without).max() > 0.01


def test_without_strength_it_is_federated_averaging():
  found, expected = (
    numpy_clients.weights_after(process, samples.rounds())
    for process in (
      numpy_clients.build(fed_prox, 'weighted', proximal_strength=0.0),
      numpy_clients.build(fed_avg, 'weighted'),
    )
  )
  np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('strength', [-0.1, float('nan'), float('inf')])
def test_a_strength_below_0_is_refused(strength):
  with pytest.raises(
    composition.AlgorithmError, match=r'^Expected a proximal_strength of at lea'
  ):
    numpy_clients.build(fed_prox, 'weighted', proximal_strength=strength)
