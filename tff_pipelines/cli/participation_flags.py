"""Flags of who takes part in a round."""

from typing import get_args

from tff_pipelines.cli import flag_groups
from tff_pipelines.core import participation


class ParticipationFlags:
  """`--participation`, `--clients_per_round` and those of a day.

  In the group of a training program.
  """

  def __init__(self, group: flag_groups.FlagGroup, clients_per_round: int):
    """Declares the flags.

    Args:
      group: The group that they belong to.
      clients_per_round: If the flags do not say.
    """
    define = group.define
    schemes = get_args(participation.Scheme)
    self._scheme = define(
      'participation',
      'uniform',
      'how a cohort is drawn: a fixed number at random; each client by a coin; '
      'everyone in turn; everyone always; a fixed number of those who are '
      'awake, others from round to round. Private aggregators have schemes of '
      'their own unless this is given',
      choices=schemes,
    )
    self._clients_per_round = define(
      'clients_per_round',
      clients_per_round,
      'cohort size (its expectation for poisson); a smaller population takes '
      'part whole, and so do those who are awake',
      only_with=(
        'participation',
        tuple(name for name in schemes if name != 'everyone'),
      ),
    )
    diurnal = ('participation', ('diurnal',))
    self._day_rounds = define(
      'day_rounds',
      24,
      'rounds in a day; who is awake moves on through the clients once a day',
      only_with=diurnal,
    )
    self._awake_share = define(
      'awake_share',
      0.25,
      'share of the day that a client is awake',
      only_with=diurnal,
    )

  def get(
    self,
    population_size: int,
    preferred: participation.Scheme | None = None,
  ) -> participation.Participation:
    """Returns the participation that the flags describe.

    Args:
      population_size: Clients that can be chosen.
      preferred: How cohorts are drawn if the flags do not say; None: by the
        flag's default.

    Raises:
      ParticipationError: If it cannot be carried out.
    """
    scheme = self._scheme.value
    if preferred is not None and not self._scheme.present:
      scheme = preferred
    clients = min(self._clients_per_round.value, population_size)
    if scheme == 'everyone':
      clients = population_size
    if scheme != 'diurnal':
      return participation.Participation(population_size, clients, scheme)
    awake = participation.num_awake(population_size, self._awake_share.value)
    return participation.Participation(
      population_size,
      min(clients, awake),
      scheme,
      day_rounds=self._day_rounds.value,
      awake_share=self._awake_share.value,
    )
