"""The progress display: plain lines in a log, one line on a terminal."""

import numpy as np
import pytest

from tests import terminals
from tff_pipelines.programs import progress


def test_line_for_each_step_that_has_metrics(capsys, clock):
  with progress.Progress('federated', 4) as display:
    clock.now += 1.5
    display.update(1)
    display.update(2, {'test loss': np.float32(0.25), 'test accuracy': 1 / 3})
    display.update(3, {})
    clock.now += 1.0
    display.update(4, {'test loss': 0.125})
  out, err = capsys.readouterr()
  assert out.splitlines() == [
    'federated: round 2/4  test loss 0.25  test accuracy 0.3333  (1.5 s)',
    # A metric that was not measured again keeps its last value.
    'federated: round 4/4  test loss 0.125  test accuracy 0.3333  (2.5 s)',
  ]
  assert err == ''


def test_line_every_ten_seconds_without_metrics(capsys, clock):
  with progress.Progress('local', 30, unit='client') as display:
    for done in range(1, 31):
      clock.now += 1.0
      display.update(done)
  assert capsys.readouterr().out.splitlines() == [
    'local: client 11/30    (11.0 s)',
    'local: client 22/30    (22.0 s)',
  ]


def test_resumed_work_says_where_it_goes_on(capsys):
  with progress.Progress('central', 20, done=5, unit='epoch'):
    pass
  assert capsys.readouterr().out == 'central: resuming after epoch 5\n'


def test_work_that_begins_says_nothing_before_its_first_line(capsys):
  with progress.Progress('central', 20):
    pass
  assert capsys.readouterr().out == ''


def test_terminal_has_a_bar_on_standard_error_and_no_lines(capsys, monkeypatch):
  terminal = terminals.use(monkeypatch)
  with progress.Progress('federated', 8, done=2) as display:
    display.update(3, {'test accuracy': 0.625})
  shown = terminal.getvalue()
  assert '3/8' in shown and 'rounds' in shown and 'federated' in shown
  assert 'test accuracy 0.625' in shown
  assert capsys.readouterr().out == ''


def test_bar_gives_the_cursor_back_when_the_work_fails(monkeypatch):
  terminal = terminals.use(monkeypatch)
  with (
    pytest.raises(KeyError),
    progress.Progress('federated', 8) as display,
  ):
    display.update(1)
    raise KeyError
  hides, shows = '\x1b[?25l', '\x1b[?25h'
  assert terminal.getvalue().rindex(shows) > terminal.getvalue().rindex(hides)


def test_numbers_aside_are_shown_but_are_not_worth_a_line(capsys, clock):
  with progress.Progress('federated', 3) as display:
    display.update(1, {}, {'epsilon': 0.5})
    display.update(2, {'test loss': 0.25}, {'epsilon': 1.5})
    display.update(3, None, {'epsilon': 2.5})
  assert capsys.readouterr().out.splitlines() == [
    'federated: round 2/3  epsilon 1.5  test loss 0.25  (0.0 s)',
  ]


def test_terminal_shows_numbers_aside_at_once(monkeypatch):
  terminal = terminals.use(monkeypatch)
  with progress.Progress('federated', 2) as display:
    display.update(1, {}, {'epsilon': 0.625})
  assert 'epsilon 0.625' in terminal.getvalue()
