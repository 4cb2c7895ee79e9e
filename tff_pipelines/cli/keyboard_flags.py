"""Flags of a keyboard: exporting a trained language model, and using it."""

from collections.abc import Sequence
import pathlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from tff_pipelines.cli import flag_groups
from tff_pipelines.data import next_tokens, population, sentences
from tff_pipelines.models import (
  keyboard_export,
  loaded_keyboards,
  suggestions,
)
from tff_pipelines.programs import files

if TYPE_CHECKING:  # It imports TFF, which nobody who types waits for.
  from tff_pipelines.models import language_models

# Held-out people, rows of each and prefixes of these on which the exported
# copies are compared: a share of 0.99 is then known to 0.006 (one standard
# deviation).
_NUM_PEOPLE, _NUM_ROWS, _NUM_PREFIXES = 100, 5, 300
_SHOWN = {' ': '<space>', '\n': '<newline>'}


class PromptFlags(flag_groups.FlagGroup):
  """`--prompt` and `--interactive`."""

  def __init__(self) -> None:
    super().__init__('Using a trained model (instead of training)')
    self._text = self.define(
      'prompt',
      None,
      'print the three words that a keyboard would suggest after this text, '
      'and their probabilities; if it ends in an unknown word without a space '
      'behind it, words that begin like this',
      identifies_run=False,
    )
    self._interactive = self.define(
      'interactive',
      False,
      'suggest while you type, on a terminal',
      identifies_run=False,
    )

  @property
  def requested(self) -> bool:
    """Whether to suggest words instead of training."""
    return self._text.value is not None or self._interactive.value

  def run(self, run_path: pathlib.Path) -> None:
    """Prints a line a suggestion, the likeliest first, or begins to converse.

    Raises:
      FlagError: If there is no text, or no terminal to type it in.
      KeyboardNotFoundError: If the run has no exported language model.
    """
    text = self._text.value or ''
    if self._interactive.value:
      if not sys.stdin.isatty():
        raise flag_groups.FlagError(
          'Expected a terminal to type in with --interactive, found none; give '
          'the text with --prompt.'
        )
      _converse(_Typing(run_path / 'model'), text)
      return
    if not text.strip():
      raise flag_groups.FlagError(
        'Expected text in --prompt, found none; give the beginning of a '
        'sentence, or --interactive to type it.'
      )
    shown = _Typing(run_path / 'model').suggest(text)
    for word, probability in zip(shown.words, shown.probabilities, strict=True):
      print(f'{_SHOWN.get(word, word)}\t{probability:.4f}')


class ExportFlags(flag_groups.FlagGroup):
  """`--export`."""

  def __init__(self) -> None:
    super().__init__('The exported model')
    self._export = self.define(
      'export',
      True,
      'write the trained model to the run directory: Keras, SavedModel, TFLite '
      '(float32 and int8)',
      identifies_run=False,
    )

  def run(
    self,
    path: pathlib.Path,
    architecture: 'language_models.Architecture',
    dataset: next_tokens.LanguageDataset,
    weights: Sequence[np.ndarray] | None,
  ) -> list[str]:
    """Exports the weights, if there are some, and if it was not declined.

    Returns:
      A note for below the final table.
    """
    if weights is None or not self._export.value:
      return []
    rows = export(path, architecture, dataset, weights)
    copies = ', '.join(
      f'{row["format"]} {row["bytes"]:,} bytes'
      + ('' if row['same_first'] == 1 else f' ({row["same_first"]:.1%})')
      for row in rows
    )
    return [
      f'exported to {path.name}/: {copies}; where a share is given, so often '
      'its first suggestion is that of the original'
    ]


class _Typing:
  """A loaded keyboard and the rules of text around it."""

  def __init__(self, folder: pathlib.Path):
    self._keyboard = loaded_keyboards.LoadedKeyboard(folder)
    self._of_words = self._keyboard.is_of_words
    self._tokenizer = sentences.Tokenizer(
      **self._keyboard.description['sentences']
    )

  def suggest(self, text: str) -> loaded_keyboards.Suggested:
    """Returns what a keyboard shows after a text."""
    if not self._of_words:
      return self._keyboard.suggest(text)
    # The sentence that one more word would belong to.
    tokens = self._tokenizer.split(text + ' x')[-1][:-1]
    finished = ' ' if text[-1:].isspace() else ''
    return self._keyboard.suggest(' '.join(tokens) + finished)

  def accept(
    self, text: str, shown: loaded_keyboards.Suggested, word: str
  ) -> str:
    """Returns the text after one of the suggestions was taken."""
    if not self._of_words:
      return text + word
    kept = text[: len(text) - len(shown.unfinished)].rstrip()
    return sentences.join([kept, word] if kept else [word])

  def separated(self, text: str, shown: loaded_keyboards.Suggested) -> str:
    """Returns the text with a space behind it, unless a word goes on."""
    whole = self._of_words and text and not shown.unfinished
    return f'{text} ' if whole and not text[-1].isspace() else text


def _converse(typing: _Typing, text: str) -> None:
  """Suggests after each line that is typed, until Ctrl-C or Ctrl-D."""
  print(
    'Type on and press Enter; 1, 2 or 3 takes a suggestion, an empty line '
    'begins anew, Ctrl-D ends.'
  )
  try:
    while True:
      shown = typing.suggest(text)
      numbered = enumerate(
        zip(shown.words, shown.probabilities, strict=True), start=1
      )
      print(*(f'  [{i}] {_SHOWN.get(w, w)} {p:.1%}' for i, (w, p) in numbered))
      text = typing.separated(text, shown)
      line = input(f'> {text}')
      if line in ('1', '2', '3') and int(line) <= len(shown.words):
        text = typing.accept(text, shown, shown.words[int(line) - 1])
      else:
        text = text + line if line else ''
  except (EOFError, KeyboardInterrupt):
    print()


def export(
  path: pathlib.Path,
  architecture: 'language_models.Architecture',
  dataset: next_tokens.LanguageDataset,
  weights: Sequence[np.ndarray],
) -> list[dict[str, Any]]:
  """Writes a trained language model, ready for use, to a folder.

  Args:
    path: The folder; what was there is replaced.
    architecture: The model.
    dataset: What it learned from; the held-out people's text tells how far the
      copies agree with the original.
    weights: Its trained weights.

  Returns:
    A row a copy, as `keyboard_export.export` returns them.
  """
  x, y = _some_rows(dataset.test)
  with files.writing_folder(path) as folder:
    return keyboard_export.export(
      folder,
      architecture,
      weights,
      words=dataset.vocabulary.words,
      level=dataset.vocabulary.level,
      prefixes=suggestions.prefixes(x, y, _NUM_PREFIXES),
      description={
        'vocabulary': dataset.vocabulary.source,
        'sentences': dataset.sentences.config(),
      },
    )


def _some_rows(
  people: population.ClientPopulation,
) -> tuple[np.ndarray, np.ndarray]:
  """Returns rows of some people, evenly chosen, few of each."""
  num_people = min(_NUM_PEOPLE, people.num_clients)
  chosen = np.arange(num_people) * people.num_clients // num_people
  return people.gather(
    chosen.tolist(),
    [np.arange(min(_NUM_ROWS, int(people.sizes[c]))) for c in chosen],
  )
