"""The papers of this repository: do the flags of all their runs still fit?"""

from tests.integration import command_lines


def test_every_experiment_of_every_paper_runs_on_small_data():
  done = command_lines.run(
    'tasks.reproduce', '--all', '--smoke', patience_seconds=900
  )
  told = dict(line.split(': ', 1) for line in done.stdout.splitlines())
  assert {name: words for name, words in told.items() if words != 'works'} == {}
  assert (done.returncode, done.stderr) == (0, '')
  experiments = {name for name in told if '/' in name}
  assert {'mcmahan2017/2nn_table1', 'mcmahan2017/cnn'} <= experiments
  assert 'flags of digits' in told
