"""Vocabularies: which words, or characters, a language model knows.

A vocabulary states where it comes from, because that is a question of privacy:
a public list tells nothing about the people who train; one that was counted
over their text tells what they type.
"""

import collections
from collections.abc import Iterable, Sequence
import dataclasses
import functools
import hashlib
import pathlib
import string
from typing import Literal, get_args

import numpy as np

from tff_pipelines.core import errors, tokens
from tff_pipelines.data import sentences

Level = Literal['word', 'character']

# What the ids before the first word are called when they are shown.
MARKS = ('<padding>', '<unknown>', '<end>', '<start>')
# 76 characters, so 80 ids with the marks.
ALPHABET = '\n !"&\'(),-.:;?' + string.digits + string.ascii_letters


class VocabularyError(errors.PipelineError):
  """A vocabulary that is empty, ambiguous or cannot be read."""


@dataclasses.dataclass(frozen=True)
class Vocabulary:
  """The words, or characters, with ids.

  Attributes:
    words: In the order of their ids, from `tokens.FIRST_WORD` on.
    source: Where they come from, in words, for manifest.json.
    level: Whether these are words or characters.
  """

  words: tuple[str, ...]
  source: str
  level: Level = 'word'

  def __post_init__(self) -> None:
    if self.level not in get_args(Level):
      raise VocabularyError(
        f'Expected a level out of {", ".join(get_args(Level))}, found '
        f'{self.level!r}.'
      )
    if not self.words:
      raise VocabularyError(
        f'Expected a vocabulary of at least one {self.level}, found none.'
      )
    repeated = [
      word for word, n in collections.Counter(self.words).items() if n > 1
    ]
    if repeated or '' in self.words or sentences.LINK in self.words:
      wrong = repeated[0] if repeated else '' if '' in self.words else None
      raise VocabularyError(
        f'Expected different, non-empty {self.level}s without '
        f'{sentences.LINK!r} in a vocabulary, found '
        f'{sentences.LINK if wrong is None else wrong!r}'
        f'{" twice" if repeated else ""}; remove it.'
      )

  @property
  def size(self) -> int:
    """Number of ids, those of the marks included."""
    return len(self.words) + tokens.FIRST_WORD

  def encode(self, words: Sequence[str]) -> np.ndarray:
    """Returns the ids of words, int32[len(words)]; UNKNOWN for others.

    Args:
      words: Words, or a string at the level of characters.
    """
    ids = self._ids
    return np.array([ids.get(w, tokens.UNKNOWN) for w in words], np.int32)

  def decode(self, ids: Iterable[int]) -> list[str]:
    """Returns the words of ids, and of marks their names in MARKS."""
    shown = (*MARKS, *self.words)
    return [shown[int(i)] for i in ids]

  @functools.cached_property
  def _ids(self) -> dict[str, int]:
    return {w: i for i, w in enumerate(self.words, start=tokens.FIRST_WORD)}


def count(
  token_lists_by_client: Iterable[Iterable[Sequence[str]]],
  size: int,
  *,
  level: Level = 'word',
  min_clients: int = 1,
  max_count_per_client: int | None = None,
) -> Vocabulary:
  """Returns the most frequent words of many people's text.

  Counted centrally, over the plain text: not private, whatever `min_clients`.

  Args:
    token_lists_by_client: For each client its sentences, each a list of tokens
      (or a string, at the level of characters).
    size: Number of ids, those of the marks included. There are fewer if the
      text has fewer words.
    level: What the tokens are.
    min_clients: Words that fewer clients use are left out.
    max_count_per_client: What a client can add to a word's count at the most;
      None for no limit.

  Returns:
    The words by falling count, those of equal count in the order of their
    code points.

  Raises:
    VocabularyError: If the size leaves no room for words, a limit is below 1,
      or no word is left.
  """
  if size <= tokens.FIRST_WORD:
    raise VocabularyError(
      f'Expected a vocabulary of more than the {tokens.FIRST_WORD} ids of the '
      f'marks, found a size of {size}.'
    )
  for name, limit in (
    ('min_clients', min_clients),
    ('max_count_per_client', max_count_per_client),
  ):
    if limit is not None and limit < 1:
      raise VocabularyError(f'Expected {name} of at least 1, found {limit}.')
  counts: collections.Counter[str] = collections.Counter()
  num_clients: collections.Counter[str] = collections.Counter()
  for token_lists in token_lists_by_client:
    own: collections.Counter[str] = collections.Counter()
    for token_list in token_lists:
      own.update(token_list)
    num_clients.update(own.keys())
    if max_count_per_client is not None:
      own = collections.Counter(
        {w: min(n, max_count_per_client) for w, n in own.items()}
      )
    counts.update(own)
  del counts[sentences.LINK]
  known = sorted(
    (-n, w) for w, n in counts.items() if num_clients[w] >= min_clients
  )
  if not known:
    raise VocabularyError(
      f'Expected {level}s that at least {min_clients} clients use, found none; '
      'lower the number or give more text.'
    )
  limits = f'{level}s of at least {min_clients} clients'
  if max_count_per_client is not None:
    limits += f', each client counted at most {max_count_per_client} times'
  return Vocabulary(
    words=tuple(w for _, w in known[: size - tokens.FIRST_WORD]),
    source=f'counted centrally over training text, not private: {limits}',
    level=level,
  )


def alphabet() -> Vocabulary:
  """Returns the 76 characters of ALPHABET, a public list: 80 ids.

  These are what English plays are written with; LEAF's list of 80 letters is
  the same with four brackets more and `&` (Caldas et al. 2018).
  """
  return Vocabulary(
    tuple(ALPHABET), 'public list: 76 fixed characters', 'character'
  )


def load_list(
  path: pathlib.Path, size: int | None = None, cased: bool = False
) -> Vocabulary:
  """Loads a public word list: UTF-8, one word a line, frequent ones first.

  Args:
    path: The file. Blank lines are ignored, and so are words that occur twice.
    size: Number of ids, those of the marks included: the first words are kept.
      None keeps all.
    cased: Whether capitals stay; otherwise words are put in lower case.

  Raises:
    VocabularyError: If the file cannot be read or has too few words.
  """
  try:
    data = path.read_bytes()
    lines = data.decode('utf-8-sig').split('\n')
  except OSError as error:
    raise VocabularyError(
      f'Could not read the word list {path} ({error.strerror}); correct the '
      'path.'
    ) from error
  except UnicodeDecodeError as error:
    raise VocabularyError(
      f'Expected the word list {path} in UTF-8, found byte '
      f'0x{data[error.start]:02x} at offset {error.start}; convert it.'
    ) from error
  listed = (line.strip() if cased else line.strip().lower() for line in lines)
  words = [w for w in dict.fromkeys(listed) if w]
  needed = 1 if size is None else size - tokens.FIRST_WORD
  if len(words) < max(1, needed):
    raise VocabularyError(
      f'Expected at least {max(1, needed)} different words in {path}, found '
      f'{len(words)}; choose a smaller vocabulary or a longer list.'
    )
  if needed < 1:
    raise VocabularyError(
      f'Expected a vocabulary of more than the {tokens.FIRST_WORD} ids of the '
      f'marks, found a size of {size}.'
    )
  digest = hashlib.sha256(data).hexdigest()
  return Vocabulary(
    tuple(words if size is None else words[:needed]),
    f'public list: {path.name}, sha256 {digest}',
  )
