"""Every figure, by what is in it."""

import warnings

import matplotlib.text
import numpy as np
import pytest

from tests import slow_cases
from tff_pipelines.reports import (
  client_data,
  curves,
  figures,
  local_models,
  run_reader,
  small_multiples,
  system_comparison,
)

pytestmark = pytest.mark.filterwarnings('error')

_EVIL = '<script>alert("$x_1$")</script> and a very long name behind it'


def _legend(figure):
  return [text.get_text() for text in figure.legends[0].get_texts()]


def _drawing(draw, run_dir):
  figure = draw(run_reader.read(run_dir))
  assert figure is not None
  return figure


def test_a_run_without_files_has_no_figure_but_the_comparison(write_run):
  assert list(figures.draw_all(run_reader.read(write_run()), dpi=20)) == [
    'system_comparison'
  ]


@pytest.fixture(scope='module')
def complete_pictures(make_run_writer):
  """All pictures of a complete run: drawn once, since that takes seconds."""
  run_dir = make_run_writer().complete(maps='')
  return figures.draw_all(run_reader.read(run_dir), dpi=20)


@pytest.mark.slow
def test_a_complete_run_has_every_figure(complete_pictures):
  kinds = [
    kind.name
    for name in complete_pictures
    for kind in figures.KINDS
    if kind.owns(name)
  ]
  # In their order; of three sweeps three pictures.
  assert kinds == [
    kind.name
    for kind in figures.KINDS
    for _ in range(3 if kind.name == 'sweep_picture' else 1)
  ]
  for picture in complete_pictures.values():
    assert picture.png.startswith(b'\x89PNG')
    assert b'<svg' in picture.svg
    if picture.record is None:
      assert 'federated, central, local' in picture.alt


@pytest.mark.slow
def test_pictures_of_maps_know_their_record_and_who_can_see_them(
  complete_pictures,
):
  drawn = complete_pictures
  picture = drawn['sweep_picture_points']
  assert picture.record == 'sweep_points'
  assert picture.alt.endswith('(More or fewer: points).')
  assert picture.simulation_only
  assert drawn['gap_picture'].simulation_only
  assert not drawn['privacy_picture'].simulation_only
  assert drawn['sweep_table_merge_points'].record == 'sweep_merge_points'
  assert drawn['sweep_overview'].record is None


def test_a_kind_owns_its_files_and_no_others():
  kinds = {kind.name: kind for kind in figures.KINDS}
  assert kinds['sweep_picture'].owns('sweep_picture')
  assert kinds['sweep_picture'].owns('sweep_picture_points')
  assert not kinds['sweep_picture'].owns('sweep_overview')
  assert not kinds['client_data'].owns('client_data_of_mine')


def test_header_only_files_have_no_figure(write_run):
  run_dir = write_run(
    metrics={'federated': (('round_num', 'test/accuracy', 'x/y'), [])},
    clients=(('client_id', 'train_examples'), []),
    local_models=(('client_id', 'accuracy'), []),
  )
  drawn = figures.draw_all(run_reader.read(run_dir), dpi=20)
  assert list(drawn) == ['system_comparison']


@pytest.fixture(
  scope='module',
  params=slow_cases.all_but(['hostile'], ['plain', 'hostile', 'many']),
)
def drawn(request, make_run_writer):
  """Every figure by its kind: drawn once for both tests."""
  run = run_reader.read(_write(request.param, make_run_writer()))
  found = {
    kind.name: [drawing.figure for drawing in kind.drawings(run)]
    for kind in figures.KINDS
  }
  for of_kind in found.values():
    for figure in of_kind:
      figure.draw_without_rendering()
  return found


