"""Single updates are what federated averaging averages."""

import functools

import numpy as np
import pytest
import tensorflow_federated as tff

from tests import slow_cases
from tff_pipelines.data import batching, population
from tff_pipelines.execution import contexts
from tff_pipelines.learning import client_updates, fed_avg, optimizers
from tff_pipelines.models import text_classifiers

NUM_IDS, LENGTH = 7, 3
_RNG = np.random.default_rng(0)
PEOPLE = population.ArrayPopulation(
  (
    {
      'ids': _RNG.integers(0, NUM_IDS - 1, [20, LENGTH]).astype(np.int32),
      'weights': _RNG.random([20, LENGTH]).astype(np.float32),
    },
    _RNG.integers(0, 2, 20).astype(np.int32),
  ),
  {'one': [0], 'none': [], 'three': [1, 2, 3], 'rest': range(4, 20)},
)
BATCHES = PEOPLE.batches(
  range(4), batching.Batching(2, epochs=2), seed=0, round_num=1
)


@pytest.fixture(scope='module', params=['xla', 'native'])
def context(request):
  with contexts.using(request.param) as context:
    yield context


@pytest.fixture(
  scope='module',
  params=[slow_cases.slow('logistic_regression'), 'embedding_bag'],
)
def model(request):
  build = getattr(text_classifiers, f'build_{request.param}')
  return build(NUM_IDS, PEOPLE.batch_spec).functional


@pytest.fixture(scope='module')
def updates_of(context, model):
  """The updates with an optimizer, computed once."""

  @functools.cache
  def updates(optimizer):
    compute = client_updates.build(model, optimizer.build())
    return compute(
      tff.learning.models.ModelWeights(*model.initial_weights), BATCHES
    )

  return updates


def test_type(context):
  model = text_classifiers.build_logistic_regression(
    NUM_IDS, PEOPLE.batch_spec
  ).functional
  compute = client_updates.build(
    model, optimizers.OptimizerConfig('sgd', 1.0).build()
  )
  assert compute.type_signature.compact_representation() == (
    '(<weights=<trainable=<float32[7,1],float32>,non_trainable=<>>@SERVER,'
    'batches={<<ids=int32[?,3],weights=float32[?,3]>,int32[?]>*}@CLIENTS> -> '
    '{<update=<float32[7,1],float32>,update_weight=float32>}@CLIENTS)'
  )


@pytest.mark.parametrize('name', [slow_cases.slow('sgd'), 'adam'])
def test_their_weighted_mean_is_what_the_server_applies(
  updates_of, model, name
):
  optimizer = optimizers.OptimizerConfig(name, 0.1)
  results = updates_of(optimizer)
  assert [r.update_weight for r in results] == [2, 0, 6, 32]
  process = fed_avg.build(
    model,
    client_optimizer=optimizer.build(),
    server_optimizer=tff.learning.optimizers.build_sgdm(1.0),
    aggregator=tff.aggregators.MeanFactory(),
  )
  state = process.next(process.initialize(), BATCHES).state
  trained = process.get_model_weights(state).trainable
  for index, (initial, after) in enumerate(
    zip(model.initial_weights[0], trained, strict=True)
  ):
    mean = np.average(
      [r.update[index] for r in results],
      axis=0,
      weights=[r.update_weight for r in results],
    )
    # A few float32 roundings of values of order 1.
    np.testing.assert_allclose(initial + mean, after, atol=16 * 2**-24)


@pytest.mark.parametrize(
  'name',
  slow_cases.all_but(
    ['adam', 'yogi'], ['sgd', 'adagrad', 'adam', 'yogi', 'rmsprop']
  ),
)
def test_rows_of_unused_words_do_not_move_at_all(updates_of, name):
  for client, result in enumerate(
    updates_of(optimizers.OptimizerConfig(name, 0.1))
  ):
    used = np.unique(PEOPLE.examples(client)[0]['ids'])
    unused = np.setdiff1d(np.arange(NUM_IDS), used)
    assert NUM_IDS - 1 in unused
    assert np.all(result.update[0][unused] == 0)
    if len(used):
      assert np.any(result.update[0][used] != 0)


def test_a_client_without_examples_has_no_update(updates_of):
  result = updates_of(optimizers.OptimizerConfig('adam', 0.1))[1]
  assert all(np.all(u == 0) for u in result.update)
