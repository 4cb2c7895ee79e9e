"""The sums that secure aggregation hands over, with and without a modulus."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.execution.xla import programs, splitting

INT = tff.TensorType(np.int32)


def _sums(aggregate, member=INT):
  @tff.federated_computation(tff.FederatedType(member, tff.CLIENTS))
  def total(values):
    return aggregate(values)

  return programs.SecureSums(splitting.split(total))


def _modular(modulus, member=INT):
  process = tff.aggregators.SecureModularSumFactory(modulus).create(member)
  return lambda values: process.next(process.initialize(), values).result


def test_without_secure_sums_there_is_nothing_to_add():
  assert _sums(tff.federated_sum).types == []


@pytest.mark.parametrize(
  'aggregate, expected',
  [
    (lambda v: tff.federated_secure_sum(v, 100), 17),
    (lambda v: tff.federated_secure_sum_bitwidth(v, 7), 17),
    (_modular(13), 4),
  ],
  ids=['sum', 'bitwidth', 'modular'],
)
def test_one_sum(aggregate, expected):
  sums = _sums(aggregate)
  added = sums.add(sums.zeros(), [tf.constant(8)])
  assert [int(t) for t in sums.add(added, [tf.constant(9)])] == [expected]


def test_one_modulus_is_for_all_tensors_of_its_value():
  member = tff.types.to_type(
    collections.OrderedDict(b=INT, a=tff.TensorType(np.int32, [2]))
  )
  sums = _sums(_modular(5, member), member)
  found = sums.add([tf.constant(4), tf.constant([1, 2])], [3, [3, 4]])
  assert int(found[0]) == 2
  assert found[1].numpy().tolist() == [4, 1]


def test_plain_sums_come_before_modular_ones():
  modular = _modular(10)
  sums = _sums(
    lambda v: (modular(v), tff.federated_secure_sum(v, 100), modular(v))
  )
  found = sums.add([tf.constant(8)] * len(sums.types), [tf.constant(9)] * 3)
  assert sorted(int(t) for t in found) == [7, 7, 17]
