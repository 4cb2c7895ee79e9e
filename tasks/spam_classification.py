"""Spam classification: many people's messages, one model, no message moved.

  python -m tasks.spam_classification

Trains a spam filter federatedly, with and without secure aggregation, and
compares it with one central model and with one model a person. Needs no data:
messages are generated, unless --dataset says otherwise. Writes a run directory
with metrics.csv, results.json, the trained model, and report.html to look at.

  --flagfile=tasks/flagfiles/spam_classification/sms.flags --data_dir=DIR
      the SMS Spam Collection, dealt unevenly to 100 people: about 99 %
  --output_dir=RUN --predict="free prize, call now"
      uses the model of a run
  --attack=sign_flip,backdoor --aggregator=mean,median
      lets a quarter of the people attack, and tells who withstands them
"""

import functools

from tff_pipelines.cli import (
  aggregator_flags,
  algorithm_flags,
  app,
  attack_flags,
  comparison,
  defence_table,
  leak,
  run_flags,
  secure_sum_flags,
  text_classifier_flags,
  text_flags,
  training_flags,
)
from tff_pipelines.data import poisons
from tff_pipelines.learning import optimizers
from tff_pipelines.programs import results

_DATA = text_flags.LabelledTextFlags()
_FEATURES = text_flags.TextFeatureFlags()
_MODEL = text_classifier_flags.TextClassifierFlags()
_SYSTEMS = comparison.ComparisonFlags(central_epochs=20, local_epochs=20)
_CLIENT = training_flags.OptimizerFlags(
  'client', optimizers.OptimizerConfig('sgd', 10.0), scheduled=True
)
_SERVER = training_flags.OptimizerFlags(
  'server', optimizers.OptimizerConfig('sgd', 1.0), scheduled=True
)
_ALGORITHM = algorithm_flags.AlgorithmFlags(_CLIENT, _SERVER)
_AGGREGATOR = aggregator_flags.AggregatorFlags()
_ATTACK = attack_flags.AttackFlags()
_PROGRAM = training_flags.ProgramFlags(
  rounds=40, clients_per_round=20, batch_size=10, evaluate_every=2
)
_EXECUTION = training_flags.ExecutionFlags()
_SECURE_SUM = secure_sum_flags.SecureSumFlags()
_RUN = run_flags.RunFlags()
_PREDICT = text_classifier_flags.PredictFlags()

_COLUMNS = (
  results.Column('accuracy', 'accuracy', 'accuracy', 'percent', 'higher'),
  results.Column('recall', 'spam_caught', 'spam caught', 'percent', 'higher'),
  results.Column(
    'false_positive_rate', 'ham_blocked', 'ham blocked', 'percent', 'lower'
  ),
  results.Column(
    'matthews_correlation', 'matthews_correlation', 'Matthews corr.', 'ratio',
    'higher',
  ),
  results.Column('auc', 'auc', 'AUC', 'ratio', 'higher'),
  *results.EFFORT,
)  # fmt: skip


def main() -> None:
  """Trains and compares, or classifies with what was trained."""
  if _PREDICT.requested:
    _PREDICT.run(_RUN.trained_run())
    return
  seed = _PROGRAM.seed
  _EXECUTION.install(_SECURE_SUM.get(seed))
  dataset = _DATA.load(_FEATURES.get(), seed)
  classifier = _MODEL.build(dataset, seed)
  client_optimizer = _CLIENT.get()
  program_for = functools.partial(_PROGRAM.get, dataset.train.num_clients)
  program = program_for()
  algorithm = _ALGORITHM.of_program(program, dataset.train.client_ids)
  build = functools.partial(
    algorithm, _ATTACK.trained(classifier.functional), **_ATTACK.of_process
  )
  federated = _AGGREGATOR.systems(
    build, program_for, classifier.functional, _SECURE_SUM
  )
  trained = [*federated, aggregator_flags.secure_system(build, program)]
  with _RUN.open(APP, dataset, seed) as directory:
    if _ATTACK.requested:
      outcome = defence_table.run(
        dataset,
        classifier.functional,
        federated,
        aggregator=_AGGREGATOR,
        attack=_ATTACK,
        poison=poisons.of_texts(dataset.features),
        seed=seed,
        directory=directory,
      )
    else:
      outcome = _SYSTEMS.run(
        dataset,
        classifier.functional,
        trained,
        client_optimizer=client_optimizer,
        batch_size=_PROGRAM.batch_size,
        seed=seed,
        columns=_COLUMNS,
        directory=directory,
        unavailable={**_EXECUTION.unavailable, **_ALGORITHM.unavailable},
      )
    shared, seen = leak.readable(
      trained,
      [row['system'] for row in outcome.rows],
      plain_training=_ALGORITHM.is_plain,
    )
    leaked = leak.measure(
      directory,
      dataset,
      classifier,
      client_optimizer=client_optimizer,
      program=shared,
      systems=seen,
    )
    if outcome.weights is not None:
      text_classifier_flags.export(
        directory.model, classifier, dataset, outcome.weights
      )
    _RUN.finish(
      directory,
      title=f'Spam classification: {dataset.name}',
      primary='accuracy',
      columns=outcome.columns,
      rows=outcome.rows,
      notes=[*outcome.notes, *leaked],
      sentence=outcome.sentence,
    )


APP = app.Application(
  'spam_classification',
  __doc__,
  [
    _DATA, _FEATURES, _MODEL, _SYSTEMS, _CLIENT, _SERVER, _ALGORITHM,
    _AGGREGATOR, _ATTACK, _PROGRAM, _EXECUTION, _SECURE_SUM, _RUN, _PREDICT,
  ],
)  # fmt: skip

if __name__ == '__main__':
  APP.run(main)
