"""Heat map: watch federated training happen.

  python -m tasks.heat_map

Users who each saw a few hot and cold places of a square learn the whole map
together. Draws every user's own accuracy step by step, the shared map's after
each merge, and the maps themselves; needs no data. Writes a run directory with
maps/, results.json, and report.html to look at.

  --figure=drift|outliers|fairness|privacy|all
      how often to meet, users who are wrong, whom the map serves, what noise
      hides; all of them and all sweeps in one report
  --sweep=points|merge|outliers|noise|users|steps|all, --sweep=points,merge
      one knob over its values, many worlds each; two knobs: a table
  --flagfile=tasks/flagfiles/heat_map/stations.flags --data_dir=DIR
      the same of 1,485 weather stations, each a client with its own report
  --flagfile=tasks/flagfiles/heat_map/private.flags
      with a guarantee: epsilon 4
  --figure=comparison --attack=sign_flip,backdoor --aggregator=mean,median
      lets a quarter of the users attack, and tells who withstands them
"""

import functools

from tff_pipelines.cli import (
  aggregator_flags,
  algorithm_flags,
  app,
  attack_flags,
  comparison,
  defence_table,
  heat_map_flags,
  heat_map_run,
  place_flags,
  place_maps,
  run_flags,
  secure_sum_flags,
  training_flags,
)
from tff_pipelines.data import poisons
from tff_pipelines.learning import optimizers

_DATA = place_flags.PlaceFlags()
_MODEL = place_flags.PlaceModelFlags()
_LOOK = heat_map_flags.HeatMapFlags()
_SYSTEMS = comparison.ComparisonFlags(central_epochs=400, local_epochs=400)
_CLIENT = training_flags.OptimizerFlags(
  'client', optimizers.OptimizerConfig('sgd', 0.1), scheduled=True
)
_SERVER = training_flags.OptimizerFlags(
  'server', optimizers.OptimizerConfig('sgd', 1.0), scheduled=True
)
_ALGORITHM = algorithm_flags.AlgorithmFlags(_CLIENT, _SERVER)
_AGGREGATOR = aggregator_flags.AggregatorFlags('uniform_mean')
_ATTACK = attack_flags.AttackFlags()
_PROGRAM = training_flags.ProgramFlags(
  rounds=20,
  clients_per_round=1000,
  batch_size=4,
  evaluate_every=1,
  client_epochs=20,
)
_EXECUTION = training_flags.ExecutionFlags()
_SECURE_SUM = secure_sum_flags.SecureSumFlags()
_RUN = run_flags.RunFlags()


def main() -> None:
  """Draws figures of the model world, or compares systems on any data."""
  seed = _PROGRAM.seed
  _EXECUTION.install(_SECURE_SUM.get(seed))
  if _LOOK.figures(_DATA.name) or _LOOK.sweeps():
    _LOOK.check_others(
      [_SYSTEMS, _CLIENT, _SERVER, _ALGORITHM, _ATTACK, _PROGRAM],
      but=['seed'],
    )
    heat_map_run.run(APP, _RUN, _LOOK, _DATA, _MODEL, _AGGREGATOR, seed=seed)
  else:
    _compare(seed)


def _compare(seed: int) -> None:
  dataset = _DATA.load(seed)
  model, net = _MODEL.build(dataset, seed), _MODEL.net(dataset)
  client_optimizer = _CLIENT.get()
  program_for = functools.partial(_PROGRAM.get, dataset.train.num_clients)
  program = program_for()
  algorithm = _ALGORITHM.of_program(program, dataset.train.client_ids)
  build = functools.partial(
    algorithm, _ATTACK.trained(model), **_ATTACK.of_process
  )
  federated = _AGGREGATOR.systems(build, program_for, model, _SECURE_SUM)
  columns = place_maps.COLUMNS[bool(dataset.label_names)]
  with _RUN.open(APP, dataset, seed) as directory:
    if _ATTACK.requested:
      outcome = defence_table.run(
        dataset,
        model,
        federated,
        aggregator=_AGGREGATOR,
        attack=_ATTACK,
        poison=poisons.of_places(),
        seed=seed,
        directory=directory,
        load=_DATA.load,
        initial_weights=net.initial_weights,
      )
    else:
      outcome = _SYSTEMS.run(
        dataset,
        model,
        [*federated, aggregator_flags.secure_system(build, program)],
        client_optimizer=client_optimizer,
        batch_size=_PROGRAM.batch_size,
        seed=seed,
        columns=columns,
        directory=directory,
        unavailable={**_EXECUTION.unavailable, **_ALGORITHM.unavailable},
      )
    if outcome.weights is not None and _DATA.name != 'grid':
      place_maps.write(directory, dataset, net, outcome.weights)
    _RUN.finish(
      directory,
      title=f'Heat map: {dataset.name}',
      primary=columns[0].key,
      columns=outcome.columns,
      rows=outcome.rows,
      notes=outcome.notes,
      sentence=outcome.sentence,
    )


APP = app.Application(
  'heat_map',
  __doc__,
  [
    _LOOK, _DATA, _MODEL, _SYSTEMS, _CLIENT, _SERVER, _ALGORITHM, _AGGREGATOR,
    _ATTACK, _PROGRAM, _EXECUTION, _SECURE_SUM, _RUN,
  ],
)  # fmt: skip

if __name__ == '__main__':
  APP.run(main)