def _write(how, write_run):
  if how == 'plain':
    return write_run.complete(num_clients=30, maps='')
  if how == 'many':
    return write_run.complete(num_clients=400)
  columns = [
    {**column, 'title': f'{column["title"]} {_EVIL}'}
    for column in write_run.columns
  ]
  rows = [
    {**write_run.federated, 'system': f'{index} {_EVIL}'} for index in range(6)
  ]
  labels = [f'train:{index} {_EVIL}' for index in range(30)]
  metrics = (
    (
      'round_num',
      'test/accuracy',
      'train/loss',
      'privacy/epsilon',
      f'a/{_EVIL}',
      'uplink_bytes',
      'aggregator/uplink_compression',
    ),
    [(0, 0.5, 1, 1, 1, 0, ''), (1, 0.6, 2, 2, 2, 1e6, 4)],
  )
  return write_run(
    rows=[*rows, write_run.local],
    columns=columns,
    title=_EVIL,
    metrics={'federated': metrics, 'some other system': metrics},
    privacy={
      'federated': write_run.privacy_of(
        mechanism={'kind': _EVIL},
        assumptions=[_EVIL],
        unit=_EVIL,
        method=_EVIL,
      ),
      'some other system': write_run.privacy_of(),
    },
    audit=write_run.audit_of(_EVIL),
    clients=(
      ('client_id', *labels),
      [(f'{index} {_EVIL}', *range(30)) for index in range(25)],
    ),
    label_mixes=(
      ('round_num', f'awake:{_EVIL}', 'awake:b', f'cohort:{_EVIL}', 'cohort:b'),
      [(1, 0.25, 0.75, 1, 0), (2, 0.75, 0.25, 0, 0)],
    ),
    local_models=(
      ('client_id', 'train_examples', 'accuracy'),
      [(_EVIL, 1, 0.5), (_EVIL, 2, 0.6)],
    ),
    personalization=(
      ('client_id', 'group', 'before_accuracy', 'after_accuracy'),
      [(str(i), f'{i % 3} {_EVIL}', 0.5, 0.6) for i in range(9)],
    ),
    people=(
      ('client_id', 'test_examples', 'system', 'accuracy'),
      [
        (f'{index} {_EVIL}', 1, system, 0.1 * index)
        for system in (*(f'{row} {_EVIL}' for row in range(6)), 'local')
        for index in range(3)
      ],
    ),
    suggestions=write_run.suggestions_of(_EVIL),
    memorization=write_run.memorization_of(_EVIL),
    maps=_EVIL,
    leak=write_run.leak_of(_EVIL, _EVIL),
    details=write_run.details_of(_EVIL),
  )


class TestNothingLeavesItsPicture:
  @pytest.mark.parametrize('kind', figures.KINDS, ids=lambda kind: kind.name)
  def test(self, drawn, kind):
    for figure in drawn[kind.name]:
      used = figure.get_tightbbox()  # In inches, of all that is drawn.
      width, height = figure.get_size_inches()
      assert used.x0 >= -0.01
      assert used.y0 >= -0.01
      assert used.x1 <= width + 0.01
      assert used.y1 <= height + 0.01

  @pytest.mark.parametrize('kind', figures.KINDS, ids=lambda kind: kind.name)
  def test_nor_runs_a_title_into_a_remark(self, drawn, kind):
    for figure in drawn[kind.name]:
      for axes in figure.axes:
        title, remark = (
          next(
            text.get_window_extent()
            for text in axes.findobj(matplotlib.text.Text)
            if text.get_text() == axes.get_title(side)
          )
          for side in ('left', 'right')
        )
        assert remark.width == 0 or title.x1 < remark.x0

  def test_and_nothing_is_missing(self, drawn):
    maps = {kind.name for kind in figures.KINDS if kind.maps is not None}
    missing = {name for name, of_kind in drawn.items() if not of_kind}
    # The run of many clients has no maps.
    assert missing in (set(), maps | {'sweep_overview'})


