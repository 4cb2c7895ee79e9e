"""Rows of the final table that count words: baselines without rounds."""

from collections.abc import Collection

from tff_pipelines.reports import results

# The more words of context, the further back.
SYSTEMS = ('unigram', 'bigram', 'trigram')


def strongest(
  final: results.Results, among: Collection[str] = SYSTEMS
) -> str | None:
  """The n-gram model with the best primary value, of equal ones the longest.

  Args:
    final: The final table.
    among: The systems that come into question.

  Returns:
    The system, None if the table has no value of any.
  """
  column = final.primary_column
  sign = -1.0 if column.better == 'lower' else 1.0
  found = [
    (sign * value, order, system)
    for order, system in enumerate(SYSTEMS)
    if system in among
    and (value := results.value(final.row(system), column.key)) is not None
  ]
  return max(found)[2] if found else None


def weaker(final: results.Results) -> tuple[str, ...]:
  """The n-gram models but the strongest: figures have no room for them all."""
  best = strongest(final)
  return tuple(system for system in SYSTEMS if system != best)
