"""A language model that suggests words: what is exported, and used again.

`NextWords` is weights, and what they say of tokens. `Keyboard` adds the
vocabulary: it takes and gives strings. Both hold TensorFlow operations only, so
a SavedModel of them needs none of this code.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import tensorflow as tf

from tff_pipelines.core import errors
from tff_pipelines.core import tokens as marks
from tff_pipelines.models import suggestions

if TYPE_CHECKING:
  from tff_pipelines.models import language_models

Level = Literal['word', 'character']


class KeyboardError(errors.PipelineError):
  """A model and a vocabulary that make no keyboard."""


class NextWords(tf.Module):
  """A trained language model, asked for what follows prefixes."""

  def __init__(
    self,
    architecture: 'language_models.Architecture',
    weights: Sequence[np.ndarray],
    num_prefixes: int | None = None,
  ):
    """Initializes the model.

    Args:
      architecture: What predicts.
      weights: Its trained weights.
      num_prefixes: That it is asked for at once; None is any number.
    """
    super().__init__()
    self._architecture = architecture
    self.weights = [tf.Variable(w, False, dtype=tf.float32) for w in weights]
    prefixes = [num_prefixes, architecture.length]
    self.suggest = tf.function(
      self._suggest,
      input_signature=[tf.TensorSpec(prefixes, tf.int32, 'tokens')],
      autograph=False,
    )

  def _suggest(self, tokens: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns ids int32[n, 3] and probabilities float32[n, 3] of the likeliest
    words, and log_probabilities float32[n, vocabulary_size] of everything."""
    weights = [tf.convert_to_tensor(w) for w in self.weights]
    logits = self._architecture.logits(weights, tokens, unrolled=True)
    log_probabilities = suggestions.after_last(logits, tokens)
    ids, probabilities = suggestions.likeliest(log_probabilities)
    return {
      'ids': ids,
      'probabilities': probabilities,
      'log_probabilities': log_probabilities,
    }


class Keyboard(tf.Module):
  """Suggests what to type next.

  The last word is a whole one if the vocabulary has it or a space follows.
  Otherwise, if words of the vocabulary begin with it, it is unfinished: those
  of them are suggested that are likeliest after the words before. Of a sentence
  that is longer than a row the last words count. A model of characters suggests
  characters, and to it nothing is unfinished.
  """

  def __init__(
    self,
    architecture: 'language_models.Architecture',
    weights: Sequence[np.ndarray],
    *,
    words: Sequence[str],
    level: Level,
  ):
    """Initializes the keyboard.

    Args:
      architecture: What predicts.
      weights: Its trained weights.
      words: The vocabulary, the word of `tokens.FIRST_WORD` first.
      level: Whether these are words or characters.

    Raises:
      KeyboardError: If the model has ids for other than these words, or they
        are too few to suggest from.
    """
    super().__init__()
    expected = architecture.vocabulary_size - marks.FIRST_WORD
    if len(words) != expected or expected < suggestions.NUM_SUGGESTIONS:
      raise KeyboardError(
        f'Expected as many {level}s as the model predicts, {expected}, and at '
        f'least {suggestions.NUM_SUGGESTIONS}, found {len(words)}.'
      )
    self._length = architecture.length
    self._level = level
    self.next_words = NextWords(architecture, weights)
    self._words = tf.constant(list(words), tf.string)
    ids = range(marks.FIRST_WORD, architecture.vocabulary_size)
    self._ids = tf.lookup.StaticHashTable(
      tf.lookup.KeyValueTensorInitializer(
        self._words, tf.constant(ids, tf.int32)
      ),
      default_value=marks.UNKNOWN,
    )
    self.serve = tf.function(
      self._serve,
      input_signature=[tf.TensorSpec([None], tf.string, 'sentences')],
      autograph=False,
    )

  def _serve(self, sentences: tf.Tensor) -> dict[str, tf.Tensor]:
    """Suggests for the ends of sentences.

    Args:
      sentences: string[n], UTF-8. Each the tokens of one sentence, separated by
        spaces, and a space behind the last one if it is finished; or any text,
        at the level of characters.

    Returns:
      words string[n, 3]; probabilities float32[n, 3], by the model, before it
      knows the letters of an unfinished word (where there are fewer than three
      words, 0); unfinished string[n], the unfinished word, or ''.
    """
    if self._level == 'character':
      typed = tf.strings.unicode_split(sentences, 'UTF-8')
      unfinished = tf.zeros_like(sentences)
      candidates = tf.ones([tf.size(sentences), tf.size(self._words)], tf.bool)
    else:
      typed = tf.strings.split(sentences)
      unfinished, candidates = self._complete(sentences, typed)
    tokens = self._prefixes(typed, unfinished != '')
    scores = self.next_words.suggest(tokens)['log_probabilities']
    candidates = tf.pad(candidates, [[0, 0], [marks.FIRST_WORD, 0]])
    ids, probabilities = suggestions.likeliest(
      tf.where(candidates, scores, -np.inf)
    )
    return {
      'words': tf.gather(self._words, ids - marks.FIRST_WORD),
      'probabilities': probabilities,
      'unfinished': unfinished,
    }

  def _prefixes(
    self, typed: tf.RaggedTensor, without_last: tf.Tensor
  ) -> tf.Tensor:
    """Returns int32[n, length] of tokens string[n, (num_tokens)]."""
    ids = tf.ragged.map_flat_values(self._ids.lookup, typed)
    sizes = ids.row_lengths() - tf.cast(without_last, tf.int64)
    kept = tf.ragged.range(ids.row_lengths()) < sizes[:, tf.newaxis]
    ids = tf.ragged.boolean_mask(ids, kept)
    if self._level == 'word':
      # As it learned: a sentence after its START, windows of text without.
      starts = tf.fill(tf.stack([tf.size(sizes), 1]), marks.START)
      ids = tf.concat([starts, ids[:, -(self._length - 1) :]], axis=1)
    else:
      ids = ids[:, -self._length :]
    return ids.to_tensor(marks.PADDING, shape=[None, self._length])

  def _complete(
    self, sentences: tf.Tensor, typed: tf.RaggedTensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the unfinished words string[n], '' where there is none, and which
    words can be suggested, bool[n, num_words]."""
    last = typed[:, -1:].to_tensor('', shape=[None, 1])[:, 0]
    # A letter or a digit at the end.
    open_ended = tf.strings.regex_full_match(sentences, r'(?s).*[\p{L}\p{N}]')
    unknown = self._ids.lookup(last) == marks.UNKNOWN
    # Every word is compared with every beginning: of these sentences only.
    rows = tf.where(open_ended & unknown)[:, 0]
    begun = tf.gather(last, rows)
    shape = [tf.size(rows), tf.size(self._words)]
    sizes = tf.broadcast_to(tf.strings.length(begun)[:, tf.newaxis], shape)
    heads = tf.strings.substr(
      tf.broadcast_to(self._words, shape), tf.zeros_like(sizes), sizes
    )
    continued = heads == begun[:, tf.newaxis]
    some = tf.reduce_any(continued, axis=1)
    rows = tf.boolean_mask(rows, some)[:, tf.newaxis]
    unfinished = tf.tensor_scatter_nd_update(
      tf.zeros_like(sentences), rows, tf.boolean_mask(begun, some)
    )
    candidates = tf.tensor_scatter_nd_update(
      tf.ones([tf.size(sentences), tf.size(self._words)], tf.bool),
      rows,
      tf.boolean_mask(continued, some),
    )
    return unfinished, candidates
