"""What the servers of the systems have of a cohort, and what they read in it.

Only `Truth` looks at what a server does not have.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.data import text_classification
from tff_pipelines.learning import client_updates, optimizers
from tff_pipelines.models import text_classifiers
from tff_pipelines.privacy import leakage
from tff_pipelines.programs import server_view, training


@dataclasses.dataclass(frozen=True)
class Reading:
  """What was read out of one system's view.

  Attributes:
    system: The system.
    saw: What its server saw, in words.
    rounds: In how many rounds.
    named: bool[people, words], who is said to use which word.
    signals: float[people, words], above 0 where the person's texts with the
      word are said to be rather spam; None if that was not read.
  """

  system: str
  saw: str
  rounds: int
  named: np.ndarray
  signals: np.ndarray | None


class Truth:
  """What people's texts say.

  Attributes:
    texts: int64[people, words], texts of the person with the word.
    spam: int64[people, words], those of them that are spam.
  """

  def __init__(
    self,
    examples: Sequence[tuple[Mapping[str, np.ndarray], np.ndarray]],
    num_ids: int,
  ):
    """Counts.

    Args:
      examples: Each person's features and labels.
      num_ids: Feature ids, padding included.
    """
    self.texts = np.zeros([len(examples), num_ids], np.int64)
    self.spam = np.zeros_like(self.texts)
    for person, (x, labels) in enumerate(examples):
      text, position = np.nonzero(x['ids'])  # 0 is padding.
      ids = x['ids'][text, position]
      np.add.at(self.texts[person], ids, 1)
      np.add.at(self.spam[person], ids, labels[text])

  @property
  def used(self) -> np.ndarray:
    return self.texts > 0

  @property
  def rates(self) -> np.ndarray:
    """Shares of spam, NaN where a person does not use a word."""
    rates = np.full(self.texts.shape, np.nan)
    np.divide(self.spam, self.texts, out=rates, where=self.used)
    return rates


def collect_rows(dataset: text_classification.TextDataset) -> server_view.Rows:
  """Returns what the server of `central` has: everyone's training texts."""
  rows = []
  for client, name in enumerate(dataset.train.client_ids):
    _, labels = dataset.train.examples(client)
    texts = dataset.train_texts.examples(client)
    for label, text in zip(labels, texts, strict=True):
      rows.append((name, dataset.label_names[label], str(text)))
  return server_view.Rows(rows)


def read_rows(
  rows: server_view.Rows,
  people: Sequence[str],
  dataset: text_classification.TextDataset,
) -> Reading:
  """Reads a cohort's words and spam rates out of all rows: by counting."""
  of_cohort = [row for row in rows.rows if row[0] in set(people)]
  labels = [dataset.label_names.index(label) for _, label, _ in of_cohort]
  features = dataset.features.compute([text for _, _, text in of_cohort])
  owners = np.array([people.index(name) for name, _, _ in of_cohort])
  examples = [
    (
      {'ids': features['ids'][owners == person]},
      np.array(labels)[owners == person],
    )
    for person in range(len(people))
  ]
  counted = Truth(examples, dataset.features.num_ids)
  return Reading(
    'central',
    'all texts, with whose they are',
    0,
    counted.used,
    np.nan_to_num(counted.rates - 0.5),
  )


def compute_updates(
  dataset: text_classification.TextDataset,
  classifier: text_classifiers.TextClassifier,
  client_optimizer: optimizers.OptimizerConfig,
  program: training.TrainingProgram,
  cohort: np.ndarray,
) -> server_view.Updates:
  """Returns what the server of `federated` gets in round 1."""
  batches = dataset.train.batches(
    cohort, program.batching, seed=program.seed, round_num=1
  )
  model = classifier.functional
  results = client_updates.build(model, client_optimizer.build())(
    tff.learning.models.ModelWeights(*model.initial_weights), batches
  )
  return server_view.Updates(
    batches.client_ids,
    np.array([r.update_weight for r in results], np.float32),
    [np.stack(w) for w in zip(*(r.update for r in results), strict=True)],
  )


def read_updates(
  updates: server_view.Updates, classifier: text_classifiers.TextClassifier
) -> Reading:
  """Reads words and spam rates out of single updates."""
  table = updates.updates[0]
  return Reading(
    'federated',
    "every person's update of one round",
    1,
    leakage.used_words(table),
    np.stack([_signals(classifier, update) for update in table]),
  )


def read_sum(
  total: server_view.Sum, classifier: text_classifiers.TextClassifier
) -> Reading:
  """Reads as much out of the sum: the same of everyone."""
  signals = _signals(classifier, total.sums[0] / max(total.examples, 1.0))
  num_people = len(total.people)
  return Reading(
    'secure_federated',
    'the sum of the updates of one round',
    1,
    leakage.used_by_anyone(total.sums[0], num_people),
    np.repeat(signals[np.newaxis], num_people, axis=0),
  )


def read_sums_of_all_rounds(
  dataset: text_classification.TextDataset,
  program: training.TrainingProgram,
  cohort: np.ndarray,
) -> Reading | None:
  """Reads the words of round 1's cohort out of the sums of all rounds.

  The sums themselves are not computed: a word moves a round's sum if someone in
  the round's cohort uses it, which is known here. So steps that cancel, few,
  are left out, and rounds that are tried again or stopped before.

  Returns:
    None if there is one round only, or if people do not use all of their texts
    in every round, which this reading assumes.
  """
  if program.rounds < 2 or program.batching.max_examples is not None:
    return None
  took_part = np.zeros([program.rounds, dataset.train.num_clients], bool)
  moved = np.zeros([program.rounds, dataset.features.num_ids], bool)
  words = {}
  for index in range(program.rounds):
    for client in program.participation.select(program.seed, index + 1):
      if client not in words:
        ids = np.unique(dataset.train.examples(client)[0]['ids'])
        words[client] = ids[ids > 0]
      took_part[index, client] = True
      moved[index, words[client]] = True
  possible = leakage.not_excluded(took_part[:, cohort], moved)
  return Reading(
    'secure_federated',
    f'the sums of all {program.rounds} rounds, and who took part in which',
    program.rounds,
    possible & moved.any(axis=0),
    None,
  )


def _signals(
  classifier: text_classifiers.TextClassifier, update: np.ndarray
) -> np.ndarray:
  """How an update of the table changes the logit of a text of one word.

  Args:
    classifier: Whose first weight is the table.
    update: float32[words, dimension].

  Returns:
    float64[words], exactly 0 for words that the update does not move.
  """
  model = classifier.functional
  (table, *others), non_trainable = model.initial_weights
  # All words at once, moved or not: the model is traced for one shape.
  ids = tf.range(len(update), dtype=tf.int32)[:, tf.newaxis]
  x = {'ids': ids, 'weights': tf.ones(tf.shape(ids))}

  def logits(rows: np.ndarray) -> np.ndarray:
    weights = tf.nest.map_structure(
      tf.convert_to_tensor, ((rows, *others), non_trainable)
    )
    output: Any = model.predict_on_batch(weights, x, training=False)
    return output.numpy().astype(np.float64)

  moved = leakage.used_words(update[np.newaxis])[0]
  return np.where(moved, logits(table + update) - logits(table), 0.0)
