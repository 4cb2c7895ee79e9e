"""Every aggregator against every attack, on one task."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
import statistics
from typing import Any

import numpy as np
import tensorflow_federated as tff

from tff_pipelines.cli import (
  aggregator_flags,
  attack_flags,
  comparison,
  defence_results,
  defence_theory,
  flag_groups,
)
from tff_pipelines.core import client_kinds as kinds_lib
from tff_pipelines.data import client_kinds, poisons, population
from tff_pipelines.learning import evaluation
from tff_pipelines.programs import (
  kept_results,
  progress,
  run_directory,
  short_runs,
  training,
)

# From the seed of a repeat.
Load = Callable[[int], population.FederatedDataset]
InitialWeights = Callable[[int], Sequence[np.ndarray]]


def run(
  dataset: population.FederatedDataset,
  model: tff.learning.models.FunctionalModel,
  systems: Sequence[comparison.TrainedSystem],
  *,
  aggregator: aggregator_flags.AggregatorFlags,
  attack: attack_flags.AttackFlags,
  poison: poisons.Poison,
  seed: int,
  directory: run_directory.RunDirectory,
  load: Load | None = None,
  initial_weights: InitialWeights | None = None,
) -> comparison.Outcome:
  """Trains every aggregator under every attack, and without.

  Writes maps/defences/ (figure.json, server.csv, defences.csv). What is trained
  is kept, so that a run that was killed goes on with the next.

  Args:
    dataset: Who has what.
    model: What is trained; its metrics have an accuracy.
    systems: That of each aggregator, whose process is attacked as the examples
      say, as `fed_avg.build` with `attack` builds it.
    aggregator: Which aggregators.
    attack: Which attacks.
    poison: What attackers make of the task's examples.
    seed: The run's seed.
    directory: Where it is recorded.
    load: Draws the data of a repeat from its seed; None takes the same for all.
    initial_weights: Draws the first weights of a repeat from its seed; None
      begins all with those of the model.

  Returns:
    The table, a row for each pair; it has no weights to use.

  Raises:
    FlagError: If a rule could stop training early.
  """
  _check_whole(systems)
  trained = dict(zip(aggregator.names, systems, strict=True))
  sweep = _Sweep(
    dataset, model, attack, poison, seed, directory, load, initial_weights
  )
  measured: dict[tuple[str, str], dict[str, Any]] = {}
  # One aggregator after the other, so that each is compiled once.
  for defender, system in trained.items():
    process = functools.cache(system.build)
    with progress.Progress(
      defender, len(attack.names), unit='attack'
    ) as display:
      for done, name in enumerate(attack.names, start=1):
        one = sweep.measured(name, defender, process, system.program)
        measured[name, defender] = one
        display.update(done, {name: one['accuracy']})
  found = defence_results.Defences(
    defences=tuple(
      sweep.defence(
        name,
        defender,
        measured,
        system.program,
        aggregator.tolerated(system.program.participation),
      )
      for name in attack.names
      for defender, system in trained.items()
    ),
    num_clients=sweep.num_clients,
    num_attackers=attack.count(sweep.num_clients),
    most_attackers=max(
      of_round
      for system in systems
      for of_round in attackers_by_round(
        sweep.kinds(attack.names[-1]), system.program
      )
    ),
    settings=sweep.settings,
    backdoor=sweep.backdoor,
  )
  defence_results.write(directory, found)
  return comparison.Outcome(
    columns=found.columns,
    rows=found.rows,
    notes=found.notes,
    weights=None,
    sentence=found.sentence,
  )


@dataclasses.dataclass(frozen=True)
class _Sweep:
  """All that its parts have in common."""

  dataset: population.FederatedDataset
  model: tff.learning.models.FunctionalModel
  attack: attack_flags.AttackFlags
  poison: poisons.Poison
  seed: int
  directory: run_directory.RunDirectory
  load: Load | None
  initial_weights: InitialWeights | None

  @functools.cached_property
  def datasets(self) -> dict[int, population.FederatedDataset]:
    """The data of each repeat, by its seed."""
    return {
      seed: self.dataset
      if self.load is None or seed == self.seed
      else self.load(seed)
      for seed in self.attack.seeds(self.seed)
    }

  @property
  def num_clients(self) -> int:
    return self.dataset.train.num_clients

  @property
  def planted(self) -> bool:
    """Whether there is a backdoor to look for."""
    return defence_results.BACKDOOR in self.attack.names

  @property
  def backdoor(self) -> str | None:
    """What the backdoor does, for a reader."""
    if not self.planted:
      return None
    target = self.dataset.label_names[int(self.poison.target_label)]
    return (
      f'backdoor: {self.poison.trigger} is to make a test example one of '
      f'{target}; without attack, that is how often the model errs so anyway'
    )

  @property
  def settings(self) -> dict[str, Any]:
    """Plain values, for a reader."""
    strengths = self.attack.strengths
    return {
      'seed': self.seed,
      'repeats': len(self.attack.seeds(self.seed)),
      'clients': self.num_clients,
      'attackers': self.attack.count(self.num_clients),
      **({} if strengths is None else dataclasses.asdict(strengths)),
    }

  @functools.cached_property
  def evaluate(self) -> tff.Computation:
    return evaluation.build(self.model)

  @functools.cached_property
  def honest(self) -> dict[int, Any]:
    """The honest test batches of each repeat, by its seed."""
    return {s: _all_batches(d.test) for s, d in self.datasets.items()}

  @functools.cached_property
  def triggered(self) -> dict[int, Any]:
    """The same with the backdoor's trigger."""
    return {
      s: _all_batches(client_kinds.triggered(d.test, self.poison))
      for s, d in self.datasets.items()
    }

  def kinds(
    self, attack: str, seed: int | None = None
  ) -> tuple[kinds_lib.ClientKind, ...]:
    return self.attack.kinds(
      attack, self.num_clients, self.seed if seed is None else seed
    )

  @functools.cached_property
  def _kept(self) -> kept_results.KeptResults:
    return kept_results.KeptResults(self.directory.simulation_only / 'defences')

  def measured(
    self,
    attack: str,
    aggregator: str,
    process: Any,
    program: training.TrainingProgram,
  ) -> dict[str, Any]:
    """Returns accuracy and attack_success, means, and by_round, by seed.

    What is not kept is trained.
    """
    by_seed = {
      seed: self._kept.get(
        f'{aggregator} {attack} {seed}',
        functools.partial(
          self._trained,
          attack,
          process,
          dataclasses.replace(program, seed=seed),
        ),
      )
      for seed in self.datasets
    }
    found = by_seed.values()
    successes = [one['attack_success'] for one in found]
    return {
      'accuracy': statistics.fmean(one['accuracy'] for one in found),
      'attack_success': (
        None if None in successes else statistics.fmean(successes)
      ),
      'by_round': [
        (seed, *row) for seed, one in by_seed.items() for row in one['by_round']
      ],
    }

  def _trained(
    self, attack: str, build: Any, program: training.TrainingProgram
  ) -> dict[str, Any]:
    process, seed = build(), program.seed
    clients = client_kinds.with_kinds(
      self.datasets[seed].train,
      self.kinds(attack, seed),
      poison=self.poison,
      seed=seed,
    )
    by_round: list[tuple[int, float]] = []

    def accuracy(state: Any, batches: Any) -> float:
      weights = process.get_model_weights(state)
      return float(self.evaluate(weights, batches)['accuracy'])

    def observe(round_num: int, state: Any) -> None:
      is_last = round_num == program.rounds
      if is_last or round_num % program.evaluate_every == 0:
        by_round.append((round_num, accuracy(state, self.honest[seed])))

    state = short_runs.train(
      process,
      clients,
      program,
      observe,
      None if self.initial_weights is None else self.initial_weights(seed),
    )
    looked_for = self.planted and attack in (
      defence_results.BACKDOOR,
      defence_results.NONE,
    )
    return {
      'accuracy': by_round[-1][1],
      'attack_success': (
        accuracy(state, self.triggered[seed]) if looked_for else None
      ),
      'by_round': by_round,
    }

  def defence(
    self,
    attack: str,
    aggregator: str,
    found: Mapping[tuple[str, str], Mapping[str, Any]],
    program: training.TrainingProgram,
    tolerated: int,
  ) -> defence_results.Defence:
    one = found[attack, aggregator]
    unattacked = found[defence_results.NONE, aggregator]['accuracy']
    return defence_results.Defence(
      attack,
      aggregator,
      one['accuracy'],
      unattacked - one['accuracy'],
      one['attack_success'],
      defence_theory.should_hold(
        aggregator, attackers_by_round(self.kinds(attack), program), tolerated
      ),
      tuple(one['by_round']),
    )


def attackers_by_round(
  kinds: Sequence[kinds_lib.ClientKind], program: training.TrainingProgram
) -> list[tuple[int, int]]:
  """Returns the attackers and all clients of each round of a program.

  Exact, since cohorts are a pure function of the seed, but for rounds that had
  to be repeated.

  Args:
    kinds: Of each client.
    program: Its rounds and participation.
  """
  attacks = np.array(kinds) != kinds_lib.ClientKind.HONEST
  found = []
  for round_num in range(1, program.rounds + 1):
    cohort = program.participation.select(program.seed, round_num)
    found.append((int(attacks[cohort].sum()), len(cohort)))
  return found


def _check_whole(systems: Sequence[comparison.TrainedSystem]) -> None:
  for system in systems:
    terms = system.program.privacy
    if system.program.stop_rules or (
      terms is not None and terms.stop_at_epsilon is not None
    ):
      raise flag_groups.FlagError(
        'Expected no rule that stops training early where clients attack, '
        'found one; give --rounds alone, or --attack=none.'
      )


def _all_batches(clients: population.ClientPopulation) -> Any:
  return clients.batches(
    range(clients.num_clients),
    training.EVALUATION_BATCHING,
    seed=0,
    round_num=0,
  )
