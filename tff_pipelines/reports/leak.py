"""What a server reads out of what it sees: leak.json, checked, as a table."""

from collections.abc import Mapping
import dataclasses
import html
from typing import Any

from tff_pipelines.core import errors
from tff_pipelines.reports import formats, results, tables


class MalformedLeakError(errors.PipelineError):
  """A leak.json without what every one has."""


@dataclasses.dataclass(frozen=True)
class Reading:
  """What was read out of one system's view.

  Attributes:
    system: The system.
    saw: What its server saw.
    rounds: In how many rounds; 0 where there are none.
    named: Pairs (person, word) that were named.
    recall: Share of the true pairs among them.
    precision: Share of true ones in them.
    prior: Share of true pairs among all that could be named.
    person_right: Words of the one person that were named.
    person_wrong: Words that were named and that the person does not use.
  """

  system: str
  saw: str
  rounds: int
  named: int
  recall: float | None
  precision: float | None
  prior: float | None
  person_right: int
  person_wrong: int


@dataclasses.dataclass(frozen=True)
class Word:
  """One word, for one person.

  Attributes:
    word: The word; where several share a row of the table, the likeliest.
    texts: Texts of the person with it.
    spam_rate: The share of spam among them, None if there are none.
    estimates: The same, estimated by the servers that could.
  """

  word: str
  texts: int
  spam_rate: float | None
  estimates: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Leak:
  """What was measured.

  Attributes:
    num_people: People in the round that was measured.
    readings: One a system, in the order of the table; `secure_federated` twice,
      the second over many rounds.
    person: The name of the one person.
    person_words: How many words the person uses.
    words: These words, those of most texts first.
    words_of_others: Some that only others use.
  """

  num_people: int
  readings: tuple[Reading, ...]
  person: str
  person_words: int
  words: tuple[Word, ...]
  words_of_others: tuple[Word, ...]


def parse(content: Mapping[str, Any]) -> Leak:
  """Reads the content of leak.json.

  Raises:
    MalformedLeakError: If something is missing or has the wrong form.
  """
  try:
    person = content['person']
    return Leak(
      num_people=int(content['num_people']),
      readings=tuple(
        _reading(row, of_person)
        for row, of_person in zip(
          content['systems'], person['systems'], strict=True
        )
      ),
      person=str(person['name']),
      person_words=int(person['num_words']),
      words=tuple(_word(each) for each in person['words']),
      words_of_others=tuple(_word(each) for each in person['words_of_others']),
    )
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise MalformedLeakError(
      'Expected a leak with systems and a person, each with its scores, found '
      f'a mistake: {type(error).__name__} {error}.'
    ) from error


def leak_html(leak: Leak) -> str:
  """Builds the sentences and the table above the picture."""
  rows = [
    (
      results.display_name(reading.system),
      reading.saw,
      formats.number(reading.recall, 'percent'),
      formats.number(reading.precision, 'percent'),
      formats.number(reading.prior, 'percent'),
    )
    for reading in leak.readings
  ]
  table = tables.plain_html_table(
    ('system', 'what the server saw', 'pairs found', 'of its list is right',
     'guessing'),
    rows,
  )  # fmt: skip
  people = formats.number(leak.num_people, 'count')
  sentence = (
    f'Which of {people} people uses which word? Out of what it saw, each '
    'server makes a list of pairs (person, word). Found is the share of all '
    'true pairs that is in its list. A list of everything finds all of them, '
    'so what counts is how much of the list is right: if that is no more than '
    'by guessing, the server knows nothing of anyone in particular. A word is '
    "a row of the model's table; pairs of neighbouring words have their own."
  )
  parts = [f'<p>{html.escape(sentence)}</p>', table]
  if any(reading.rounds > 1 for reading in leak.readings):
    parts.append(
      '<p>One sum hides who contributed what. Many sums hide it less: a word '
      'that is missing in a sum is used by nobody who took part in that round. '
      'Only noise (differential privacy) bounds what all rounds together give '
      'away.</p>'
    )
  return '\n'.join(parts)


def _reading(row: Mapping[str, Any], of_person: Mapping[str, Any]) -> Reading:
  return Reading(
    system=str(row['system']),
    saw=str(row['saw']),
    rounds=int(row['rounds']),
    named=int(row['named']),
    recall=results.value(row, 'recall'),
    precision=results.value(row, 'precision'),
    prior=results.value(row, 'prior'),
    person_right=int(of_person['right']),
    person_wrong=int(of_person['wrong']),
  )


def _word(row: Mapping[str, Any]) -> Word:
  described = ('word', 'also', 'texts', 'spam_rate')
  values = {name: results.value(row, name) for name in row}
  return Word(
    word=str(row['word']),
    texts=int(row['texts']),
    spam_rate=values['spam_rate'],
    estimates={
      name: value
      for name, value in values.items()
      if name not in described and value is not None
    },
  )
