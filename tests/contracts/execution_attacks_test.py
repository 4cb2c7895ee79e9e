"""Federated averaging under attack: XLA gives what TFF's own runtime gives."""

import collections

import numpy as np
import pytest
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tff_pipelines.core.client_kinds import ClientKind
from tff_pipelines.learning import attacked_updates, fed_avg
from tff_pipelines.models import kind_blind

# Small noise, so that the tolerance of samples is one for it, too.
STRENGTHS = attacked_updates.Strengths(random_stddev=0.5)
AGGREGATORS = {
  'weighted': tff.aggregators.MeanFactory,
  'unweighted': tff.aggregators.UnweightedMeanFactory,
}


def model() -> tff.learning.models.FunctionalModel:
  """The model of the other suites, on pairs (x, y)."""
  base = samples.hand_written_model()
  return tff.learning.models.FunctionalModel(
    initial_weights=base.initial_weights,
    predict_on_batch_fn=base.predict_on_batch,
    loss_fn=base.loss,
    metrics_fns=(
      base.initialize_metrics_state,
      base.update_metrics_state,
      base.finalize_metrics,
    ),
    input_spec=(samples.BATCH_SPEC['x'], samples.BATCH_SPEC['y']),
  )


def examples(count: int, seed):
  """Examples of a client, whose kind follows from its number."""
  _, client = [*seed, 0][:2]
  x, y = samples.examples(count, seed).values()
  marked = collections.OrderedDict(
    features=x,
    kind=np.full(count, list(ClientKind)[client % 6], np.int32),
    attack_seed=np.full(count, 2**40 + client, np.int64),
  )
  return (marked, y)


@pytest.mark.parametrize('name', slow_cases.all_but(['weighted'], AGGREGATORS))
def test_three_rounds_are_those_of_tff(pair, name):
  process = fed_avg.build(
    kind_blind.build(model()),
    client_optimizer=tff.learning.optimizers.build_sgdm(0.3),
    server_optimizer=tff.learning.optimizers.build_adam(0.1, epsilon=1e-3),
    aggregator=AGGREGATORS[name](),
    attack=STRENGTHS,
  )
  # The last one has a client of each kind but one, who is without examples.
  rounds = [
    samples.batches(sizes, seed=10 + r, make=examples)
    for r, sizes in enumerate(samples.COHORTS)
  ]
  last = pair.same_rounds(process, rounds)
  assert last.state.client_work.rounds_done == 3
  assert pair.way(process.next) == 'xla'
