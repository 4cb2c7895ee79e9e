"""Steps of clients from weights of their own: XLA gives what TFF gives."""

import numpy as np
import tensorflow_federated as tff

from tests.contracts import execution_samples as samples
from tff_pipelines.learning import local_steps
from tff_pipelines.models import place_models

NET = place_models.TanhNet(3)


def places(count, seed):
  rng = np.random.default_rng(seed)
  found = rng.random([count, 2]).astype(np.float32)
  return found, (found[:, 0] < found[:, 1]).astype(np.float32)


def test_three_rounds_of_ragged_clients_are_those_of_tff(pair):
  model = place_models.build(NET)
  adagrad = tff.learning.optimizers.build_adagrad(0.1, epsilon=1e-3)
  computation = local_steps.build(model, adagrad, num_steps=3)
  test_batch = places(11, seed=99)
  for number, sizes in enumerate(samples.COHORTS):
    starts = [NET.initial_weights(10 * number + c) for c in range(len(sizes))]
    batches = samples.batches(sizes, seed=number, make=places)
    found = pair.same(computation, test_batch, starts, batches)
    steps = [-(-size // samples.BATCH_SIZE) for size in sizes]
    assert [
      int(np.isfinite(f['metrics']['accuracy']).sum()) for f in found
    ] == [min(count, 3) for count in steps]
  assert pair.way(computation) == 'xla'
