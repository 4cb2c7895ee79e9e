"""Flags of the run directory, for every task; loads no TensorFlow."""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import pathlib
from typing import Any

import rich.console

from tff_pipelines.cli import app as app_lib
from tff_pipelines.cli import flag_groups
from tff_pipelines.programs import files, run_directory
from tff_pipelines.reports import page, run_reader, tables

RUNS = pathlib.Path('runs')


class OutputFlags(flag_groups.FlagGroup):
  """`--output_dir` and `--report`."""

  def __init__(self) -> None:
    super().__init__('The run directory')
    self._output_dir = self.define(
      'output_dir',
      None,
      'where the run is recorded; an interrupted run goes on there. Without it '
      f'a new folder under {RUNS}/',
      identifies_run=False,
    )
    self._report = self.define(
      'report',
      True,
      'whether report.html is drawn at the end; `python -m '
      'tff_pipelines.reports RUN` draws it later',
      identifies_run=False,
    )

  @property
  def given(self) -> pathlib.Path | None:
    """The run directory that was named."""
    if not self._output_dir.value:
      return None
    return pathlib.Path(self._output_dir.value).expanduser()

  @contextlib.contextmanager
  def open_directory(
    self,
    application: app_lib.Application,
    *,
    seed: int,
    data: Mapping[str, Any],
  ) -> Iterator[run_directory.RunDirectory]:
    """Opens the run directory, a new one if none was named.

    Args:
      application: The task, whose flags identify the run.
      seed: The run's seed.
      data: Where its data come from, plain values.
    """
    with run_directory.opened(
      self.given or run_directory.fresh_path(application.task, RUNS),
      task=application.task,
      configuration=application.configuration(),
      seed=seed,
      data=data,
    ) as directory:
      yield directory

  def report(
    self, directory: run_directory.RunDirectory, notes: Sequence[str]
  ) -> None:
    """Writes report.html out of what the run left; prints the final table."""
    report = None
    if self._report.value:
      with files.saving('the report', directory.path):
        report = page.write(directory.path)
    console = rich.console.Console()
    console.print(tables.console_table(run_reader.read(directory.path).results))
    for note in notes:
      console.print(note, style='dim')
    if report is not None:
      console.print(f'report: {report}', soft_wrap=True)
