"""Sizes that every model checks."""

from tff_pipelines.core import errors


class ModelSizeError(errors.PipelineError):
  """A model size that makes no model."""


def check(**sizes: int) -> None:
  """Refuses a size below 1.

  Raises:
    ModelSizeError: With the size's name.
  """
  for name, value in sizes.items():
    if value < 1:
      raise ModelSizeError(f'Expected {name} of at least 1, found {value}.')
