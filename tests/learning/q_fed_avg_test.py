import numpy as np
import pytest

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tests.learning import numpy_clients
from tff_pipelines.learning import composition, fed_avg, q_fed_avg

pytestmark = pytest.mark.usefixtures('native_context')


def by_hand(rounds, weighting, q):
  """Algorithm 2 of the paper, with its official code's least loss."""
  w, found = np.zeros(4), []
  lipschitz = 1 / numpy_clients.RATE
  for batches in rounds:
    cohort = numpy_clients.clients(batches)
    shares = numpy_clients.client_weights(cohort, weighting)
    total, curvature = np.zeros(4), 0.0
    for share, client in zip(shares, cohort, strict=True):
      loss = max(numpy_clients.loss(w, client), 1e-10)
      step = lipschitz * (w - numpy_clients.trained(w, client))
      total += share * loss**q * step
      curvature += share * (
        q * loss ** (q - 1) * np.sum(step**2) + lipschitz * loss**q
      )
    w = w - numpy_clients.SERVER_RATE * total / curvature
    found.append(w)
  return np.array(found)


@pytest.mark.parametrize(
  'weighting, q',
  slow_cases.all_but(
    [('weighted', 0.5)],
    [(w, q) for w in numpy_clients.AGGREGATORS for q in (0.5, 2.0)],
  ),
)
def test_three_rounds_are_those_of_the_paper(weighting, q):
  process = numpy_clients.build(q_fed_avg, weighting, fairness_q=q)
  found = numpy_clients.weights_after(process, samples.rounds())
  expected = by_hand(samples.rounds(), weighting, q)
  np.testing.assert_allclose(found, expected, atol=numpy_clients.TOLERANCE)
  without = by_hand(samples.rounds(), weighting, 0.0)
  assert np.abs(expected - without).max() > 0.01


# The paper's q = 0 weights alike clients that are sampled by their examples.
@pytest.mark.parametrize(
  'weighting', slow_cases.all_but(['unweighted'], numpy_clients.AGGREGATORS)
)
def test_with_q_0_it_is_federated_averaging(weighting):
  found, expected = (
    numpy_clients.weights_after(process, samples.rounds())
    for process in (
      numpy_clients.build(q_fed_avg, weighting, fairness_q=0.0),
      numpy_clients.build(fed_avg, weighting),
    )
  )
  np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize('q', [-0.5, float('inf')])
def test_a_q_below_0_is_refused(q):
  with pytest.raises(
    composition.AlgorithmError, match=r'^Expected a fairness_q of at least 0'
  ):
    numpy_clients.build(q_fed_avg, 'weighted', fairness_q=q)


def test_secure_sums_are_refused():
  with pytest.raises(
    composition.AlgorithmError, match=r'^Expected no secure sums with q_fed_avg'
  ):
    numpy_clients.build(
      q_fed_avg, 'weighted', fairness_q=1.0, secure_metrics=True
    )
