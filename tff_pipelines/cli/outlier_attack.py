"""One client whose labels are all wrong, in or out, from many seeds."""

import dataclasses
import functools
from typing import Any

import numpy as np
import tensorflow as tf

from tff_pipelines.cli import audited_training
from tff_pipelines.data import changed_population, population
from tff_pipelines.learning import evaluation
from tff_pipelines.programs import (
  kept_results,
  outlier_audit,
  progress,
  short_runs,
)


def in_and_out(
  dataset: population.FederatedDataset,
) -> tuple[int, dict[bool, population.ClientPopulation]]:
  """Returns the outlier, and the clients with it and without.

  It is the client with the most data, each of its labels replaced by the next.
  Without it, it is there with no data, so that cohorts stay the same.
  """
  everyone = dataset.train
  client = int(np.argmax(everyone.sizes))
  x, y = everyone.examples(client)
  wrong = (x, ((y + 1) % len(dataset.label_names)).astype(y.dtype))
  nothing = tf.nest.map_structure(lambda a: a[:0], wrong)
  return client, {
    is_in: changed_population.ReplacedPopulation(everyone, client, examples)
    for is_in, examples in ((True, wrong), (False, nothing))
  }


def run(
  audited: audited_training.AuditedTraining, num_seeds: int
) -> dict[str, Any]:
  """Trains with and without the outlier, with noise and without.

  What is done is kept, so that a run that was killed goes on with the next
  model.

  Args:
    audited: What is trained.
    num_seeds: From how many seeds.

  Returns:
    The part `outlier` of privacy_audit.json.
  """
  client, populations = in_and_out(audited.dataset)
  kept = kept_results.KeptResults(audited.directory.simulation_only / 'attacks')
  evaluate = evaluation.build(audited.model)
  own = audited_training.all_batches(
    changed_population.SubsetPopulation(populations[True], np.array([client]))
  )
  shorts = audited.with_and_without_noise(audited.dataset.train.num_clients)
  done = 0

  def loss(
    short: audited_training.ShortTraining, seed: int, is_in: bool
  ) -> float:
    state = short_runs.train(
      short.process,
      populations[is_in],
      dataclasses.replace(short.program, seed=seed),
    )
    weights = short.process.get_model_weights(state)
    return float(evaluate(weights, own)['loss'])

  def kept_loss(
    short: audited_training.ShortTraining, seed: int, is_in: bool
  ) -> float:
    nonlocal done
    found = kept.get(
      f'outlier {"in" if is_in else "out"}, {short.name} {seed}',
      functools.partial(loss, short, seed, is_in),
    )
    done += 1
    display.update(done)
    return found

  total = 2 * num_seeds * len(shorts)
  with progress.Progress('outlier in or out', total, unit='model') as display:
    return outlier_audit.experiment(
      {short.name: functools.partial(kept_loss, short) for short in shorts},
      range(audited.seed, audited.seed + num_seeds),
    )