class TestLearningCurves:
  def test_the_legend_has_last_values_and_marks_local(self, write_run):
    figure = _drawing(curves.learning_curves, write_run.complete())
    # 0.98 - 0.4 / 5 and 0.98 - 0.4 / 3.
    assert _legend(figure) == [
      'federated: 90.0 %',
      'central: 84.7 %',
      'local: 92.6 % (50.0 to 97.0)\nsimulation only',
    ]

  def test_rounds_without_evaluation_are_left_out(self, write_run):
    figure = _drawing(curves.learning_curves, write_run.complete())
    federated = figure.axes[0].get_lines()[0]
    assert list(federated.get_xdata()) == [0, 2, 3, 4]
    np.testing.assert_allclose(federated.get_ydata()[0], 0.58)

  @pytest.mark.parametrize(
    ('systems', 'expected'),
    [
      (('federated',), 'round'),
      (('central',), 'epoch over all data'),
      (('federated', 'central'), 'round (central: epoch over all data)'),
    ],
  )
  def test_the_axis_says_what_a_round_is(self, write_run, systems, expected):
    table = (('round_num', 'test/accuracy'), [(0, 0.5), (1, 0.75)])
    run_dir = write_run(metrics=dict.fromkeys(systems, table))
    figure = _drawing(curves.learning_curves, run_dir)
    assert figure.axes[0].get_xlabel() == expected

  def test_a_single_round_is_a_point(self, write_run):
    table = (('round_num', 'test/accuracy'), [(0, 0.5)])
    run_dir = write_run(metrics={'federated': table})
    figure = _drawing(curves.learning_curves, run_dir)
    line = figure.axes[0].get_lines()[0]
    assert line.get_marker() == 'o'
    low, high = figure.axes[0].get_xlim()
    ticks = figure.axes[0].get_xticks()
    assert ticks[(ticks >= low) & (ticks <= high)].tolist() == [0]
    assert line.get_label() == 'federated: 50.0 %'

  def test_without_the_primary_metric_another_column_is_drawn(self, write_run):
    table = (('round_num', 'test/auc'), [(0, 0.5), (1, 0.75)])
    run_dir = write_run(metrics={'federated': table})
    figure = _drawing(curves.learning_curves, run_dir)
    assert figure.axes[0].get_title('left') == 'AUC on the test data'

  def test_a_cut_is_said(self, write_run):
    table = (
      ('round_num', 'test/accuracy'),
      [(r, 0.99 - 0.9 / 4**r) for r in range(9)],
    )
    run_dir = write_run(
      rows=[write_run.federated], metrics={'federated': table}
    )
    axes = _drawing(curves.learning_curves, run_dir).axes[0]
    assert axes.get_title('right') == 'the first rounds lie below'
    assert axes.get_ylim()[0] > 0.9

  def test_nan_and_infinite_values_are_gaps(self, write_run):
    table = (
      ('round_num', 'test/accuracy', 'test/loss'),
      [(0, 'nan', 'inf'), (1, 0.5, '-inf'), (2, 0.6, 'nan')],
    )
    run_dir = write_run(metrics={'federated': table})
    figure = _drawing(curves.learning_curves, run_dir)
    assert list(figure.axes[0].get_lines()[0].get_xdata()) == [1, 2]
    assert curves.loss_curves(run_reader.read(run_dir)) is None


class TestNgramsInLearningCurves:
  def _figure(self, write_run, **values):
    table = (('round_num', 'test/accuracy'), [(0, 0.2), (1, 0.5), (2, 0.6)])
    rows = [{'system': s, 'accuracy': value} for s, value in values.items()]
    run_dir = write_run(
      rows=[*rows, {'system': 'federated', 'accuracy': 0.6}],
      metrics={'federated': table},
    )
    return _drawing(curves.learning_curves, run_dir)

  def test_they_are_thin_lines_named_at_the_right(self, write_run):
    figure = self._figure(write_run, bigram=0.498, trigram=0.5)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == [
      'bigram: 49.8 %', 'trigram: 50.0 %',
    ]  # fmt: skip
    levels = [list(line.get_ydata()) for line in axes.get_lines()[1:]]
    assert levels == [[0.498, 0.498], [0.5, 0.5]]
    assert _legend(figure) == ['federated: 60.0 %']

  def test_one_that_would_flatten_the_curves_is_left_out(self, write_run):
    figure = self._figure(write_run, unigram=0.01, trigram=0.5)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ['trigram: 50.0 %']
    assert axes.get_ylim()[0] > 0.01


