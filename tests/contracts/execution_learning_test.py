"""Learning algorithms: XLA gives what TFF's own runtime gives."""

import collections
import functools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tff_pipelines.aggregators import compressed_broadcast, encoded_mean
from tff_pipelines.learning import (
  client_states,
  error_feedback,
  fed_avg,
  fed_nova,
  fed_prox,
  fed_sgd,
  mime_lite,
  q_fed_avg,
  scaffold,
  schedules,
)
from tff_pipelines.numerics import (
  low_rank,
  quantization,
  subsampling,
  top_k,
)

_algorithms = tff.learning.algorithms
_optimizers = tff.learning.optimizers

OPTIMIZERS = {
  'sgd': _optimizers.build_sgdm(0.3),
  'momentum': _optimizers.build_sgdm(0.2, momentum=0.9),
  'adam': _optimizers.build_adam(0.1, epsilon=1e-3),
  'adagrad': _optimizers.build_adagrad(0.1, epsilon=1e-3),
  'yogi': _optimizers.build_yogi(0.1, epsilon=1e-3),
}


def _fed_avg(build, model, client='sgd', server='sgd', **options):
  return build(
    model(),
    client_optimizer_fn=OPTIMIZERS[client],
    server_optimizer_fn=OPTIMIZERS[server],
    **options,
  )


def _fed_prox(build):
  return build(
    samples.hand_written_model(),
    proximal_strength=0.5,
    client_optimizer_fn=OPTIMIZERS['sgd'],
    server_optimizer_fn=OPTIMIZERS['sgd'],
  )


def _scheduled():
  def rate(round_num):
    return 0.3 / (1.0 + tf.cast(round_num, tf.float32))

  return _algorithms.build_weighted_fed_avg_with_optimizer_schedule(
    samples.hand_written_model(),
    client_learning_rate_fn=rate,
    client_optimizer_fn=_optimizers.build_sgdm,
    server_optimizer_fn=OPTIMIZERS['adam'],
  )


def _on_schedules(aggregator, client, server, algorithm=fed_avg, **settings):
  return algorithm.build(
    samples.hand_written_model(),
    client_optimizer=OPTIMIZERS[client],
    server_optimizer=OPTIMIZERS[server],
    aggregator=aggregator,
    client_schedule=schedules.Schedule(0.3, 'cosine', 1, 4),
    server_schedule=schedules.Schedule(0.2, 'exponential', 0, 2),
    **settings,
  )


_weighted = functools.partial(_fed_avg, _algorithms.build_weighted_fed_avg)
_unweighted = functools.partial(_fed_avg, _algorithms.build_unweighted_fed_avg)
_ITERATOR = tff.learning.LoopImplementation.DATASET_ITERATOR
_hand = samples.hand_written_model
_keras = samples.keras_model

