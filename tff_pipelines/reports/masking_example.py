"""A few people who hide their numbers from a server that adds them up."""

from collections.abc import Mapping
import dataclasses
from typing import Any, Literal

from tff_pipelines.reports import results

Wanted = Literal['total', 'mean']
_MINUS = '\N{MINUS SIGN}'


@dataclasses.dataclass(frozen=True)
class Person:
  """One of them.

  Attributes:
    name: For the label.
    hidden: The number that nobody else sees.
    added: The number that it shares with the next.
    subtracted: The number that it shares with the one before.
    sent: What the server sees.
  """

  name: str
  hidden: float
  added: float
  subtracted: float
  sent: float


@dataclasses.dataclass(frozen=True)
class Mask:
  """What a pair agreed on: who adds it, who subtracts it."""

  adder: str
  subtracter: str
  number: float


@dataclasses.dataclass(frozen=True)
class MaskingExample:
  """The example, in the order of the circle.

  Attributes:
    people: Who takes part.
    masks: What pairs of them agreed on.
    total: The sum of what was sent.
    wanted: What the server is after.
  """

  people: tuple[Person, ...]
  masks: tuple[Mask, ...]
  total: float
  wanted: Wanted

  def write(self, number: float) -> str:
    """Writes a number with as many decimals as all of them need, up to 3."""
    numbers = [
      n for p in self.people for n in (p.hidden, p.added, p.subtracted, p.sent)
    ]
    digits = next(
      (d for d in range(3) if all(round(n, d) == n for n in numbers)), 3
    )
    return f'{number:.{digits}f}'.replace('-', _MINUS)

  def masking(self, person: Person) -> str:
    """Writes how a person hides its number: '5 + 2 - 3 = 4'."""
    return (
      f'{self.write(person.hidden)} + {self.write(person.added)} {_MINUS} '
      f'{self.write(person.subtracted)} = {self.write(person.sent)}'
    )

  def adding(self) -> list[str]:
    """Writes what the server computes, a line a step."""
    sent = ' + '.join(self.write(person.sent) for person in self.people)
    lines = [f'{sent} = {self.write(self.total)}']
    if self.wanted == 'mean':
      mean = self.total / len(self.people)
      lines.append(
        f'{self.write(self.total)} / {len(self.people)} = {self.write(mean)}'
      )
    return lines


def parse(details: Mapping[str, Any]) -> MaskingExample | None:
  """Reads the example out of the details of results.json, None without one.

  Raises:
    MalformedResultsError: If it has another form.
  """
  content = details.get('masking_example')
  if content is None:
    return None
  try:
    return MaskingExample(
      tuple(Person(**each) for each in content['people']),
      tuple(Mask(**each) for each in content['masks']),
      float(content['total']),
      content['wanted'],
    )
  except (KeyError, TypeError, ValueError) as error:
    raise results.MalformedResultsError(
      'Expected the masking example of the results to have people, masks, '
      f'total and wanted, found another form ({error!r}).'
    ) from error


def text(example: MaskingExample) -> str:
  """Draws the example for a terminal."""
  width = max(len(person.name) for person in example.people)
  lines = ['Each two agree on a number: one adds it, the other subtracts it.']
  lines += [
    f'  {mask.adder:<{width}} +{example.write(mask.number)}   '
    f'{mask.subtracter:<{width}} {_MINUS}{example.write(mask.number)}'
    for mask in example.masks
  ]
  lines += [
    '',
    'Each sends its own number under these, and the server adds up what comes.',
  ]
  sums = [example.masking(person) for person in example.people]
  middle = len(sums) // 2
  for index, (person, masking) in enumerate(
    zip(example.people, sums, strict=True)
  ):
    joint = (
      f'--+--> server: {example.adding()[0]}' if index == middle else '--+'
    )
    longest = max(len(each) for each in sums)
    lines.append(f'  {person.name:<{width}}   {masking:>{longest}} {joint}')
  if example.wanted == 'mean':
    lines += ['', f'The mean: {example.adding()[1]}']
  hidden = ' + '.join(example.write(person.hidden) for person in example.people)
  lines += [
    '',
    f'Every number on the way was added once and subtracted once, so '
    f'{example.write(example.total)} is also\n{hidden}, which nobody has seen.',
  ]
  return '\n'.join(lines)
