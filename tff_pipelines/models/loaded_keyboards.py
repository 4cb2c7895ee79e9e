"""Using an exported language model: its SavedModel alone, fast to load."""

import dataclasses
import json
import pathlib

import tensorflow as tf

from tff_pipelines.core import errors


class KeyboardNotFoundError(errors.PipelineError):
  """A folder without an exported language model."""


@dataclasses.dataclass(frozen=True)
class Suggested:
  """What a keyboard shows.

  Attributes:
    words: Up to three words, or characters, the likeliest first.
    probabilities: Of each, by the model, before it knows the letters of an
      unfinished word.
    unfinished: The unfinished word that they complete, or ''.
  """

  words: tuple[str, ...]
  probabilities: tuple[float, ...]
  unfinished: str


class LoadedKeyboard:
  """A keyboard that `keyboard_export` has written.

  Attributes:
    description: What model.json says of it.
  """

  def __init__(self, folder: pathlib.Path):
    """Loads the keyboard.

    Args:
      folder: The folder `model/` of a run.

    Raises:
      KeyboardNotFoundError: If there is none in the folder.
    """
    try:
      self.description = json.loads((folder / 'model.json').read_text('utf-8'))
      self.is_of_words = self.description['level'] == 'word'
      self._module = tf.saved_model.load(str(folder / 'saved_model'))
    except (OSError, ValueError, LookupError, tf.errors.OpError) as error:
      raise KeyboardNotFoundError(
        f'Expected an exported language model in {folder}, found none that can '
        'be read; train one first, or name its run with --output_dir.'
      ) from error
    self._serve = self._module.signatures['serving_default']

  def suggest(self, sentence: str) -> Suggested:
    """Returns what comes next.

    Args:
      sentence: As `keyboards.Keyboard` takes it: tokens separated by spaces, or
        any text if the model is one of characters.
    """
    # Half of a surrogate pair, as a terminal can give it, has no UTF-8.
    encoded = sentence.encode('utf-8', errors='replace')
    found = {
      name: value[0].numpy()
      for name, value in self._serve(tf.constant([encoded])).items()
    }
    shown = [
      (word.decode('utf-8'), float(probability))
      for word, probability in zip(
        found['words'], found['probabilities'], strict=True
      )
      # Fewer than three words begin like this.
      if probability > 0
    ]
    return Suggested(
      words=tuple(word for word, _ in shown),
      probabilities=tuple(probability for _, probability in shown),
      unfinished=found['unfinished'].decode('utf-8'),
    )