def test_loss_curves_tell_train_from_test(write_run):
  figure = _drawing(curves.loss_curves, write_run.complete())
  assert _legend(figure) == [
    'federated, train',
    'federated, test',
    'central, train',
    'central, test',
  ]


class TestSystemComparison:
  def test_the_numbers_are_written(self, write_run):
    figure = _drawing(system_comparison.system_comparison, write_run())
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == [
      *('98.7 %', '98.9 %', '92.6 % (50.0 to 97.0)'),
      *('0.4 %', '0.3 %', '\N{EN DASH}'),
    ]
    assert _legend(figure) == [
      'federated',
      'central',
      'local: median, range (simulation only)',
    ]

  def test_a_system_without_the_first_percentage_is_in_the_legend(
    self, write_run
  ):
    late = {'system': 'late', 'ham_blocked': 0.5}
    figure = _drawing(
      system_comparison.system_comparison,
      write_run(rows=[write_run.federated, late]),
    )
    assert _legend(figure) == ['federated', 'late']

  def test_no_percentages_no_figure(self, write_run):
    run = run_reader.read(write_run(columns=[{'key': 'auc'}]))
    assert system_comparison.system_comparison(run) is None


class TestLocalModels:
  def test_few_clients_are_points(self, write_run):
    figure = _drawing(local_models.local_models, write_run.complete())
    points = figure.axes[0].get_lines()[0]
    np.testing.assert_allclose(
      points.get_xdata(), [0.5, 0.5 + 0.4 / 3, 0.5 + 0.8 / 3]
    )
    assert _legend(figure) == [
      "a client's own model",
      'federated: 98.7 %',
      'central: 98.9 %',
    ]

  def test_many_clients_are_a_histogram_of_all_of_them(self, write_run):
    figure = _drawing(
      local_models.local_models, write_run.complete(num_clients=5000)
    )
    heights = [patch.get_height() for patch in figure.axes[0].patches]
    assert sum(heights) == 5000
    # 0.5 + 0.4 * 2499.5 / 5000
    assert 'their median: 70.0 %' in _legend(figure)

  def test_one_client(self, write_run):
    figure = _drawing(
      local_models.local_models, write_run.complete(num_clients=1)
    )
    assert len(figure.axes) == 1

  def test_only_the_local_system(self, write_run):
    run_dir = write_run.complete(rows=[write_run.local], metrics={})
    figure = _drawing(local_models.local_models, run_dir)
    assert _legend(figure) == ["a client's own model"]

  def test_clients_without_value_are_left_out(self, write_run):
    table = (
      ('client_id', 'train_examples', 'accuracy'),
      [('a', 1, 'nan'), ('b', 2, 0.5), ('c', 3, '')],
    )
    run_dir = write_run(local_models=table)
    figure = _drawing(local_models.local_models, run_dir)
    assert list(figure.axes[0].get_lines()[0].get_xdata()) == [0.5]

  def test_of_ngram_models_only_the_best_is_a_line(self, write_run):
    ngrams = [
      {'system': 'bigram', 'accuracy': 0.2},
      {'system': 'trigram', 'accuracy': 0.3},
    ]
    run_dir = write_run.complete(rows=[*ngrams, write_run.federated])
    figure = _drawing(local_models.local_models, run_dir)
    assert _legend(figure)[1:] == ['trigram: 30.0 %', 'federated: 98.7 %']

  def test_every_panel_is_marked(self, write_run):
    figure = _drawing(local_models.local_models, write_run.complete())
    for axes in figure.axes:
      assert axes.get_title('right') == 'simulation only'


