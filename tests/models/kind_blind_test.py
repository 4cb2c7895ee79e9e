"""Models that do not look at the kind of a client."""

import numpy as np
import pytest
import tensorflow_federated as tff

from tff_pipelines.core.client_kinds import ClientKind
from tff_pipelines.data import batching, client_kinds, population
from tff_pipelines.execution import contexts
from tff_pipelines.learning import client_updates
from tff_pipelines.models import image_classifiers, kind_blind

MODEL = image_classifiers.build_mlp(image_classifiers.Mlp(4, (3,), 2))


@pytest.fixture(scope='module', autouse=True)
def xla():
  with contexts.using('xla') as context:
    yield context


def test_updates_are_those_of_the_model_itself_whatever_the_kind():
  rng = np.random.default_rng(0)
  base = population.ArrayPopulation(
    (
      rng.random([9, 4], dtype=np.float32),
      rng.integers(0, 2, 9).astype(np.int32),
    ),
    {'a': np.arange(4), 'b': np.arange(4, 9)},
  )
  kinds = (ClientKind.SIGN_FLIPPER, ClientKind.RANDOM_UPDATE)
  marked = client_kinds.with_kinds(base, kinds, poison=None, seed=1)
  weights = tff.learning.models.ModelWeights(*MODEL.initial_weights)
  found = []
  for model, people in ((MODEL, base), (kind_blind.build(MODEL), marked)):
    updates = client_updates.build(
      model, tff.learning.optimizers.build_sgdm(0.5)
    )
    found.append(
      updates(
        weights,
        people.batches([0, 1], batching.Batching(2), seed=0, round_num=1),
      )
    )
  for one, other in zip(*found, strict=True):
    assert one.update_weight == other.update_weight
    for part, same in zip(one.update, other.update, strict=True):
      np.testing.assert_array_equal(part, same)


def test_input_is_that_of_populations_with_kinds():
  base = population.ArrayPopulation(
    (np.zeros([1, 4], np.float32), np.zeros(1, np.int32)), {'a': [0]}
  )
  marked = client_kinds.with_kinds(
    base, [ClientKind.HONEST], poison=None, seed=0
  )
  assert kind_blind.build(MODEL).input_spec == marked.batch_spec
