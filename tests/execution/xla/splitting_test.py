"""Any computation as the parts of a round."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_pipelines.execution.xla import graphs, splitting

FLOAT = tff.TensorType(np.float32)
SERVER = tff.FederatedType(FLOAT, tff.SERVER)
CLIENTS = tff.FederatedType(FLOAT, tff.CLIENTS)


@tff.federated_computation(CLIENTS)
def _sum(values):
  return tff.federated_sum(values)


@tff.federated_computation(SERVER, CLIENTS, SERVER, CLIENTS)
def _mixed(one, values, other, more):
  return (
    one,
    tff.federated_sum(values),
    other,
    tff.federated_sum(more),
  )


@tff.federated_computation(CLIENTS)
def _each(values):
  return values


@tff.federated_computation(SERVER)
def _server(value):
  return value


@tff.federated_computation
def _nothing():
  return tff.federated_value(np.float32(1), tff.SERVER)


@pytest.mark.parametrize(
  'computation, expected',
  [
    (_sum, splitting.Arguments((), (0,), True)),
    (_mixed, splitting.Arguments((0, 2), (1, 3), False)),
    (_server, splitting.Arguments((0,), (), True)),
  ],
)
def test_where_the_arguments_are(computation, expected):
  assert splitting.arguments(computation) == expected


@pytest.mark.parametrize(
  'computation, expected',
  [(_sum, True), (_mixed, True), (_server, False), (_nothing, False)],
)
def test_whether_there_are_clients(computation, expected):
  assert splitting.has_clients(computation) == expected


def test_a_result_at_the_server_is_an_aggregation():
  parts = splitting.split(_mixed)
  assert isinstance(parts, splitting.Aggregation)
  assert parts.accumulator_type.is_equivalent_to(
    parts.zero.type_signature.result
  )


def test_the_accumulators_type_is_the_wider_one_of_a_list_that_grows():
  sample = tff.aggregators.UnweightedReservoirSamplingFactory(2).create(FLOAT)
  parts = splitting.split(sample.next)
  assert not parts.accumulator_type.is_equivalent_to(
    parts.zero.type_signature.result
  )
  assert parts.accumulator_type.is_assignable_from(
    parts.zero.type_signature.result
  )


def test_a_result_at_the_clients_is_a_client_map():
  assert isinstance(splitting.split(_each), splitting.ClientMap)


@pytest.mark.parametrize('computation', [_server, _nothing])
def test_what_has_no_clients_is_one_part(computation):
  assert splitting.local(computation).operations


def test_a_refusal_without_words_is_told_by_its_kind(monkeypatch):
  def refuse(*arguments):
    raise NotImplementedError

  @tff.federated_computation(tff.FederatedType(np.int32, tff.CLIENTS))
  def total(numbers):
    return tff.federated_sum(numbers)

  monkeypatch.setattr(
    splitting._mapreduce, 'get_map_reduce_form_for_computation', refuse
  )
  with pytest.raises(
    graphs.NotLowerableError, match=r'form of it \(NotImplementedError\)'
  ):
    splitting.split(total)
