"""A flag that names a task, and with it the flags of that task's data."""

from collections.abc import Callable, Sequence

from absl import flags

from tff_pipelines.cli import (
  flag_groups,
  image_flags,
  place_flags,
  text_flags,
  typed_text_flags,
)
from tff_pipelines.data import population, text_classification, text_features

Load = Callable[[int], population.FederatedDataset]


def _images() -> tuple[list[flag_groups.FlagGroup], Load]:
  data = image_flags.LabelledImageFlags()
  return [data], data.load


def _texts() -> tuple[list[flag_groups.FlagGroup], Load]:
  data = text_flags.LabelledTextFlags()
  # Who holds which texts does not depend on what is computed of them.
  features = text_classification.FeatureChoice(text_features.TextFeatures())
  return [data], lambda seed: data.load(features, seed)


def _typed_texts() -> tuple[list[flag_groups.FlagGroup], Load]:
  data, rows = (
    typed_text_flags.TypedTextFlags(),
    typed_text_flags.TokenRowFlags(),
  )
  return [data, rows], lambda seed: rows.build(data.name, data.load(seed), seed)


def _places() -> tuple[list[flag_groups.FlagGroup], Load]:
  data = place_flags.PlaceFlags()
  return [data], data.load


_TASKS = {
  'digits': _images,
  'spam_classification': _texts,
  'next_word_prediction': _typed_texts,
  'heat_map': _places,
}
_DEFAULT = 'digits'


class TaskDataFlags(flag_groups.FlagGroup):
  """`--task`.

  Attributes:
    groups: This group and those of the task's data, for the application.
  """

  def __init__(self, argv: Sequence[str]):
    """Declares the flags.

    Args:
      argv: The command line. Which flags there are depends on the task, so it
        is looked up there before they are declared.
    """
    super().__init__('Whose data')
    self.define(
      'task',
      _DEFAULT,
      'the task that they are for; which flags there are depends on it',
      choices=tuple(_TASKS),
    )
    groups, self.load = _TASKS[_task(argv)]()
    self.groups: tuple[flag_groups.FlagGroup, ...] = (self, *groups)


def _task(argv: Sequence[str]) -> str:
  """Returns the task that a command line names, also in a flagfile."""
  own = flags.FlagValues()
  flags.DEFINE_string('task', _DEFAULT, '', flag_values=own)
  own.set_gnu_getopt()
  try:
    own(list(argv), known_only=True)
  except flags.Error:
    return _DEFAULT  # What is wrong is told when all flags are parsed.
  return own.task if own.task in _TASKS else _DEFAULT
