"""Results of the parts of a long work."""

import pytest

from tff_pipelines.programs import files, kept_results


def test_a_result_is_computed_once(tmp_path):
  calls = []

  def compute():
    calls.append(1)
    return {'loss': [0.1, 1e-300, 3.0]}

  first = kept_results.KeptResults(tmp_path / 'parts').get('a, b 0', compute)
  second = kept_results.KeptResults(tmp_path / 'parts').get('a, b 0', compute)
  assert first == second == {'loss': [0.1, 1e-300, 3.0]}
  assert len(calls) == 1
  assert [p.name for p in (tmp_path / 'parts').iterdir()] == ['a_b_0.json']


def test_parts_are_told_apart_by_name(tmp_path):
  kept = kept_results.KeptResults(tmp_path)
  assert [kept.get(f'part {i}', lambda i=i: i) for i in (1, 11, 1)] == [
    1,
    11,
    1,
  ]


def test_a_part_that_fails_is_tried_again(tmp_path):
  kept = kept_results.KeptResults(tmp_path)

  def fail():
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    kept.get('part', fail)
  assert kept.get('part', lambda: 3) == 3


def test_a_file_that_cannot_be_read_counts_as_none(tmp_path):
  (tmp_path / 'part.json').write_bytes(b'\xff{')
  assert kept_results.KeptResults(tmp_path).get('part', lambda: 3) == 3
  assert (tmp_path / 'part.json').read_text() == '3\n'


def test_no_place_to_keep_it_is_one_sentence(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(files.SavingFailedError, match='Expected to write part'):
    kept_results.KeptResults(tmp_path / 'file').get('part', lambda: 3)


def test_what_is_missing_is_computed_together(tmp_path):
  kept = kept_results.KeptResults(tmp_path)
  kept.get('b', lambda: 'kept')
  asked = []

  def compute(names):
    asked.append(names)
    return [f'new {name}' for name in names]

  for _ in range(2):
    found = kept.get_all(['c', 'b', 'a'], compute)
    assert found == ['new c', 'kept', 'new a']
  assert asked == [['c', 'a']]


def test_nothing_asked_is_nothing_computed(tmp_path):
  assert kept_results.KeptResults(tmp_path).get_all([], pytest.fail) == []
