"""Imports go one way: the table of README.md, read from the sources."""

import ast
import pathlib

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_PACKAGE = _ROOT / 'tff_pipelines'

# Folder -> the other folders it may import.
_ALLOWED = {
  'core': set(),
  'numerics': {'core'},
  'secagg': {'core'},
  'privacy': {'core'},
  'models': {'core'},
  'data': {'core'},
  'aggregators': {'core', 'numerics'},
  'learning': {'core'},
  'analytics': {'core', 'numerics', 'aggregators'},
  'execution': {'core', 'secagg'},
  'programs': {'core', 'data', 'privacy', 'execution'},
  'reports': {'core'},
  'cli': {
    'core',
    'numerics',
    'secagg',
    'privacy',
    'models',
    'data',
    'aggregators',
    'learning',
    'analytics',
    'execution',
    'programs',
    'reports',
  },
}
_WITHOUT_TENSORFLOW = ('secagg', 'privacy', 'reports')
_WITHOUT_TFF = ('core', 'numerics', 'secagg', 'privacy', 'data', 'reports')


def _imports(path: pathlib.Path) -> set[str]:
  """Returns the dotted names of all modules that a file imports."""
  names = set()
  for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
    if isinstance(node, ast.Import):
      names |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      assert not node.level, f'{path}: relative import'
      names |= {f'{node.module}.{alias.name}' for alias in node.names}
  return names


def _folders() -> list[str]:
  return sorted(p.parent.name for p in _PACKAGE.glob('*/__init__.py'))


def test_every_folder_has_a_rule():
  assert set(_folders()) <= set(_ALLOWED)


@pytest.mark.parametrize('folder', _folders())
def test_folder_imports_only_what_it_may(folder):
  files = list((_PACKAGE / folder).rglob('*.py'))
  assert files
  for path in files:
    for name in _imports(path):
      if name.startswith('tff_pipelines.'):
        target = name.split('.')[1]
        assert target == folder or target in _ALLOWED[folder], (
          f'{path.relative_to(_ROOT)} imports {name}'
        )


@pytest.mark.parametrize('folder', _folders())
def test_folder_keeps_tensorflow_out_if_it_must(folder):
  roots = {
    name.split('.')[0]
    for path in (_PACKAGE / folder).rglob('*.py')
    for name in _imports(path)
  }
  if folder in _WITHOUT_TENSORFLOW:
    assert not roots & {'tensorflow', 'keras'}
  if folder in _WITHOUT_TFF:
    assert 'tensorflow_federated' not in roots


def test_tasks_do_not_import_each_other():
  for path in (_ROOT / 'tasks').glob('*.py'):
    for name in _imports(path):
      assert name.split('.')[0] != 'tasks', f'{path.name} imports {name}'


def test_private_modules_of_tff_and_tensorflow_stay_in_one_file_a_folder():
  for path in _PACKAGE.rglob('*.py'):
    if path.name == '_tff_internals.py':
      continue
    for name in _imports(path):
      assert not name.startswith(
        ('tensorflow_federated.', 'tensorflow.python', 'tensorflow.compiler')
      ), f'{path.relative_to(_ROOT)} imports {name}'
