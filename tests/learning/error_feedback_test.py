"""What a code loses is sent in the end."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tests.learning import numpy_clients
from tff_pipelines.aggregators import composition as stacks
from tff_pipelines.aggregators import encoded_mean, sketched_mean
from tff_pipelines.execution import contexts
from tff_pipelines.learning import (
  client_states,
  composition,
  error_feedback,
  fed_avg,
)
from tff_pipelines.numerics import codes, quantization, subsampling, top_k


@pytest.fixture(scope='module', autouse=True)
def runtime():
  with contexts.using('xla') as context:
    yield context


POPULATION = [f'client_{c}' for c in range(8)]
# Of four weights one travels.
FRACTION = 0.25


def aggregator(**options):
  return encoded_mean.EncodedMeanFactory(top_k.TopK(FRACTION), **options)


def build(factory, **options):
  return numpy_clients.build(
    error_feedback,
    'weighted',
    aggregator=factory,
    population_size=len(POPULATION),
    max_clients=6,
    **options,
  )


def simulated(factory):
  """Weights after each round, and the last state."""
  process = client_states.Simulation(build(factory), POPULATION)
  state, found = process.initialize(), []
  for batches in samples.rounds():
    state = process.next(state, batches).state
    trainable = process.get_model_weights(state).trainable
    found.append(np.concatenate([np.ravel(t) for t in trainable]))
  return np.array(found), state


def largest(p):
  """What is sent of p: its largest coordinate."""
  sent = np.zeros_like(p)
  place = np.argmax(np.abs(p))
  sent[place] = p[place]
  return sent


def by_hand(silent_below=0.0):
  """Algorithm 1 of Stich et al. 2018 over cohorts: weights, memories."""
  w, found = np.zeros(4), []
  memory = {name: np.zeros(4) for name in POPULATION}
  for batches in samples.rounds():
    cohort = numpy_clients.clients(batches)
    shares = numpy_clients.client_weights(cohort, 'weighted')
    mean = np.zeros(4)
    for name, share, client in zip(
      batches.client_ids, shares, cohort, strict=True
    ):
      if not client:
        continue
      p = memory[name] + numpy_clients.trained(w, client) - w
      is_silent = np.linalg.norm(p) < silent_below
      sent = np.zeros(4) if is_silent else largest(p)
      memory[name] = p - sent
      mean += share * sent
    w = w + numpy_clients.SERVER_RATE * mean
    found.append(w)
  return np.array(found), memory


@pytest.mark.parametrize(
  'silent_below', slow_cases.all_but([0.25], [0.0, 0.25])
)
def test_three_rounds_are_those_of_the_paper(silent_below):
  found, state = simulated(aggregator(silent_below=silent_below))
  expected, memory = by_hand(silent_below)
  same = {'atol': numpy_clients.TOLERANCE}
  np.testing.assert_allclose(found, expected, **same)
  # A client without examples has a memory of nothing.
  assert sorted(state.clients) == list(range(6))
  for row, client in enumerate(state.clients):
    kept = np.concatenate([np.ravel(rows[row]) for rows in state.rows])
    # TFF's updates point down.
    np.testing.assert_allclose(-kept, memory[POPULATION[client]], **same)
  silent, _ = by_hand(0.25)
  assert np.abs(silent - by_hand()[0]).max() > 0.01


@pytest.mark.slow
def test_without_memory_it_is_federated_averaging():
  exact = encoded_mean.EncodedMeanFactory(top_k.TopK(1.0))
  found, state = simulated(exact)
  plain = numpy_clients.weights_after(
    numpy_clients.build(fed_avg, 'weighted'), samples.rounds()
  )
  np.testing.assert_allclose(found, plain, atol=numpy_clients.TOLERANCE)
  assert not any(np.any(rows) for rows in tf.nest.flatten(state.rows))


def test_an_aggregator_without_codes_of_clients_is_refused():
  sketched = sketched_mean.SketchedMeanFactory(
    subsampling.Subsampling(0.5, is_scaled=False),
    tff.aggregators.MeanFactory(),
    (stacks.WEIGHT, stacks.PLAIN_SUM),
  )
  for factory in (tff.aggregators.MeanFactory(), sketched):
    with pytest.raises(
      composition.AlgorithmError,
      match=r'^Expected a mean of updates that travel encoded, each by itself',
    ):
      build(factory)


@pytest.mark.parametrize(
  'code',
  [
    subsampling.Subsampling(0.25),
    quantization.Quantization(2),
    codes.Chain(subsampling.Subsampling(0.25), quantization.Quantization(8)),
  ],
)
def test_a_code_that_loses_more_than_there_is_is_refused(code):
  with pytest.raises(
    composition.AlgorithmError, match='memories would grow without bound'
  ):
    build(encoded_mean.EncodedMeanFactory(code))


def test_secure_sums_are_refused():
  with pytest.raises(
    composition.AlgorithmError, match=r'^Expected no secure sums with error_f'
  ):
    build(aggregator(), secure_metrics=True)
