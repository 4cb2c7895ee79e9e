"""Flags of secure aggregation: how sums are protected, and who drops out."""

from collections.abc import Sequence

from tff_pipelines.cli import flag_groups
from tff_pipelines.execution import masked_sums
from tff_pipelines.secagg import phases


def parse_dropout(pairs: Sequence[str], flag: str) -> dict[phases.Phase, float]:
  """Returns the rates of `advertise:0.02,mask:0.05`, by phase.

  Raises:
    FlagError: If it is not such a list.
  """
  rates: dict[phases.Phase, float] = {}
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


class SecureSumFlags(flag_groups.FlagGroup):
  """`--secure_sum`, `--dropout` and what a session has to bear."""

  def __init__(self) -> None:
    super().__init__('Secure aggregation, where a system has secure sums')
    only_masked = ('secure_sum', ('masked',))
    self._kind = self.define(
      'secure_sum',
      'masked',
      'masked: the protocol, the server sees the sum only; insecure: summed in '
      'the clear, protects nobody',
      choices=('masked', 'insecure'),
    )
    self._dropout = self.define(
      'dropout',
      [],
      'simulated dropouts: by phase the chance that a client leaves before its '
      'message, as advertise:0.02,share:0.02,mask:0.05,unmask:0.05',
      only_with=only_masked,
    )
    self._graph = self.define(
      'secagg_graph',
      'complete',
      'who shares secrets with whom: everyone with everyone; or, for many '
      'hundreds of clients, with some neighbours',
      choices=('complete', 'sparse'),
      only_with=only_masked,
    )
    self._tolerated_dropout = self.define(
      'tolerated_dropout',
      0.3,
      'share of a cohort that may drop out before a round fails',
      only_with=only_masked,
    )
    self._tolerated_corrupted = self.define(
      'tolerated_corrupted',
      0.0,
      'share of a cohort that may collude with the server',
      only_with=only_masked,
    )
    self._malicious = self.define(
      'malicious_server',
      False,
      'the variant for a server that may deviate from the protocol',
      only_with=only_masked,
    )

  def get(self, seed: int) -> masked_sums.MaskedSum | str:
    """Returns what `XlaContext(secure_sums=...)` takes.

    Args:
      seed: The run's seed, which decides who drops out.
    """
    if self._kind.value == 'insecure':
      return 'insecure'
    return masked_sums.MaskedSum(
      masked_sums.MaskedSumConfig(
        graph=self._graph.value,
        tolerated_dropout=self._tolerated_dropout.value,
        tolerated_corrupted=self._tolerated_corrupted.value,
        malicious=self._malicious.value,
        dropout_rates=parse_dropout(self._dropout.value, self._dropout.name),
        seed=seed,
      )
    )
