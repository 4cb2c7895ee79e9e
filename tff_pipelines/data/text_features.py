"""Texts as weighted bags of words, one code for training and for serving.

The whole way from a string to features is TensorFlow operations, so that an
exported model carries it and there is no second implementation to disagree.
Everything is computed from one text alone: no document frequencies, so nothing
has to be collected from people before training starts. (A counted vocabulary
is the exception, and says so.)
"""

import collections
from collections.abc import Callable, Iterable, Sequence
import dataclasses
import functools
from typing import Any, Literal, get_args

import numpy as np
import tensorflow as tf

from tff_pipelines.core import errors

Weighting = Literal['binary', 'log', 'count']

# A run of letters, of digits, of ! and ?, or a single other sign.
_TOKEN = r"([\p{L}']+|\p{N}+|[!?]+|[^\p{L}\p{N}\s])"
_CHARACTERS_PER_LENGTH_MARK = 20
_LONGEST_NUMBER = 12


class TextFeaturesError(errors.PipelineError):
  """Text features that cannot be computed."""


@dataclasses.dataclass(frozen=True)
class TextFeatures:
  """Turns texts into sparse bags of words of fixed length.

  Words are lower-cased. Beside each word and sign, a text has marks for the
  number of digits of each number, for each word in capitals and for its length,
  and pairs of neighbouring words: unsolicited messages differ in these more
  than in vocabulary.

  Attributes:
    num_buckets: Size of the table that features are hashed into, without a
      vocabulary. Feature ids are 1 to num_buckets; 0 is padding.
    vocabulary: The words that count, or None to hash. Others are ignored.
    max_features: Features kept of one text; later ones are cut off.
    pairs: Whether pairs of neighbouring words are features (hashing only).
    weighting: `binary` (present or not), `log` (1 + log count) or `count`,
      each divided by the Euclidean norm of the text's weights.
  """

  num_buckets: int = 2**14
  vocabulary: tuple[str, ...] | None = None
  max_features: int = 160
  pairs: bool = True
  weighting: Weighting = 'binary'

  def __post_init__(self) -> None:
    if self.num_buckets < 2 or self.max_features < 1:
      raise TextFeaturesError(
        'Expected at least 2 buckets and 1 feature a text, found '
        f'{self.num_buckets} buckets and {self.max_features} features.'
      )
    if self.weighting not in get_args(Weighting):
      raise TextFeaturesError(
        f'Expected a weighting out of {", ".join(get_args(Weighting))}, found '
        f'{self.weighting!r}.'
      )
    if self.vocabulary is not None and not self.vocabulary:
      raise TextFeaturesError(
        'Expected a vocabulary of at least one word, found none.'
      )

  @property
  def num_ids(self) -> int:
    """Number of feature ids with the padding: rows of a model's table."""
    known = self.vocabulary
    return (self.num_buckets if known is None else len(known)) + 1

  def __call__(self, texts: tf.Tensor) -> collections.OrderedDict[str, Any]:
    """Computes features, in a graph or eagerly.

    Args:
      texts: string[n], UTF-8.

    Returns:
      `ids` int32[n, max_features] and `weights` float32[n, max_features], both
      zero where a text has fewer features.
    """
    # Equal ids lie together, padding last.
    ids = self._ids(texts).to_tensor(shape=[None, self.max_features])
    ids = tf.sort(tf.cast(ids, tf.int32), axis=1, direction='DESCENDING')
    first = tf.concat(
      [tf.ones_like(ids[:, :1], tf.bool), ids[:, 1:] != ids[:, :-1]], axis=1
    )
    present = first & (ids > 0)
    weights = tf.where(present, self._weights(ids), 0.0)
    norm = tf.norm(weights, axis=1, keepdims=True)
    return collections.OrderedDict(
      ids=tf.where(present, ids, 0),
      weights=tf.math.divide_no_nan(weights, norm),
    )

  def compute(self, texts: Sequence[str]) -> collections.OrderedDict[str, Any]:
    """Computes features as NumPy arrays, in portions that fit in memory."""
    graph = _graph(self)
    portions = [
      tf.nest.map_structure(
        lambda t: t.numpy(),
        graph(tf.constant(texts[i : i + 512], tf.string)),
      )
      for i in range(0, len(texts), 512)
    ]
    return tf.nest.map_structure(lambda *p: np.concatenate(p), *portions)

  def count_cut(self, texts: Sequence[str]) -> int:
    """Returns how many texts have more than `max_features` features."""
    lengths = tf.concat(
      [
        self._ids(tf.constant(texts[i : i + 512], tf.string)).row_lengths()
        for i in range(0, len(texts), 512)
      ],
      axis=0,
    )
    return int(tf.reduce_sum(tf.cast(lengths > self.max_features, tf.int32)))

  def names(self, texts: Sequence[str]) -> dict[int, tuple[str, ...]]:
    """Returns what each feature id stands for.

    Without a vocabulary: which features of the given texts are hashed to it,
    the more frequent first. Anyone can find that out with a list of words.
    """
    if self.vocabulary is not None:
      return {i: (w,) for i, w in enumerate(sorted(self.vocabulary), start=1)}
    counts: collections.Counter[bytes] = collections.Counter()
    for i in range(0, len(texts), 512):
      portion = tf.constant(texts[i : i + 512], tf.string)
      counts.update(self._features(portion).flat_values.numpy())
    known = sorted(counts, key=lambda f: (-counts[f], f))
    ids = 1 + tf.strings.to_hash_bucket_fast(known, self.num_buckets).numpy()
    found: dict[int, tuple[str, ...]] = {}
    for feature, name in zip(ids.tolist(), known, strict=True):
      found[feature] = (*found.get(feature, ()), name.decode())
    return found

  def config(self) -> dict[str, Any]:
    """Returns plain values from which `from_config` makes an equal object."""
    return dataclasses.asdict(self)

  @classmethod
  def from_config(cls, config: dict[str, Any]) -> 'TextFeatures':
    """The inverse of `config`, also after a way through JSON."""
    vocabulary = config['vocabulary']
    return cls(
      **{**config, 'vocabulary': vocabulary and tuple(vocabulary)},
    )

  def _weights(self, ids: tf.Tensor) -> tf.Tensor:
    if self.weighting == 'binary':
      return tf.ones(tf.shape(ids))
    same = ids[:, :, tf.newaxis] == ids[:, tf.newaxis, :]
    counts = tf.reduce_sum(tf.cast(same, tf.float32), axis=2)
    return counts if self.weighting == 'count' else 1.0 + tf.math.log(counts)

  def _ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
    """Returns int64[n, (features)], not yet cut, all above 0."""
    features = self._features(texts)
    if self.vocabulary is None:
      return tf.ragged.map_flat_values(
        lambda f: 1 + tf.strings.to_hash_bucket_fast(f, self.num_buckets),
        features,
      )
    # Position in the sorted vocabulary, without a lookup table: a table
    # would be a resource that a function cannot create when it is traced.
    words = tf.constant(sorted(self.vocabulary))
    keys = tf.strings.to_hash_bucket_fast(words, 2**62)
    order = tf.argsort(keys)
    keys = tf.gather(keys, order)

    def look_up(flat: tf.Tensor) -> tf.Tensor:
      hashed = tf.strings.to_hash_bucket_fast(flat, 2**62)
      position = tf.searchsorted(keys, hashed)
      position = tf.minimum(position, tf.size(keys) - 1)
      word = tf.gather(order, position)
      found = tf.gather(words, word) == flat
      return tf.where(found, tf.cast(word, tf.int64) + 1, 0)

    ids = tf.ragged.map_flat_values(look_up, features)
    # Unknown words take no room from the known ones behind them.
    return tf.ragged.boolean_mask(ids, ids > 0)

  def _features(self, texts: tf.Tensor) -> tf.RaggedTensor:
    words = tokenize(texts)
    if self.vocabulary is not None:
      return words
    # Numbers by their number of digits: every amount and every telephone number
    # is new, their lengths are not.
    shaped = tf.ragged.map_flat_values(_with_number_shapes, words)
    is_number = tf.ragged.map_flat_values(_is_number, words)
    numbers = tf.ragged.boolean_mask(shaped, is_number)
    # Not with \b, which knows only the boundaries of ASCII words.
    runs = tf.strings.regex_replace(texts, r'[^\p{L}\p{N}_]+', ' ')
    runs = tf.strings.split(runs)
    capitals = tf.ragged.boolean_mask(
      tf.ragged.map_flat_values(
        lambda r: tf.fill(tf.shape(r), '<capitals>'), runs
      ),
      tf.ragged.map_flat_values(_is_capitals, runs),
    )
    length = tf.strings.length(texts, unit='UTF8_CHAR')
    length = _mark('length', length // _CHARACTERS_PER_LENGTH_MARK)
    parts = [tf.expand_dims(length, 1), numbers, capitals, words]
    if self.pairs:
      parts.append(tf.strings.ngrams(shaped, 2, separator=' '))
    return tf.concat(parts, axis=1)


@functools.lru_cache(maxsize=8)
def _graph(features: TextFeatures) -> Callable[[tf.Tensor], Any]:
  """Returns the features as a graph, which takes a second to trace."""
  return tf.function(
    features,
    input_signature=[tf.TensorSpec([None], tf.string)],
    autograph=False,
  )


def _mark(name: str, value: tf.Tensor) -> tf.Tensor:
  return tf.strings.join([f'<{name} ', tf.strings.as_string(value), '>'])


def _is_number(words: tf.Tensor) -> tf.Tensor:
  return tf.strings.regex_full_match(words, r'\p{N}+')


def _is_capitals(words: tf.Tensor) -> tf.Tensor:
  return tf.strings.regex_full_match(words, r'\p{Lu}{2,}')


def _with_number_shapes(words: tf.Tensor) -> tf.Tensor:
  digits = tf.strings.length(words, unit='UTF8_CHAR')
  shape = _mark('number', tf.minimum(digits, _LONGEST_NUMBER))
  return tf.where(_is_number(words), shape, words)


def tokenize(texts: tf.Tensor) -> tf.RaggedTensor:
  """Splits texts into lower-case words, numbers and signs.

  Args:
    texts: string[n], UTF-8.

  Returns:
    string[n, (words)].
  """
  lower = tf.strings.lower(texts, encoding='utf-8')
  return tf.strings.split(tf.strings.regex_replace(lower, _TOKEN, r' \1 '))


def count_vocabulary(
  texts_by_client: Iterable[Sequence[str]], size: int, min_clients: int = 2
) -> tuple[str, ...]:
  """Returns the words that most clients use.

  Counted over the plain texts of the clients: what a federated sum of each
  client's set of words would tell the server. It is not private, even with
  `min_clients`, and a manifest has to say so.

  Args:
    texts_by_client: For each client, its texts.
    size: How many words at the most.
    min_clients: Words of fewer clients are left out.

  Returns:
    Words, those of most clients first, ties in alphabetical order.

  Raises:
    TextFeaturesError: If no word has enough clients.
  """
  num_clients: collections.Counter[str] = collections.Counter()
  for texts in texts_by_client:
    words = tokenize(tf.constant(list(texts), tf.string)).flat_values.numpy()
    num_clients.update({w.decode() for w in words})
  known = [(-n, w) for w, n in num_clients.items() if n >= min_clients]
  if not known:
    raise TextFeaturesError(
      f'Expected words that at least {min_clients} clients use, found none; '
      'choose hashed features or fewer clients.'
    )
  return tuple(word for _, word in sorted(known)[:size])
