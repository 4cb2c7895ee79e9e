"""Next-word prediction: a keyboard's model, learned from people's own typing.

  python -m tasks.next_word_prediction

Trains a recurrent language model federatedly and compares it with one central
model, with one model a person, and with n-grams, on the text of people on whom
nobody trained. Needs no data: people and their dialects are generated, unless
--dataset says otherwise. Writes a run directory with metrics.csv, speed.csv,
results.json, the exported model, and report.html to look at.

  --prompt="how do i" [--output_dir=RUN]
      suggests the next word with the model of a run
  --flagfile=tasks/flagfiles/next_word_prediction/irc.flags --data_dir=DIR
      the #ubuntu channel, 5,000 words, a nickname a client
  --flagfile=tasks/flagfiles/next_word_prediction/secrets.flags
      what the model gives away of what few people typed, with and without DP
"""

import functools

from tff_pipelines.cli import (
  aggregator_flags,
  algorithm_flags,
  app,
  comparison,
  keyboard_flags,
  language_model_flags,
  memorization,
  next_word_results,
  ngram_flags,
  personalization_flags,
  run_flags,
  secure_sum_flags,
  training_flags,
  typed_text_flags,
)
from tff_pipelines.learning import optimizers
from tff_pipelines.models import language_models

_DATA = typed_text_flags.TypedTextFlags()
_ROWS = typed_text_flags.TokenRowFlags()
_MODEL = language_model_flags.LanguageModelFlags(embedding_size=48, units=128)
_NGRAMS = ngram_flags.NgramFlags()
_SYSTEMS = comparison.ComparisonFlags(
  central_epochs=5,
  local_epochs=30,
  local_people=60,
  systems=('central', 'local', 'federated'),
)
_CLIENT = training_flags.OptimizerFlags(
  'client', optimizers.OptimizerConfig('sgd', 0.5), scheduled=True
)
_SERVER = training_flags.OptimizerFlags(
  'server',
  optimizers.OptimizerConfig('sgd', 1.0, momentum=0.9),
  scheduled=True,
)
_ALGORITHM = algorithm_flags.AlgorithmFlags(_CLIENT, _SERVER)
_AGGREGATOR = aggregator_flags.AggregatorFlags()
_PROGRAM = training_flags.ProgramFlags(
  rounds=100,
  clients_per_round=10,
  batch_size=8,
  evaluate_every=10,
  stop_metric='test/top1_recall',
)
_EXECUTION = training_flags.ExecutionFlags()
_SECURE_SUM = secure_sum_flags.SecureSumFlags()
_PERSONAL = personalization_flags.PersonalizationFlags(steps=10, batch_size=8)
_SECRETS = memorization.MemorizationFlags()
_EXPORT = keyboard_flags.ExportFlags()
_RUN = run_flags.RunFlags()
_PROMPT = keyboard_flags.PromptFlags()


def main() -> None:
  """Trains and compares, or suggests with what was trained."""
  if _PROMPT.requested:
    _PROMPT.run(_RUN.trained_run())
    return
  seed = _PROGRAM.seed
  _EXECUTION.install(_SECURE_SUM.get(seed))
  dataset = _ROWS.build(_DATA.name, _DATA.load(seed), seed)
  dataset = _SECRETS.insert(dataset, seed)
  architecture = _MODEL.architecture(dataset)
  model = language_models.build(architecture, seed)
  client_optimizer = _CLIENT.get()
  program_for = functools.partial(_PROGRAM.get, dataset.train.num_clients)
  program = program_for()
  algorithm = _ALGORITHM.of_program(program, dataset.train.client_ids)
  build = functools.partial(algorithm, model)
  federated = _AGGREGATOR.systems(build, program_for, model, _SECURE_SUM)
  trained = [*federated, aggregator_flags.secure_system(build, program)]
  with _RUN.open(APP, dataset, seed) as directory:
    outcome = _SYSTEMS.run(
      dataset,
      model,
      trained,
      client_optimizer=client_optimizer,
      batch_size=_PROGRAM.batch_size,
      seed=seed,
      columns=next_word_results.COLUMNS,
      directory=directory,
      unavailable=_EXECUTION.unavailable,
      evaluation_batch_size=next_word_results.ROWS_AT_A_TIME,
    )
    outcome = next_word_results.complete(
      outcome,
      dataset,
      model,
      functools.partial(_NGRAMS.fit, dataset.train, dataset.vocabulary.size),
      directory=directory,
    )
    gains = _PERSONAL.run(
      model,
      outcome.weights,
      dataset.test_earlier,
      dataset.test_later,
      metric='top1_recall',
      title='top-1 recall',
      client_optimizer=client_optimizer,
      seed=seed,
      directory=directory,
    )
    secrets = _SECRETS.measure(
      outcome, trained, dataset, model, seed=seed, directory=directory
    )
    exported = _EXPORT.run(
      directory.model, architecture, dataset, outcome.weights
    )
    _RUN.finish(
      directory,
      title=f'Next-word prediction: {dataset.name}',
      primary='top1_recall',
      columns=outcome.columns,
      rows=outcome.rows,
      notes=[*outcome.notes, *gains, *secrets, *exported],
    )


APP = app.Application(
  'next_word_prediction',
  __doc__,
  [
    _DATA, _ROWS, _MODEL, _NGRAMS, _SYSTEMS, _CLIENT, _SERVER, _ALGORITHM,
    _AGGREGATOR, _PROGRAM, _EXECUTION, _SECURE_SUM, _PERSONAL, _SECRETS,
    _EXPORT, _RUN, _PROMPT,
  ],
)  # fmt: skip

if __name__ == '__main__':
  APP.run(main)
