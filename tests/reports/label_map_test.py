"""Heat maps of clients and labels, and label mixes over a day."""

import matplotlib.patches
import numpy as np
import pytest

from tests.reports import conftest
from tff_pipelines.reports import (
  appearance,
  client_data,
  label_counts,
  label_drift,
  label_map,
  run_reader,
)

pytestmark = pytest.mark.filterwarnings('error')


def drawn(counts):
  """The axes of the map of clients given by their counts."""
  counts = np.asarray(counts, float)
  figure = appearance.figure(3, simulation_only=True)
  axes = figure.subplots()
  label_map.draw(
    axes,
    label_counts.LabelCounts(
      tuple(f'client {c}' for c in range(len(counts))),
      tuple(f'label {k}' for k in range(counts.shape[1])),
      counts,
    ),
    sorted_by='largest first',
  )
  figure.draw_without_rendering()
  return axes


def test_a_cell_is_the_share_of_a_label_of_its_client():
  axes = drawn([[1, 3, 0], [0, 0, 0], [5, 0, 0]])
  (image,) = axes.images
  # A row a label, a column a client.
  np.testing.assert_allclose(
    image.get_array(), [[0.25, 0, 1], [0.75, 0, 0], [0, 0, 0]]
  )
  assert image.get_extent() == [0.5, 3.5, 2.5, -0.5]
  written = {(text.get_position(), text.get_text()) for text in axes.texts}
  assert written == {((1, 0), '25'), ((1, 1), '75'), ((3, 0), '100')}
  assert [tick.get_text() for tick in axes.get_yticklabels()] == [
    'label 0', 'label 1', 'label 2',
  ]  # fmt: skip
  assert axes.get_title('right') == 'simulation only'


def test_the_scale_ends_at_the_largest_share():
  (image,) = drawn([[1, 3, 0], [1, 1, 1]]).images
  assert image.get_clim()[1] == 0.75
  # If all are alike, they are neither dark nor pale.
  (image,) = drawn(np.ones([3, 10])).images
  assert image.get_clim()[1] == 0.2


@pytest.mark.parametrize('num_clients', [13, 31, 4000])
def test_of_many_clients_no_share_is_written(num_clients):
  axes = drawn(np.eye(5)[np.arange(num_clients) % 5])
  assert not axes.texts
  named = axes.get_xticklabels()[0].get_text() == 'client 0'
  assert named == (num_clients == 13)


def _clients(num_clients, num_labels, tested_only=0):
  head = (
    'client_id', 'train_examples', 'test_examples',
    *(f'train:{label}' for label in range(num_labels)),
  )  # fmt: skip
  rows = [
    (f'c{c}', num_labels + c, 0, *np.eye(num_labels)[c % num_labels] * c + 1)
    for c in range(num_clients)
  ]
  nothing = [0] * num_labels
  return head, rows + [(f't{c}', 0, 9, *nothing) for c in range(tested_only)]


@pytest.mark.parametrize('num_labels', [2, 4, 5, 10])
def test_from_five_labels_on_the_mix_is_a_map(write_run, num_labels):
  run = run_reader.read(write_run(clients=_clients(6, num_labels)))
  figure = client_data.client_data(run)
  assert bool(figure.axes[-1].images) == (num_labels > 4)
  # The colours are explained once, whichever panel has them.
  (legend,) = figure.legends
  assert len(legend.get_texts()) == num_labels


@pytest.mark.parametrize('num_clients', [3, 40])
def test_who_is_only_tested_is_left_out(write_run, num_clients):
  run = run_reader.read(
    write_run(clients=_clients(num_clients, 6, tested_only=2))
  )
  (image,) = client_data.client_data(run).axes[-1].images
  assert image.get_array().shape == (6, num_clients)


def test_of_more_clients_than_stacks_nothing_is_explained(write_run):
  """No panel of theirs has the colours of labels."""
  run = run_reader.read(write_run(clients=_clients(301, 6)))
  assert not client_data.client_data(run).legends


def test_a_day_is_stacked_shares(write_run):
  run = run_reader.read(
    write_run(label_mixes=conftest.label_mixes_table(('a', 'b', 'c')))
  )
  figure = label_drift.label_drift(run)
  figure.draw_without_rendering()
  awake, cohort = figure.axes
  tops = [
    [patch.get_data().values.tolist() for patch in axes.patches]
    for axes in (awake, cohort)
  ]
  assert tops[0] == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
  np.testing.assert_allclose(tops[1], np.repeat([[1], [2], [3]], 3, 1) / 3)
  assert isinstance(awake.patches[0], matplotlib.patches.StepPatch)
  names = [text.get_text() for text in figure.legends[0].get_texts()]
  assert names == ['a', 'b', 'c']
  assert appearance.is_simulation_only(figure)


@pytest.mark.parametrize('num_rounds', [0, 1])
def test_a_day_of_hardly_any_rounds(write_run, num_rounds):
  head, rows = conftest.label_mixes_table()
  run = run_reader.read(write_run(label_mixes=(head, rows[:num_rounds])))
  assert (label_drift.label_drift(run) is None) == (num_rounds == 0)


def test_rare_labels_are_added_up(write_run):
  labels = [f'label {k}' for k in range(14)]
  run = run_reader.read(
    write_run(label_mixes=conftest.label_mixes_table(labels))
  )
  figure = label_drift.label_drift(run)
  names = [text.get_text() for text in figure.legends[0].get_texts()]
  assert names[-1] == '5 other labels'
  assert len(figure.axes[0].patches) == len(figure.axes[1].patches) == 10


def test_a_run_without_a_day_has_no_drift(write_run):
  assert label_drift.label_drift(run_reader.read(write_run())) is None
