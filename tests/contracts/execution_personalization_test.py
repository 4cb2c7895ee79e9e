"""Fine-tuning at the clients: XLA gives what TFF's own runtime gives."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tff_pipelines.learning import personalization
from tff_pipelines.models import place_models

OPTIMIZERS = {
  'momentum': tff.learning.optimizers.build_sgdm(0.2, momentum=0.9),
  'adam': tff.learning.optimizers.build_adam(0.1, epsilon=1e-3),
}
# Examples to test on of the five clients of the first cohort: one has none.
TESTED = (2, 5, 9, 0, 4)


def places(count, seed):
  rng = np.random.default_rng(seed)
  found = rng.random([count, 2]).astype(np.float32)
  return found, (found[:, 0] < found[:, 1]).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
  'optimizer', slow_cases.all_but(['momentum'], OPTIMIZERS)
)
def test_ragged_clients_are_those_of_tff(pair, optimizer):
  net = place_models.TanhNet(3)
  computation = personalization.build(
    place_models.build(net), OPTIMIZERS[optimizer]
  )
  weights = tff.learning.models.ModelWeights(net.initial_weights(0), ())
  found = pair.same(
    computation,
    weights,
    samples.batches(samples.COHORTS[0], seed=1, make=places),
    samples.batches(TESTED, seed=2, make=places),
  )
  assert [f['before']['num_examples'] for f in found] == list(TESTED)
  # The second client trains on nothing.
  changed = [f['before']['loss'] != f['after']['loss'] for f in found]
  assert changed == [True, False, True, True, True]
  assert pair.way(computation) == 'xla'
