"""How a number is written: one spelling for tables, figures and sentences."""

from collections.abc import Mapping
import math
from typing import Any

from tff_pipelines.reports import results

MISSING = '\N{EN DASH}'

_BYTE_UNITS = ('bytes', 'kB', 'MB', 'GB', 'TB', 'PB')
_SUPERSCRIPTS = str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹')


def number(value: float | None, value_format: results.Format) -> str:
  """Writes a number with its unit; a dash for None and NaN.

  Args:
    value: The number. Percentages come as fractions: 0.987 is '98.7 %';
      milliseconds as seconds: 0.0123 is '12.3 ms'.
    value_format: The kind of number.
  """
  if value is None or math.isnan(value):
    return MISSING
  if math.isinf(value):
    return '\N{INFINITY}' if value > 0 else '-\N{INFINITY}'
  match value_format:
    case 'percent':
      return f'{_fixed(100 * value, 1)} %'
    case 'ratio':
      return _fixed(value, 3)
    case 'count':
      return _fixed(value, 0 if value == round(value) else 1)
    case 'seconds':
      return _seconds(value)
    case 'milliseconds':
      return _milliseconds(value)
    case 'bytes':
      return _bytes(value)


def cell(row: Mapping[str, Any], column: results.Column) -> str:
  """Writes one cell of the final table: 'median (min to max)' if it can."""
  found = row.get(column.key)
  if found is None:
    return MISSING
  if isinstance(found, bool) or not isinstance(found, int | float):
    return str(found)
  text = number(found, column.format)
  extent = extent_text(row, column)
  return f'{text} ({extent})' if extent and text != MISSING else text


def extent_text(row: Mapping[str, Any], column: results.Column) -> str:
  """Writes '50.0 to 97.0' for a value with a range, '' for one without."""
  low = results.value(row, f'{column.key}_min')
  high = results.value(row, f'{column.key}_max')
  if low is None or high is None:
    return ''
  ends = [number(end, column.format) for end in (low, high)]
  if column.format == 'percent':
    # The unit stands behind the median already.
    ends = [end.removesuffix(' %') for end in ends]
  return ' to '.join(ends)


def epsilon(value: float | None) -> str:
  """Writes an epsilon with four digits, as the accountant prints it.

  Args:
    value: The epsilon; None and NaN are a dash.
  """
  if value is None or not math.isfinite(value):
    return number(value, 'ratio')
  return f'{value:,.0f}' if abs(value) >= 1e4 else f'{value:.4g}'


def small(value: float) -> str:
  """Writes a number at least 0 that may be tiny: 3.17e-5 is '3.17 x 10^-5'."""
  if value == 0.0 or value >= 1e-3:
    return f'{value:.3g}'
  return _power(math.log10(value), 3)


def factor(log_value: float) -> str:
  """Writes e^log_value rounded up, so that 'at most' stays true.

  Args:
    log_value: At least 0; nothing is too large.
  """
  if log_value < math.log(1e6):
    value = math.exp(log_value)
    # Room for rounding errors: e^0 is 1, not 1.001.
    unit = 10.0 ** (math.floor(math.log10(value)) - 3)
    rounded = math.ceil(value / unit - 1e-9) * unit
    return f'{rounded:,.0f}' if rounded >= 1e3 else f'{rounded:.4g}'
  return _power(log_value / math.log(10.0), 2, up=True)


def _power(log10_value: float, digits: int, *, up: bool = False) -> str:
  """Writes 10^log10_value as '3.17 x 10^-5', with real signs."""
  exponent = math.floor(log10_value)
  scale = 10.0 ** (digits - 1)
  mantissa = 10.0 ** (log10_value - exponent) * scale
  mantissa = math.ceil(mantissa - 1e-6) if up else round(mantissa)
  if mantissa >= 10 * scale:
    exponent, mantissa = exponent + 1, scale
  power = f'10{str(exponent).translate(_SUPERSCRIPTS)}'
  text = f'{mantissa / scale:.{digits}g}'
  return power if text == '1' else f'{text} \N{MULTIPLICATION SIGN} {power}'


def _fixed(value: float, digits: int) -> str:
  text = f'{value:,.{digits}f}'
  # A tiny negative number would read '-0.0'.
  return text.lstrip('-') if float(text.replace(',', '')) == 0 else text


def _seconds(value: float) -> str:
  if abs(value) < 120:
    return f'{_fixed(value, 1)} s'
  if abs(value) < 120 * 60:
    return f'{_fixed(value / 60, 1)} min'
  return f'{_fixed(value / 3600, 1)} h'


def _milliseconds(value: float) -> str:
  if abs(value) >= 0.9995:
    return _seconds(value)
  milliseconds = 1000 * value
  # Three digits, so that 0.07 ms and 345 ms stand in one column.
  digits = 2 if abs(milliseconds) < 0.995 else 1
  if abs(milliseconds) >= 99.95:
    digits = 0
  return f'{_fixed(milliseconds, digits)} ms'


def byte_unit(value: float) -> tuple[float, str]:
  """The unit in which so many bytes are written: its size and its name."""
  size, index = 1.0, 0
  # 999.95 would round to '1,000.0', hence the bound below 1000.
  while abs(value) >= 999.95 * size and index + 1 < len(_BYTE_UNITS):
    size *= 1000
    index += 1
  return size, _BYTE_UNITS[index]


def _bytes(value: float) -> str:
  size, name = byte_unit(value)
  return f'{_fixed(value / size, 1 if size > 1 else 0)} {name}'
