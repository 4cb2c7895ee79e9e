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
from tff_pipelines.programs import kept_results, map_records, map_sweeps
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
  with output.open_directory(
    application, seed=seed, data={'name': places.name}
  ) as directory:
    request = heat_map_request.Request(
      look,
      places.given_settings(),
      heat_map_computations.HeatMapComputations(
        model.tanh_net(), aggregator.of_cohort, aggregator.depends_on_clients
      ),
      seed,
      directory,
    )
    path = directory.path
    print(f'run directory: {path} (--output_dir={path} resumes it)')
    for figure in look.figures(places.name):
      draw(request, figure)
    for knobs in look.sweeps():
      sweep(request, knobs)
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
    )


def draw(request: heat_map_request.Request, figure: str) -> None:
  """Runs what a figure shows and writes its folders, but those that are there.

  Args:
    request: What is asked for.
    figure: One of `heat_map_flags.FIGURES`.

  Raises:
    PipelineError: If flags do not fit the figure, or it cannot be written.
  """
  for name, write in heat_map_figures.FIGURES[figure].items():
    folder = request.directory.path / map_record.FOLDER
    if not (folder / name / 'figure.json').exists():
      write(request, folder)


def sweep(request: heat_map_request.Request, knobs: tuple[str, ...]) -> None:
  """Sweeps one knob, or two that make a table, and writes the folder."""
  base = request.settings('sweep', *knobs)
  swept = map_sweeps.Sweep(
    {knob: map_sweeps.KNOBS[knob] for knob in knobs},
    base,
    request.flags.num_seeds(map_sweeps.NUM_SEEDS),
  )
  folder = request.directory.path / map_record.FOLDER
  if (folder / swept.name / 'figure.json').exists():
    return
  map_records.write_sweep(
    folder,
    swept,
    map_sweeps.run(
      swept,
      request.run,
      kept_results.KeptResults(request.directory.path / 'sweeps'),
    ),
    f'{" and ".join(knobs).capitalize()}: what they are worth',
    heat_map_figures.world_notes(base),
  )


def _animate(path: pathlib.Path) -> list[str]:
  """Writes the animations; returns where they are, or why they are not."""
  notes = [f'animation: {animation.write_gif(path)}']
  try:
    notes.append(f'film: {animation.write_mp4(path)}')
  except animation.NoEncoderError as error:
    notes.append(f'no film: {error}')
  return notes
