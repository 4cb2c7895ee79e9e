"""Means of two models, on a task that is small."""

import json

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.cli import flag_groups, interpolation, training_flags
from tff_pipelines.data import batching, population
from tff_pipelines.execution import contexts
from tff_pipelines.learning import optimizers
from tff_pipelines.models import image_classifiers
from tff_pipelines.programs import run_directory
from tff_pipelines.reports import map_record

SEED = 3
BATCHING = batching.Batching(5, epochs=3)


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


@pytest.fixture(scope='module', autouse=True)
def xla():
  with contexts.using('xla') as context:
    yield context


def people(num_clients: int) -> population.ArrayPopulation:
  rng = np.random.default_rng(7)
  labels = rng.integers(0, 3, 12 * num_clients)
  x = rng.normal(size=[len(labels), 4]) + np.eye(3, 4)[labels]
  return population.ArrayPopulation(
    (x.astype(np.float32), labels.astype(np.int32)),
    {f'c{i}': np.arange(12 * i, 12 * i + 12) for i in range(num_clients)},
  )


def dataset(num_clients: int = 4) -> population.FederatedDataset:
  clients = people(num_clients)
  return population.FederatedDataset(
    'points', clients, clients, tuple('abc'), {}
  )


def model_of(*hidden_sizes: int):
  sizes = image_classifiers.Mlp(4, hidden_sizes, 3)
  return lambda seed: image_classifiers.build_mlp(sizes, seed)


def between(path, learning_rate: float, *hidden_sizes: int, data=None):
  """The rows by name, the curves of figure.json by name, and the outcome."""
  outcome = interpolation.run(
    data or dataset(),
    model_of(*hidden_sizes),
    client_optimizer=optimizers.OptimizerConfig('sgd', learning_rate),
    batching=BATCHING,
    seed=SEED,
    directory=run_directory.RunDirectory(path),
  )
  (record,) = map_record.read_all(path)
  rows = {row['system']: row for row in outcome.rows}
  return rows, {c.name: c.values for c in record.curves}, outcome


def loss(weights) -> float:
  """Of softmax regression on everybody's examples."""
  x, y = people(4).pooled().examples(0)
  kernel, bias = weights
  return float(
    image_classifiers.mean_cross_entropy(tf.constant(x @ kernel + bias), y)
  )


def trained(weights, client: int, learning_rate: float):
  """Softmax regression, step by step in NumPy."""
  kernel, bias = (w.copy() for w in weights)
  batches = people(4).batches([client], BATCHING, seed=SEED, round_num=1)
  xs, ys = batches.elements
  for x, y, size in zip(xs, ys, batches.batch_sizes, strict=True):
    x, y = x[:size], y[:size]
    scores = np.exp(x @ kernel + bias)
    residuals = (scores / scores.sum(1, keepdims=True) - np.eye(3)[y]) / size
    kernel -= learning_rate * x.T @ residuals
    bias -= learning_rate * residuals.sum(0)
  return kernel, bias


def test_the_ends_are_the_models_of_the_first_two_clients(tmp_path):
  rows, _, outcome = between(tmp_path, 0.5)
  start = model_of()(SEED).initial_weights[0]
  first, second = (trained(start, client, 0.5) for client in (0, 1))
  mean = [(a + b) / 2 for a, b in zip(first, second, strict=True)]
  alike = rows['started_alike']
  assert alike['loss_at_1'] == pytest.approx(loss(first), rel=1e-5)
  assert alike['loss_at_0'] == pytest.approx(loss(second), rel=1e-5)
  assert alike['loss_at_half'] == pytest.approx(loss(mean), rel=1e-5)
  assert alike['gain'] == pytest.approx(
    min(loss(first), loss(second)) - loss(mean), abs=1e-5
  )
  assert rows['started_apart']['loss_at_1'] == alike['loss_at_1']
  assert rows['started_apart']['loss_at_0'] != alike['loss_at_0']
  assert outcome.weights is None
  assert outcome.sentence.startswith(
    'Started alike, the mean of two models has'
  )


