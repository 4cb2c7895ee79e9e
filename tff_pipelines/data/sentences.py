"""From typed text to sentences of tokens, as a keyboard sees them, and back.

Tokens are words, numbers and marks. A word may hold apostrophes, hyphens and
full stops inside (`don't`, `apt-get`, `10.04`); a run of the same mark is one
mark; an emoticon is one token, for it is typed as one. What nobody wants to
have suggested, because it is copied and not typed (web addresses, paths of
files, mail addresses), is the token LINK, which no vocabulary ever holds: it
is unknown to every model. Numbers are words like others: a vocabulary gets the
frequent ones (`10.04`), the rest is unknown.
"""

from collections.abc import Sequence
import dataclasses
import functools
import re
from typing import Any

# Stands for what is copied and not typed. Never in a vocabulary.
LINK = '<link>'

_LINK = re.compile(
  r'(?:https?|ftp|irc|file)://\S*[\w/]|www\.\S*[\w/]'
  r'|[^\W_][\w.+-]*+@[\w-]++\.[\w.-]*\w'
  r'|(?<!\w)(?:~|\.\.?)?/[\w.~](?:\S*[\w/*])?'
)
_EMOTICON = re.compile(
  r"[:;=][-o^']?[()\[\]DPpOo3|/\\](?![\w/])|<3(?!\w)|\^_*+\^"
)
# Names of files such as `.iso` begin with a full stop.
_WORD = re.compile(
  r'(?:[^\W\d_]\.){2,}+'
  r"|(?:(?<![\w.])\.)?[^\W_]++(?:['\u2019.+_-]++[^\W_]++)*(?:\+\+(?!\w))?"
)
_RUN = re.compile(
  r'\.\.++|[!?]++|-++|=++|_++|\*++|#++|<++|>++|~++|\|++|`++|,++'
)
# Whatever is left is a mark by itself, unless it is a control character.
_MARK = re.compile(r'[^\w\s\x00-\x1f\x7f]')
_UNLINKED = (_EMOTICON, _WORD, _RUN, _MARK)
_PIECE = re.compile('|'.join(p.pattern for p in _UNLINKED))
_PIECE_OR_LINK = re.compile('|'.join(p.pattern for p in (_LINK, *_UNLINKED)))
# Without one of these there is no link, and most texts have none of them.
_OF_LINKS = re.compile(r'[/@]|www')
_ENDS = frozenset('.!?')
_OPENING = frozenset('([{"')
_NO_SPACE_BEFORE = frozenset((*'.,!?;:)]}%', '...'))
_NO_SPACE_AFTER = frozenset('([{')


class _Canonical(dict[str, str]):
  """The token that a piece of text stands for, worked out once for each."""

  def __init__(self, cased: bool):
    super().__init__()
    self._cased = cased

  def __missing__(self, piece: str) -> str:
    token = self._token(piece)
    self[piece] = token
    return token

  def _token(self, piece: str) -> str:
    if _EMOTICON.fullmatch(piece):
      return piece
    if _LINK.fullmatch(piece):
      return LINK
    if _WORD.fullmatch(piece):
      word = piece.replace('\u2019', "'")
      return word if self._cased else word.lower()
    if len(piece) > 1 and piece[0] == '.':
      return '...'
    return '?' if '?' in piece else piece[0]


@dataclasses.dataclass(frozen=True)
class Tokenizer:
  """Splits text into sentences and tokens, a pure function of the text.

  Attributes:
    cased: Whether `The` and `the` are two words.
  """

  cased: bool = False

  @functools.cached_property
  def _canonical(self) -> _Canonical:
    return _Canonical(self.cased)

  def tokens(self, text: str) -> list[str]:
    """Returns all tokens of a text, in order."""
    pattern = _PIECE_OR_LINK if _OF_LINKS.search(text) else _PIECE
    return list(map(self._canonical.__getitem__, pattern.findall(text)))

  def split(self, text: str) -> list[list[str]]:
    """Returns the sentences of a text, each a list of at least one token.

    A sentence ends with its line, and after a full stop, exclamation or
    question mark if a word or something opening follows: closing marks and
    emoticons belong to the sentence before them.
    """
    sentences = []
    for line in text.split('\n'):
      tokens = self.tokens(line)
      start, ended = 0, False
      if not _ENDS.isdisjoint(tokens):
        for at, token in enumerate(tokens):
          if token in _ENDS:
            ended = at > start  # Not the mark that a command begins with.
          elif ended and (token[0].isalnum() or token in _OPENING):
            sentences.append(tokens[start:at])
            start, ended = at, False
      if tokens:
        sentences.append(tokens[start:])
    return sentences

  def config(self) -> dict[str, Any]:
    """Returns plain values from which `Tokenizer(**config)` is equal."""
    return dataclasses.asdict(self)


def join(tokens: Sequence[str]) -> str:
  """Returns tokens as one would write them: spaces between words.

  Not an inverse of `tokens`, which forgets spaces and repeated marks.
  """
  written: list[str] = []
  for token in tokens:
    if (
      written
      and token not in _NO_SPACE_BEFORE
      and written[-1] not in _NO_SPACE_AFTER
    ):
      written.append(' ')
    written.append(token)
  return ''.join(written)
