import math

import pytest

from tff_pipelines.reports import formats, results

pytestmark = pytest.mark.filterwarnings('error')

_DASH = '\N{EN DASH}'


@pytest.mark.parametrize(
  ('value', 'value_format', 'expected'),
  [
    (0.987, 'percent', '98.7 %'),
    (1.0, 'percent', '100.0 %'),
    (0.0, 'percent', '0.0 %'),
    (-0.0001, 'percent', '0.0 %'),
    (-0.25, 'percent', '-25.0 %'),
    (0.9426, 'ratio', '0.943'),
    (-0.0001, 'ratio', '0.000'),
    (12345.6789, 'ratio', '12,345.679'),
    (60, 'count', '60'),
    (12345.0, 'count', '12,345'),
    (12.5, 'count', '12.5'),
    (0.04, 'seconds', '0.0 s'),
    (14.25, 'seconds', '14.2 s'),
    (119.9, 'seconds', '119.9 s'),
    (120.0, 'seconds', '2.0 min'),
    (1420.2, 'seconds', '23.7 min'),
    (7200.0, 'seconds', '2.0 h'),
    (0.00007, 'milliseconds', '0.07 ms'),
    (0.0123, 'milliseconds', '12.3 ms'),
    (0.345, 'milliseconds', '345 ms'),
    (0.9996, 'milliseconds', '1.0 s'),
    (0, 'milliseconds', '0.00 ms'),
    (600, 'milliseconds', '10.0 min'),
    (0, 'bytes', '0 bytes'),
    (999, 'bytes', '999 bytes'),
    (1000, 'bytes', '1.0 kB'),
    (999_949, 'bytes', '999.9 kB'),
    (999_950, 'bytes', '1.0 MB'),
    (4_400_000, 'bytes', '4.4 MB'),
    (None, 'percent', _DASH),
    (math.nan, 'seconds', _DASH),
    (math.inf, 'ratio', '\N{INFINITY}'),
    (-math.inf, 'count', '-\N{INFINITY}'),
  ],
)
def test_a_number_is_written_with_its_unit(value, value_format, expected):
  assert formats.number(value, value_format) == expected


@pytest.mark.parametrize(
  ('row', 'value_format', 'expected'),
  [
    (
      {'x': 0.91, 'x_min': 0.5, 'x_max': 0.97},
      'percent',
      '91.0 % (50.0 to 97.0)',
    ),
    ({'x': 0.5, 'x_min': 0.25, 'x_max': 1}, 'ratio', '0.500 (0.250 to 1.000)'),
    ({'x': 3, 'x_min': 1, 'x_max': 9000}, 'count', '3 (1 to 9,000)'),
    ({'x': 5, 'x_min': 1, 'x_max': 240}, 'seconds', '5.0 s (1.0 s to 4.0 min)'),
    ({'x': 0.91, 'x_min': 0.5}, 'percent', '91.0 %'),
    ({'x': 0.91, 'x_min': math.nan, 'x_max': 1.0}, 'percent', '91.0 %'),
    ({'x': None, 'x_min': 0.5, 'x_max': 1.0}, 'percent', _DASH),
    ({'x': math.nan, 'x_min': 0.5, 'x_max': 1.0}, 'percent', _DASH),
    ({}, 'count', _DASH),
    ({'x': 'none'}, 'count', 'none'),
    ({'x': True}, 'count', 'True'),
  ],
)
def test_a_cell_is_the_value_and_its_range(row, value_format, expected):
  column = results.Column('x', 'x', value_format)
  assert formats.cell(row, column) == expected
