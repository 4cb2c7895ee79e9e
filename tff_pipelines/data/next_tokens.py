"""From typed text to a federated data set for next-word prediction.

People are held out, and so is time: everybody's text is cut into an earlier
and a later part, so that a model can be measured on people it has never met
(`test`), on later text of people it learned from (`later`), and on later text
of new people after it was adapted to their earlier text (`test_earlier`,
`test_later`).
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import numpy as np

from tff_pipelines.core import errors, seeds, tokens
from tff_pipelines.data import (
  population,
  sentences,
  token_rows,
  typed_text,
  vocabularies,
)

_WORD_VOCABULARY_SIZE = 5_000

# A sentence as tokens, or a text at the level of characters.
_Sentence = Sequence[str]
# The sentences of each person, in the order of time.
_ByPerson = Mapping[str, Sequence[_Sentence]]


class RowChoiceError(errors.PipelineError):
  """A choice of rows that contradicts itself."""


class NoPeopleError(errors.PipelineError):
  """Text of too few people to train and to test on."""


@dataclasses.dataclass(frozen=True)
class RowChoice:
  """How text becomes people with rows to learn from.

  At the level of characters a "sentence" is a whole text (a line of a role).

  Attributes:
    level: Whether words or characters are predicted.
    length: Places of a row: tokens read, and tokens predicted.
    vocabulary_size: Number of ids, marks included, of a vocabulary counted over
      the training people's earlier text. None: 5,000 for words; the fixed
      alphabet, which needs no counting, for characters.
    min_people_per_word: Words of fewer people do not get into it.
    cased: Whether `The` and `the` are two words; for words only.
    max_sentences_per_client: The last ones in time that are kept of a person,
      before anything else is done; None keeps all.
    min_sentences_per_client: People with fewer are left out altogether.
    held_out_people: Share of the people who are never trained on, at least one.
    later_fraction: Share of a person's sentences, the last ones, that are the
      later part. People for whom that is none, or all, have no later part.
    max_clients: People to train on; None for all who are not held out. Who is
      held out does not depend on it.
    max_test_sentences: Sentences of `test`, and of `later`, at the most: those
      with most lose first, and keep their last ones in time. None for all.
  """

  level: vocabularies.Level = 'word'
  length: int = 20
  vocabulary_size: int | None = None
  min_people_per_word: int = 2
  cased: bool = False
  max_sentences_per_client: int | None = None
  min_sentences_per_client: int = 2
  held_out_people: float = 0.1
  later_fraction: float = 0.2
  max_clients: int | None = None
  max_test_sentences: int | None = None

  def __post_init__(self) -> None:
    token_rows.check_length(self.length)
    for name in (
      'min_people_per_word',
      'max_sentences_per_client',
      'min_sentences_per_client',
      'max_clients',
      'max_test_sentences',
    ):
      value = getattr(self, name)
      if value is not None and value < 1:
        raise RowChoiceError(f'Expected {name} of at least 1, found {value}.')
    for name in ('held_out_people', 'later_fraction'):
      if not 0 < getattr(self, name) < 1:
        raise RowChoiceError(
          f'Expected {name} above 0 and below 1, found {getattr(self, name)}.'
        )
    if (
      self.max_sentences_per_client is not None
      and self.max_sentences_per_client < self.min_sentences_per_client
    ):
      raise RowChoiceError(
        'Expected max_sentences_per_client not to be below '
        f'min_sentences_per_client, found {self.max_sentences_per_client} and '
        f'{self.min_sentences_per_client}.'
      )


@dataclasses.dataclass(frozen=True)
class LanguageDataset(population.FederatedDataset):
  """A federated data set of rows of tokens; `token_rows` says what a row is.

  `train` is the training people's earlier text, `test` the held-out people's
  text, all of it. `label_names` is empty: `vocabulary` names the labels.

  Attributes:
    later: The training people's later text; those who have some.
    test_earlier: The held-out people's earlier text; those who have a later
      part.
    test_later: The later text of the same people, in the same order.
    vocabulary: What the ids stand for.
    length: Places of a row.
    sentences: How text was split.
  """

  later: population.ArrayPopulation
  test_earlier: population.ArrayPopulation
  test_later: population.ArrayPopulation
  vocabulary: vocabularies.Vocabulary
  length: int
  sentences: sentences.Tokenizer


def build(
  name: str,
  typed: typed_text.TypedText,
  choice: RowChoice,
  seed: int,
  vocabulary: vocabularies.Vocabulary | None = None,
) -> LanguageDataset:
  """Splits text into sentences, people and time, and encodes it.

  Args:
    name: The data set's name.
    typed: Everyone's text, in the order of time.
    choice: How it becomes rows.
    seed: The run's seed: decides who is held out.
    vocabulary: The words with ids; None to count them (see `RowChoice`).

  Raises:
    NoPeopleError: If nobody is left to train or to test on, or has later text.
    RowChoiceError: If the vocabulary is for another level.
    VocabularyError: If no word is frequent enough.
  """
  if vocabulary is not None and vocabulary.level != choice.level:
    raise RowChoiceError(
      f'Expected a vocabulary of {choice.level}s, found one of '
      f'{vocabulary.level}s.'
    )
  tokenizer = sentences.Tokenizer(choice.cased)
  everyone = _by_person(typed, tokenizer if choice.level == 'word' else None)
  people, left_out = _eligible(everyone, choice)
  training, held_out = _split_people(people, choice, seed)
  left_out['people_beyond_max_clients'] = (
    len(people) - len(training) - len(held_out)
  )
  train, later = _split_time(training, choice)
  cut = _split_time(held_out, choice)
  # Only people with both parts; the same people in the same order.
  test_earlier = {p: cut[0][p] for p in cut[1]}
  parts = {
    'train': train,
    'test': _evenly(held_out, choice.max_test_sentences, seed),
    'later': _evenly(later, choice.max_test_sentences, seed),
    'test_earlier': test_earlier,
    'test_later': cut[1],
  }
  for part, owned in parts.items():
    if not owned:
      raise NoPeopleError(
        f'Expected people with sentences in {part!r} of {name}, found none '
        f'with {choice.min_sentences_per_client} sentences or more that can be '
        f'cut at later_fraction {choice.later_fraction}; give longer text, or '
        'another fraction.'
      )
  if vocabulary is None:
    vocabulary = _vocabulary(train, choice)
  made = {
    part: _rows(owned, vocabulary, choice.length)
    for part, owned in parts.items()
  }
  return LanguageDataset(
    name=name,
    **{part: built for part, (built, _) in made.items()},
    label_names=(),
    provenance={
      **typed.provenance,
      'rows': dataclasses.asdict(choice),
      'vocabulary': {'size': vocabulary.size, 'source': vocabulary.source},
      'people': len(everyone),
      'sentences': sum(map(len, everyone.values())),
      'rows_left_out': left_out,
      'parts': {part: counted for part, (_, counted) in made.items()},
    },
    vocabulary=vocabulary,
    length=choice.length,
    sentences=tokenizer,
  )


def _by_person(
  typed: typed_text.TypedText, tokenizer: sentences.Tokenizer | None
) -> dict[str, list[_Sentence]]:
  """Returns each person's sentences, or whole texts without a tokenizer."""
  people: dict[str, list[_Sentence]] = {}
  for client, text in zip(typed.clients, typed.texts, strict=True):
    owned = people.setdefault(client, [])
    if tokenizer is not None:
      owned.extend(tokenizer.split(text))
    elif text:
      owned.append(text)
  return people


