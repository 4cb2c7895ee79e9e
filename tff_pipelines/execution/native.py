"""TFF's own runtime as an execution context that leaves nothing behind."""

from typing import Any

import tensorflow_federated as tff

from tff_pipelines.core import client_batches
from tff_pipelines.execution import worker as worker_lib


class NativeContext(tff.framework.SyncContext):
  """Runs computations on TFF's native worker.

  Differs from `tff.backends.native.set_sync_local_cpp_execution_context` in
  two ways: client data may be a `ClientBatches`, and the worker process ends
  with the program, whatever ends it.
  """

  def __init__(self, max_concurrent_calls: int = -1):
    """Initializes the context; the worker starts with the first computation.

    Args:
      max_concurrent_calls: Clients that the worker computes at the same time;
        -1 sets no limit.
    """
    self._worker = worker_lib.Worker(max_concurrent_calls)
    self._context = tff.framework.SyncExecutionContext(
      tff.framework.ResourceManagingExecutorFactory(self._executor),
      tff.backends.native.desugar_and_transform_to_native,
      transform_args=tff.tensorflow.transform_args,
      transform_result=tff.tensorflow.transform_result,
    )

  @property
  def worker(self) -> worker_lib.Worker:
    """The worker process behind the context."""
    return self._worker

  def invoke(self, comp: Any, arg: Any) -> Any:
    """Runs `comp` on `arg`, as `tff.framework.SyncContext` asks."""
    return self._context.invoke(comp, _with_datasets(arg))

  def close(self) -> None:
    """Ends the worker process; the next computation starts another."""
    self._worker.close()

  def _executor(
    self, cardinalities: dict[Any, int]
  ) -> tff.framework.RemoteExecutor:
    cardinalities.setdefault(tff.CLIENTS, 0)
    executor = tff.framework.RemoteExecutor(self._worker.stub())
    executor.set_cardinalities(cardinalities)
    return executor


def _with_datasets(argument: Any) -> Any:
  """Replaces the `ClientBatches` among the arguments by lists of datasets."""
  if isinstance(argument, client_batches.ClientBatches):
    return argument.datasets()
  if isinstance(argument, tff.structure.Struct):
    return tff.structure.Struct(
      (name, _with_datasets(value))
      for name, value in tff.structure.iter_elements(argument)
    )
  return argument
