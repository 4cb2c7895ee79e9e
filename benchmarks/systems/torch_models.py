"""The jobs' models as PyTorch's users write them."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks import jobs


class Mlp(nn.Module):
  """Linear layers, relu between them."""

  def __init__(self, sizes: jobs.Mlp):
    super().__init__()
    pairs = zip(sizes.layers[:-1], sizes.layers[1:], strict=True)
    self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairs)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    *hidden, last = self.layers
    for layer in hidden:
      x = functional.relu(layer(x))
    return last(x)


class CharacterLstm(nn.Module):
  """nn.LSTM, whose gates are in the order of the job."""

  def __init__(self, sizes: jobs.CharacterLstm):
    super().__init__()
    self.embedding = nn.Embedding(sizes.vocabulary_size, sizes.embedding_size)
    self.lstm = nn.LSTM(sizes.embedding_size, sizes.units, batch_first=True)
    self.output = nn.Linear(sizes.units, sizes.vocabulary_size)
    # A second bias; trained, it would double the step of the first.
    self.lstm.bias_hh_l0.requires_grad_(False).zero_()

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    return self.output(self.lstm(self.embedding(x))[0])


def build(job: jobs.Job) -> nn.Module:
  """Returns the job's model with its initial weights."""
  is_lstm = isinstance(job.model, jobs.CharacterLstm)
  model = CharacterLstm(job.model) if is_lstm else Mlp(job.model)
  trained = [p for p in model.parameters() if p.requires_grad]
  with torch.no_grad():
    for name, parameter, weight in zip(
      _names(model), trained, job.model.weights(), strict=True
    ):
      parameter.copy_(torch.from_numpy(_transposed(name, weight)))
  return model


def weights(model: nn.Module) -> list[np.ndarray]:
  """Returns the model's weights in the job's layout."""
  trained = [p for p in model.parameters() if p.requires_grad]
  return [
    _transposed(name, parameter.detach().numpy()).copy()
    for name, parameter in zip(_names(model), trained, strict=True)
  ]


def loss(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
  """Returns the mean cross entropy of int64 labels, of any rank."""
  return functional.cross_entropy(model(x).flatten(0, -2), y.flatten())


def clients(job: jobs.Job) -> list[tuple[torch.Tensor, torch.Tensor]]:
  """Returns for each client its examples; integers are int64."""
  return [
    (
      torch.from_numpy(x if x.dtype == np.float32 else x.astype(np.int64)),
      torch.from_numpy(y.astype(np.int64)),
    )
    for x, y in job.clients()
  ]


def _names(model: nn.Module) -> list[str]:
  return [name for name, p in model.named_parameters() if p.requires_grad]


def _transposed(name: str, weight: np.ndarray) -> np.ndarray:
  # PyTorch keeps kernels [outputs, inputs], but for an embedding.
  return weight if name.startswith('embedding') else weight.T
