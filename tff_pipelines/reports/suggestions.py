"""What a keyboard with each model would suggest: suggestions.json, as a page.

A keyboard shows three words above its keys, the likeliest in the middle.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import html
import itertools
from typing import Any

from tff_pipelines.core import errors
from tff_pipelines.reports import appearance, formats, results

FILE_NAME = 'suggestions.json'

_CHIPS = 3


class MalformedSuggestionsError(errors.PipelineError):
  """A suggestions.json without what every one has."""


@dataclasses.dataclass(frozen=True)
class Suggestion:
  """A word that may come next, with its probability."""

  word: str
  probability: float


@dataclasses.dataclass(frozen=True)
class Prompt:
  """What was typed, and what each system would suggest.

  Attributes:
    text: What was typed so far.
    by_system: For each system its suggestions, the likeliest first.
  """

  text: str
  by_system: Mapping[str, tuple[Suggestion, ...]]


def parse(content: Mapping[str, Any]) -> tuple[Prompt, ...]:
  """Reads the content of suggestions.json.

  Raises:
    MalformedSuggestionsError: If something is missing or has the wrong form.
  """
  try:
    return tuple(_prompt(each) for each in content['prompts'])
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    raise MalformedSuggestionsError(
      'Expected prompts, each with a text and for every system pairs of a word '
      f'and its probability, found a mistake: {type(error).__name__} {error}; '
      'let the run write it again.'
    ) from error


def suggestions_html(
  prompts: Sequence[Prompt], looks: Mapping[str, appearance.Look]
) -> str:
  """Builds a picture of a keyboard's bar for every prompt and system.

  Args:
    prompts: What was typed.
    looks: How a system is drawn in the figures of the run; others are grey.
  """
  shown = '\n'.join(_prompt_html(prompt, looks) for prompt in prompts)
  return (
    '<p>What stands above the keys after these words: the likeliest next word '
    'in the middle, the second at its left, the third at its right. The '
    'percentage and the line under a word are its probability.</p>\n'
    f'<div class="keyboards">\n{shown}\n</div>'
  )


def _prompt_html(prompt: Prompt, looks: Mapping[str, appearance.Look]) -> str:
  bars = '\n'.join(
    _bar_html(system, found, looks.get(system))
    for system, found in prompt.by_system.items()
  )
  # The direction of the text decides on which side of it the cursor stands.
  return (
    '<div class="keyboard">\n'
    f'<p class="typed" dir="auto">{html.escape(prompt.text)} '
    f'<span class="cursor"></span></p>\n{bars}\n</div>'
  )


def _bar_html(
  system: str, found: Sequence[Suggestion], look: appearance.Look | None
) -> str:
  color = look.color if look else appearance.GREY
  name = html.escape(results.display_name(system))
  chips = ''.join(_chip_html(each) for each in found)
  return (
    f'<div class="suggestions" style="--look: {color}">'
    f'<span class="system"><bdi>{name}</bdi></span><ol>{chips}</ol></div>'
  )


def _chip_html(suggestion: Suggestion) -> str:
  percent = 100 * suggestion.probability
  return (
    f'<li><bdi>{html.escape(suggestion.word)}</bdi>'
    f'<small>{formats.number(suggestion.probability, "percent")}</small>'
    f'<i style="width: {percent:.1f}%"></i></li>'
  )


def _prompt(content: Mapping[str, Any]) -> Prompt:
  return Prompt(
    text=_text(content['text']),
    by_system={
      str(system): _suggestions(found)
      for system, found in content['suggestions'].items()
    },
  )


def _suggestions(content: Sequence[Any]) -> tuple[Suggestion, ...]:
  if not isinstance(content, list | tuple):
    raise TypeError(f'{content!r} is no list of suggestions')
  found = []
  for word, probability in content:
    if isinstance(probability, bool) or not isinstance(
      probability, int | float
    ):
      raise TypeError(f'probability {probability!r} of {word!r}')
    if not 0.0 <= probability <= 1.0:
      raise ValueError(f'probability {probability} of {word!r}')
    found.append(Suggestion(_text(word), float(probability)))
  if any(a.probability < b.probability for a, b in itertools.pairwise(found)):
    raise ValueError(
      f'{[each.word for each in found]} that do not begin with the likeliest'
    )
  return tuple(found[:_CHIPS])


def _text(content: Any) -> str:
  if not isinstance(content, str):
    raise TypeError(f'{content!r} is no text')
  return content
