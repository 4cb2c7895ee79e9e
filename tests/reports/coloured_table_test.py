import matplotlib.figure
import numpy as np
import pytest

from tff_pipelines.reports import coloured_table

pytestmark = pytest.mark.filterwarnings('error')


def _draw(values, texts=None):
  axes = matplotlib.figure.Figure().subplots()
  rows, columns = values.shape
  inks = coloured_table.draw(
    axes,
    values,
    texts or [['x'] * columns for _ in range(rows)],
    rows=list('ab')[:rows],
    columns=list('cd')[:columns],
  )
  return axes, inks


def _brightness(patch):
  return sum(patch.get_facecolor()[:3])


def test_higher_is_darker_and_its_text_white():
  axes, inks = _draw(np.array([[0.2, 0.9]]))
  low, high = axes.patches
  assert _brightness(low) > _brightness(high)
  assert inks == [['#333333', 'white']]


def test_small_differences_stay_small():
  axes, _ = _draw(np.array([[0.90, 0.91]]))
  low, high = axes.patches
  assert _brightness(low) - _brightness(high) < 0.4


def test_the_first_row_is_on_top():
  axes, _ = _draw(np.array([[0.2], [0.9]]))
  bottom, top = axes.get_ylim()
  assert bottom > top


@pytest.mark.parametrize('value', [np.nan, 0.5])
def test_an_unknown_or_lonely_cell_is_drawn(value):
  axes, _ = _draw(np.array([[value]]))
  assert len(axes.patches) == 1


def test_a_second_line_is_smaller():
  axes, _ = _draw(np.array([[0.5]]), [['50 %\nattack 1 %']])
  first, second = axes.texts
  assert second.get_text() == 'attack 1 %'
  assert second.get_fontsize() < first.get_fontsize()
