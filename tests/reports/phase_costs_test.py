"""Bars of what each phase of a protocol costs."""

import pytest

from tff_pipelines.reports import phase_costs, results, run_reader

pytestmark = pytest.mark.filterwarnings('error')


def test_bars_are_as_long_as_the_costs(write_run):
  figure = phase_costs.phase_costs(run_reader.read(write_run.complete()))
  lengths = [[bar.get_width() for bar in axes.patches] for axes in figure.axes]
  assert lengths == [[1000, 1000, 20, 20], [0.0025, 0.01], [0.2, 3.0]]
  texts = [[text.get_text() for text in axes.texts] for axes in figure.axes]
  assert texts == [
    ['1.0 kB', '1.0 kB', '20 bytes', '20 bytes'],
    ['2.5 ms', '10.0 ms'],
    ['200 ms', '3.0 s'],
  ]
  for axes in figure.axes:
    assert [t.get_text() for t in axes.get_yticklabels()] == ['A', 'mask']


def test_a_run_without_phases_has_no_figure(write_run):
  assert phase_costs.phase_costs(run_reader.read(write_run())) is None


def test_another_form_is_told():
  with pytest.raises(
    results.MalformedResultsError, match=r'^Expected the phase costs'
  ):
    phase_costs.parse({'phase_costs': [{'role': 'client'}]})
