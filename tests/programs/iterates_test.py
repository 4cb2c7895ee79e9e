"""The models of a run, round by round."""

import numpy as np
import pytest

from tff_pipelines.programs import files, iterates


@pytest.fixture
def kept(tmp_path) -> iterates.Iterates:
  found = iterates.Iterates(tmp_path / 'iterates')
  for round_num in range(3):
    found.save(round_num, [np.full([2, 2], round_num), np.float64(-1.5)])
  return found


def test_models_are_flat_one_a_round(kept):
  found = kept.load(2)
  np.testing.assert_array_equal(found, [[r] * 4 + [-1.5] for r in range(3)])
  assert found.dtype == np.float32
  assert kept.load(1).shape == (2, 5)


def test_a_round_that_is_repeated_replaces_the_first_attempt(kept):
  kept.save(1, [np.zeros([2, 2]), np.float32(7)])
  assert kept.load(2)[1].tolist() == [0, 0, 0, 0, 7]


def test_a_missing_model_is_one_sentence(kept, tmp_path):
  with pytest.raises(
    iterates.MissingIterateError,
    match=r'^Expected the models of the rounds 0 to 3 in .*iterates, found '
    r'that of round 3 missing or damaged \(.*\); choose another --output_dir',
  ):
    kept.load(3)


@pytest.mark.parametrize('how', ['empty', 'cut', 'another model', 'no vector'])
def test_a_damaged_model_is_one_sentence(kept, tmp_path, how):
  path = tmp_path / 'iterates' / 'round_1.npy'
  content = path.read_bytes()
  if how == 'another model':
    kept.save(1, [np.zeros(4)])
  elif how == 'no vector':
    files.write_array(path, np.zeros([5, 1], np.float32))
  else:
    path.write_bytes(content[:-3] if how == 'cut' else b'')
  with pytest.raises(
    iterates.MissingIterateError, match='found that of round 1 missing or dam'
  ):
    kept.load(2)


def test_no_place_to_save_is_one_sentence(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(
    files.SavingFailedError, match='Expected to write round_0'
  ):
    iterates.Iterates(tmp_path / 'file').save(0, [np.zeros(2)])
