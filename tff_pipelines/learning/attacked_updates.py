"""Clients whose updates are not what they have trained.

What a client sends is up to the client: an aggregator that is said to withstand
attackers has to be tried on some. Which client attacks, and how, travels with
its examples, as `core.client_kinds.ClientKind`.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import client_kinds, errors, seeded_numbers
from tff_pipelines.learning import schedules

_Kind = client_kinds.ClientKind


class AttackError(errors.PipelineError):
  """An attack that cannot be carried out."""


@dataclasses.dataclass(frozen=True)
class Strengths:
  """How strongly clients attack.

  Attributes:
    sign_flip_scale: A sign flipper sends minus its update times this. With 4,
      more than one in five of them turn a mean around: (1 - a) - 4 a < 0.
    backdoor_boost: A client with a backdoor sends its update times this, so
      that it is still there after a mean with others (Bagdasaryan et al. 2020,
      model replacement).
    random_stddev: A client of random updates sends Gaussian noise of this
      standard deviation in each coordinate (Blanchard et al. 2017, whose
      Gaussian attackers have 200).

  Raises:
    AttackError: If one of them is not above 0.
  """

  sign_flip_scale: float = 4.0
  backdoor_boost: float = 4.0
  random_stddev: float = 10.0

  def __post_init__(self) -> None:
    for field in dataclasses.fields(self):
      value = getattr(self, field.name)
      if not (value > 0 and math.isfinite(value)):
        raise AttackError(
          f'Expected a {field.name} above 0 and finite, found {value}.'
        )

  def multiples(self) -> np.ndarray:
    """Returns what an update is multiplied by, float32[kinds]."""
    by_kind = {
      _Kind.BOOSTED_BACKDOOR: self.backdoor_boost,
      _Kind.SIGN_FLIPPER: -self.sign_flip_scale,
    }
    return np.array([by_kind.get(kind, 1.0) for kind in _Kind], np.float32)


class AttackedState(NamedTuple):
  """State of the server for client work that is attacked.

  Attributes:
    rounds_done: int32, so that noise is fresh in every round, and the same
      where a run that was interrupted goes on.
    work: State of the client work itself.
  """

  rounds_done: Any
  work: Any


def build(
  work: tff.learning.templates.ClientWorkProcess, strengths: Strengths
) -> tff.learning.templates.ClientWorkProcess:
  """Builds client work whose updates are attacked as the clients' kinds say.

  For client work on batches B = (<features=X, kind=int32[n],
  attack_seed=int64[n]>, Y), as `data.client_kinds` gives them:
    initialize: ( -> AttackedState@SERVER)
    next:       as that of the work, with another update.

  Honest clients' updates keep every bit, and so do those of outliers and label
  flippers, who attack with their data alone. An attacker's weight is that of
  the work: what it would be were it honest. A client without examples is of no
  kind.

  Measurements: those of the work.

  Args:
    work: What honest clients do.
    strengths: How strong the attacks are.

  Raises:
    AttackError: If the examples do not say what kind of client they come from.
  """
  _check(work)
  _, weights, batches = work.next.type_signature.parameter
  result_type = work.next.type_signature.result.result.member

  @tff.federated_computation
  def initialize():
    return tff.federated_zip(
      AttackedState(tff.federated_value(0, tff.SERVER), work.initialize())
    )

  @tff.tensorflow.computation(result_type, batches.member, np.int32)
  def attacked(result, dataset, rounds_done):
    kind, seed = _kind_and_seed(dataset)
    multiple = tf.gather(strengths.multiples(), kind)
    parts = tf.nest.flatten(result.update)

    def multiplied():
      return [part * tf.cast(multiple, part.dtype) for part in parts]

    def drawn():
      return _noise(parts, seed, rounds_done, strengths.random_stddev)

    # Drawn for those alone who send it: it costs more than a step of a small
    # model.
    sent = tf.cond(tf.equal(kind, int(_Kind.RANDOM_UPDATE)), drawn, multiplied)
    return tff.learning.templates.ClientResult(
      update=tf.nest.pack_sequence_as(result.update, sent),
      update_weight=result.update_weight,
    )

  one_more = schedules.build_counter()

  @tff.federated_computation(initialize.type_signature.result, weights, batches)
  def next_fn(state, received, client_data):
    output = work.next(state.work, received, client_data)
    sent = tff.federated_map(
      attacked,
      (output.result, client_data, tff.federated_broadcast(state.rounds_done)),
    )
    return tff.templates.MeasuredProcessOutput(
      tff.federated_zip(
        AttackedState(
          tff.federated_map(one_more, state.rounds_done), output.state
        )
      ),
      sent,
      output.measurements,
    )

  return tff.learning.templates.ClientWorkProcess(initialize, next_fn)


def _check(work: tff.learning.templates.ClientWorkProcess) -> None:
  element = work.next.type_signature.parameter[2].member.element
  features = element[0] if isinstance(element, tff.StructType) else element
  names = dir(features) if isinstance(features, tff.StructType) else []
  if not {'kind', 'attack_seed'} <= set(names):
    raise AttackError(
      'Expected examples that say the kind and the attack_seed of their '
      f'client, found {element}; take a model on such examples.'
    )


def _kind_and_seed(dataset: tf.data.Dataset) -> tuple[tf.Tensor, tf.Tensor]:
  """The kind and the attack seed of a client, (0, 0) of one without data."""

  def largest(state, batch):
    x, _ = batch
    return (
      tf.maximum(state[0], tf.reduce_max(x['kind'])),
      tf.maximum(state[1], tf.reduce_max(x['attack_seed'])),
    )

  return dataset.reduce(
    (tf.constant(0, tf.int32), tf.constant(0, tf.int64)), largest
  )


def _noise(
  like: list[tf.Tensor], seed: tf.Tensor, index: tf.Tensor, stddev: float
) -> list[tf.Tensor]:
  sizes = [part.shape.num_elements() for part in like]
  flat = stddev * seeded_numbers.normal(seed, index, sum(sizes))
  return [
    tf.cast(tf.reshape(drawn, part.shape), part.dtype)
    for drawn, part in zip(tf.split(flat, sizes), like, strict=True)
  ]
