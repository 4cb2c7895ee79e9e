"""Tokens per second of the keyboard model: federated, central, and TFF.

  python -m benchmarks.language_models [--rounds=7]

One round of federated averaging of the 1.4-million-parameter model of Hard et
al. 2018 over 20 clients of uneven sizes, in batches of 16 rows of 20 words:

  this         this package's XLA context
  central      a compiled loop by hand over the same rows, clients pooled
  central_one  the same on one thread
  stock_best   TFF's own context at its best
  square       a product of large square matrices: the machine's rate
  output       the product of a batch's states and the embedding

Each runs in a process of its own, and they take turns round by round. Ratios
are medians over the rounds of ratios within a round. Operations are counted by
formula: those of the products, forwards and backwards.
"""

import argparse
import contextlib
import pathlib
import statistics
import sys
import tempfile

import rich.console
import rich.table

from benchmarks import jobs, workers

_JOB = 'next_word'
_TRAINING = {
  'this': ('tff_systems', 'This'),
  'central': ('central_loop', 'CentralLoop'),
  'central_one': ('central_loop', 'CentralLoopOneThread'),
  'stock_best': ('tff_systems', 'StockBest'),
}
_PRODUCTS = {
  'square': ('central_loop', 'SquareProduct'),
  'output': ('central_loop', 'OutputProduct'),
}


def _work(name: str, job: jobs.Job) -> tuple[int, float]:
  """Returns the tokens and the operations of a round."""
  rows = sum(job.examples)
  if name.startswith('central'):
    rows -= rows % job.batch_size  # The batch that would be short.
  tokens = rows * job.model.length
  if name == 'square':
    return 0, 2 * 2048**3
  if name == 'output':
    size = job.model.embedding_size * job.model.vocabulary_size
    return 0, 2 * job.batch_size * job.model.length * size
  return tokens, tokens * job.model.flops_per_token


def measure(names: list[str], rounds: int) -> dict[str, list[float]]:
  """Returns seconds of the rounds after the first, which compiles."""
  systems = {**_TRAINING, **_PRODUCTS}
  with contextlib.ExitStack() as stack:
    folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
    running = {}
    for name in names:
      command = [sys.executable, '-m', 'benchmarks.worker', *systems[name]]
      running[name] = stack.enter_context(
        workers.Worker(command, _JOB, folder / name)
      )
    for _ in range(rounds + 1):
      for worker in running.values():
        worker.round()
    return {name: worker.seconds[1:] for name, worker in running.items()}


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--rounds', type=int, default=7)
  everything = [*_TRAINING, *_PRODUCTS]
  parser.add_argument('--systems', default=','.join(everything))
  arguments = parser.parse_args()
  job = jobs.JOBS[_JOB]
  seconds = measure(arguments.systems.split(','), arguments.rounds)
  rates = {
    name: [_work(name, job)[1] / s / 1e9 for s in of_system]
    for name, of_system in seconds.items()
  }

  def ratio(name: str, other: str) -> str:
    if other not in rates:
      return ''
    pairs = zip(rates[name], rates[other], strict=True)
    return f'{statistics.median(a / b for a, b in pairs):.2f}'

  table = rich.table.Table(title='medians')
  for heading in ('', 'tokens/s', 'GFLOP/s', 'of central', 'of square'):
    table.add_column(heading, justify='right', no_wrap=True)
  for name, of_system in seconds.items():
    tokens = _work(name, job)[0] / statistics.median(of_system)
    table.add_row(
      name,
      f'{tokens:,.0f}' if tokens else '',
      f'{statistics.median(rates[name]):.1f}',
      ratio(name, 'central') if tokens else '',
      ratio(name, 'square'),
    )
  rich.console.Console().print(table)


if __name__ == '__main__':
  main()
