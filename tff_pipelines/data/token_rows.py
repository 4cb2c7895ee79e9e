"""Sentences as rows of fixed length: encoded, cut, packed; and characters.

A row is an example (x, y) of a language model: y[t] is the token that follows
x[t], and 0 where nothing is predicted. Short sentences of one person share a
row, or most of a batch would be padding: a chat message has 6 words where a
row has 20 places. Each sentence begins with START in x, which is where a model
has to forget what came before.

  sentences  a b | c d e        x  START a b START c d e 0
  length 8                      y  a b END c d e END 0
"""

from collections.abc import Iterable, Sequence
import dataclasses
import heapq
import itertools

import numpy as np

from tff_pipelines.core import errors, tokens
from tff_pipelines.data import vocabularies


class RowLengthError(errors.PipelineError):
  """Rows that are too short to predict anything in."""


@dataclasses.dataclass(frozen=True)
class Encoded:
  """Sentences as ids, one after the other.

  Attributes:
    ids: int32[num_tokens].
    sizes: int64[num_sentences], tokens of each sentence.
  """

  ids: np.ndarray
  sizes: np.ndarray


@dataclasses.dataclass(frozen=True)
class Rows:
  """Examples of several clients, each client's together.

  Attributes:
    x: int32[num_rows, length], what is read.
    y: int32[num_rows, length], what follows it; 0 where nothing is predicted.
    offsets: int64[num_clients + 1]; client i has rows offsets[i] up to
      offsets[i + 1].
    tokens_cut: Tokens left out because their sentence is too long.
  """

  x: np.ndarray
  y: np.ndarray
  offsets: np.ndarray
  tokens_cut: int

  @property
  def fill(self) -> float:
    """Share of the places at which something is predicted."""
    return float((self.y != tokens.PADDING).mean()) if self.y.size else 0.0


def check_length(length: int) -> None:
  """Refuses rows in which nothing follows anything.

  Raises:
    RowLengthError: If the length is below 2.
  """
  if length < 2:
    raise RowLengthError(f'Expected rows of length 2 or more, found {length}.')


def encode(
  sentences: Sequence[Sequence[str]], vocabulary: vocabularies.Vocabulary
) -> Encoded:
  """Returns the ids of sentences; words not in the vocabulary are UNKNOWN.

  Args:
    sentences: Lists of words (strings, at the level of characters).
    vocabulary: The words with ids.
  """
  return Encoded(
    vocabulary.encode(list(itertools.chain.from_iterable(sentences))),
    np.array([len(s) for s in sentences], np.int64),
  )


def pack(
  encoded: Encoded, sentences_per_client: Sequence[int], length: int
) -> Rows:
  """Packs each client's sentences into rows, first fit.

  A sentence of n tokens takes n + 1 places: all of it, then the end mark. One
  that needs more than a row is cut to its first `length` tokens and has no end
  mark. A sentence goes to the first row of its client with room for it, so
  the order of the sentences is kept as far as that goes.

  Args:
    encoded: The sentences of all clients, each client's together; none empty.
    sentences_per_client: How many each client has.
    length: Places of a row.

  Returns:
    The rows of all clients. A client without sentences has none.

  Raises:
    RowLengthError: If the length is below 2.
  """
  check_length(length)
  places = np.minimum(encoded.sizes + 1, length)
  sentence_rows = np.empty(len(places), np.int64)
  starts = np.empty(len(places), np.int64)
  offsets = np.zeros(len(sentences_per_client) + 1, np.int64)
  first = 0
  for client, num_sentences in enumerate(sentences_per_client):
    own = slice(first, first + num_sentences)
    rows, begins, num_rows = _first_fit(places[own].tolist(), length)
    sentence_rows[own] = rows
    sentence_rows[own] += offsets[client]
    starts[own] = begins
    offsets[client + 1] = offsets[client] + num_rows
    first += num_sentences
  x, y = _fill(encoded, places, sentence_rows, starts, offsets[-1], length)
  cut = np.maximum(encoded.sizes - length, 0).sum()
  return Rows(x, y, offsets, int(cut))


def windows(texts: Iterable[np.ndarray], length: int) -> Rows:
  """Cuts each client's characters into windows, none of them twice.

  Args:
    texts: For each client the ids of its text, int32[n]. The characters from
      the second on are predicted, so a text of one character has no row.
    length: Characters of a window; the last one is padded.

  Raises:
    RowLengthError: If the length is below 2.
  """
  check_length(length)
  xs, ys, counts = [], [], [0]
  for text in texts:
    num_rows = -(-max(len(text) - 1, 0) // length)
    padded = np.full(num_rows * length + 1, tokens.PADDING, np.int32)
    if num_rows:
      padded[: len(text)] = text
    xs.append(padded[:-1].copy())
    ys.append(padded[1:])
    if num_rows:  # Nothing follows the last character.
      xs[-1][len(text) - 1 :] = tokens.PADDING
    counts.append(num_rows)
  x, y = (
    np.concatenate([np.zeros(0, np.int32), *parts]).reshape(-1, length)
    for parts in (xs, ys)
  )
  return Rows(x, y, np.cumsum(counts, dtype=np.int64), 0)


def _first_fit(
  places: Sequence[int], length: int
) -> tuple[list[int], list[int], int]:
  """Returns the row and the first place of each sentence, and how many rows.

  By room left, a heap of the rows that have exactly this room: the first row
  with enough is the least of the tops, found in `length` steps however many
  rows are open.
  """
  open_rows: list[list[int]] = [[] for _ in range(length + 1)]
  rows, starts, num_rows = [], [], 0
  for need in places:
    row, room = num_rows, length
    for candidate in range(need, length):
      if open_rows[candidate] and open_rows[candidate][0] < row:
        row, room = open_rows[candidate][0], candidate
    if row == num_rows:
      num_rows += 1
    else:
      heapq.heappop(open_rows[room])
    heapq.heappush(open_rows[room - need], row)
    rows.append(row)
    starts.append(length - room)
  return rows, starts, num_rows


def _fill(
  encoded: Encoded,
  places: np.ndarray,
  rows: np.ndarray,
  starts: np.ndarray,
  num_rows: int,
  length: int,
) -> tuple[np.ndarray, np.ndarray]:
  """Writes sentences to where they were put.

  Args:
    encoded: The sentences.
    places: int64[num_sentences], places that each takes.
    rows: int64[num_sentences], the row of each.
    starts: int64[num_sentences], its first place in this row.
    num_rows: How many rows there are.
    length: Places of a row.

  Returns:
    x and y, int32[num_rows, length].
  """
  x = np.zeros(num_rows * length, np.int32)
  y = np.zeros(num_rows * length, np.int32)
  # One entry a place that is taken, from here on.
  within = np.arange(places.sum()) - np.repeat(
    np.cumsum(places) - places, places
  )
  at = np.repeat(rows * length + starts, places) + within
  source = np.repeat(np.cumsum(encoded.sizes) - encoded.sizes, places) + within
  is_first = within == 0
  is_end = within == np.repeat(encoded.sizes, places)
  x[at[is_first]] = tokens.START
  x[at[~is_first]] = encoded.ids[source[~is_first] - 1]
  y[at[is_end]] = tokens.END
  y[at[~is_end]] = encoded.ids[source[~is_end]]
  return x.reshape(-1, length), y.reshape(-1, length)
