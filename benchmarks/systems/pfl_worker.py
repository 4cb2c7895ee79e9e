"""A worker of pfl-research: its share of every cohort, and all of the model."""

from typing import Any

import numpy as np
from pfl.aggregate import simulate, weighting
from pfl.algorithm import base, federated_averaging
from pfl.data import dataset, federated_dataset, sampling
from pfl.hyperparam import base as hyperparameters
from pfl.metrics import Weighted
from pfl.model import pytorch
import torch
from torch import nn

from benchmarks import jobs
from benchmarks.systems import torch_models


class Worker:
  """A round is a central iteration."""

  def __init__(self, job: jobs.Job):
    torch.set_num_threads(1)
    self._cohort_size = len(job.examples)
    self._network = _with_loss(torch_models.build(job))
    trained = [p for p in self._network.parameters() if p.requires_grad]
    self._model = pytorch.PyTorchModel(
      self._network,
      local_optimizer_create=torch.optim.SGD,
      central_optimizer=torch.optim.SGD(trained, lr=1.0),
    )
    self._backend = simulate.SimulatedBackend(
      training_data=_data(job),
      val_data=None,
      postprocessors=[weighting.WeightByDatapoints()],
    )
    self._algorithm = federated_averaging.FederatedAveraging()
    self._training = hyperparameters.NNTrainHyperParams(
      local_batch_size=job.batch_size,
      local_num_epochs=job.epochs,
      local_learning_rate=job.learning_rate,
    )
    self._evaluation = hyperparameters.NNEvalHyperParams(local_batch_size=None)
    self._rounds = 0

  def round(self) -> None:
    # The algorithm counts its iterations, and goes on where it stopped.
    self._rounds += 1
    parameters = base.NNAlgorithmParams(
      central_num_iterations=self._rounds,
      # It evaluates in its first iteration, which is not measured.
      evaluation_frequency=1_000_000,
      train_cohort_size=self._cohort_size,
      val_cohort_size=None,
    )
    self._algorithm.run(
      parameters,
      self._backend,
      self._model,
      self._training,
      self._evaluation,
      send_metrics_to_platform=False,
    )

  def weights(self) -> list[np.ndarray]:
    return torch_models.weights(self._network)


def _data(job: jobs.Job) -> federated_dataset.FederatedDataset:
  """Returns the clients, all in every cohort; shared out by their sizes."""
  datasets = [
    dataset.Dataset(raw_data=client, user_id=str(c))
    for c, client in enumerate(torch_models.clients(job))
  ]
  users = list(range(len(datasets)))
  is_ragged = len(set(job.examples)) > 1
  return federated_dataset.FederatedDataset(
    datasets.__getitem__,
    sampling.get_user_sampler('minimize_reuse', users),
    user_id_to_weight=(dict(enumerate(job.examples)) if is_ragged else None),
  )


def _with_loss(model: nn.Module) -> nn.Module:
  """Gives a model the two methods that pfl-research calls."""

  def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch_models.loss(model, x, y)

  def metrics(x: torch.Tensor, y: torch.Tensor) -> dict[str, Any]:
    return {'examples': Weighted.from_unweighted(len(x))}

  model.loss, model.metrics = loss, metrics
  return model
