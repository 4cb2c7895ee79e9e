"""Every algorithm of the registry can be built the way the flags do."""

import inspect

import pytest

from tff_pipelines.learning import algorithms


@pytest.mark.parametrize('name', algorithms.ALGORITHMS)
def test_an_algorithm_takes_what_the_flags_give(name):
  row = algorithms.ALGORITHMS[name]
  taken = set(inspect.signature(row.build).parameters)
  assert taken >= {
    'model', 'server_optimizer', 'server_schedule', 'aggregator',
    'secure_metrics',
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
