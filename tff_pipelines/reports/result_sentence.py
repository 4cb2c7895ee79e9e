"""The result of a run in one sentence."""

from collections.abc import Mapping
from typing import Any

from tff_pipelines.reports import formats, ngram_rows, results, run_reader


def result_sentence(final: results.Results) -> str:
  """States the main system's primary value and how far the others are.

  'Federated reaches 98.7 % accuracy, 0.2 points below central and 6.1 above the
  median local model.' Of n-gram models it names the best alone, behind
  central. A task whose rows are not systems tells its own sentence.

  Args:
    final: The final table.
  """
  if final.sentence is not None:
    return final.sentence
  main = _main_row(final)
  column = final.primary_column
  if main is None:
    return 'This run has no results.'
  name = results.display_name(main['system'])
  reached = results.value(main, column.key)
  if reached is None:
    return _sentence(f'{name} has no value for {column.title}')
  text = formats.number(reached, column.format)
  if column.format == 'percent':
    clauses = [f'{name} reaches {text} {column.title}']
  else:
    clauses = [f'{name} reaches {column.title} {text}']
  extent = formats.extent_text(main, column)
  if extent:
    clauses[0] += f' (median over its models; {extent})'
  comparisons = _comparisons(final, main, reached)
  if comparisons:
    clauses.append(_enumerate(comparisons))
  return _sentence(', '.join(clauses))


def _main_row(final: results.Results) -> Mapping[str, Any] | None:
  return final.row(run_reader.MAIN_SYSTEM) or next(iter(final.rows), None)


def _comparisons(
  final: results.Results, main: Mapping[str, Any], reached: float
) -> list[str]:
  column = final.primary_column
  found = []
  unit = ' points' if column.format == 'percent' else ''
  for row in _compared(final):
    value = results.value(row, column.key)
    if row['system'] == main['system'] or value is None:
      continue
    name = results.display_name(row['system'])
    if row['system'] in ngram_rows.SYSTEMS:
      name = f'the {name}'
    if formats.extent_text(row, column):
      name = f'the median {name} model'
    difference, text = _difference(reached, value, column.format)
    if difference == 0:
      found.append(f'the same as {name}')
    else:
      direction = 'above' if difference > 0 else 'below'
      found.append(f'{text}{unit} {direction} {name}')
      unit = ''  # Said once.
  return found


def _compared(final: results.Results) -> list[Mapping[str, Any]]:
  """The rows in their order, but of n-gram models the best, behind central."""
  others = [
    row for row in final.rows if row['system'] not in ngram_rows.SYSTEMS
  ]
  strongest = final.row(ngram_rows.strongest(final) or '')
  if strongest is None:
    return others
  place = next(
    (i + 1 for i, row in enumerate(others) if row['system'] == 'central'), 0
  )
  return [*others[:place], strongest, *others[place:]]


def _difference(
  first: float, second: float, value_format: results.Format
) -> tuple[float, str]:
  """The difference as a reader of the table would compute it: of the roundings.

  98.65 and 98.84 % are shown as 98.7 and 98.8 %: 0.1 points apart, not 0.2.
  """
  if value_format == 'percent':
    difference = round(round(100 * first, 1) - round(100 * second, 1), 1)
    return difference, f'{abs(difference):,.1f}'
  digits = 3 if value_format == 'ratio' else 1
  difference = round(round(first, digits) - round(second, digits), digits)
  return difference, formats.number(abs(difference), value_format)


def _enumerate(parts: list[str]) -> str:
  *head, last = parts
  return f'{", ".join(head)} and {last}' if head else last


def _sentence(text: str) -> str:
  return f'{text[:1].upper()}{text[1:]}.'
