"""The update that has the most others near it, or the mean of several such."""

import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.aggregators import (
  attackers,
  composition,
  update_matrix,
)
from tff_pipelines.numerics import (
  krum_scores,
  order_statistics,
  row_combinations,
)


class KrumFactory(tff.aggregators.UnweightedAggregationFactory):
  """Krum: the update of the least score, every client alike.

  Types and common measurements as `update_matrix.process`, without weights.

  The score of an update is the sum of its squared distances from the n - f - 2
  updates nearest to it, for n clients and f = `tolerated_attackers`. Updates
  that tie, as the two nearest of three do, are averaged, so that the order of
  the clients does not matter.

  Measurements:
    left_out_clients: no part of the result, int32; 0 of a median.
    fell_back: 1 if the result is the median, else 0, int32.

  Which client was chosen is not told.

  Breakdown point: any f of n > 2 f + 2 clients. There are enough honest clients
  for a score s among them alone, and of the n - f - 2 nearest to an attacker at
  least one is honest: if an attacker is chosen, it is within sqrt(s) of that
  one. A round of n <= 2 f + 2 clients gives the median of each coordinate, that
  still tolerates (n - 1) // 2 of them; that of nobody gives zero.

  Privacy: none; the server sees each update, so there is no secure sum.

  Source: Blanchard, El Mhamdi, Guerraoui, Stainer 2017, "Machine Learning with
  Adversaries: Byzantine Tolerant Gradient Descent", section 4. Deviation: of
  updates, not of gradients; ties.
  """

  name = 'Krum'

  def __init__(self, max_clients: int, tolerated_attackers: int):
    """Initializes the factory.

    Args:
      max_clients: The largest cohort of a round.
      tolerated_attackers: f.

    Raises:
      TooManyAttackersError: If even the largest cohort is not above 2 f + 2.
    """
    attackers.check(
      self.name,
      tolerated_attackers,
      2 * tolerated_attackers + 3,
      max_clients,
    )
    self.max_clients = update_matrix.check_capacity(max_clients)
    self.tolerated_attackers = tolerated_attackers

  @property
  def stack(self) -> composition.Stack:
    """The layers, for `composition.check`."""
    return (composition.robust_statistic(self.name),)

  def create(self, value_type: tff.Type) -> tff.templates.AggregationProcess:
    """Returns the process; raises as `update_matrix.process`."""
    return update_matrix.process(value_type, self.max_clients, self._statistic)

  def _number(self, count: tf.Tensor) -> tf.Tensor:
    """How many updates are averaged, int32[]."""
    return tf.ones_like(count)

  def _statistic(
    self, rows: tf.Tensor, weights: tf.Tensor, count: tf.Tensor
  ) -> tuple[tf.Tensor, update_matrix.Measurements]:
    del weights  # All 1.
    tolerated = self.tolerated_attackers
    score = krum_scores.scores(
      krum_scores.squared_distances(rows), count, tolerated
    )
    chosen = krum_scores.best(score, tf.maximum(self._number(count), 1))
    falls_back = count <= 2 * tolerated + 2
    # Not `where`: sorting would take longer than all else.
    result = tf.cond(
      falls_back,
      lambda: tf.cast(order_statistics.median(rows, count), tf.float64),
      lambda: row_combinations.mean(rows, chosen),
    )
    left_out = count - tf.reduce_sum(tf.cast(chosen, tf.int32))
    return result, update_matrix.Measurements(
      left_out_clients=tf.where(falls_back, 0, left_out),
      fell_back=tf.cast(falls_back, tf.int32),
    )


class MultiKrumFactory(KrumFactory):
  """Multi-Krum: the mean of the n - f updates of the least scores.

  In all else as `KrumFactory`. One attacker more than f is part of the mean,
  and can take it anywhere.

  Source: Blanchard et al. 2017, their experiments; Bareilles, Bouaziz, Fageot,
  El Mhamdi 2026, arXiv 2602.03899, prove that it is robust.
  """

  name = 'Multi-Krum'

  def _number(self, count: tf.Tensor) -> tf.Tensor:
    return count - self.tolerated_attackers
