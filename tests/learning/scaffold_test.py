import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tests.learning import numpy_clients
from tff_pipelines.core import participation
from tff_pipelines.data import batching, population
from tff_pipelines.learning import (
  client_states,
  composition,
  fed_avg,
  optimizers,
  scaffold,
)
from tff_pipelines.programs import run_directory, training

pytestmark = pytest.mark.usefixtures('native_context')

POPULATION = [f'client_{c}' for c in range(8)]


def build(weighting, **options):
  given = {'population_size': len(POPULATION), 'max_clients': 6}
  return numpy_clients.build(scaffold, weighting, **(given | options))


def simulation(weighting):
  return client_states.Simulation(build(weighting), POPULATION)


def by_hand(rounds, weighting):
  """Algorithm 1 of the paper, option II: weights and the server's control."""
  w, control, found = np.zeros(4), np.zeros(4), []
  own = {name: np.zeros(4) for name in POPULATION}
  for batches in rounds:
    cohort = numpy_clients.clients(batches)
    shares = numpy_clients.client_weights(cohort, weighting)
    mean, mean_change = np.zeros(4), np.zeros(4)
    for name, share, client in zip(
      batches.client_ids, shares, cohort, strict=True
    ):

      def corrected(y, g, name=name, control=control):
        del y
        return g - own[name] + control

      if not client:
        continue
      y = numpy_clients.trained(w, client, corrected)
      steps = len(client) * numpy_clients.RATE
      after = own[name] - control + (w - y) / steps
      mean += share * (y - w)
      mean_change += share * (after - own[name])
      own[name] = after
    w = w + numpy_clients.SERVER_RATE * mean
    control = control + len(cohort) / len(POPULATION) * mean_change
    found.append(w)
  return np.array(found), control, own


@pytest.mark.parametrize(
  'weighting', slow_cases.all_but(['unweighted'], numpy_clients.AGGREGATORS)
)
def test_three_rounds_are_those_of_the_paper(weighting):
  process = simulation(weighting)
  state, found = process.initialize(), []
  for batches in samples.rounds():
    state = process.next(state, batches).state
    trainable = process.get_model_weights(state).trainable
    found.append(np.concatenate([np.ravel(t) for t in trainable]))
  expected, control, own = by_hand(samples.rounds(), weighting)
  same = {'atol': numpy_clients.TOLERANCE}
  np.testing.assert_allclose(found, expected, **same)
  flat = np.concatenate([np.ravel(t) for t in state.server.control])
  np.testing.assert_allclose(flat, control, **same)
  # client_6 and client_7 never took part.
  assert sorted(state.clients) == list(range(6))
  for row, client in enumerate(state.clients):
    kept = np.concatenate([np.ravel(rows[row]) for rows in state.rows])
    np.testing.assert_allclose(kept, own[POPULATION[client]], **same)
  # The correction is felt.
  averaged = numpy_clients.weights_after(
    numpy_clients.build(fed_avg, weighting), samples.rounds()
  )
  np.testing.assert_allclose(found[0], averaged[0], atol=1e-6)
  assert np.abs(found[2] - averaged[2]).max() > 0.01


@pytest.mark.slow
def test_a_run_that_was_interrupted_goes_on_as_if_it_had_not_been(tmp_path):
  people = population.ArrayPopulation(
    samples.examples(20),
    {name: range(2 * k, 2 * k + 2) for k, name in enumerate(POPULATION)},
  )
  process = simulation('unweighted')

  def run(rounds, folder):
    return training.run(
      'test',
      process,
      people,
      lambda _: {},
      training.TrainingProgram(
        rounds,
        participation.Participation(len(POPULATION), 3),
        batching.Batching(1),
        seed=1,
      ),
      run_directory.RunDirectory(tmp_path / folder),
    ).state

  run(2, 'interrupted')
  resumed, whole = run(4, 'interrupted'), run(4, 'whole')
  assert len(whole.clients) > 3  # Of all rounds, not of the last.
  for one, other in zip(
    tf.nest.flatten(resumed), tf.nest.flatten(whole), strict=True
  ):
    np.testing.assert_array_equal(one, other)


def test_momentum_at_the_clients_is_refused():
  with pytest.raises(
    composition.AlgorithmError, match=r'^Expected sgd without momentum at the'
  ):
    build(
      'weighted',
      client_optimizer=tff.learning.optimizers.build_sgdm(0.1, 0.9),
    )
  with pytest.raises(
    optimizers.OptimizerError, match=r'^Expected sgd at the clients of scaffold'
  ):
    build('weighted', client_optimizer=tff.learning.optimizers.build_yogi(0.1))


def test_a_population_smaller_than_a_cohort_is_refused():
  with pytest.raises(
    composition.AlgorithmError,
    match=r'^Expected a population of at least the 6 clients of a cohort, fou',
  ):
    build('weighted', population_size=5)


def test_secure_sums_are_refused():
  with pytest.raises(
    composition.AlgorithmError, match=r'^Expected no secure sums with scaffold'
  ):
    build('weighted', secure_metrics=True)
