"""The privacy section: tables, and the pictures between them."""

import html
import re

import numpy as np
import pytest

from tff_pipelines.reports import (
  page,
  privacy_curves,
  privacy_section,
  run_reader,
)

pytestmark = pytest.mark.filterwarnings('error')

_NBSP = '\N{NO-BREAK SPACE}'
_DASH = '\N{EN DASH}'


def _cells(content):
  rows = re.findall(r'<tr><th scope="row">(.*?)</tr>', content)
  return [
    html.unescape(row).replace('</th>', '').replace('</td>', '').split('<td>')
    for row in rows
  ]


def _read(write_run, **files):
  return run_reader.read(write_run(**files))


def _several(write_run, **changes):
  head = ('round_num', 'test/accuracy', 'privacy/epsilon', 'agg/clip_norm')
  rows = [(0, 0.5, 0.0, 0.1), (1, 0.6, 1.0, 0.2), (2, 0.7, 2.0, 0.4)]
  private = [
    {'system': name, 'accuracy': value}
    for name, value in (('dp_tree', 0.6), ('dp_fixed', 0.7))
  ]
  files = {
    'rows': [write_run.central, *private],
    'metrics': {'dp_fixed': (head, rows), 'dp_tree': (head, rows)},
    'privacy': {
      'dp_fixed': write_run.privacy_of(delta=1e-4),
      'dp_tree': write_run.privacy_of(
        mechanism={'kind': 'TreeAggregation', 'noise_multiplier': 7.0},
        trust='sum',
        epsilon=3.5,
      ),
    },
  }
  return _read(write_run, **files | changes)


class TestPage:
  def test_the_section_is_there_for_private_runs(self, text_of_everything):
    text = text_of_everything
    assert '<h2>Privacy</h2>' in text
    assert 'neither is more than 7.39 times the other' in text
    assert 'Planned: epsilon 2.5 after 6 rounds. Spent: 2 after 4' in text
    assert '<li>Cohorts stay secret.</li>' in text

  def test_a_run_without_privacy_has_no_section(self, write_run):
    text = page.write(write_run(), dpi=20).read_text()
    assert '<h2>Privacy' not in text

  @pytest.mark.slow
  def test_no_other_part_makes_the_section(self, write_run):
    public = write_run.complete(privacy=None, audit=None, metrics=None)
    assert '<h2>Privacy' not in page.write(public, dpi=20).read_text()


class TestPromise:
  def test_nothing_is_promised_without_a_guarantee(self, write_run):
    content = write_run.privacy_of() | {'guarantee': None}
    run = _read(write_run, privacy={'federated': content})
    text = privacy_section.privacy_html(run)
    assert text == (
      '<p>Nothing is promised: no bound is known for what this run released.'
      '</p>'
    )

  def test_nothing_was_released(self, write_run):
    run = _read(
      write_run, privacy={'federated': write_run.privacy_of(contributors=())}
    )
    text = privacy_section.privacy_html(run)
    assert text.startswith('<p>Nothing was released.</p>')
    assert _cells(privacy_section.settings_html(run))[0][0] == _DASH

  @pytest.mark.parametrize(
    ('delta', 'warned'), [(1 / 400, False), (1.01 / 400, True)]
  )
  def test_a_delta_above_one_in_the_population_is_told(
    self, write_run, delta, warned
  ):
    run = _read(
      write_run, privacy={'federated': write_run.privacy_of(delta=delta)}
    )
    text = privacy_section.privacy_html(run)
    assert ('Delta is above 1 in the population of 400' in text) == warned


class TestSystems:
  def test_a_row_a_system_in_the_order_of_the_results(self, write_run):
    content = privacy_section.privacy_html(_several(write_run))
    clip = f'0.1{_NBSP}→{_NBSP}0.4'
    assert _cells(content) == [
      ['dp tree', 'tree', '7', clip, '20', '400', '3.5', '10⁻⁵',
       'secure aggregation', '60.0 %'],
      ['dp fixed', 'Gaussian', '1.2', clip, '20', '400', '2', '10⁻⁴',
       'the server', '70.0 %'],
    ]  # fmt: skip
    assert 'that of the independent parts' in content
    assert content.count('<details>') == 2
    assert content.count('Take any conclusion') == 2

  def test_a_clip_that_nobody_measured_is_that_of_the_flag(self, write_run):
    run = _several(
      write_run, metrics=None, manifest={'configuration': {'clip_norm': 0.25}}
    )
    content = privacy_section.privacy_html(run)
    assert [row[3] for row in _cells(content)] == ['0.25', '0.25']