PROCESSES = {
  'weighted, hand-written': lambda: _weighted(_hand, 'sgd', 'adam'),
  'unweighted, hand-written': lambda: _unweighted(_hand, 'momentum', 'adagrad'),
  'weighted, Keras': lambda: _weighted(_keras, 'adam', 'yogi'),
  'unweighted, Keras': lambda: _unweighted(_keras, 'adagrad', 'sgd'),
  'yogi at the clients': lambda: _weighted(_hand, 'yogi', 'momentum'),
  'loop over an iterator': lambda: _weighted(
    _hand, loop_implementation=_ITERATOR
  ),
  'learning-rate schedule': _scheduled,
  'weighted FedProx': lambda: _fed_prox(_algorithms.build_weighted_fed_prox),
  'unweighted FedProx': lambda: _fed_prox(
    _algorithms.build_unweighted_fed_prox
  ),
  'MimeLite': lambda: _algorithms.build_weighted_mime_lite(
    samples.hand_written_model(), base_optimizer=OPTIMIZERS['momentum']
  ),
  'unweighted MimeLite': lambda: _algorithms.build_unweighted_mime_lite(
    samples.hand_written_model(), base_optimizer=OPTIMIZERS['adam']
  ),
  'schedules, weighted': lambda: _on_schedules(
    tff.aggregators.MeanFactory(), 'momentum', 'adam'
  ),
  'schedules, unweighted': lambda: _on_schedules(
    tff.aggregators.UnweightedMeanFactory(), 'adam', 'momentum'
  ),
  'FedSGD by hand, weighted': lambda: fed_sgd.build(
    samples.hand_written_model(),
    server_optimizer=OPTIMIZERS['momentum'],
    aggregator=tff.aggregators.MeanFactory(),
    server_schedule=schedules.Schedule(0.2, 'step', 0, 2, decay_factor=0.5),
  ),
  'FedSGD by hand, unweighted': lambda: fed_sgd.build(
    samples.hand_written_model(),
    server_optimizer=OPTIMIZERS['sgd'],
    aggregator=tff.aggregators.UnweightedMeanFactory(),
  ),
  'FedProx on schedules': lambda: _on_schedules(
    tff.aggregators.MeanFactory(),
    'adam',
    'momentum',
    fed_prox,
    proximal_strength=0.5,
  ),
  'FedNova on schedules': lambda: _on_schedules(
    tff.aggregators.MeanFactory(), 'momentum', 'adam', fed_nova
  ),
  'unweighted FedNova': lambda: _on_schedules(
    tff.aggregators.UnweightedMeanFactory(), 'sgd', 'sgd', fed_nova
  ),
  'q-FedAvg on schedules': lambda: _on_schedules(
    tff.aggregators.MeanFactory(),
    'momentum',
    'adam',
    q_fed_avg,
    fairness_q=1.5,
  ),
  'unweighted q-FedAvg': lambda: _on_schedules(
    tff.aggregators.UnweightedMeanFactory(),
    'sgd',
    'sgd',
    q_fed_avg,
    fairness_q=0.5,
  ),
  'MimeLite on schedules': lambda: _on_schedules(
    tff.aggregators.MeanFactory(), 'momentum', 'sgd', mime_lite
  ),
  'trained in masks of their own': lambda: _on_schedules(
    encoded_mean.EncodedMeanFactory(
      subsampling.Subsampling(0.5, is_scaled=False), seed=3
    ),
    'adam',
    'momentum',
  ),
  'trained at low rank, broadcast in 8 bits': lambda: fed_avg.build(
    samples.keras_model(),
    client_optimizer=OPTIMIZERS['momentum'],
    server_optimizer=OPTIMIZERS['sgd'],
    aggregator=encoded_mean.EncodedMeanFactory(
      low_rank.LowRank(1, is_scaled=False), seed=3
    ),
    # Not rotated, so that rounding falls on the same side in both.
    broadcast=lambda weights: compressed_broadcast.build(
      weights, quantization.Quantization(8, rotate=False)
    ),
  ),
  'FedSGD': lambda: _algorithms.build_fed_sgd(
    samples.keras_model(), server_optimizer_fn=OPTIMIZERS['sgd']
  ),
}


# A model written by hand in federated averaging, one of Keras in FedSGD, both
# sides on a schedule, and one that goes through a client's batches twice.
_ALWAYS_RUN = (
  'weighted, hand-written',
  'q-FedAvg on schedules',
)


@pytest.mark.parametrize('name', slow_cases.all_but(_ALWAYS_RUN, PROCESSES))
def test_three_rounds_are_those_of_tff(pair, name):
  process = PROCESSES[name]()
  last = pair.same_rounds(process, samples.rounds())
  weights = pair.same(process.get_model_weights, last.state)
  pair.same(process.set_model_weights, last.state, weights)
  assert pair.way(process.next) == 'xla'


@pytest.mark.parametrize(
  'aggregator',
  slow_cases.all_but(
    [tff.aggregators.UnweightedMeanFactory],
    [tff.aggregators.UnweightedMeanFactory, tff.aggregators.MeanFactory],
  ),
)
def test_states_of_clients_are_those_of_tff(pair, aggregator):
  process = _on_schedules(
    aggregator(), 'sgd', 'adam', scaffold, population_size=8, max_clients=6
  )
  simulation = client_states.Simulation(
    process, [f'client_{c}' for c in range(8)]
  )
  samples.assert_same(
    _simulated(pair.xla, simulation), _simulated(pair.reference, simulation)
  )
  assert pair.way(process.next) == 'xla'


@pytest.mark.slow
def test_memories_of_clients_are_those_of_tff(pair):
  process = _on_schedules(
    encoded_mean.EncodedMeanFactory(top_k.TopK(0.5), silent_below=0.05),
    'sgd',
    'adam',
    error_feedback,
    population_size=8,
    max_clients=6,
  )
  simulation = client_states.Simulation(
    process, [f'client_{c}' for c in range(8)]
  )
  samples.assert_same(
    _simulated(pair.xla, simulation), _simulated(pair.reference, simulation)
  )
  assert pair.way(process.next) == 'xla'


def _simulated(context, simulation):
  with tff.framework.get_context_stack().install(context):
    outputs = [simulation.initialize()]
    for batches in samples.rounds():
      outputs.append(simulation.next(samples.state(outputs[-1]), batches))
    return outputs


