"""Reproduce: a paper's experiments, and whether they come out as it says.

  python -m tasks.reproduce --paper=mcmahan2017 --data_dir=DIR

Runs the experiments of a folder of tasks/papers, repeats them with several
seeds, compares with the numbers of the paper, prints a table of what was met
and what was missed, and writes report.html with the paper's figures beside
these. Stopped and started again, it goes on where it was; run a second time, it
only reads. Exit code 1 if a run failed.

  --list
      papers, experiments, and how many minutes they take
  --paper=mcmahan2017 --experiment=2nn_table1
      one experiment
  --all --smoke
      two rounds of everything on small generated data: do the flags still fit?
"""

from tff_pipelines.cli import app, reproduction_flags

_REPRODUCTION = reproduction_flags.ReproductionFlags(
  reproduction_flags.papers_folder()
)


def main() -> None:
  """Lists, tries or reproduces."""
  _REPRODUCTION.run()


APP = app.Application('reproduce', __doc__, [_REPRODUCTION])

if __name__ == '__main__':
  APP.run(main)
