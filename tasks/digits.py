"""Digits: handwritten digits of many people, one model, no image moved.

  python -m tasks.digits

Trains a classifier federatedly, with and without secure aggregation, and
compares it with one central model and with one model a client. Needs no data:
it takes the 1,797 small digits that come with scikit-learn, unless --dataset
says otherwise. Writes a run directory with metrics.csv, results.json, and
report.html to look at.

  --flagfile=tasks/flagfiles/digits/mnist.flags --data_dir=DIR
      MNIST, dealt evenly to 3,383 clients, the 2NN of McMahan et al. 2017
  --attack=sign_flip,backdoor --aggregator=mean,median
      lets a quarter of the clients attack, and tells who withstands them
"""

import functools

from tff_pipelines.cli import (
  aggregator_flags,
  app,
  attack_flags,
  comparison,
  defence_table,
  image_flags,
  run_flags,
  secure_sum_flags,
  training_flags,
)
from tff_pipelines.data import poisons
from tff_pipelines.learning import fed_avg, optimizers
from tff_pipelines.programs import results

_DATA = image_flags.LabelledImageFlags()
_MODEL = image_flags.ImageClassifierFlags(32)
_SYSTEMS = comparison.ComparisonFlags(central_epochs=20, local_epochs=20)
_CLIENT = training_flags.OptimizerFlags(
  'client', optimizers.OptimizerConfig('sgd', 0.5)
)
_SERVER = training_flags.OptimizerFlags(
  'server', optimizers.OptimizerConfig('sgd', 1.0, momentum=0.5)
)
_AGGREGATOR = aggregator_flags.AggregatorFlags()
_ATTACK = attack_flags.AttackFlags()
_PROGRAM = training_flags.ProgramFlags(
  rounds=25,
  clients_per_round=20,
  batch_size=10,
  evaluate_every=5,
  client_epochs=2,
)
_EXECUTION = training_flags.ExecutionFlags()
_SECURE_SUM = secure_sum_flags.SecureSumFlags()
_RUN = run_flags.RunFlags()

_COLUMNS = (
  results.Column('accuracy', 'accuracy', 'accuracy', 'percent', 'higher'),
  results.Column('loss', 'loss', 'loss', 'ratio', 'lower'),
  *results.EFFORT,
)


def main() -> None:
  """Trains and compares."""
  seed = _PROGRAM.seed
  _EXECUTION.install(_SECURE_SUM.get(seed))
  dataset = _DATA.load(seed)
  model = _MODEL.build(dataset, seed)
  client_optimizer = _CLIENT.get()
  program_for = functools.partial(_PROGRAM.get, dataset.train.num_clients)
  build = functools.partial(
    fed_avg.build,
    _ATTACK.trained(model),
    client_optimizer=client_optimizer.build(),
    server_optimizer=_SERVER.get().build(),
    attack=_ATTACK.strengths,
  )
  federated = _AGGREGATOR.systems(build, program_for, model, _SECURE_SUM)
  with _RUN.open(_APP, dataset, seed) as directory:
    if _ATTACK.requested:
      pixels, _ = dataset.train.element_spec
      outcome = defence_table.run(
        dataset,
        model,
        federated,
        aggregator=_AGGREGATOR,
        attack=_ATTACK,
        poison=poisons.of_images(pixels.shape[0], len(dataset.label_names)),
        seed=seed,
        directory=directory,
      )
    else:
      outcome = _SYSTEMS.run(
        dataset,
        model,
        [*federated, aggregator_flags.secure_system(build, program_for())],
        client_optimizer=client_optimizer,
        batch_size=_PROGRAM.batch_size,
        seed=seed,
        columns=_COLUMNS,
        directory=directory,
        unavailable=_EXECUTION.unavailable,
      )
    _RUN.finish(
      directory,
      title=f'Digits: {dataset.name}',
      primary='accuracy',
      columns=outcome.columns,
      rows=outcome.rows,
      notes=outcome.notes,
      sentence=outcome.sentence,
    )


_APP = app.Application(
  'digits',
  __doc__,
  [
    _DATA, _MODEL, _SYSTEMS, _CLIENT, _SERVER, _AGGREGATOR, _ATTACK,
    _PROGRAM, _EXECUTION, _SECURE_SUM, _RUN,
  ],
)  # fmt: skip

if __name__ == '__main__':
  _APP.run(main)