@pytest.mark.slow
def test_k_means_is_that_of_tff(pair):
  process = _algorithms.build_fed_kmeans(
    num_clusters=3, data_shape=(2,), random_seed=(1, 2)
  )

  def points(count, seed):
    return np.random.default_rng(seed).normal(size=[count, 2]).astype('f4')

  rounds = [
    [
      tf.data.Dataset.from_tensor_slices(points(count, [r, c]))
      for c, count in enumerate(sizes)
    ]
    for r, sizes in enumerate(samples.COHORTS)
  ]
  pair.same_rounds(process, rounds)
  assert pair.way(process.next) == 'xla'


@pytest.mark.parametrize(
  'model', [_hand, slow_cases.slow(_keras)], ids=['hand', 'keras']
)
def test_federated_evaluation_is_that_of_tff(pair, model):
  process = _algorithms.build_fed_eval(model())
  pair.same_rounds(process, samples.rounds())
  assert pair.way(process.next) == 'xla'


def test_secure_metrics_are_those_of_tff(pair):
  process = _weighted(
    _hand, metrics_aggregator=tff.learning.metrics.secure_sum_then_finalize
  )
  last = pair.same_rounds(process, samples.rounds())
  assert last.metrics['client_work']['train']['hits'] > 0
  assert pair.way(process.next) == 'xla'


def _variable_model():
  return tff.learning.models.from_keras_model(
    tf.keras.Sequential(
      [
        tf.keras.layers.InputLayer([samples.NUM_FEATURES]),
        tf.keras.layers.Dense(1, kernel_initializer='zeros'),
      ]
    ),
    loss=tf.keras.losses.MeanSquaredError(),
    input_spec=samples.BATCH_SPEC,
  )


@pytest.mark.slow
def test_a_model_with_variables_is_that_of_tff(pair):
  process = _algorithms.build_weighted_fed_avg(
    _variable_model,
    client_optimizer_fn=OPTIMIZERS['sgd'],
    server_optimizer_fn=OPTIMIZERS['sgd'],
  )
  last = pair.same_rounds(process, samples.rounds())
  metrics = last.metrics['client_work']['train']
  assert metrics['num_examples'] == sum(samples.COHORTS[-1])


def _personalization():
  @tf.function
  def evaluate(model, dataset):
    loss = dataset.batch(samples.BATCH_SIZE).reduce(
      0.0, lambda total, b: total + model.forward_pass(b, training=False).loss
    )
    return collections.OrderedDict(loss=loss)

  def build_fine_tuning():
    @tf.function
    def fine_tune(model, train_data, test_data, context=None):
      del context  # Unused.
      for batch in train_data.batch(samples.BATCH_SIZE):
        with tf.GradientTape() as tape:
          loss = model.forward_pass(batch).loss
        variables = model.trainable_variables
        for v, g in zip(variables, tape.gradient(loss, variables), strict=True):
          v.assign_sub(0.1 * g)
      return evaluate(model, test_data)

    return fine_tune

  return _algorithms.build_personalization_eval_computation(
    _variable_model,
    collections.OrderedDict(fine_tuned=build_fine_tuning),
    evaluate,
  )


@pytest.mark.slow
def test_personalization_evaluation_is_that_of_tff(pair):
  computation = _personalization()
  weights = tff.learning.models.ModelWeights(
    [np.ones([samples.NUM_FEATURES, 1], np.float32), np.zeros([1], np.float32)],
    [],
  )
  clients = [
    {
      'train_data': tf.data.Dataset.from_tensor_slices(samples.examples(n)),
      'test_data': tf.data.Dataset.from_tensor_slices(samples.examples(n + 1)),
    }
    for n in (5, 0, 3)
  ]
  # It draws a sample of the clients, in any order: here, of all of them.
  expected, found = (
    samples.run(context, computation, weights, clients)
    for context in (pair.reference, pair.xla)
  )
  samples.assert_same(_sorted(found), _sorted(expected))


def _sorted(metrics):
  return tf.nest.map_structure(np.sort, metrics)


def _reconstruction_model():
  user = tf.keras.Sequential(
    [
      tf.keras.layers.InputLayer([samples.NUM_FEATURES]),
      tf.keras.layers.Dense(2, kernel_initializer='ones', name='shared'),
      tf.keras.layers.Dense(1, kernel_initializer='ones', name='own'),
    ]
  )
  return tff.learning.models.ReconstructionModel.from_keras_model_and_layers(
    keras_model=user,
    global_layers=user.layers[:1],
    local_layers=user.layers[1:],
    input_spec=samples.BATCH_SPEC,
  )


@pytest.mark.slow
def test_reconstruction_is_that_of_tff(pair):
  process = _algorithms.build_fed_recon(
    _reconstruction_model, loss_fn=tf.keras.losses.MeanSquaredError
  )
  pair.same_rounds(process, samples.rounds())
