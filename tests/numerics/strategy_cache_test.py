"""A strategy is computed once; a file that is no good is as good as none."""

import os

import numpy as np
import pytest

from tff_pipelines.numerics import banded_factorization, strategy_cache


@pytest.fixture
def computations(monkeypatch) -> list:
  """The arguments of every optimization that was run."""
  calls = []
  compute = banded_factorization.optimal_strategy

  def counted(*arguments):
    calls.append(arguments)
    return compute(*arguments)

  monkeypatch.setattr(banded_factorization, 'optimal_strategy', counted)
  return calls


def test_the_second_time_it_is_read(tmp_path, computations):
  folder = tmp_path / 'not' / 'there yet'
  first = strategy_cache.optimal_strategy(9, 3, 4, folder)
  second = strategy_cache.optimal_strategy(9, 3, 4, folder)
  assert computations == [(9, 3, 4)]
  np.testing.assert_array_equal(first.columns, second.columns)
  expected = banded_factorization.optimal_strategy(9, 3, 4).columns
  np.testing.assert_array_equal(second.columns, expected)
  assert [p.name for p in folder.iterdir()] == [
    f'banded_strategy_v{strategy_cache.VERSION}_9_rounds_3_bands.npz'
  ]


def test_the_separation_has_no_effect_but_on_what_is_allowed(
  tmp_path, computations
):
  strategy_cache.optimal_strategy(9, 3, 4, tmp_path)
  strategy_cache.optimal_strategy(9, 3, 8, tmp_path)
  assert len(computations) == 1
  with pytest.raises(
    banded_factorization.StrategyError, match='found 3: with more'
  ):
    strategy_cache.optimal_strategy(9, 3, 2, tmp_path)


def test_others_are_computed(tmp_path, computations, monkeypatch):
  strategy_cache.optimal_strategy(9, 3, 4, tmp_path)
  strategy_cache.optimal_strategy(9, 4, 4, tmp_path)
  strategy_cache.optimal_strategy(8, 3, 4, tmp_path)
  monkeypatch.setattr(strategy_cache, 'VERSION', strategy_cache.VERSION + 1)
  strategy_cache.optimal_strategy(9, 3, 4, tmp_path)
  assert len(computations) == 4


def _flip(content: bytes) -> bytes:
  # In the midst of the numbers.
  changed = bytearray(content)
  changed[300] ^= 1
  return bytes(changed)


DAMAGE = {
  'cut': lambda content: content[: len(content) // 2],
  'empty': lambda content: b'',
  'text': lambda content: b'not an archive',
  'a flipped bit': _flip,
}


@pytest.mark.parametrize('damage', DAMAGE)
def test_a_damaged_file_is_computed_again(tmp_path, computations, damage):
  first = strategy_cache.optimal_strategy(9, 3, 4, tmp_path)
  (path,) = tmp_path.iterdir()
  path.write_bytes(DAMAGE[damage](path.read_bytes()))
  for _ in range(2):
    again = strategy_cache.optimal_strategy(9, 3, 4, tmp_path)
    np.testing.assert_array_equal(again.columns, first.columns)
  assert len(computations) == 2
  assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
  'content',
  [
    {'columns': np.ones([9, 3])},
    {'columns': np.full([9, 3], np.nan)},
    {'columns': np.ones([2, 1])},
    {'columns': np.ones([9, 3], np.float32)},
    {'columns': np.array([None])},
    {'rows': np.ones([9, 3])},
  ],
)
def test_a_file_that_holds_no_such_strategy_is_replaced(
  tmp_path, computations, content
):
  strategy_cache.optimal_strategy(9, 3, 4, tmp_path)
  (path,) = tmp_path.iterdir()
  np.savez(path, **content)
  found = strategy_cache.optimal_strategy(9, 3, 4, tmp_path)
  assert found.columns.shape == (9, 3)
  assert len(computations) == 2


def test_without_a_folder_it_is_computed(computations):
  strategy_cache.optimal_strategy(9, 3, 4, None)
  assert len(computations) == 1


def test_a_folder_that_cannot_be_made_fails_nothing(tmp_path, computations):
  (tmp_path / 'file').write_text('in the way')
  folder = tmp_path / 'file' / 'folder'
  for _ in range(2):
    found = strategy_cache.optimal_strategy(9, 3, 4, folder)
    assert found.num_bands == 3
  assert len(computations) == 2


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
  def full(*_):
    raise OSError('No space left on device')

  monkeypatch.setattr(os, 'replace', full)
  assert strategy_cache.optimal_strategy(9, 3, 4, tmp_path).num_rounds == 9
  assert not list(tmp_path.iterdir())


def test_the_version_is_that_of_the_algorithm():
  # If this fails, raise VERSION, and put the new numbers here.
  found = strategy_cache.optimal_strategy(6, 3, 3, None).columns
  assert strategy_cache.VERSION == 1
  np.testing.assert_allclose(found[0], [0.7852, 0.4836, 0.3868], atol=1e-4)
