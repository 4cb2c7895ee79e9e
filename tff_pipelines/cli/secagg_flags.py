"""Flags of the protocol of secure aggregation, for whatever runs it."""

from collections.abc import Sequence
from typing import Any

from tff_pipelines.cli import flag_groups
from tff_pipelines.secagg import parameters, phases


def parse_dropout(
  pairs: Sequence[str], flag: str
) -> dict[phases.Phase | str, float]:
  """Returns the rates of `advertise:0.02,mask:0.05`, by phase.

  Raises:
    FlagError: If it is not such a list.
  """
  rates: dict[phases.Phase | str, float] = {}
  for pair in pairs:
    name, _, rate = pair.partition(':')
    try:
      phase, value = phases.Phase(name.strip()), float(rate)
    except ValueError as error:
      raise flag_groups.FlagError(
        f'Expected --{flag} to be pairs of a phase ({", ".join(phases.Phase)}) '
        f'and a rate such as mask:0.05, found {pair!r}.'
      ) from error
    if not 0 <= value < 1 or phase in rates:
      raise flag_groups.FlagError(
        f'Expected --{flag} to name each phase once, with a rate from 0 to '
        f'below 1, found {pair!r}.'
      )
    rates[phase] = value
  return rates


class SecAggFlags(flag_groups.FlagGroup):
  """`--dropout`, and what a session has to bear.

  Tasks in which secure aggregation is one part of many give the flags longer
  names.
  """

  def __init__(self, title: str = 'The protocol'):
    """Initializes the group; `define_session` declares the flags."""
    super().__init__(title)

  def define_session(
    self,
    *,
    graph: str = 'graph',
    malicious: str = 'malicious',
    only_with: tuple[str, tuple[Any, ...]] | None = None,
    noise_with: tuple[str, tuple[Any, ...]] | None = None,
  ) -> None:
    """Declares the flags.

    Args:
      graph: The name of the flag of the graph.
      malicious: That of the variant against a malicious server.
      only_with: Another flag and its values with which these have an effect.
      noise_with: Such a pair with which clients add noise to a sum: how much of
        it they add depends on who may drop out or collude, however the sum is
        computed.
    """
    self._dropout = self.define(
      'dropout',
      [],
      'simulated dropouts: by phase the chance that a client leaves before its '
      'message, as advertise:0.02,share:0.02,mask:0.05,unmask:0.05',
      only_with=only_with,
    )
    self._graph = self.define(
      graph,
      'complete',
      'who shares secrets with whom: everyone with everyone; or, for many '
      'hundreds of clients, with some neighbours',
      choices=('complete', 'sparse'),
      only_with=only_with,
    )
    self._tolerated_dropout = self.define(
      'tolerated_dropout',
      0.3,
      'share of the clients that may drop out before a session fails; noise in '
      'shares is enough without theirs',
      only_with=only_with,
      or_with=noise_with,
    )
    self._tolerated_corrupted = self.define(
      'tolerated_corrupted',
      0.0,
      'share of the clients that may collude with the server; noise in shares '
      'is enough without theirs',
      only_with=only_with,
      or_with=noise_with,
    )
    self._malicious = self.define(
      malicious,
      False,
      'the variant for a server that may deviate from the protocol',
      only_with=only_with,
    )

  def check(self) -> None:
    """Refuses shares that are none, and phases that the variant lacks."""
    super().check()
    for flag in (self._tolerated_dropout, self._tolerated_corrupted):
      if not 0 <= flag.value < 1:
        raise flag_groups.FlagError(
          f'Expected --{flag.name} to be a share of the clients, from 0 to '
          f'below 1, found {flag.value}.'
        )
    if phases.Phase.CONSISTENCY in self.dropout_rates and not self.malicious:
      raise flag_groups.FlagError(
        f'Expected --{self._malicious.name} where --{self._dropout.name} names '
        'the phase consistency, which only that variant has, found none; add '
        'it or use the phase unmask.'
      )

  @property
  def dropout_rates(self) -> dict[phases.Phase | str, float]:
    """By phase the chance that a client leaves before its message."""
    return parse_dropout(self._dropout.value, self._dropout.name)

  @property
  def graph(self) -> parameters.Graph:
    """Who shares secrets with whom."""
    return self._graph.value

  @property
  def tolerated_dropout(self) -> float:
    """Share of the clients that may drop out."""
    return self._tolerated_dropout.value

  @property
  def tolerated_corrupted(self) -> float:
    """Share of the clients that may collude with the server."""
    return self._tolerated_corrupted.value

  @property
  def malicious(self) -> bool:
    """Whether the server may deviate from the protocol."""
    return self._malicious.value

  def parameters(self, num_clients: int) -> parameters.SecAggParameters:
    """Returns the parameters of a session of so many clients.

    Raises:
      ParameterError: If no choice is safe.
    """
    return parameters.derive_parameters(
      num_clients,
      self.tolerated_dropout,
      self.tolerated_corrupted,
      self.graph,
      self.malicious,
    )
