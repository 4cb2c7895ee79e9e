"""What tasks train: data and model, by the task's name."""

from collections.abc import Sequence
from typing import Protocol

from absl import flags
import tensorflow_federated as tff

from tff_pipelines.cli import (
  flag_groups,
  image_flags,
  image_model_flags,
  text_classifier_flags,
  text_flags,
)
from tff_pipelines.data import population


class Problem(Protocol):
  """Flags of a task's data and model, and what they make.

  Attributes:
    groups: The flag groups, declared when it is made.
  """

  groups: Sequence[flag_groups.FlagGroup]

  def build(
    self, seed: int
  ) -> tuple[population.FederatedDataset, tff.learning.models.FunctionalModel]:
    """Returns the data and the model."""


class SpamClassification:
  """As `tasks.spam_classification` has it."""

  def __init__(self) -> None:
    self._data = text_flags.LabelledTextFlags()
    self._features = text_flags.TextFeatureFlags()
    self._model = text_classifier_flags.TextClassifierFlags()
    self.groups: Sequence[flag_groups.FlagGroup] = (
      self._data,
      self._features,
      self._model,
    )

  def build(
    self, seed: int
  ) -> tuple[population.FederatedDataset, tff.learning.models.FunctionalModel]:
    """See base class."""
    dataset = self._data.load(self._features.get(), seed)
    return dataset, self._model.build(dataset, seed).functional


class Digits:
  """As `tasks.digits` has it."""

  def __init__(self) -> None:
    self._data = image_flags.LabelledImageFlags()
    self._model = image_model_flags.ImageClassifierFlags(32)
    self.groups: Sequence[flag_groups.FlagGroup] = (self._data, self._model)

  def build(
    self, seed: int
  ) -> tuple[population.FederatedDataset, tff.learning.models.FunctionalModel]:
    """See base class."""
    dataset = self._data.load(seed)
    return dataset, self._model.build(dataset, seed)


PROBLEMS: dict[str, type[Problem]] = {
  'spam_classification': SpamClassification,
  'digits': Digits,
}


class TaskFlag(flag_groups.FlagGroup):
  """`--task`, read before the flags of a task's data are declared."""

  def __init__(self, arguments: Sequence[str], default: str):
    """Declares the flag, and knows its value already.

    Args:
      arguments: The command line; flag files are read.
      default: The task if it does not say.
    """
    super().__init__('The task')
    self.define(
      'task',
      default,
      'whose data and model to take; the flags below are those of that task',
      choices=tuple(PROBLEMS),
    )
    self.name = _named(arguments, default)

  def problem(self) -> Problem:
    """Returns the task's data and model, its flags declared."""
    return PROBLEMS[self.name]()


def _named(arguments: Sequence[str], default: str) -> str:
  """Returns the task that a command line or its flag files name.

  What cannot be read is refused later, when all flags are parsed.
  """
  alone = flags.FlagValues()
  flags.DEFINE_enum('task', default, list(PROBLEMS), '', flag_values=alone)
  alone.set_gnu_getopt(True)
  try:
    alone(list(arguments), known_only=True)
  except flags.Error:
    return default
  return alone['task'].value
