"""Flower's simulation: a Ray actor for each core, PyTorch clients.

As in its PyTorch quickstart: weights travel as NumPy arrays in messages, FedAvg
takes the mean. Flower runs all rounds in one call, so that call has a thread
of its own, and its strategy waits for the word before each round.
"""

import functools
import os
import queue
import threading
from typing import Any

# It and Ray would report how they are used.
os.environ['FLWR_TELEMETRY_ENABLED'] = '0'
os.environ['RAY_USAGE_STATS_ENABLED'] = '0'

from flwr import app, clientapp, serverapp
from flwr.serverapp import strategy
from flwr.simulation import run_simulation
import numpy as np
import torch

from benchmarks import jobs
from benchmarks.systems import torch_models


class Flower:
  """FedAvg over run_simulation; ends with its process group."""

  def __init__(self, job: jobs.Job):
    self._model = torch_models.build(job)
    self._strategy = _Gated(len(job.examples))
    self._thread = threading.Thread(
      target=self._simulate, args=(job,), daemon=True
    )
    self._thread.start()
    self._arrays = self._strategy.wait()

  def round(self) -> None:
    self._strategy.go.put(None)
    self._arrays = self._strategy.wait()

  def weights(self) -> list[np.ndarray]:
    self._model.load_state_dict(self._arrays.to_torch_state_dict())
    return torch_models.weights(self._model)

  def _simulate(self, job: jobs.Job) -> None:
    server = serverapp.ServerApp()

    @server.main()
    def _(grid: serverapp.Grid, context: app.Context) -> None:
      del context  # Unused.
      arrays = app.ArrayRecord(self._model.state_dict())
      self._strategy.start(grid, arrays, num_rounds=1_000_000)

    try:
      run_simulation(
        server,
        _client_app(job),
        num_supernodes=len(job.examples),
        backend_config={'client_resources': {'num_cpus': 1, 'num_gpus': 0.0}},
      )
      raise RuntimeError('The simulation ended.')
    except BaseException as error:
      self._strategy.answers.put(error)


class _Gated(strategy.FedAvg):
  """FedAvg that shows its weights, and waits, before every round."""

  def __init__(self, count: int):
    # A fraction would be one of the nodes that have connected so far.
    super().__init__(
      fraction_evaluate=0.0, min_train_nodes=count, min_available_nodes=count
    )
    self._count = count
    self.go: queue.Queue[None] = queue.Queue()
    self.answers: queue.Queue[Any] = queue.Queue()

  def wait(self) -> app.ArrayRecord:
    answer = self.answers.get()
    if isinstance(answer, BaseException):
      raise answer
    return answer

  def configure_train(
    self, server_round: int, arrays: Any, config: Any, grid: Any
  ) -> Any:
    self.answers.put(arrays)
    self.go.get()
    return super().configure_train(server_round, arrays, config, grid)

  def aggregate_train(self, server_round: int, replies: Any) -> Any:
    # FedAvg would go on without the clients that failed.
    replies = list(replies)
    failed = [r.error.reason for r in replies if r.has_error()]
    if failed or len(replies) != self._count:
      raise RuntimeError(
        f'Of {self._count} clients {len(replies)} answered, and {len(failed)} '
        f'failed: {failed[:1]}'
      )
    return super().aggregate_train(server_round, replies)


def _client_app(job: jobs.Job) -> clientapp.ClientApp:
  client = clientapp.ClientApp()

  @client.train()
  def _(message: app.Message, context: app.Context) -> app.Message:
    return _train(job, message, context)

  return client


@functools.cache
def _loaded(job: jobs.Job) -> tuple[Any, Any]:
  """Returns an actor's model and clients; of the last, it uses some."""
  return torch_models.build(job), torch_models.clients(job)


def _train(
  job: jobs.Job, message: app.Message, context: app.Context
) -> app.Message:
  model, clients = _loaded(job)
  model.load_state_dict(message.content['arrays'].to_torch_state_dict())
  x, y = clients[context.node_config['partition-id']]
  trained = [p for p in model.parameters() if p.requires_grad]
  optimizer = torch.optim.SGD(trained, lr=job.learning_rate)
  for _ in range(job.epochs):
    for first in range(0, len(y), job.batch_size):
      batch = slice(first, first + job.batch_size)
      optimizer.zero_grad()
      torch_models.loss(model, x[batch], y[batch]).backward()
      optimizer.step()
  content = app.RecordDict(
    {
      'arrays': app.ArrayRecord(model.state_dict()),
      'metrics': app.MetricRecord({'num-examples': len(y)}),
    }
  )
  return app.Message(content=content, reply_to=message)