def _eligible(
  everyone: _ByPerson, choice: RowChoice
) -> tuple[dict[str, Sequence[_Sentence]], dict[str, int]]:
  """Returns those with enough sentences, capped, and counts the others."""
  cap = choice.max_sentences_per_client
  people = {
    person: owned if cap is None else owned[-cap:]
    for person, owned in everyone.items()
    if len(owned) >= choice.min_sentences_per_client
  }
  few = [owned for person, owned in everyone.items() if person not in people]
  return people, {
    'people_with_few_sentences': len(few),
    'sentences_of_people_with_few': sum(map(len, few)),
    'sentences_beyond_max_per_client': sum(
      len(everyone[person]) - len(owned) for person, owned in people.items()
    ),
  }


def _split_people(
  people: _ByPerson, choice: RowChoice, seed: int
) -> tuple[_ByPerson, _ByPerson]:
  """Returns the people to train on and those held out, in source order."""
  # By a number of each person's own, so that those held out stay the same
  # while max_clients takes more or fewer of the others.
  drawn = sorted(people, key=lambda p: seeds.derive(seed, 'held-out people', p))
  num_held_out = max(1, round(len(people) * choice.held_out_people))
  held_out = set(drawn[:num_held_out])
  rest = drawn[num_held_out:]
  if not rest:
    raise NoPeopleError(
      'Expected people to train on and people to hold out, found '
      f'{len(people)} with at least {choice.min_sentences_per_client} '
      f'sentences at held_out_people {choice.held_out_people}; lower '
      'min_sentences_per_client or give text of more people.'
    )
  training = set(rest[: choice.max_clients])
  return (
    {p: owned for p, owned in people.items() if p in training},
    {p: owned for p, owned in people.items() if p in held_out},
  )


