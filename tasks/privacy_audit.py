"""Privacy audit: is the guarantee of a private training run an illusion?

  python -m tasks.privacy_audit --task=digits --aggregator=dp_fixed --epsilon=4

Trains as a task does and attacks what was trained: canaries, clients with
random updates, are inserted and looked for in the models (epsilon as it
appears, and a lower bound, beside the accountant's); who took part is guessed
from models with and without noise; one unusual client is taken in and out.
Writes privacy_audit.json, privacy.json, metrics.csv, and report.html to look
at. Flags and flag files of the task say what is trained.

  --flagfile=tasks/flagfiles/privacy_audit/spam.flags
      spam classification with generated messages: some minutes
"""

import sys

from tff_pipelines.cli import (
  aggregator_flags,
  app,
  audit_flags,
  audit_results,
  audited_training,
  problems,
  run_flags,
  secure_sum_flags,
  training_flags,
)
from tff_pipelines.learning import optimizers

_TASK = problems.TaskFlag(sys.argv, default='digits')
_PROBLEM = _TASK.problem()
_CLIENT = training_flags.OptimizerFlags(
  'client', optimizers.OptimizerConfig('sgd', 0.3)
)
_SERVER = training_flags.OptimizerFlags(
  'server', optimizers.OptimizerConfig('sgd', 1.0)
)
_AGGREGATOR = aggregator_flags.AggregatorFlags('dp_fixed')
_PROGRAM = training_flags.ProgramFlags(
  rounds=40, clients_per_round=20, batch_size=10, evaluate_every=2
)
_EXECUTION = training_flags.ExecutionFlags()
_SECURE_SUM = secure_sum_flags.SecureSumFlags()
_AUDIT = audit_flags.AuditFlags()
_RUN = run_flags.RunFlags()


def main() -> None:
  """Trains and attacks."""
  seed = _PROGRAM.seed
  _EXECUTION.install(_SECURE_SUM.get(seed))
  dataset, model = _PROBLEM.build(seed)
  with _RUN.open(APP, dataset, seed) as directory:
    found, notes = _AUDIT.run(
      audited_training.build(
        dataset,
        model,
        aggregator=_AGGREGATOR,
        secure_sums=_SECURE_SUM,
        client_optimizer=_CLIENT.get(),
        server_optimizer=_SERVER.get(),
        program_for=_PROGRAM.get,
        seed=seed,
        directory=directory,
      )
    )
    audit_results.write(directory, found)
    _RUN.finish(
      directory,
      title=f'Privacy audit: {_TASK.name}, {dataset.name}',
      primary='estimate',
      columns=audit_results.COLUMNS,
      rows=audit_results.rows(found),
      notes=notes,
      sentence=audit_results.sentence(found),
    )


APP = app.Application(
  'privacy_audit',
  __doc__,
  [
    _TASK, *_PROBLEM.groups, _CLIENT, _SERVER, _AGGREGATOR, _PROGRAM,
    _EXECUTION, _SECURE_SUM, _AUDIT, _RUN,
  ],
)  # fmt: skip

if __name__ == '__main__':
  APP.run(main)
