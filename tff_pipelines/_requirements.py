"""The versions this package is made for, checked before anything is imported.

Takes microseconds: reads the installed packages' metadata only.
"""

import importlib.metadata
import sys

PYTHON = (3, 11)
PACKAGES = {
  'tensorflow-federated': '0.87.0',
  'tensorflow': '2.14.1',
}
_REMEDY = 'run it with `uv run`, which installs what pyproject.toml asks for.'


def find_problem() -> str | None:
  """Returns what is wrong in one sentence, or None."""
  if sys.version_info[:2] != PYTHON:
    wanted = '.'.join(map(str, PYTHON))
    found = '.'.join(map(str, sys.version_info[:3]))
    return f'tff_pipelines expected Python {wanted}, found {found}; {_REMEDY}'
  for package, wanted in PACKAGES.items():
    try:
      found = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      found = 'none'
    if found != wanted:
      return (
        f'tff_pipelines expected {package} {wanted}, found {found}; {_REMEDY}'
      )
  return None


def check() -> None:
  """Raises ImportError if the versions are wrong."""
  problem = find_problem()
  if problem is not None:
    raise ImportError(problem)
