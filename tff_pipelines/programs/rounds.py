"""One round of training, tried again when secure aggregation fails."""

from collections.abc import Callable
import dataclasses
from typing import Any

import tensorflow_federated as tff

from tff_pipelines.core import client_batches, errors
from tff_pipelines.execution import contexts, masked_sums
from tff_pipelines.programs import metrics_log


class RoundFailedError(errors.PipelineError):
  """A round that failed as often as it may be tried."""


@dataclasses.dataclass(frozen=True)
class RoundOutcome:
  """What came of a round.

  Attributes:
    metrics: What the server sees of it, by name. With secure sums also how many
      clients were left, and the mean bytes of a client.
    process_state: The next state of the learning process.
    secure_sum_seconds: Time in the protocol of secure sums, all attempts.
    failed_attempts: How many came before the one that succeeded.
    num_contributors: Clients whose update entered; those that dropped out of a
      secure sum did not.
  """

  metrics: dict[str, Any]
  process_state: Any
  secure_sum_seconds: float
  failed_attempts: int
  num_contributors: int


def run(
  process: tff.learning.templates.LearningProcess,
  process_state: Any,
  cohort: Callable[[int], client_batches.ClientBatches],
  round_num: int,
  retries: int,
) -> RoundOutcome:
  """Computes a round; a failed secure sum gets a new cohort.

  Nothing of a failed attempt is kept: its sums are never revealed.

  Args:
    process: The learning process.
    process_state: Its state.
    cohort: From the number of failed attempts to the clients' batches.
    round_num: The round.
    retries: How often to try again.

  Raises:
    RoundFailedError: If no attempt succeeds.
  """
  secure_sums = contexts.current_secure_sums()
  seconds = 0.0
  for attempt in range(retries + 1):
    batches = cohort(attempt)
    if secure_sums is not None:
      secure_sums.begin_round(round_num, attempt)
    try:
      output = process.next(process_state, batches)
    except masked_sums.SessionAbortedError as error:
      reason = error
      continue
    cost = None if secure_sums is None else secure_sums.last_cost
    metrics = dict(output.metrics)
    train = metrics.pop('client_work', {})
    return RoundOutcome(
      {
        'cohort/clients': batches.num_clients,
        'cohort/examples': batches.num_examples,
        **_cost_metrics(cost, attempt),
        **metrics_log.flatten('', train),
        **metrics_log.flatten('', metrics),
      },
      output.state,
      seconds + (0.0 if cost is None else cost.seconds),
      attempt,
      batches.num_clients if cost is None else cost.survivors,
    )
  raise RoundFailedError(
    f'Expected secure aggregation to succeed in one of {retries + 1} attempts '
    f'of round {round_num}, found that all failed, the last one so: {reason} '
    'Take larger cohorts, tolerate more dropouts, or allow more '
    '--round_retries.'
  )


def _cost_metrics(
  cost: masked_sums.SessionCost | None, failed_attempts: int
) -> dict[str, Any]:
  """Returns what is the same in a resumed run: no seconds."""
  if cost is None:
    return {}
  return {
    'secure_sum/survivors': cost.survivors,
    'secure_sum/failed_attempts': failed_attempts,
    'secure_sum/upload_bytes_per_client': cost.upload_bytes,
    'secure_sum/download_bytes_per_client': cost.download_bytes,
  }
