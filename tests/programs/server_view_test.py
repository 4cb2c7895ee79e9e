"""The folder that holds what a server has, and nothing more."""

import csv
import json

import numpy as np
import pytest

from tff_pipelines.programs import files, run_directory, server_view

ROWS = server_view.Rows(
  [('Ann, "A"', 'ham', 'tea\nnow?'), ('../b', 'spam', '')]
)
UPDATES = server_view.Updates(
  ['Ann, "A"', '../b'],
  np.array([1, 3], np.float32),
  [
    np.array([[[1.0], [0.0]], [[2.0], [0.5]]], np.float32),
    np.array([1.0, -1.0], np.float32),
  ],
)


@pytest.fixture
def directory(tmp_path):
  return run_directory.RunDirectory(tmp_path)


def written(directory) -> list[str]:
  return sorted(
    str(p.relative_to(directory.path))
    for p in directory.path.rglob('*')
    if p.is_file()
  )


def test_the_sum_is_weighted_by_examples():
  total = UPDATES.summed()
  assert total.people == UPDATES.people
  assert total.examples == 4
  np.testing.assert_array_equal(total.sums[0], [[7.0], [1.5]])
  np.testing.assert_array_equal(total.sums[1], -2.0)
  assert all(s.dtype == np.float32 for s in total.sums)


def test_every_system_has_its_files(directory):
  server_view.write(
    directory, round_num=1, rows=ROWS, updates=UPDATES, total=UPDATES.summed()
  )
  assert written(directory) == [
    'server_view/central/README.txt',
    'server_view/central/rows.csv',
    'server_view/federated/README.txt',
    'server_view/federated/updates.npz',
    'server_view/secure_federated/README.txt',
    'server_view/secure_federated/sum.npz',
  ]
  for readme in directory.server_view.glob('*/README.txt'):
    text = readme.read_text()
    assert text.count('\n') == 1 and text.endswith('.\n')
  with open(
    directory.server_view / 'central' / 'rows.csv', newline='', encoding='utf-8'
  ) as file:
    assert [tuple(row) for row in csv.reader(file)] == [
      ('person', 'label', 'text'), *ROWS.rows,
    ]  # fmt: skip
  with np.load(directory.server_view / 'federated' / 'updates.npz') as found:
    assert set(found) == {'people', 'examples', 'weight_0', 'weight_1'}
    assert found['people'].tolist() == UPDATES.people
    np.testing.assert_array_equal(found['weight_0'], UPDATES.updates[0])


def test_the_sum_has_no_room_for_single_people(directory):
  server_view.write(directory, round_num=1, total=UPDATES.summed())
  assert written(directory) == [
    'server_view/secure_federated/README.txt',
    'server_view/secure_federated/sum.npz',
  ]
  with np.load(directory.server_view / 'secure_federated' / 'sum.npz') as found:
    shapes = {name: found[name].shape for name in found}
  assert shapes == {
    'people': (2,), 'examples': (), 'weight_0': (2, 1), 'weight_1': (),
  }  # fmt: skip


def test_writing_again_leaves_nothing_of_before(directory):
  server_view.write(directory, round_num=1, rows=ROWS, updates=UPDATES)
  server_view.write(directory, round_num=1, total=UPDATES.summed())
  assert {p.name for p in directory.server_view.iterdir()} == {
    'secure_federated'
  }
  assert not [p for p in directory.path.rglob('*.partial*')]


def test_a_write_that_fails_keeps_the_view_of_before(directory, monkeypatch):
  server_view.write(directory, round_num=1, total=UPDATES.summed())

  def fail(*_, **__):
    raise OSError('disk full')

  monkeypatch.setattr(server_view.np, 'savez_compressed', fail)
  with pytest.raises(files.SavingFailedError, match='disk full'):
    server_view.write(directory, round_num=1, updates=UPDATES)
  assert [p.name for p in directory.path.iterdir()] == ['server_view']
  assert (directory.server_view / 'secure_federated' / 'sum.npz').exists()


def test_the_measurement_lies_apart(directory):
  server_view.write_measurement(
    directory, {'round_num': 1}, [('Ann, "A"', 'tea', 2, 1)]
  )
  assert written(directory) == [
    'simulation_only/leak.json', 'simulation_only/words.csv',
  ]  # fmt: skip
  leak = json.loads((directory.simulation_only / 'leak.json').read_text())
  assert leak == {'round_num': 1}
  assert (directory.simulation_only / 'words.csv').read_text() == (
    'person,word,texts,spam\n"Ann, ""A""",tea,2,1\n'
  )
