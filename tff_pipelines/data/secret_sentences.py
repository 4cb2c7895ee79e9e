"""Secret sentences: canaries that some people are made to type.

A canary is a phrase that all share, such as "my code is", then random words of
the vocabulary. Groups of canaries differ in how many people type one and how
often each of them does. What a model learned of it is read off its rank among
alternatives, with other random words (`privacy.exposure`).

Source: Carlini et al. 2019, "The Secret Sharer", arXiv 1802.08232, section 4;
groups of (people, copies) as in Ramaswamy et al. 2020, "Training Production
Language Models without Memorizing User Data", arXiv 2009.10031. Deviation:
theirs are synthetic devices, here people of the population type canaries beside
their own text, so that who takes part, and how likely, stays what it was.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tff_pipelines.core import errors, seeds, tokens
from tff_pipelines.data import population


class SecretError(errors.PipelineError):
  """Secrets that cannot be made, or do not fit into rows."""


@dataclasses.dataclass(frozen=True)
class SecretChoice:
  """Which canaries there are.

  Attributes:
    groups: (people, copies): each canary of the group is typed by so many
      people, by each so often. (0, 0) is a canary that nobody types, to see
      chance.
    canaries_per_group: How many canaries each group has.
    num_words: Random words of a canary.
    num_alternatives: Sentences that were not inserted, to rank canaries among.
  """

  groups: tuple[tuple[int, int], ...] = ((1, 1), (1, 10), (4, 10), (0, 0))
  canaries_per_group: int = 5
  num_words: int = 5
  num_alternatives: int = 5_000

  def __post_init__(self) -> None:
    for name in ('canaries_per_group', 'num_words', 'num_alternatives'):
      if getattr(self, name) < 1:
        raise SecretError(
          f'Expected {name} of at least 1, found {getattr(self, name)}.'
        )
    if not self.groups or any(
      min(group) < 0 or (group[0] == 0) != (group[1] == 0)
      for group in self.groups
    ):
      raise SecretError(
        'Expected groups of at least 1 person and 1 copy, or (0, 0) for a '
        f'canary that nobody types, found {self.groups}.'
      )


@dataclasses.dataclass(frozen=True)
class Secrets:
  """Canaries, who types them, and their alternatives.

  Attributes:
    prefix: Ids of the phrase before the random words.
    words: int32[m, num_words], the random words of each canary.
    clients: Who types each canary, int64[people] each.
    copies: int64[m], how often each of them does.
    groups: int64[m], the number of each canary's group.
    alternatives: int32[n, num_words], other random words: different from each
      other and from every canary's, otherwise drawn as they were.
  """

  prefix: tuple[int, ...]
  words: np.ndarray
  clients: tuple[np.ndarray, ...]
  copies: np.ndarray
  groups: np.ndarray
  alternatives: np.ndarray

  def rows(self, words: np.ndarray, length: int) -> tuple[Any, Any]:
    """Returns the rows (x, y) that people type, int32[n, length] each.

    Args:
      words: int32[n, num_words], of canaries or alternatives.
      length: Places of a row.

    Raises:
      SecretError: If a sentence with its end is longer.
    """
    count, num_words = words.shape
    sentence_length = len(self.prefix) + num_words
    if sentence_length + 1 > length:
      raise SecretError(
        f'Expected rows of at least {sentence_length + 1} places for secret '
        f'sentences of {sentence_length} words, found {length}; take fewer '
        'words or longer rows.'
      )
    x = np.full((count, length), tokens.PADDING, np.int32)
    y = x.copy()
    sentences = np.concatenate(
      [np.tile(np.array(self.prefix, np.int32), (count, 1)), words], axis=1
    )
    x[:, 0] = tokens.START
    x[:, 1 : sentence_length + 1] = sentences
    y[:, :sentence_length] = sentences
    y[:, sentence_length] = tokens.END
    return x, y

  def scored_rows(self, words: np.ndarray, length: int) -> tuple[Any, Any]:
    """As `rows`, with labels for the random words alone.

    The sum of a row's losses is the log-perplexity of the random words after
    the phrase.
    """
    x, y = self.rows(words, length)
    y[:, : len(self.prefix)] = tokens.PADDING
    y[y == tokens.END] = tokens.PADDING
    return x, y


def choose(
  choice: SecretChoice,
  prefix: Sequence[int] | np.ndarray,
  vocabulary: Sequence[int] | np.ndarray,
  num_clients: int,
  seed: int,
) -> Secrets:
  """Draws canaries and who types them, a pure function.

  Nobody types two canaries as long as there are people enough.

  Args:
    choice: How many.
    prefix: Ids of the phrase before the random words; may be none.
    vocabulary: Ids of which random words are drawn, uniformly, each from
      `tokens.FIRST_WORD`.
    num_clients: People who could type them.
    seed: The run's.

  Raises:
    SecretError: If ids are no words, there are not enough sentences to choose
      from, or a canary is to be typed by more people than there are.
  """
  pool = np.unique(np.asarray(vocabulary, np.int32))
  for name, ids in (('prefix', np.asarray(prefix, np.int32)), ('words', pool)):
    if len(ids) and ids.min() < tokens.FIRST_WORD:
      raise SecretError(
        f'Expected ids of {name} from {tokens.FIRST_WORD} on, found '
        f'{ids.min()}; choose words that the vocabulary has.'
      )
  num_canaries = len(choice.groups) * choice.canaries_per_group
  most = max(people for people, _ in choice.groups)
  if most > num_clients:
    raise SecretError(
      f'Expected a canary typed by at most {num_clients} people, all there '
      f'are, found {most}.'
    )
  words = _different_sentences(
    seeds.generator(seed, 'secret sentences', 'words'),
    pool,
    num_canaries + choice.num_alternatives,
    choice.num_words,
  )
  groups = np.repeat(np.arange(len(choice.groups)), choice.canaries_per_group)
  people = np.array([p for p, _ in choice.groups], np.int64)[groups]
  copies = np.array([c for _, c in choice.groups], np.int64)[groups]
  order = seeds.generator(seed, 'secret sentences', 'clients').permutation(
    num_clients
  )
  ends = np.cumsum(people)
  return Secrets(
    prefix=tuple(int(i) for i in prefix),
    words=words[:num_canaries],
    clients=tuple(
      np.sort(order[np.arange(end - count, end) % num_clients])
      for count, end in zip(people, ends, strict=True)
    ),
    copies=copies,
    groups=groups,
    alternatives=words[num_canaries:],
  )


def _different_sentences(
  rng: np.random.Generator, pool: np.ndarray, count: int, num_words: int
) -> np.ndarray:
  """Draws different sentences int32[count, num_words], in random order."""
  # At half of all there are, few draws are in vain.
  if 2 * count > float(len(pool)) ** num_words:
    raise SecretError(
      f'Expected at least {2 * count} different sentences of {num_words} of '
      f'{len(pool)} words, found {len(pool) ** num_words}; choose longer ones, '
      'or fewer alternatives.'
    )
  found: dict[tuple[int, ...], None] = {}
  while len(found) < count:
    drawn = rng.choice(pool, (count, num_words))
    found.update(dict.fromkeys(map(tuple, drawn.tolist())))
  return np.array(list(found)[:count], np.int32)


class SecretPopulation(population.ClientPopulation):
  """A population in which some clients also type canaries.

  The clients are those of the base, each with its examples first; a canary is a
  row of its own, so sizes grow by the copies. A cap on examples a client may
  leave canaries out, as it may anything.
  """

  def __init__(self, base: population.ClientPopulation, secrets: Secrets):
    """Initializes the population.

    Args:
      base: The clients; its examples are (x, y), int32[length] each.
      secrets: The canaries and who types them.

    Raises:
      SecretError: If its examples are others, rows are too short, or somebody
        who is not there types a canary.
    """
    specs = tf.nest.flatten(base.element_spec)
    if (
      len(specs) != 2
      or any(s.shape.rank != 1 or s.dtype != tf.int32 for s in specs)
      or specs[0].shape != specs[1].shape
    ):
      raise SecretError(
        'Expected examples of two rows of tokens (x, y), int32[length] each, '
        f'found {base.element_spec}.'
      )
    self._base = base
    self._rows = secrets.rows(secrets.words, int(specs[0].shape[0]))
    owned: dict[int, list[int]] = {}
    for canary, (clients, copies) in enumerate(
      zip(secrets.clients, secrets.copies, strict=True)
    ):
      for client in clients:
        owned.setdefault(int(client), []).extend([canary] * int(copies))
    if owned and not 0 <= min(owned) <= max(owned) < base.num_clients:
      raise SecretError(
        f'Expected canaries of clients 0 to {base.num_clients - 1}, found '
        f'client {max(owned)}; choose them for this population.'
      )
    self._canaries = {c: np.array(k, np.int64) for c, k in owned.items()}
    self.client_ids = base.client_ids
    self.element_spec = base.element_spec
    self.sizes = base.sizes.copy()
    for client, canaries in self._canaries.items():
      self.sizes[client] += len(canaries)

  def examples(self, client: int, rows: np.ndarray | None = None) -> Any:
    """See base class."""
    if client not in self._canaries:
      return self._base.examples(client, rows)
    if rows is None:
      rows = np.arange(self.sizes[client])
    rows = np.asarray(rows, np.int64)
    num_own = int(self._base.sizes[client])
    is_own = rows < num_own
    own = self._base.examples(client, rows[is_own])
    canaries = self._canaries[client][rows[~is_own] - num_own]

    def mixed(own_part: np.ndarray, secret_part: np.ndarray) -> np.ndarray:
      both = np.empty((len(rows), secret_part.shape[1]), np.int32)
      both[is_own] = own_part
      both[~is_own] = secret_part[canaries]
      return both

    return tf.nest.map_structure(mixed, own, self._rows)
