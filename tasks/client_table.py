"""Client table: who holds what, before anything is learned.

  python -m tasks.client_table

Deals the data of a task to its clients, as the task would, and tells how many
examples and labels each of them has, and how unlike they are. Trains nothing.
Writes a run directory with simulation_only/clients.csv, results.json, and
report.html to look at.

  --dataset=mnist --partition=class_share --class_share=0.9 --num_clients=10
      MNIST on 10 clients, 90 % of one digit each
  --partition=shards --participation=diurnal --day_rounds=24
      how the labels of those who are awake change over a day
  --task=spam_classification --dataset=sms_spam --partition=dirichlet
      the data of another task, with that task's flags
"""

import sys

from tff_pipelines.cli import (
  app,
  flag_groups,
  holdings,
  participation_flags,
  run_flags,
  task_data_flags,
)

_DATA = task_data_flags.TaskDataFlags(sys.argv)
_ROUNDS = flag_groups.FlagGroup('Who takes part')
_PARTICIPATION = participation_flags.ParticipationFlags(_ROUNDS, 20)
_SEED = _ROUNDS.define('seed', 0, 'all random choices follow from it')
_RUN = run_flags.RunFlags()


def main() -> None:
  """Deals, counts, and draws."""
  seed = _SEED.value
  dataset = _DATA.load(seed)
  participation = _PARTICIPATION.get(dataset.train.num_clients)
  with _RUN.open(APP, dataset, seed) as directory:
    held = holdings.measure(dataset, seed)
    holdings.write_label_mixes(
      dataset, participation, seed=seed, directory=directory
    )
    _RUN.finish(
      directory,
      title=f'Who holds what: {dataset.name}',
      primary=holdings.PRIMARY,
      columns=held.columns,
      rows=held.rows,
      notes=held.notes,
      sentence=held.sentence,
      row_title='clients of',
    )


APP = app.Application('client_table', __doc__, [*_DATA.groups, _ROUNDS, _RUN])

if __name__ == '__main__':
  APP.run(main)
