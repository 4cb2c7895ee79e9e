"""Flags of an audit: which attacks on private training, with what effort."""

from typing import Any

from tff_pipelines.cli import (
  audited_training,
  canary_attack,
  flag_groups,
  membership_attacks,
  outlier_attack,
)
from tff_pipelines.programs import (
  canary_audit,
  membership_audit,
  outlier_audit,
)

ATTACKS = ('one_shot', 'membership', 'outlier')


class AuditFlags(flag_groups.FlagGroup):
  """`--attacks` and the effort that goes into them."""

  def __init__(self) -> None:
    super().__init__('The attacks')
    define = self.define
    self._attacks = define(
      'attacks',
      list(ATTACKS),
      'any of one_shot (canaries in the run), membership (who took part?), '
      'outlier (one unusual client, in or out)',
    )
    membership = ('attacks', ('membership',))
    self._canaries = define(
      'canaries',
      500,
      'made-up clients with random updates',
      only_with=('attacks', ('one_shot',)),
    )
    self._pairs = define(
      'membership_pairs',
      4,
      'pairs of models on complementary halves of the clients, with noise and '
      'without each',
      only_with=membership,
    )
    self._known_rounds = define(
      'known_rounds',
      5,
      'rounds attacked by who knows all clients but one (dp_fixed and '
      'dp_adaptive)',
      only_with=membership,
    )
    self._seeds = define(
      'outlier_seeds',
      8,
      'seeds from which models are trained with and without the outlier',
      only_with=('attacks', ('outlier',)),
    )

  def check(self) -> None:
    """Refuses attacks that there are not, and too little effort."""
    super().check()
    chosen = self._attacks.value
    unknown = [name for name in chosen or [''] if name not in ATTACKS]
    if unknown or len(set(chosen)) < len(chosen):
      raise flag_groups.FlagError(
        f'Expected different attacks out of {", ".join(ATTACKS)}, found '
        f'--{self._attacks.name}={",".join(chosen)}.'
      )
    for flag, least in (
      (self._canaries, 8),
      (self._pairs, 3),
      (self._known_rounds, 1),
      (self._seeds, 4),
    ):
      if flag.value < least:
        raise flag_groups.FlagError(
          f'Expected --{flag.name} of at least {least}, found {flag.value}.'
        )

  def run(
    self, audited: audited_training.AuditedTraining
  ) -> tuple[dict[str, Any], list[str]]:
    """Makes the chosen attacks, one after the other.

    Args:
      audited: What is attacked.

    Returns:
      The content of privacy_audit.json, and sentences on what was found.

    Raises:
      FlagError: If an attack is not possible with the flags of the training.
    """
    found: dict[str, Any] = {}
    notes: list[str] = []
    chosen = self._attacks.value
    if 'one_shot' in chosen:
      canary_attack.check(audited.client_optimizer)
    if chosen != ['one_shot']:
      # What cannot be trained is refused now, not after the first attack.
      audited.with_and_without_noise(audited.dataset.train.num_clients)
    if 'one_shot' in chosen:
      found['one_shot'] = canary_attack.run(audited, self._canaries.value)
      notes.append(canary_audit.sentence(found['one_shot']))
    if 'membership' in chosen:
      found['membership'], said = membership_attacks.run(
        audited, self._pairs.value, self._known_rounds.value
      )
      notes += [*map(membership_audit.sentence, found['membership']), *said]
    if 'outlier' in chosen:
      found['outlier'] = outlier_attack.run(audited, self._seeds.value)
      notes += map(outlier_audit.sentence, found['outlier']['systems'])
    return found, notes
