"""Local models tested in parts: XLA gives what TFF's own runtime gives."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tff_pipelines.learning import local_training
from tff_pipelines.models import place_models

OPTIMIZER = tff.learning.optimizers.build_sgdm(0.3)
NET = place_models.TanhNet(3)


def places(count, seed):
  rng = np.random.default_rng(seed)
  found = rng.random([count, 2]).astype(np.float32)
  return found, (found[:, 0] < found[:, 1]).astype(np.float32)


def arguments(num_tested: int):
  return (
    tff.learning.models.ModelWeights(NET.initial_weights(0), ()),
    places(num_tested, seed=9),
    samples.batches(samples.COHORTS[0], seed=1, make=places),
  )


# As many parts of 4 as fit, with a rest and without, and a rest alone.
@pytest.mark.parametrize('num_tested', slow_cases.all_but([11], [11, 8, 3]))
def test_ragged_clients_are_those_of_tff(pair, num_tested):
  model = place_models.build(NET)
  in_parts = local_training.build(model, OPTIMIZER, test_batch_size=4)
  found = pair.same(in_parts, *arguments(num_tested))
  whole = samples.run(
    pair.xla, local_training.build(model, OPTIMIZER), *arguments(num_tested)
  )
  for one, other in zip(found, whole, strict=True):
    assert one['num_examples'] == num_tested
    for name, value in other.items():
      assert one[name] == pytest.approx(value, rel=1e-6), name
  assert len({float(f['loss']) for f in found}) == len(samples.COHORTS[0])
  assert pair.way(in_parts) == 'xla'
