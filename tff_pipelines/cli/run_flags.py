"""Flags of the run directory, and what happens at its beginning and end."""

from collections.abc import Iterator, Sequence
import contextlib
import pathlib
from typing import Any

from tff_pipelines.cli import app as app_lib
from tff_pipelines.cli import flag_groups, output_flags
from tff_pipelines.data import client_table, population
from tff_pipelines.programs import files, results, run_directory


class RunFlags(output_flags.OutputFlags):
  """`--output_dir` of a task that trains on the data of many people."""

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
    with self.open_directory(
      application,
      seed=seed,
      data={'name': dataset.name, **dataset.provenance},
    ) as directory:
      path = directory.path
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
    sentence: str | None = None,
    row_title: str | None = None,
  ) -> None:
    """Writes results.json and report.html, and prints the final table.

    Args: as `results.write`.
    """
    results.write(
      directory.results_json,
      title=title,
      primary=primary,
      columns=columns,
      rows=rows,
      notes=notes,
      sentence=sentence,
      row_title=row_title,
    )
    self.report(directory, notes)

  def trained_run(self) -> pathlib.Path:
    """Returns the run whose model to use: the one named, or the newest."""
    if self.given is not None:
      return self.given
    models = sorted(
      output_flags.RUNS.glob('*/model/model.json'),
      key=lambda p: p.stat().st_mtime,
    )
    if not models:
      raise flag_groups.FlagError(
        f'Expected a trained run under {output_flags.RUNS}/, found none; train '
        'one first or name its folder with --output_dir.'
      )
    return models[-1].parent.parent
