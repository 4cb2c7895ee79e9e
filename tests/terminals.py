"""A terminal that keeps what is shown on it."""

import io
import sys

import pytest


class Terminal(io.StringIO):
  """Standard error of somebody who looks at it."""

  def isatty(self) -> bool:
    return True


def use(monkeypatch: pytest.MonkeyPatch) -> Terminal:
  """Makes standard error a terminal of 100 columns, and returns it.

  To be called in the test itself: between its fixtures and it pytest sets
  standard error again.
  """
  terminal = Terminal()
  monkeypatch.setattr(sys, 'stderr', terminal)
  monkeypatch.setenv('TERM', 'xterm')
  monkeypatch.setenv('COLUMNS', '100')
  return terminal
