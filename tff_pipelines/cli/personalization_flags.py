"""Flags of training a model further at home, and what that is worth."""

import math
from typing import Any

import tensorflow_federated as tff

from tff_pipelines.cli import flag_groups
from tff_pipelines.data import batching, population
from tff_pipelines.learning import optimizers, personalization
from tff_pipelines.programs import fairness, run_directory


class PersonalizationFlags(flag_groups.FlagGroup):
  """`--personalize_steps` and `--personalize_learning_rate`."""

  def __init__(self, *, steps: int, batch_size: int):
    super().__init__('Personalization')
    self._steps = self.define(
      'personalize_steps',
      steps,
      "steps that each held-out person trains the final model on the person's "
      'earlier text; it is scored on the later text. 0 for none',
    )
    self._batch_size = self.define(
      'personalize_batch_size', batch_size, 'examples in a batch of theirs'
    )
    self._learning_rate = self.define(
      'personalize_learning_rate',
      0.0,
      "their SGD's step size; 0 is that of the clients",
    )

  def check(self) -> None:
    """Refuses numbers below what they can be, and rates without steps."""
    super().check()
    if self._steps.value < 0 or self._batch_size.value < 1:
      raise flag_groups.FlagError(
        f'Expected --{self._steps.name} of at least 0 and '
        f'--{self._batch_size.name} of at least 1, found {self._steps.value} '
        f'and {self._batch_size.value}.'
      )
    if not 0 <= self._learning_rate.value < math.inf:
      raise flag_groups.FlagError(
        f'Expected --{self._learning_rate.name} of at least 0, found '
        f'{self._learning_rate.value}.'
      )
    for flag in (self._batch_size, self._learning_rate):
      if flag.present and not self._steps.value:
        raise flag_groups.FlagError(
          f'Expected --{self._steps.name} above 0 where --{flag.name} is '
          'given, found 0, with which it has no effect; remove one of them.'
        )

  def run(
    self,
    model: tff.learning.models.FunctionalModel,
    weights: Any,
    earlier: population.ClientPopulation,
    later: population.ClientPopulation,
    *,
    metric: str,
    title: str,
    client_optimizer: optimizers.OptimizerConfig,
    seed: int,
    directory: run_directory.RunDirectory,
  ) -> list[str]:
    """Lets everyone train the model further; writes who gains.

    Writes simulation_only/personalization.csv and its summary.

    Args:
      model: The model.
      weights: Its trained weights; None writes nothing.
      earlier: What people train on.
      later: What they test on, by the same names.
      metric: That counts, higher is better.
      title: What a note calls it.
      client_optimizer: What the clients trained with.
      seed: The run's seed.
      directory: The run's.

    Returns:
      Notes for below the final table.
    """
    steps = self._steps.value
    if weights is None or not steps:
      return []
    rate = self._learning_rate.value or client_optimizer.learning_rate
    gains = fairness.personalize(
      personalization.build(
        model, optimizers.OptimizerConfig('sgd', rate).build()
      ),
      tff.learning.models.ModelWeights(tuple(weights), ()),
      earlier,
      later,
      batching=batching.Batching(self._batch_size.value, num_steps=steps),
      seed=seed,
    )
    # A person whose later text has nothing to count says nothing.
    gains = [g for g in gains if g.before[metric] == g.before[metric]]
    if not gains:
      return []
    summaries = fairness.summarize(gains, metric)
    fairness.write(directory, gains)
    fairness.write_summary(directory, summaries)
    everyone = summaries[0]
    middle = fairness.QUANTILES.index(0.5)
    return [
      f'personalization: {steps} steps on the earlier text of each of '
      f'{everyone.users} held-out people change {title} on their later text '
      f'by {100 * everyone.mean_gain:+.1f} points on average (median person '
      f'{100 * everyone.before[middle]:.1f} % before, '
      f'{100 * everyone.after[middle]:.1f} % after), '
      f'help {100 * everyone.helped:.0f} % and harm '
      f'{100 * everyone.harmed:.0f} % of them'
    ]
