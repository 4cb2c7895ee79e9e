"""What secure sums cost a round of federated averaging, and why.

  python -m benchmarks.secure_sums [--clients=100] [--rounds=15]

One round of the 784-200-200-10 network, its updates rounded to 16 bits and
summed three ways: by a plain sum of the integers, by a secure sum in the clear
(`insecure`), and by the masking protocol. Rounds are interleaved.
"""

import tff_pipelines  # isort: skip  # noqa: F401  (sets the environment first)

import argparse
from collections.abc import Callable
import statistics
import time
from typing import Any

import numpy as np
import rich.console
import rich.table
import tensorflow as tf
import tensorflow_federated as tff

from benchmarks import jobs
from benchmarks.systems import tff_systems
from tff_pipelines.execution import masked_sums
from tff_pipelines.execution.xla import context

_SCALE = 2.0**15


class _RoundedMean(tff.aggregators.UnweightedAggregationFactory):
  """The mean of updates, by a sum of integers of 16 bits."""

  def __init__(self, sum_up: Callable[[Any], Any]):
    self._sum_up = sum_up

  def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
    @tff.tensorflow.computation(value_type)
    def rounded(update: Any) -> Any:
      def one(t: tf.Tensor) -> tf.Tensor:
        clipped = tf.clip_by_value(t, -1.0, 1.0) + 1.0
        return tf.cast(tf.round(clipped * (_SCALE - 1)), tf.int32)

      return tf.nest.map_structure(one, update)

    @tff.tensorflow.computation(rounded.type_signature.result, np.float32)
    def mean(total: Any, count: tf.Tensor) -> Any:
      return tf.nest.map_structure(
        lambda t: tf.cast(t, tf.float32) / (_SCALE - 1) / count - 1.0, total
      )

    @tff.federated_computation
    def initialize() -> Any:
      return tff.federated_value((), tff.SERVER)

    @tff.federated_computation(
      initialize.type_signature.result,
      tff.FederatedType(value_type, tff.CLIENTS),
    )
    def next_fn(state: Any, value: Any) -> Any:
      total = self._sum_up(tff.federated_map(rounded, value))
      count = tff.federated_sum(tff.federated_value(1.0, tff.CLIENTS))
      return tff.templates.MeasuredProcessOutput(
        state,
        tff.federated_map(mean, (total, count)),
        tff.federated_value((), tff.SERVER),
      )

    return tff.templates.AggregationProcess(initialize, next_fn)


def _secure(value: Any) -> Any:
  return tff.federated_secure_sum_bitwidth(value, 16)


_WAYS: dict[str, tuple[Callable[[Any], Any], Any]] = {
  'plain sum': (tff.federated_sum, 'insecure'),
  'insecure': (_secure, 'insecure'),
  'masked': (_secure, None),
}


class _Way:
  def __init__(self, name: str, job: jobs.Job):
    sum_up, secure_sums = _WAYS[name]
    self.context = context.XlaContext(
      secure_sums=secure_sums or masked_sums.MaskedSum()
    )
    with self._installed():
      self._process = tff.learning.algorithms.build_unweighted_fed_avg(
        tff_systems.model(job),
        tff.learning.optimizers.build_sgdm(job.learning_rate),
        model_aggregator=_RoundedMean(sum_up),
      )
      self._state = self._process.initialize()
    self._data = tff_systems.batches(job)
    self.seconds: list[float] = []

  def _installed(self) -> Any:
    return tff.framework.get_context_stack().install(self.context)

  def round(self) -> None:
    started = time.perf_counter()
    with self._installed():
      self._state = self._process.next(self._state, self._data).state
    self.seconds.append(time.perf_counter() - started)


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--clients', type=int, default=100)
  parser.add_argument('--rounds', type=int, default=15)
  parser.add_argument('--ways', default=','.join(_WAYS))
  arguments = parser.parse_args()
  job = jobs.Job(
    jobs.Mlp((784, 200, 200, 10)), (60,) * arguments.clients, 10, epochs=5
  )
  ways = {name: _Way(name, job) for name in arguments.ways.split(',')}
  for _ in range(arguments.rounds + 1):
    for way in ways.values():
      way.round()
  table = rich.table.Table(title='seconds per round (median)')
  for heading in ('secure sum', 's/round', 'ratio'):
    table.add_column(heading)
  medians = {
    name: statistics.median(way.seconds[1:]) for name, way in ways.items()
  }
  first = next(iter(medians.values()))
  for name, seconds in medians.items():
    table.add_row(name, f'{seconds:.3f}', f'{seconds / first:.2f}')
  rich.console.Console().print(table)


if __name__ == '__main__':
  main()
