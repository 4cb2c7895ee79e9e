"""Digits: handwritten digits of many people, one model, no image moved.

  python -m tasks.digits

Trains a classifier federatedly, with and without secure aggregation, and
compares it with one central model and with one model a client. Needs no data:
it takes the 1,797 small digits that come with scikit-learn, unless --dataset
says otherwise. Writes a run directory with metrics.csv, results.json, and
report.html to look at.

  --flagfile=tasks/flagfiles/digits/mnist.flags --data_dir=DIR
      MNIST, dealt evenly to 3,383 clients, the 2NN of McMahan et al. 2017
  --model=cnn --algorithm=scaffold --partition=shards
      the CNN of the same paper, another algorithm, two or so labels a client
  --attack=sign_flip,backdoor --aggregator=mean,median
      lets a quarter of the clients attack, and tells who withstands them
  --flagfile=tasks/flagfiles/digits/interpolation.flags --data_dir=DIR
      why clients begin alike: the loss of means of two models
"""

import functools

from tff_pipelines.cli import (
  aggregator_flags,
  algorithm_flags,
  app,
  attack_flags,
  comparison,
  defence_table,
  image_flags,
  image_model_flags,
  interpolation,
  run_flags,
  secure_sum_flags,
  training_flags,
)
from tff_pipelines.data import poisons
from tff_pipelines.learning import optimizers
from tff_pipelines.programs import results

_DATA = image_flags.LabelledImageFlags()
_MODEL = image_model_flags.ImageClassifierFlags(32)
_SYSTEMS = comparison.ComparisonFlags(central_epochs=20, local_epochs=20)
_CLIENT = training_flags.OptimizerFlags(
  'client', optimizers.OptimizerConfig('sgd', 0.5), scheduled=True
)
_SERVER = training_flags.OptimizerFlags(
  'server', optimizers.OptimizerConfig('sgd', 1.0, momentum=0.5), scheduled=True
)
_ALGORITHM = algorithm_flags.AlgorithmFlags(_CLIENT, _SERVER)
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
_FIGURE = interpolation.FigureFlags()
_RUN = run_flags.RunFlags()

_COLUMNS = (
  results.Column('accuracy', 'accuracy', 'accuracy', 'percent', 'higher'),
  results.Column('loss', 'loss', 'loss', 'ratio', 'lower'),
  *results.EFFORT,
)


def main() -> None:
  """Trains and compares."""
  seed = _PROGRAM.seed
  _FIGURE.check_others(
    [
      _SYSTEMS, _SERVER, _ALGORITHM, _AGGREGATOR, _ATTACK, _PROGRAM,
      _SECURE_SUM,
    ],
    _CLIENT,
  )  # fmt: skip
  _EXECUTION.install(_SECURE_SUM.get(seed))
  dataset = _DATA.load(seed)
  model = _MODEL.build(dataset, seed)
  client_optimizer = _CLIENT.get()
  program_for = functools.partial(_PROGRAM.get, dataset.train.num_clients)
  program = program_for()
  algorithm = _ALGORITHM.of_program(program, dataset.train.client_ids)
  build = functools.partial(
    algorithm, _ATTACK.trained(model), **_ATTACK.of_process
  )
  federated = _AGGREGATOR.systems(build, program_for, model, _SECURE_SUM)
  with _RUN.open(APP, dataset, seed) as directory:
    if _FIGURE.requested:
      outcome = interpolation.run(
        dataset,
        functools.partial(_MODEL.build, dataset),
        client_optimizer=client_optimizer,
        batching=program.batching,
        seed=seed,
        directory=directory,
      )
    elif _ATTACK.requested:
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
        [*federated, aggregator_flags.secure_system(build, program)],
        client_optimizer=client_optimizer,
        batch_size=_PROGRAM.batch_size,
        seed=seed,
        columns=_COLUMNS,
        directory=directory,
        unavailable={**_EXECUTION.unavailable, **_ALGORITHM.unavailable},
      )
    _RUN.finish(
      directory,
      title=f'Digits: {dataset.name}',
      primary=outcome.columns[0].key,
      columns=outcome.columns,
      rows=outcome.rows,
      notes=outcome.notes,
      sentence=outcome.sentence,
    )


APP = app.Application(
  'digits',
  __doc__,
  [
    _DATA, _MODEL, _SYSTEMS, _CLIENT, _SERVER, _ALGORITHM, _AGGREGATOR,
    _ATTACK, _PROGRAM, _EXECUTION, _SECURE_SUM, _FIGURE, _RUN,
  ],
)  # fmt: skip

if __name__ == '__main__':
  APP.run(main)