def _split_time(
  people: _ByPerson, choice: RowChoice
) -> tuple[_ByPerson, _ByPerson]:
  """Returns earlier text, and later text of those who have some."""
  earlier, later = {}, {}
  for person, owned in people.items():
    num_earlier = len(owned) - round(len(owned) * choice.later_fraction)
    if 0 < num_earlier < len(owned):
      earlier[person], later[person] = owned[:num_earlier], owned[num_earlier:]
    else:
      earlier[person] = owned
  return earlier, later


def _evenly(people: _ByPerson, limit: int | None, seed: int) -> _ByPerson:
  """Returns at most that many sentences, as evenly over people as possible.

  With room for fewer sentences than there are people, the people are drawn.
  """
  if limit is None:
    return people
  drawn = sorted(people, key=lambda p: seeds.derive(seed, 'tested people', p))
  chosen = drawn[:limit]
  # From those with least to those with most, each gets at most an equal share
  # of what is left: who has less leaves the rest to the others.
  kept = {}
  for position, person in enumerate(
    sorted(chosen, key=lambda p: len(people[p]))
  ):
    share = -(-limit // (len(chosen) - position))
    kept[person] = min(len(people[person]), share)
    limit -= kept[person]
  return {p: own[-kept[p] :] for p, own in people.items() if p in kept}


def _vocabulary(train: _ByPerson, choice: RowChoice) -> vocabularies.Vocabulary:
  if choice.level == 'character' and choice.vocabulary_size is None:
    return vocabularies.alphabet()
  return vocabularies.count(
    train.values(),
    choice.vocabulary_size or _WORD_VOCABULARY_SIZE,
    level=choice.level,
    min_clients=choice.min_people_per_word,
  )


def _rows(
  people: _ByPerson, vocabulary: vocabularies.Vocabulary, length: int
) -> tuple[population.ArrayPopulation, dict[str, Any]]:
  """Returns the people with their rows, and what is counted of them."""
  if vocabulary.level == 'word':
    rows = token_rows.pack(
      token_rows.encode(
        [s for own in people.values() for s in own], vocabulary
      ),
      [len(own) for own in people.values()],
      length,
    )
  else:
    rows = token_rows.windows(
      (vocabulary.encode('\n'.join(map(str, own))) for own in people.values()),
      length,
    )
  bounds = zip(rows.offsets[:-1], rows.offsets[1:], strict=True)
  built = population.ArrayPopulation(
    (rows.x, rows.y),
    {p: np.arange(*bound) for p, bound in zip(people, bounds, strict=True)},
  )
  predicted = rows.y[rows.y != tokens.PADDING]
  is_mark = predicted == tokens.END
  num_words = int((~is_mark).sum())
  return built, {
    'people': len(people),
    'sentences': sum(map(len, people.values())),
    'rows': len(rows.x),
    'tokens': len(predicted),
    'tokens_cut': rows.tokens_cut,
    'share_unknown': (
      int((predicted == tokens.UNKNOWN).sum()) / num_words if num_words else 0.0
    ),
    'row_fill': rows.fill,
  }