class TestClientData:
  def test_few_clients_have_names_largest_first(self, write_run):
    figure = _drawing(client_data.client_data, write_run.complete())
    names = [label.get_text() for label in figure.axes[-1].get_xticklabels()]
    assert names == ['0002', '0001', '0000']
    heights = [patch.get_height() for patch in figure.axes[0].patches]
    assert heights == [5, 4, 3, 2, 1, 0]

  def test_shares_add_up_to_one(self, write_run):
    figure = _drawing(client_data.client_data, write_run.complete())
    heights = [patch.get_height() for patch in figure.axes[1].patches]
    np.testing.assert_allclose(np.add(heights[:3], heights[3:]), 1.0)

  @pytest.mark.slow
  def test_5000_clients_are_a_few_polygons(self, write_run):
    figure = _drawing(
      client_data.client_data, write_run.complete(num_clients=5000)
    )
    assert len(figure.axes) == 3
    histogram, sizes, mixes = figure.axes
    assert sum(patch.get_height() for patch in histogram.patches) == 5000
    assert len(sizes.patches) == 1
    assert len(mixes.patches) == 2

  def test_the_concentration_is_computed(self, write_run):
    rows = [(str(index), 1) for index in range(90)]
    rows += [(str(index), 9) for index in range(90, 100)]
    run_dir = write_run(clients=(('client_id', 'train_examples'), rows))
    figure = _drawing(client_data.client_data, run_dir)
    (text,) = figure.axes[1].texts
    assert text.get_text().endswith('hold 50.0 % of the examples')

  def test_one_client_without_examples(self, write_run):
    table = (
      ('client_id', 'train_examples', 'train:a', 'train:b'),
      [('x', 0, 0, 0)],
    )
    figure = _drawing(client_data.client_data, write_run(clients=table))
    figure.draw_without_rendering()
    assert len(figure.axes) == 2

  def test_only_ids_are_nothing_to_draw(self, write_run):
    run = run_reader.read(write_run(clients=(('client_id',), [('a',)])))
    assert client_data.client_data(run) is None


class TestOtherMetrics:
  def _panels(self, write_run, head, rows):
    table = (('round_num', *head), rows)
    figure = _drawing(
      small_multiples.other_metrics, write_run(metrics={'federated': table})
    )
    figure.draw_without_rendering()
    return [axes for axes in figure.axes if axes.axison]

  def test_one_panel_a_metric_of_no_other_figure(self, write_run):
    panels = self._panels(
      write_run,
      (
        'train/loss',
        'test/auc',
        'cohort/num_examples',
        'a/b_c/norm',
        'empty/x',
      ),
      [(0, 1, 1, 100, 0.5, ''), (1, 1, 1, 200, 0.6, '')],
    )
    assert [panel.get_title('left') for panel in panels] == [
      'cohort: num examples',
      'a/b c: norm',
    ]
    assert panels[0].get_ylabel() == 'examples'

  def test_bytes_have_units(self, write_run):
    (panel,) = self._panels(
      write_run, ('up/sent_bytes',), [(0, 1e6), (1, 2e6), (2, 4e6)]
    )
    labels = [label.get_text() for label in panel.get_yticklabels()]
    assert '2 MB' in labels

  @pytest.mark.parametrize('value', [0.0, 20.0, -2.0])
  def test_a_constant_is_seen_above_zero(self, write_run, value):
    (panel,) = self._panels(write_run, ('a/b',), [(0, value), (1, value)])
    low, high = panel.get_ylim()
    assert low < min(0, value)
    assert high > max(0, value)

  def test_a_long_run_has_a_moving_average(self, write_run):
    rows = [(r, r % 2) for r in range(1000)]
    (panel,) = self._panels(write_run, ('a/b',), rows)
    single, average = panel.get_lines()
    assert np.ptp(single.get_ydata()) == 1
    # Windows of 25 rounds hold 12 or 13 ones.
    middle = average.get_ydata()[100:-100]
    assert set(np.round(25 * middle)) == {12, 13}


def test_unknown_scripts_do_not_warn(write_run):
  table = (
    ('client_id', 'train:\u4f60\u597d', 'train:b'),
    [('\U0001f600', 1, 2)],
  )
  run = run_reader.read(write_run(rows=[], clients=table))
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    assert list(figures.draw_all(run, dpi=20)) == ['client_data']
