"""Runs or resumes the figures and sweeps of the model world.

Every figure is a folder of maps/, whole or not there: a run that was killed
goes on with the first that is missing.
"""

import pathlib

from tff_pipelines.cli import (
  aggregator_flags,
  heat_map_computations,
  heat_map_figures,
  heat_map_flags,
  heat_map_request,
  heat_map_results,
  place_flags,
  run_flags,
)
from tff_pipelines.cli import app as app_lib
from tff_pipelines.programs import (
  kept_results,
  map_records,
  map_sweeps,
  run_directory,
)
from tff_pipelines.reports import animation, map_record


def run(
  application: app_lib.Application,
  output: run_flags.RunFlags,
  look: heat_map_flags.HeatMapFlags,
  places: place_flags.PlaceFlags,
  model: place_flags.PlaceModelFlags,
  aggregator: aggregator_flags.AggregatorFlags,
  *,
  seed: int,
) -> None:
  """Runs or resumes all figures and sweeps that were asked for.

  Args:
    application: The task, whose flags identify the run.
    output: The run directory's flags.
    look: Which figures and sweeps.
    places: The flags of the world.
    model: Those of the model.
    aggregator: What the server makes of the updates.
    seed: The first seed.
  """
  request = heat_map_request.Request(
    look,
    places.given_settings(),
    heat_map_computations.HeatMapComputations(
      model.tanh_net(), aggregator.of_cohort, aggregator.depends_on_clients
    ),
    seed,
  )
  figures = look.figures(places.name)
  sweeps = [request.sweep(knobs) for knobs in look.sweeps()]
  # What cannot be is refused before hours are spent on what can.
  for settings in (*map(request.settings, figures), *(s.base for s in sweeps)):
    aggregator.of_cohort(len(settings.participants))
  with output.open_directory(
    application, seed=seed, data={'name': places.name}
  ) as directory:
    path = directory.path
    print(f'run directory: {path} (--output_dir={path} resumes it)')
    for figure in figures:
      draw(request, directory, figure)
    for swept in sweeps:
      run_sweep(request, directory, swept)
    found = heat_map_results.table(map_record.read_all(path))
    notes = [*found.notes, *(_animate(path) if look.animate else ())]
    output.finish(
      directory,
      title='Heat map',
      primary='accuracy',
      columns=heat_map_results.COLUMNS,
      rows=found.rows,
      notes=notes,
      sentence=found.sentence,
      row_title='setting',
    )


def draw(
  request: heat_map_request.Request,
  directory: run_directory.RunDirectory,
  figure: str,
) -> None:
  """Runs what a figure shows and writes its folders, but those that are there.

  Args:
    request: What is asked for.
    directory: Where it is recorded.
    figure: One of `heat_map_flags.FIGURES`.

  Raises:
    PipelineError: If flags do not fit the figure, or it cannot be written.
  """
  for name, write in heat_map_figures.FIGURES[figure].items():
    if not _is_there(directory, name):
      write(request, directory)


def run_sweep(
  request: heat_map_request.Request,
  directory: run_directory.RunDirectory,
  swept: map_sweeps.Sweep,
) -> None:
  """Runs or resumes a sweep and writes its folder, unless it is there.

  Args:
    request: What is asked for.
    directory: Where it is recorded.
    swept: What to vary.

  Raises:
    SavingFailedError: If it cannot be written.
  """
  if _is_there(directory, swept.name):
    return
  map_records.write_sweep(
    directory.path / map_record.FOLDER,
    swept,
    map_sweeps.run(
      swept,
      request.run,
      kept_results.KeptResults(directory.path / 'sweeps'),
    ),
    f'{" and ".join(swept.knobs).capitalize()}: what they are worth',
    heat_map_figures.world_notes(swept.base),
  )


def _is_there(directory: run_directory.RunDirectory, name: str) -> bool:
  return (directory.path / map_record.FOLDER / name / 'figure.json').exists()


def _animate(path: pathlib.Path) -> list[str]:
  """Writes the animations; returns where they are, or why they are not."""
  notes = [f'animation: {animation.write_gif(path)}']
  try:
    notes.append(f'film: {animation.write_mp4(path)}')
  except animation.NoEncoderError as error:
    notes.append(f'no film: {error}')
  return notes
