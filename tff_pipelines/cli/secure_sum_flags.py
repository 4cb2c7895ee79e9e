"""Flags of secure aggregation: how sums are protected, and who drops out."""

from tff_pipelines.cli import secagg_flags
from tff_pipelines.execution import masked_sums


class SecureSumFlags(secagg_flags.SecAggFlags):
  """`--secure_sum`, `--dropout` and what a session has to bear."""

  def __init__(self) -> None:
    super().__init__('Secure aggregation, where a system has secure sums')
    self._kind = self.define(
      'secure_sum',
      'masked',
      'masked: the protocol, the server sees the sum only; insecure: summed in '
      'the clear, protects nobody',
      choices=('masked', 'insecure'),
    )
    self.define_session(
      graph='secagg_graph',
      malicious='malicious_server',
      only_with=('secure_sum', ('masked',)),
      noise_with=('aggregator', ('distributed_dp',)),
    )

  @property
  def is_masked(self) -> bool:
    """Whether the protocol runs, so that the server sees sums only."""
    return self._kind.value == 'masked'

  def get(self, seed: int) -> masked_sums.MaskedSum | str:
    """Returns what `XlaContext(secure_sums=...)` takes.

    Args:
      seed: The run's seed, which decides who drops out.
    """
    if not self.is_masked:
      return 'insecure'
    return masked_sums.MaskedSum(
      masked_sums.MaskedSumConfig(
        graph=self.graph,
        tolerated_dropout=self.tolerated_dropout,
        tolerated_corrupted=self.tolerated_corrupted,
        malicious=self.malicious,
        dropout_rates=self.dropout_rates,
        seed=seed,
      )
    )