class TestSettings:
  def test_noise_against_contributors(self, write_run):
    run = _read(write_run, privacy={'federated': write_run.privacy_of()})
    # 1.2 / 22 and 1.2 / 18.
    assert _cells(privacy_section.settings_html(run)) == [
      [f'1{_NBSP}to{_NBSP}4', 'Gaussian', '1.2',
       f'18{_NBSP}to{_NBSP}22 (planned 20)',
       f'0.0545{_NBSP}to{_NBSP}0.0667', '400',
       'drawn anew, each by chance, secret', 'at most 2 times, 3 rounds apart'],
    ]  # fmt: skip

  def test_noise_that_comes_from_the_clients_depends_on_them(self, write_run):
    shares = {
      'kind': 'DistributedSkellam', 'noise_stddev': 1.0, 'l2_sensitivity': 2.0,
      'num_coordinates': 8, 'num_colluding': 0,
    }  # fmt: skip
    content = write_run.privacy_of(
      mechanism=shares, contributors=(16, 4), limits=(1, 1)
    )
    run = _read(write_run, privacy={'federated': content})
    (row,) = _cells(privacy_section.settings_html(run))
    # sqrt(4) / 2 and sqrt(16) / 2; 2 / 16 and 1 / 4.
    assert row[2] == f'1{_NBSP}to{_NBSP}2'
    assert row[4] == f'0.125{_NBSP}to{_NBSP}0.25'
    assert row[-1] == 'at most once'

  def test_an_empty_round_has_no_share(self, write_run):
    content = write_run.privacy_of(contributors=(0,), limits=(None, None))
    run = _read(write_run, privacy={'federated': content})
    (row,) = _cells(privacy_section.settings_html(run))
    assert (row[0], row[3], row[4], row[-1]) == (
      '1', '0 (planned 20)', _DASH, _DASH,
    )  # fmt: skip

  def test_randomized_response_has_a_probability(self, write_run):
    content = write_run.privacy_of(
      mechanism={'kind': 'RandomizedResponse', 'noise_probability': 0.25}
    )
    run = _read(write_run, privacy={'federated': content})
    (row,) = _cells(privacy_section.settings_html(run))
    assert row[2] == 'a random answer in 25.0 %'

  def test_no_record_no_table(self, write_run):
    run = _read(write_run)
    assert privacy_section.settings_html(run) == ''
    assert privacy_section.privacy_html(run) == ''


def _texts(axes):
  return [text.get_text() for text in axes.texts]


class TestEpsilonByRound:
  def test_spent_planned_and_the_limit_are_named(self, write_run):
    run = run_reader.read(
      write_run.complete(manifest={'configuration': {'stop_at_epsilon': 4.0}})
    )
    (axes,) = privacy_curves.epsilon_by_round(run).axes
    assert _texts(axes) == [
      'federated: 2',
      'planned: 2.5 in 6 rounds',
      'the run stops at 4',
    ]
    line = axes.get_lines()[0]
    np.testing.assert_allclose(line.get_ydata(), [0, 0.5, 1, 1.5, 2])
    assert line.get_drawstyle() == 'steps-post'  # It jumps when a round ends.
    assert axes.get_ylim()[1] > 4.0

  def test_a_plan_that_came_out_is_not_told_twice(self, write_run):
    plan = {'epsilon': 2.0, 'num_rounds': 4}
    run = run_reader.read(
      write_run.complete(
        privacy={'federated': write_run.privacy_of(planned=plan)}
      )
    )
    (axes,) = privacy_curves.epsilon_by_round(run).axes
    assert _texts(axes) == ['federated: 2']

  def test_a_common_plan_is_told_once(self, write_run):
    same = write_run.privacy_of(epsilon=2.0)
    run = _several(write_run, privacy={'dp_fixed': same, 'dp_tree': same})
    (axes,) = privacy_curves.epsilon_by_round(run).axes
    assert sorted(_texts(axes)) == [
      'dp fixed: 2', 'dp tree: 2', 'planned: 2.5 in 6 rounds',
    ]  # fmt: skip

  def test_far_apart_epsilons_get_a_logarithmic_axis(self, write_run):
    head = ('round_num', 'privacy/epsilon')
    run = _read(
      write_run,
      metrics={
        'a': (head, [(0, 0), (1, 1.0)]), 'b': (head, [(0, 0), (1, 500.0)])
      },
    )  # fmt: skip
    (axes,) = privacy_curves.epsilon_by_round(run).axes
    assert axes.get_yscale() == 'log'

  def test_only_zeros_are_drawn(self, write_run):
    table = (('round_num', 'privacy/epsilon'), [(0, 0.0), (1, 0.0)])
    run = _read(write_run, metrics={'federated': table})
    privacy_curves.epsilon_by_round(run).draw_without_rendering()

  def test_no_epsilon_no_picture(self, write_run):
    assert privacy_curves.epsilon_by_round(_read(write_run)) is None


class TestMetricByEpsilon:
  def test_rounds_with_both_numbers(self, write_run):
    run = run_reader.read(write_run.complete())
    (axes,) = privacy_curves.metric_by_epsilon(run).axes
    line = axes.get_lines()[0]
    # Round 0 spent nothing, in round 1 nothing was tested.
    np.testing.assert_allclose(line.get_xdata(), [1.0, 1.5, 2.0])
    np.testing.assert_allclose(
      line.get_ydata(), [0.98 - 0.4 / (r + 1) for r in (2, 3, 4)]
    )
    # The local models have many values, and none with privacy.
    assert _texts(axes) == ['federated: 90.0 %', 'central: 98.9 %']

  def test_a_system_without_rounds_is_its_final_point(self, write_run):
    run = _several(write_run, metrics=None)
    (axes,) = privacy_curves.metric_by_epsilon(run).axes
    points = [
      (*line.get_xdata(), *line.get_ydata()) for line in axes.get_lines()[:2]
    ]
    assert points == [(3.5, 0.6), (2.0, 0.7)]

  def test_without_epsilon_there_is_no_picture(self, write_run):
    assert privacy_curves.metric_by_epsilon(_read(write_run)) is None
