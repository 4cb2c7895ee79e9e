"""Accuracy against bytes: one curve a system, where anything is compressed."""

import pytest

from tff_pipelines.reports import byte_curves, figures, run_reader

HEAD = (
  'round_num',
  'test/accuracy',
  'uplink_bytes_per_client',
  'uplink_bytes',
)
COMPRESSED = (*HEAD, 'aggregator/uplink_compression')


def rows(per_round, accuracies, compression=None):
  found = []
  for round_num, accuracy in enumerate(accuracies):
    row = (round_num, accuracy, per_round / 10, per_round * round_num)
    found.append(row if compression is None else (*row, compression))
  return found


def drawn(write_run, **metrics):
  run_dir = write_run(
    rows=[{**write_run.federated, 'system': name} for name in metrics],
    metrics=metrics,
  )
  return byte_curves.metric_by_bytes(run_reader.read(run_dir))


def test_curves_are_of_the_rounds_that_were_tested(write_run):
  figure = drawn(
    write_run,
    federated=(HEAD, rows(8e6, [0.1, 0.9, '', 0.97])),
    drive=(COMPRESSED, rows(2.5e5, [0.1, 0.8, 0.9, 0.96], 32.0)),
  )
  (axes,) = figure.axes
  assert axes.get_xscale() == 'log'
  curves = [
    (list(line.get_xdata()), list(line.get_ydata()))
    for line in axes.get_lines()
  ]
  # Not of round 0, for which nothing was sent.
  assert curves == [
    ([8e6, 24e6], [0.9, 0.97]),
    ([2.5e5, 5e5, 7.5e5], [0.8, 0.9, 0.96]),
  ]
  texts = [text.get_text() for text in axes.texts]
  assert texts == ['federated: 97.0 %, 24.0 MB', 'drive: 96.0 %, 750.0 kB']


def test_without_compression_there_is_no_picture(write_run):
  table = (HEAD, rows(8e6, [0.1, 0.9]))
  assert drawn(write_run, federated=table) is None


def test_without_a_round_there_is_no_picture(write_run):
  table = (COMPRESSED, rows(8e6, [0.1], 4.0))
  assert drawn(write_run, federated=table) is None


@pytest.mark.parametrize('name', byte_curves.METRICS)
def test_bytes_are_not_among_the_other_metrics(write_run, name):
  run_dir = write_run(metrics={'federated': (('round_num', name), [(0, 1.0)])})
  run = run_reader.read(run_dir)
  other = next(kind for kind in figures.KINDS if kind.name == 'other_metrics')
  assert other.draw(run) is None
