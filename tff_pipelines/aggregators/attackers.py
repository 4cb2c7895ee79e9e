"""How many clients may send anything at all without deciding the result."""

from tff_pipelines.core import errors


class TooManyAttackersError(errors.PipelineError):
  """A cohort too small for the attackers that it is to tolerate."""


def default_tolerated(num_clients: int) -> int:
  """Returns a quarter of the cohort, rounded down."""
  return num_clients // 4


def check(
  statistic: str, tolerated: int, least_clients: int, max_clients: int
) -> None:
  """Refuses more attackers than even the largest cohort tolerates.

  Args:
    statistic: What is to tolerate them, for the message.
    tolerated: How many.
    least_clients: The smallest cohort that does.
    max_clients: The largest cohort of a round.

  Raises:
    TooManyAttackersError: If it does not, or their number is negative.
  """
  if tolerated < 0:
    raise TooManyAttackersError(
      f'Expected at least 0 tolerated attackers for {statistic}, found '
      f'{tolerated}.'
    )
  if max_clients < least_clients:
    raise TooManyAttackersError(
      f'Expected a cohort of at least {least_clients} clients for {statistic} '
      f'that tolerates {tolerated} attackers, found {max_clients}; tolerate '
      'fewer, or take larger cohorts.'
    )
