"""What running jobs are doing: lines that change, or a line a minute."""

import pytest

from tests import terminals
from tff_pipelines.cli import reproduction_display


def test_last_line_of_each_job_once_a_minute(capsys, clock, tmp_path):
  first, second = tmp_path / 'first.log', tmp_path / 'second.log'
  first.write_text('federated: round 1/9\nfederated: round 2/9\n\n')
  with reproduction_display.Display() as display:
    display.update({'e1': first, 'e5': second})
    clock.now += 59.0
    display.update({'e1': first, 'e5': second})
    assert capsys.readouterr().out == ''
    clock.now += 1.0
    display.update({'e1': first, 'e5': second})
    assert capsys.readouterr().out.splitlines() == [
      'e1: federated: round 2/9',
      'e5: starts',
    ]
    second.write_text('central: epoch 1/2')
    clock.now += 60.0
    display.update({'e1': first, 'e5': second})
    # What has been said is not said again.
    assert capsys.readouterr().out == 'e5: central: epoch 1/2\n'


@pytest.mark.parametrize('size', [0, 3, 4096, 65_535, 65_536, 100_000])
def test_last_line_of_a_log_of_any_size(capsys, clock, tmp_path, size):
  log = tmp_path / 'job.log'
  log.write_bytes(b'\xff' * size + b'\n\xe2\x80\xa6 the end\n \n')
  with reproduction_display.Display() as display:
    clock.now += 60.0
    display.update({'job': log})
  assert capsys.readouterr().out == 'job: … the end\n'


def test_terminal_has_lines_that_change(capsys, monkeypatch, tmp_path):
  terminal = terminals.use(monkeypatch)
  log = tmp_path / 'job.log'
  log.write_text('[bold]round 2/9' + ' and more' * 20)
  with reproduction_display.Display() as display:
    display.update({'e1': log})
    # Into a file that is no terminal goes what belongs there, and no more.
    print('[1/2] e5: finished')
  assert capsys.readouterr().out == '[1/2] e5: finished\n'
  # A log's brackets are no markup, and a line remains a line.
  assert 'e1: [bold]round 2/9' in terminal.getvalue()
  assert 'mor\N{HORIZONTAL ELLIPSIS}' in terminal.getvalue()
  # In the end the lines are gone.
  assert terminal.getvalue().endswith('\x1b[1A\x1b[2K')
