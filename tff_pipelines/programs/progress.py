"""How far a long work is: a bar on a terminal, plain lines elsewhere."""

from collections.abc import Mapping
import contextlib
import sys
import time
from typing import Any, Self

import rich.console
import rich.progress

_LINE_EVERY_SECONDS = 10.0


class Progress(contextlib.AbstractContextManager['Progress']):
  """Shows a number of steps that are done, and the latest metrics.

  On a terminal one line that changes. Elsewhere a line when there is a metric
  to tell, and at least every ten seconds, so that logs stay short.
  """

  def __init__(self, what: str, total: int, done: int = 0, unit: str = 'round'):
    """Initializes the display.

    Args:
      what: The name of the work.
      total: Steps in all.
      done: Steps done before.
      unit: What a step is.
    """
    self._what, self._unit = what, unit
    self._total, self._done = total, done
    self._metrics: dict[str, Any] = {}
    self._started = self._last_line = time.monotonic()
    self._bar: rich.progress.Progress | None = None
    if sys.stderr.isatty():
      self._bar = rich.progress.Progress(
        rich.progress.TextColumn('{task.description}'),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TextColumn(f'{unit}s'),
        rich.progress.TimeRemainingColumn(),
        rich.progress.TextColumn('{task.fields[metrics]}'),
        console=rich.console.Console(stderr=True),
        # What is printed meanwhile goes above, but never into another file.
        redirect_stdout=sys.stdout.isatty(),
      )
      self._task = self._bar.add_task(
        what, total=total, completed=done, metrics=''
      )

  def __enter__(self) -> Self:
    if self._bar is not None:
      self._bar.start()
    elif self._done:
      print(f'{self._what}: resuming after {self._unit} {self._done}')
    return self

  def __exit__(self, *exception: Any) -> None:
    if self._bar is not None:
      self._bar.stop()

  def update(
    self,
    done: int,
    metrics: Mapping[str, Any] | None = None,
    aside: Mapping[str, Any] | None = None,
  ) -> None:
    """Shows that `done` steps are done.

    Args:
      done: Steps done.
      metrics: Numbers by name, if there are new ones.
      aside: Numbers that are shown with them, but are not worth a line.
    """
    self._done = done
    self._metrics.update({**(metrics or {}), **(aside or {})})
    shown = '  '.join(f'{n} {float(v):.4g}' for n, v in self._metrics.items())
    if self._bar is not None:
      self._bar.update(self._task, completed=done, metrics=shown)
      return
    now = time.monotonic()
    if metrics or now - self._last_line > _LINE_EVERY_SECONDS:
      self._last_line = now
      print(
        f'{self._what}: {self._unit} {done}/{self._total}  {shown}  '
        f'({now - self._started:.1f} s)',
        flush=True,
      )
