"""Cases of a test that `pytest -m slow` runs, beside those always run."""

from collections.abc import Container, Iterable

import pytest


def all_but(kept: Container, cases: Iterable) -> list:
  """Returns the cases, all but a representative set marked slow.

  Args:
    kept: The cases that are always run. Of every statement there must be one.
    cases: All cases of one parameter, or tuples for several parameters.
  """
  return [case if case in kept else slow(case) for case in cases]


def slow(case):
  """Returns the case, marked slow."""
  values = case if isinstance(case, tuple) else (case,)
  return pytest.param(*values, marks=pytest.mark.slow)
