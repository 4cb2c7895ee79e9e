import collections
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.models import map_metrics


class _BatchOutput(NamedTuple):
  loss: object
  predictions: object


def metrics_of(functions, *batches) -> dict[str, float]:
  """Metrics of batches (outputs, labels, loss)."""
  initialize, update, finalize = functions
  state = initialize()
  for outputs, labels, loss in batches:
    state = update(
      state,
      tf.constant(labels, tf.float32),
      _BatchOutput(tf.constant(loss), tf.constant(outputs, tf.float32)),
    )
  found = finalize(state)
  assert isinstance(found, collections.OrderedDict)
  assert found['num_examples'].dtype == tf.int64
  return {name: float(value) for name, value in found.items()}


def test_hot_is_above_the_threshold():
  outputs, labels = [0.4, 0.5, 0.6, 0.6], [0.0, 1.0, 1.0, 0.0]
  batch = (outputs, labels, 2.0)
  assert metrics_of(map_metrics.of_classes(0.5), batch) == {
    'loss': 2.0,
    'accuracy': 0.5,
    'num_examples': 4,
  }
  assert metrics_of(map_metrics.of_classes(0.0), batch)['accuracy'] == 0.5
  at_zero = ([-0.1, 0.0, 0.1], [0.0, 0.0, 1.0], 0.0)
  assert metrics_of(map_metrics.of_classes(0.0), at_zero)['accuracy'] == 1.0


def test_an_output_that_is_no_number_is_wrong_in_both_classes():
  batch = ([float('nan')] * 2, [0.0, 1.0], 0.0)
  assert metrics_of(map_metrics.of_classes(0.5), batch)['accuracy'] == 0.0


def test_losses_are_weighted_by_examples():
  found = metrics_of(
    map_metrics.of_classes(0.5),
    ([1.0] * 3, [1.0] * 3, 1.0),
    ([1.0], [0.0], 5.0),
  )
  assert found == {'loss': 2.0, 'accuracy': 0.75, 'num_examples': 4}


def test_values_are_compared_with_their_mean():
  found = metrics_of(
    map_metrics.of_values(), ([1.0, 2.0], [1.0, 4.0], 2.0), ([4.0], [1.0], 9.0)
  )
  # Squared errors 0, 4, 9; labels 1, 4, 1 with squares about their mean 6.
  assert found == pytest.approx(
    {
      'loss': 13 / 3,
      'root_mean_squared_error': (13 / 3) ** 0.5,
      'r_squared': 1 - 13 / 6,
      'num_examples': 3,
    }
  )


def test_right_values_explain_everything_and_the_mean_nothing():
  labels = [1.0, 2.0, 6.0]
  right = metrics_of(map_metrics.of_values(), (labels, labels, 0.0))
  mean = metrics_of(map_metrics.of_values(), ([3.0] * 3, labels, 14 / 3))
  assert (right['r_squared'], mean['r_squared']) == (1.0, 0.0)
  assert right['root_mean_squared_error'] == 0.0


@pytest.mark.parametrize(
  'functions', [map_metrics.of_classes(0.5), map_metrics.of_values()]
)
def test_without_examples_metrics_are_no_numbers(functions):
  found = metrics_of(functions)
  assert found.pop('num_examples') == 0
  assert found and np.isnan(list(found.values())).all()
