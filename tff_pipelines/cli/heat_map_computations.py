"""The computations that the figures of the heat map are made of."""

from collections.abc import Callable, Sequence
import dataclasses
import functools

import numpy as np
import tensorflow_federated as tff

from tff_pipelines.aggregators import registry
from tff_pipelines.cli import central_privacy, private_request
from tff_pipelines.core import participation
from tff_pipelines.data import batching
from tff_pipelines.learning import evaluation, fed_avg, local_steps, optimizers
from tff_pipelines.models import place_models
from tff_pipelines.privacy import guarantee
from tff_pipelines.programs import map_runs, training

# Of the published model world.
CLIENT_LEARNING_RATE = 0.1
# Steps of a user that are traced in one call: longer trainings take several.
_ROOM = 100
# Largest norm of an update with a guarantee. Larger than most: the published
# world's updates of 20 steps are about half as long.
_CLIP_NORM = 1.0


@dataclasses.dataclass(frozen=True)
class HeatMapComputations:
  """What runs in the model world are made of, built once for all figures.

  Attributes:
    net: The model.
    aggregator: From the number of users who take part to what the server makes
      of their updates.
    depends_on_users: Whether that differs with the number.
  """

  net: place_models.TanhNet
  aggregator: Callable[[int], registry.Factory]
  depends_on_users: bool = True

  @functools.cached_property
  def _built(self) -> dict[int, map_runs.MapComputations]:
    return {}

  @functools.cached_property
  def model(self) -> tff.learning.models.FunctionalModel:
    """The model, of squared error."""
    return place_models.build(self.net)

  @functools.cached_property
  def _shared(self) -> tuple[tff.Computation, tff.Computation]:
    return (
      evaluation.build(self.model),
      local_steps.build(self.model, self.client_optimizer, _ROOM),
    )

  @property
  def client_optimizer(self) -> tff.learning.optimizers.Optimizer:
    """What users train with."""
    return optimizers.OptimizerConfig('sgd', CLIENT_LEARNING_RATE).build()

  def of(self, participants: int) -> map_runs.MapComputations:
    """Returns the computations of runs in which so many take part."""
    key = participants if self.depends_on_users else 0
    if key not in self._built:
      self._built[key] = self._with(self.aggregator(participants))
    return self._built[key]

  def output(
    self, weights: Sequence[np.ndarray], places: np.ndarray
  ) -> np.ndarray:
    """Returns what the model says of places, float32[n]."""
    return place_models.outputs(self.net, weights, places)

  def with_guarantee(
    self, participants: int, merges: int, epsilon: float, delta: float
  ) -> tuple[map_runs.MapComputations, guarantee.Guarantee]:
    """Returns computations whose server clips and adds noise, and the promise.

    Everyone takes part in every merge, so nothing is gained by sampling.

    Args:
      participants: How many take part.
      merges: How often.
      epsilon: Of the guarantee.
      delta: Of the guarantee.
    """
    request = private_request.Request(
      training.TrainingProgram(
        merges,
        participation.Participation(participants, participants, 'everyone'),
        batching.Batching(1),
        seed=0,
      ),
      num_coordinates=self.net.num_parameters,
      epsilon=epsilon,
      delta=delta,
      clip_norm=_CLIP_NORM,
      # Few users drown in noise: that is what is to be seen.
      allow_weak_privacy=True,
    )
    prepared = central_privacy.fixed(request)
    terms = prepared.program.privacy
    assert terms is not None
    return self._with(prepared.factory), terms.planned

  def _with(self, factory: registry.Factory) -> map_runs.MapComputations:
    evaluate, steps = self._shared
    process = fed_avg.build(
      self.model,
      client_optimizer=self.client_optimizer,
      server_optimizer=optimizers.OptimizerConfig('sgd', 1.0).build(),
      aggregator=factory,
    )
    return map_runs.MapComputations(
      process, evaluate, steps, self.net.initial_weights
    )
