"""Flags of the run directory, and what happens at its beginning and end."""

from collections.abc import Iterator, Sequence
import contextlib
import pathlib
from typing import Any

import rich.console

from tff_pipelines.cli import app as app_lib
from tff_pipelines.cli import flag_groups
from tff_pipelines.data import client_table, population
from tff_pipelines.programs import files, results, run_directory
from tff_pipelines.reports import page, run_reader, tables

_RUNS = pathlib.Path('runs')


class RunFlags(flag_groups.FlagGroup):
  """`--output_dir`."""

  def __init__(self) -> None:
    super().__init__('The run directory')
    self._output_dir = self.define(
      'output_dir',
      None,
      'where the run is recorded; an interrupted run goes on there. Without it '
      f'a new folder under {_RUNS}/',
      identifies_run=False,
    )

  @contextlib.contextmanager
  def open(
    self,
    application: app_lib.Application,
    dataset: population.FederatedDataset,
    seed: int,
  ) -> Iterator[run_directory.RunDirectory]:
    """Opens the run directory and shows who holds what.

    Writes simulation_only/clients.csv.
    """
    if self._output_dir.value:
      path = pathlib.Path(self._output_dir.value).expanduser()
    else:
      path = run_directory.fresh_path(application.task, _RUNS)
    with run_directory.opened(
      path,
      task=application.task,
      configuration=application.configuration(),
      seed=seed,
      data={'name': dataset.name, **dataset.provenance},
    ) as directory:
      print(client_table.summary(dataset))
      print(f'run directory: {path} (--output_dir={path} resumes it)')
      files.write_text(
        directory.simulation_only / 'clients.csv', client_table.to_csv(dataset)
      )
      yield directory

  def finish(
    self,
    directory: run_directory.RunDirectory,
    *,
    title: str,
    primary: str,
    columns: Sequence[results.Column],
    rows: Sequence[dict[str, Any]],
    notes: Sequence[str],
  ) -> None:
    """Writes results.json and report.html, and prints the final table."""
    results.write(
      directory.results_json,
      title=title,
      primary=primary,
      columns=columns,
      rows=rows,
      notes=notes,
    )
    with files.saving('the report', directory.path):
      report = page.write(directory.path)
    console = rich.console.Console()
    console.print(tables.console_table(run_reader.read(directory.path).results))
    for note in notes:
      console.print(note, style='dim')
    console.print(f'report: {report}', soft_wrap=True)

  def trained_run(self) -> pathlib.Path:
    """Returns the run whose model to use: the one named, or the newest."""
    if self._output_dir.value:
      return pathlib.Path(self._output_dir.value).expanduser()
    models = sorted(
      _RUNS.glob('*/model/model.json'), key=lambda p: p.stat().st_mtime
    )
    if not models:
      raise flag_groups.FlagError(
        f'Expected a trained run under {_RUNS}/, found none; train one first '
        'or name its folder with --output_dir.'
      )
    return models[-1].parent.parent