@pytest.mark.slow
def test_hardly_trained_only_those_that_start_apart_differ(tmp_path):
  rows, curves, _ = between(tmp_path, 1e-9)
  start = loss(model_of()(SEED).initial_weights[0])
  np.testing.assert_allclose(
    curves['started_alike']['losses'], start, rtol=1e-5
  )
  assert rows['started_apart']['loss_at_1'] == pytest.approx(start, rel=1e-5)
  assert rows['started_apart']['loss_at_0'] != pytest.approx(start, rel=1e-2)


@pytest.mark.slow
def test_a_convex_loss_is_convex_between_any_two(tmp_path):
  _, curves, _ = between(tmp_path, 0.5)
  for curve in curves.values():
    weights, losses = np.array(curve['weights']), np.array(curve['losses'])
    slopes = np.diff(losses) / np.diff(weights)
    # Losses of about 1 are rounded by about 1e-7, neighbours differ by 0.014
    # at the least: slopes are off by about 1e-5.
    assert np.all(np.diff(slopes) > -1e-4)


def test_weights_are_those_of_the_paper_and_the_three_that_are_told(tmp_path):
  _, curves, _ = between(tmp_path, 0.5, 6)
  weights = curves['started_apart']['weights']
  assert (weights[0], weights[-1]) == (-0.2, 1.2)
  # Every 1.4 / 49 from -0.2 on: 0 and 1 are the 8th and the 43rd.
  assert len(weights) == 51
  assert {0.0, 0.5, 1.0} < set(weights)
  np.testing.assert_allclose(
    np.delete(weights, weights.index(0.5)), np.linspace(-0.2, 1.2, 50),
    atol=1e-9,
  )  # fmt: skip


@pytest.mark.slow
def test_it_is_a_pure_function_of_the_seed(tmp_path):
  once, again = (between(tmp_path / n, 0.5, 6)[1] for n in 'ab')
  assert once == again
  figure = tmp_path / 'a' / 'maps' / 'interpolation' / 'figure.json'
  assert json.loads(figure.read_text())['kind'] == 'interpolation'


def test_one_client_is_refused(tmp_path):
  with pytest.raises(interpolation.TooFewClientsError) as raised:
    between(tmp_path, 0.5, data=dataset(1))
  assert str(raised.value) == (
    'Expected at least two clients, found 1; deal the examples to more.'
  )


# Flags.


def parsed(*arguments: str) -> interpolation.FigureFlags:
  figure = interpolation.FigureFlags()
  client = training_flags.OptimizerFlags(
    'client', optimizers.OptimizerConfig('sgd', 0.5), scheduled=True
  )
  program = training_flags.ProgramFlags(
    rounds=2, clients_per_round=2, batch_size=5, evaluate_every=1
  )
  flags.FLAGS(['program', *arguments])
  figure.check()
  figure.check_others([program], client)
  return figure


def test_by_default_there_is_no_figure_and_nothing_is_refused():
  assert not parsed('--rounds=3', '--client_schedule=linear').requested


def test_the_clients_own_training_can_be_chosen():
  assert parsed(
    '--figure=interpolation', '--seed=2', '--batch_size=3',
    '--client_epochs=4', '--client_learning_rate=0.2', '--client_momentum=0.5',
  ).requested  # fmt: skip


@pytest.mark.parametrize(
  'useless', ['rounds=3', 'clients_per_round=3', 'client_schedule=linear']
)
def test_flags_of_a_comparison_are_refused(useless):
  name = useless.split('=')[0]
  with pytest.raises(flag_groups.FlagError) as raised:
    parsed('--figure=interpolation', f'--{useless}')
  assert str(raised.value) == (
    f'Expected --figure=none where --{name} is given, found '
    '--figure=interpolation, with which it has no effect; remove one of them.'
  )
