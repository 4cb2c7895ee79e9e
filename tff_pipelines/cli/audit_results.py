"""What an audit leaves: privacy_audit.json and the final table."""

from collections.abc import Mapping
import math
from typing import Any

from tff_pipelines.programs import files, results, run_directory

COLUMNS = (
  results.Column('accountant', 'accountant', 'accountant', 'ratio', 'lower'),
  results.Column('estimate', 'estimate', 'estimated epsilon', 'ratio', 'lower'),
  results.Column(
    'lower_bound', 'lower_bound', 'at least epsilon', 'ratio', 'lower'
  ),
  results.Column('auc', 'auc', 'AUC', 'ratio', 'lower'),
  results.Column('told_apart', 'told_apart', 'told apart', 'percent', 'lower'),
)


def write(
  directory: run_directory.RunDirectory, found: Mapping[str, Any]
) -> None:
  """Writes privacy_audit.json.

  Raises:
    SavingFailedError: If it cannot be written.
  """
  files.write_json(directory.path / 'privacy_audit.json', dict(found))


def rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
  """Returns a row of the final table for each attack.

  An epsilon that is not finite is left out: no number is that large.
  """
  table = []
  one_shot = found.get('one_shot')
  if one_shot is not None:
    # The bound is the run's, and who sees every round sees all that it is from.
    seen = (
      ('canaries, final model', one_shot['estimate'], None),
      (
        'canaries, every round',
        one_shot['estimate_all_rounds'],
        one_shot['lower_bound'],
      ),
    )
    for name, estimate, lower_bound in seen:
      table.append(
        results.row(
          name,
          {
            'accountant': one_shot['accountant'],
            'estimate': estimate if math.isfinite(estimate) else None,
            'lower_bound': lower_bound,
          },
          COLUMNS,
        )
      )
  for attack in found.get('membership', ()):
    table.append(results.row(attack['name'], attack, COLUMNS))
  for system in found.get('outlier', {}).get('systems', ()):
    table.append(results.row(f'outlier, {system["name"]}', system, COLUMNS))
  return table


def sentence(found: Mapping[str, Any]) -> str | None:
  """Returns what the canaries say of the guarantee; None without canaries."""
  one_shot = found.get('one_shot')
  if one_shot is None:
    return None
  accountant, least = one_shot['accountant'], one_shot['lower_bound']
  said = f'Canaries in the run show an epsilon of at least {least:.3g}'
  if accountant is None:
    return f'{said}; the run promises nothing.'
  if least > accountant:
    return (
      f'{said}, which contradicts the accountant, who says {accountant:.3g}.'
    )
  return f'{said}; the accountant says at most {accountant:.3g}.'
