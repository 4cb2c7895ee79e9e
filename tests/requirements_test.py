"""A wrong version is told in one sentence, before anything is imported."""

import importlib.metadata
import subprocess
import sys

import pytest

from tff_pipelines import _requirements


def test_the_installed_versions_are_right():
  assert _requirements.find_problem() is None


def test_a_wrong_python_is_named(monkeypatch):
  monkeypatch.setattr(_requirements, 'PYTHON', (3, 99))
  problem = _requirements.find_problem()
  assert problem.startswith('tff_pipelines expected Python 3.99, found 3.11.')


@pytest.mark.parametrize('package', ['tensorflow-federated', 'tensorflow'])
def test_a_wrong_package_is_named_with_what_to_do(monkeypatch, package):
  real = importlib.metadata.version
  monkeypatch.setattr(
    importlib.metadata,
    'version',
    lambda name: '0.1' if name == package else real(name),
  )
  with pytest.raises(ImportError, match=rf'{package} \S+, found 0.1; run it'):
    _requirements.check()


def test_a_missing_package_is_named(monkeypatch):
  def missing(name: str) -> str:
    raise importlib.metadata.PackageNotFoundError(name)

  monkeypatch.setattr(importlib.metadata, 'version', missing)
  assert 'tensorflow-federated 0.87.0, found none' in (
    _requirements.find_problem()
  )


def test_the_check_comes_before_tensorflow():
  program = (
    'import sys\n'
    'import importlib.metadata as m\n'
    'm.version = lambda name: "0"\n'
    'try:\n'
    '  import tff_pipelines\n'
    'except ImportError as error:\n'
    '  print(error)\n'
    'assert "tensorflow" not in sys.modules\n'
  )
  done = subprocess.run(
    [sys.executable, '-c', program],
    capture_output=True,
    text=True,
    check=True,
    timeout=600,
  )
  assert done.stdout.count('\n') == 1
  assert 'expected tensorflow-federated 0.87.0, found 0' in done.stdout
