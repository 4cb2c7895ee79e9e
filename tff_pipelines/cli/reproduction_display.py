"""What the jobs of a reproduction are doing just now, by their own logs."""

from collections.abc import Mapping
import contextlib
import pathlib
import sys
import time
from typing import Any, Self

import rich.console
import rich.live
import rich.text

_LINE_EVERY_SECONDS = 60.0
# Of a log: far more than a line has.
_TAIL_BYTES = 1 << 16


class Display(contextlib.AbstractContextManager['Display']):
  """Shows the last line that each running job has written to its log.

  On a terminal one line a job, which changes. Elsewhere such lines once a
  minute, without those that have been said.
  """

  def __init__(self) -> None:
    self._said: dict[str, str] = {}
    self._last_lines = time.monotonic()
    self._live: rich.live.Live | None = None
    if sys.stderr.isatty():
      self._live = rich.live.Live(
        console=rich.console.Console(stderr=True),
        refresh_per_second=2,
        transient=True,
        # What is printed meanwhile goes above, but never into another file.
        redirect_stdout=sys.stdout.isatty(),
      )

  def __enter__(self) -> Self:
    if self._live is not None:
      self._live.start()
    return self

  def __exit__(self, *exception: Any) -> None:
    if self._live is not None:
      self._live.stop()

  def update(self, running: Mapping[str, pathlib.Path]) -> None:
    """Shows what runs.

    Args:
      running: Logs of the running jobs, by the jobs' names.
    """
    now = time.monotonic()
    if self._live is None and now - self._last_lines < _LINE_EVERY_SECONDS:
      return
    self._last_lines = now
    lines = {
      name: f'{name}: {last_line(log) or "starts"}'
      for name, log in running.items()
    }
    if self._live is not None:
      self._live.update(
        rich.text.Text(
          '\n'.join(lines.values()), 'dim', no_wrap=True, overflow='ellipsis'
        )
      )
      return
    for name, line in lines.items():
      if self._said.get(name) != line:
        self._said[name] = line
        print(line, flush=True)


def last_line(log: pathlib.Path) -> str:
  """Returns the last line of a file that is not empty; '' without any."""
  try:
    with open(log, 'rb') as file:
      size = file.seek(0, 2)
      file.seek(max(0, size - _TAIL_BYTES))
      text = file.read().decode(errors='replace')
  except FileNotFoundError:
    return ''
  return next(
    (s for line in reversed(text.splitlines()) if (s := line.strip())), ''
  )
