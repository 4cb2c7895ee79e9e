"""One unusual client, in or out, many seeds: does the model give it away?

The "notorious sweater wearer": somebody whose data says what nobody else's
does. Trained with and without that client from the same seeds, the model's loss
on the client's own data shows whether it was in.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tff_pipelines.privacy import membership_inference, outlier_experiment

# From a seed and whether the client is in to the loss on the client's data.
LossOf = Callable[[int, bool], float]
METRIC = "loss on the outlier's own data"


def experiment(
  systems: Mapping[str, LossOf], seeds: Sequence[int]
) -> dict[str, Any]:
  """Trains every system with and without the client, from every seed.

  Args:
    systems: What trains and measures, by the system's name.
    seeds: At least 4.

  Returns:
    The part `outlier` of privacy_audit.json. `told_apart` is the share of
    pairs, one model of each kind, in which the one with the client has the
    lower loss, equal ones for a half: 1/2 is guessing.

  Raises:
    AuditError: If there are fewer than 4 seeds, or a loss is not finite.
  """
  rows = []
  for name, loss_of in systems.items():
    inside, outside = (
      [loss_of(seed, is_in) for seed in seeds] for is_in in (True, False)
    )
    gap = outlier_experiment.of_metric(
      np.array(inside), np.array(outside), paired=True
    )
    rows.append(
      {
        'name': name,
        'metric': METRIC,
        'with': inside,
        'without': outside,
        'told_apart': membership_inference.auc(
          -np.array(inside), -np.array(outside)
        ),
        'gap': gap.to_json(),
      }
    )
  return {'seeds': len(seeds), 'systems': rows}


def sentence(row: dict[str, Any]) -> str:
  """Returns what was found of one system, for below a table."""
  gap = row['gap']
  low, high = gap['interval']
  return (
    f'outlier in or out, {row["name"]}: the {row["metric"]} changes by '
    f'{gap["mean"]:+.3g} ({low:+.3g} to {high:+.3g}; other seeds alone: '
    f'{gap["spread"]:.3g}); it is lower with the outlier in '
    f'{row["told_apart"]:.0%} of all pairs of models (50% is guessing)'
  )
