"""Which aggregators should withstand how many attackers, by theory.

Theory says of a robust statistic that its result stays near the honest clients'
updates, whatever the attackers send, as long as these are no more than its
breakdown point; how near depends on how alike honest clients are. A mean has no
such point. Of a bound on norms, by which a mean is limited, theory says that
nobody moves the model far in one round, but many rounds add up: it slows an
attack down and does not stop it. The same holds of noise for privacy.
"""

from collections.abc import Callable, Iterable

# From clients of a round and tolerated attackers to how many are withstood.
_Breakdown = Callable[[int, int], int]


def _minority(clients: int, tolerated: int) -> int:
  """Of medians: fewer than half."""
  del tolerated  # Nobody has to say.
  return max(0, (clients - 1) // 2)


def _trimmed(clients: int, tolerated: int) -> int:
  """As many as are trimmed, in a small round fewer than planned."""
  return min(tolerated, _minority(clients, tolerated))


def _krum(clients: int, tolerated: int) -> int:
  """As planned; a round too small for that gives the median."""
  if clients > 2 * tolerated + 2:
    return tolerated
  return _minority(clients, tolerated)


# Breakdown points as the factories state them.
_BREAKDOWNS: dict[str, _Breakdown] = {
  'median': _minority,
  'geometric_median': _minority,
  'trimmed_mean': _trimmed,
  'krum': _krum,
  'multi_krum': _krum,
}


def should_hold(
  aggregator: str, rounds: Iterable[tuple[int, int]], tolerated: int
) -> bool:
  """Returns whether an aggregator should withstand the attackers of all rounds.

  Args:
    aggregator: A row of the registry, or a private one.
    rounds: The number of attackers and that of all clients, round by round.
    tolerated: The attackers that it was built for, where it needs to know.
  """
  breakdown = _BREAKDOWNS.get(aggregator)
  return all(
    attackers == 0
    or (breakdown is not None and attackers <= breakdown(clients, tolerated))
    for attackers, clients in rounds
  )
