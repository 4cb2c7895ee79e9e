"""Squared sensitivity of binary trees that sum the rounds.

Every complete node is released with noise of its own; a client that takes part
in c leaves below a node moves it by at most c clip norms. What is sought is
max sum_nodes c^2 over all participations that keep the limits.

Source: Kairouz et al. 2021, "Practical and Private (Deep) Learning without
Sampling or Shuffling", arXiv 2103.00039, appendix D.2, theorem D.3. Deviation:
the dynamic program works on the slack at both edges of a complete tree, a
(max, +) product a level, and joins trees of any sizes, so it covers restarts;
a separation above _MAX_SLACK rounds is coarsened, which can only overestimate.
"""

import functools
import math

import numpy as np

_MAX_SLACK = 400
_NEVER = -np.inf


@functools.lru_cache(maxsize=256)
def max_squared_sensitivity(
  num_rounds: int,
  max_participations: int,
  min_separation: int,
  restart_rounds: int | None = None,
) -> int:
  """Returns the largest sum of squared counts, in squared clip norms.

  Exact for separations up to 400 rounds, never too small above. Covers clients
  that contribute the same vector each time, the worst case, since all entries
  of the tree matrix are at least 0.

  Args:
    num_rounds: Rounds, the leaves.
    max_participations: Rounds of one client, at the most.
    min_separation: Rounds from one participation to the next, at the least (1:
      every round).
    restart_rounds: Leaves of a tree after which a new one begins; None: one.
  """
  period = min(restart_rounds or num_rounds, num_rounds)
  # Leaves are grouped by 2^group: nodes inside a group hold one participation.
  group = max(0, math.ceil(math.log2(min_separation / _MAX_SLACK)))
  width = 2**group
  if width > period:
    # A tree shorter than the separation: one participation a tree.
    count = min(max_participations, -(-num_rounds // min_separation))
    return count * period.bit_length()
  separation = -(-(min_separation - width + 1) // width)
  sizes = []
  full, rest = divmod(num_rounds, period)
  for rounds in [period] * full + [rest] * (rest > 0):
    leaves = -(-rounds // width)
    sizes += [1 << h for h in reversed(range(20)) if leaves >> h & 1]
  count = min(max_participations, -(-num_rounds // min_separation))
  return int(_forest(tuple(sizes), count, separation)) + group * count


def _forest(sizes: tuple[int, ...], count: int, separation: int) -> float:
  """Returns the best sum over consecutive complete trees of these sizes."""
  trees = _complete_trees(max(sizes), count, separation)
  # best[k, e]: k participations so far, the last e leaves without one.
  best = np.full((count + 1, separation), _NEVER)
  best[0] = 0.0
  slack = np.arange(separation)
  for size in sizes:
    tree = trees[size]
    later = np.full_like(best, _NEVER)
    # None here: the slack at the end reaches into the trees before.
    later[:] = best[:, np.maximum(slack - size, 0)]
    for k in range(1, len(tree)):
      later[k] = np.maximum(later[k], tree[k, 0])  # All of them here.
      ends = tree[k][::-1]  # [j] starts separation - 1 - j leaves in
      before = best[1 : count + 1 - k]
      joined = np.max(before[:, :, np.newaxis] + ends, axis=1)
      np.maximum(later[k + 1 :], joined, out=later[k + 1 :])
    best = later
  return float(np.max(best[:, 0]))


def _complete_trees(
  largest: int, count: int, separation: int
) -> dict[int, np.ndarray]:
  """Returns the tables of the complete trees up to the largest size.

  A table is float64[k + 1, separation, separation]: the best sum with exactly k
  participations, none in the first s and none in the last e leaves.
  """
  slack = np.arange(separation)
  one = (slack[:, np.newaxis] + slack) < 1
  leaf = np.stack([np.zeros_like(one, dtype=float), np.where(one, 1.0, _NEVER)])
  tables = {1: leaf}
  size = 1
  while size < largest:
    half, below = size, tables[size]
    size *= 2
    cap = min(count, -(-size // separation))
    table = np.full((cap + 1, separation, separation), _NEVER)
    table[0] = 0.0
    inner = np.maximum(slack - half, 0)
    for k in range(1, min(cap, len(below) - 1) + 1):
      table[k] = np.maximum(below[k][:, inner], below[k][inner, :])
    for left in range(1, len(below)):
      top = min(len(below) - 1, cap - left)
      if top < 1:
        continue
      right = below[1 : top + 1]
      target = table[left + 1 : left + top + 1]
      for j in range(separation):
        joined = (
          below[left][:, j, np.newaxis]
          + right[:, separation - 1 - j, np.newaxis, :]
        )
        np.maximum(target, joined, out=target)
    table += np.arange(cap + 1.0)[:, np.newaxis, np.newaxis] ** 2
    tables[size] = table
  return tables
