"""Every algorithm of the registry can be built the way the flags do."""

import inspect

import pytest
import tensorflow_federated as tff

from tests import slow_cases
from tests.contracts import execution_samples as samples
from tff_pipelines.aggregators import compressed_broadcast, encoded_mean
from tff_pipelines.learning import algorithms
from tff_pipelines.numerics import quantization, top_k


@pytest.mark.parametrize('name', algorithms.ALGORITHMS)
def test_an_algorithm_takes_what_the_flags_give(name):
  row = algorithms.ALGORITHMS[name]
  taken = set(inspect.signature(row.build).parameters)
  assert taken >= {
    'model', 'server_optimizer', 'server_schedule', 'aggregator',
    'secure_metrics', 'broadcast',
  }  # fmt: skip
  of_clients = {'client_optimizer', 'client_schedule'}
  assert taken & of_clients == (of_clients if row.clients_train else set())
  assert taken >= set(row.settings)
  of_states = {'population_size', 'max_clients'}
  assert taken & of_states == (of_states if row.keeps_client_states else set())


@pytest.mark.parametrize('name', algorithms.ALGORITHMS)
def test_what_is_in_the_clear_is_told(name):
  row = algorithms.ALGORITHMS[name]
  assert row.beside_updates or not row.beside_in_the_clear


@pytest.mark.parametrize(
  'name', slow_cases.all_but(['scaffold', 'mime_lite'], algorithms.ALGORITHMS)
)
def test_an_algorithm_broadcasts_as_it_is_told(name):
  row = algorithms.ALGORITHMS[name]
  sgd = tff.learning.optimizers.build_sgdm(0.1)
  process = row.build(
    samples.hand_written_model(),
    server_optimizer=sgd,
    aggregator=encoded_mean.EncodedMeanFactory(top_k.TopK(0.5)),
    broadcast=lambda weights: compressed_broadcast.build(
      weights, quantization.Quantization(8)
    ),
    **({'client_optimizer': sgd} if row.clients_train else {}),
    **dict.fromkeys(row.settings, 0.1),
    **(
      {'population_size': 3, 'max_clients': 2}
      if row.keeps_client_states
      else {}
    ),
  )
  metrics = process.next.type_signature.result.metrics.member
  assert 'downlink_bytes_per_client' in dir(metrics.distributor)
  # Who sends twice as much says so.
  assert ('beside' in dir(metrics)) == (name in ('scaffold', 'mime_lite'))
