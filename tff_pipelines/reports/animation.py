"""Maps and curves, merge by merge, as a moving picture.

A GIF needs nothing; an MP4 needs the program ffmpeg. Drawing twice gives the
same GIF, byte for byte.
"""

from collections.abc import Iterator, Sequence
import io
import os
import pathlib
import shutil
import subprocess
import tempfile

import matplotlib.axes
import matplotlib.backends.backend_agg
import matplotlib.colors
import matplotlib.figure
import numpy as np
from PIL import Image

from tff_pipelines.core import errors
from tff_pipelines.reports import (
  appearance,
  formats,
  heat_colours,
  map_record,
  merge_maps,
  merge_picture,
  run_files,
)

NAME = 'merge_animation'
MOST_BYTES = 5_000_000

# More would be a film; then some steps are left out, evenly.
_MOST_FRAMES = 60
_FRAME_MILLISECONDS = 600
_LAST_MILLISECONDS = 3000
_DPI = 110
_LEAST_DPI = 40


class NothingToAnimateError(errors.PipelineError):
  """A run without maps of users and of the shared model."""


class NoEncoderError(errors.PipelineError):
  """A computer without the program that writes films."""


def write_gif(
  run_dir: str | os.PathLike[str], path: pathlib.Path | None = None
) -> pathlib.Path:
  """Writes the merges of a run as a GIF, whole or not at all.

  Args:
    run_dir: The directory of a run.
    path: Where to; figures/merge_animation.gif in it if None.

  Returns:
    The path of the GIF, which has at most `MOST_BYTES` bytes.

  Raises:
    NothingToAnimateError: If the run has no maps of merges.
    BrokenRunFileError: If one of its files cannot be read.
  """
  record = _record(pathlib.Path(run_dir))
  dpi = _DPI
  content = _gif(list(frames(record, dpi)))
  while len(content) > MOST_BYTES and dpi > _LEAST_DPI:
    dpi = max(_LEAST_DPI, round(0.7 * dpi))
    content = _gif(list(frames(record, dpi)))
  path = path or _path(run_dir, 'gif')
  run_files.write_atomically(path, content)
  return path


def write_mp4(
  run_dir: str | os.PathLike[str], path: pathlib.Path | None = None
) -> pathlib.Path:
  """Writes the merges of a run as a film, whole or not at all.

  Args:
    run_dir: The directory of a run.
    path: Where to; figures/merge_animation.mp4 in it if None.

  Returns:
    The path of the film.

  Raises:
    NoEncoderError: If there is no ffmpeg, or it fails.
    NothingToAnimateError: If the run has no maps of merges.
    BrokenRunFileError: If one of its files cannot be read.
  """
  encoder = shutil.which('ffmpeg')
  if encoder is None:
    raise NoEncoderError(
      'Expected the program ffmpeg for an MP4, found none on the PATH; install '
      'it, or take the GIF.'
    )
  drawn = list(frames(_record(pathlib.Path(run_dir)), _DPI))
  content = _mp4(encoder, drawn)
  path = path or _path(run_dir, 'mp4')
  run_files.write_atomically(path, content)
  return path


def frames(record: map_record.MapRecord, dpi: int) -> Iterator[np.ndarray]:
  """Draws a picture for each step that has maps.

  Args:
    record: Of the kind `merge`, with maps of the users.
    dpi: Pixels an inch; a frame is 6.4 inches wide.

  Yields:
    uint8[height, width, 3], all of one size.
  """
  curve = min(curve for curve, _ in record.user_maps)
  steps = [step for c, step in record.user_maps if c == curve]
  if len(steps) > _MOST_FRAMES:
    chosen = np.linspace(0, len(steps) - 1, _MOST_FRAMES)
    steps = [steps[round(index)] for index in chosen]
  figure = appearance.figure(5.9, simulation_only=True)
  canvas = matplotlib.backends.backend_agg.FigureCanvasAgg(figure)
  figure.set_dpi(dpi)
  panels = figure.subplot_mosaic(
    [['shared', 'users'], ['course', 'course']], height_ratios=(3.0, 2.0)
  )
  # The last frame has the longest texts: its layout serves all.
  _draw(panels, record, curve, steps[-1])
  canvas.draw()
  figure.set_layout_engine('none')
  for step in steps:
    for axes in panels.values():
      axes.clear()
    _draw(panels, record, curve, step)
    canvas.draw()
    yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw(
  panels: dict[str, matplotlib.axes.Axes],
  record: map_record.MapRecord,
  curve: int,
  step: int,
) -> None:
  accuracy = merge_maps.accuracy_at(record, curve, step)
  merge_maps.draw_shared(panels['shared'], record, curve, step)
  merge_maps.draw_users(panels['users'], record, curve, step)
  shared = 'shared model'
  if accuracy is not None:
    shared += f': {formats.number(accuracy, "percent")}'
  for name, title in (
    ('shared', shared),
    ('users', "users' own models"),
    ('course', f'step {step:,}'),
  ):
    panels[name].set_title(
      title, loc='left', fontsize=11, fontweight='bold', color=appearance.INK
    )
  appearance.remark(panels['course'], appearance.SIMULATION_ONLY)
  found = merge_picture.course(record, curve)
  axes = panels['course']
  if found is None:
    axes.set_axis_off()
    return
  alone, merged = found
  merge_picture.draw_course(
    axes, alone[alone['step'] <= step], merged[merged['step'] <= step]
  )
  # One frame for all: only the lines grow.
  low = min(alone['accuracy'].min(), merged['accuracy'].min())
  high = max(alone['accuracy'].max(), merged['accuracy'].max())
  margin = 0.04 * (high - low) or 0.05
  axes.set_xlim(0, max(alone['step'].max(), merged['step'].max(), 1))
  axes.set_ylim(low - margin, high + margin)
  axes.set_xlabel('local steps (grey: users, dotted: their mean, blue: shared)')
  axes.set_ylabel('accuracy')
  axes.spines[['top', 'right']].set_visible(False)
  appearance.format_axis(axes.yaxis, 'percent')


def _record(run_dir: pathlib.Path) -> map_record.MapRecord:
  for record in map_record.read_all(run_dir):
    if record.kind == 'merge' and record.user_maps and record.server_maps:
      return record
  raise NothingToAnimateError(
    f'Expected maps of merges in {run_dir / map_record.FOLDER}, found none; '
    'give the directory of a run that drew them.'
  )


def _path(run_dir: str | os.PathLike[str], suffix: str) -> pathlib.Path:
  folder = pathlib.Path(run_dir) / 'figures'
  folder.mkdir(exist_ok=True)
  return folder / f'{NAME}.{suffix}'


def _gif(drawn: Sequence[np.ndarray]) -> bytes:
  palette = _palette()
  flat = [
    Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
    for frame in drawn
  ]
  durations = [_FRAME_MILLISECONDS] * (len(flat) - 1) + [_LAST_MILLISECONDS]
  content = io.BytesIO()
  flat[0].save(
    content,
    format='GIF',
    save_all=True,
    append_images=flat[1:],
    duration=durations,
    loop=0,
    disposal=1,
  )
  return content.getvalue()


def _palette() -> Image.Image:
  """The 256 colours of all frames, those of heat above all.

  A palette that is computed from the frames would lose the small marks; one for
  each frame would make what stays the same between two frames change.
  """
  ramps = [
    np.array(heat_colours.HEAT(np.linspace(0, 1, 128)))[:, :3],
    np.repeat(np.linspace(0, 1, 40)[:, np.newaxis], 3, axis=1),
  ]
  ends = (merge_picture.SHARED, heat_colours.OUTLIER, heat_colours.HOT,
          heat_colours.COLD)  # fmt: skip
  for end in ends:
    share = np.linspace(0, 1, 22)[:, np.newaxis]
    ramps.append(1 - share + share * np.array(matplotlib.colors.to_rgb(end)))
  colors = np.concatenate(ramps)
  found = Image.new('P', (1, 1))
  found.putpalette(np.round(255 * colors).astype(np.uint8).tobytes())
  return found


def _mp4(encoder: str, drawn: Sequence[np.ndarray]) -> bytes:
  height, width, _ = drawn[0].shape
  rate = 1000 / _FRAME_MILLISECONDS
  hold = round(_LAST_MILLISECONDS / _FRAME_MILLISECONDS) - 1
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'film.mp4'
    done = subprocess.run(
      [
        encoder, '-loglevel', 'error', '-f', 'rawvideo', '-pix_fmt', 'rgb24',
        '-s', f'{width}x{height}', '-r', f'{rate:.6g}', '-i', '-',
        # Most players want even sides and this colour format.
        '-vf', 'pad=ceil(iw/2)*2:ceil(ih/2)*2', '-pix_fmt', 'yuv420p',
        '-movflags', '+faststart', str(path),
      ],
      input=b''.join(f.tobytes() for f in [*drawn, *[drawn[-1]] * hold]),
      capture_output=True,
      check=False,
    )  # fmt: skip
    if done.returncode:
      said = done.stderr.decode(errors='replace').strip().splitlines()
      raise NoEncoderError(
        f'Expected {encoder} to write an MP4, found that it failed: '
        f'{said[-1] if said else "it did not say why"}; take the GIF.'
      )
    return path.read_bytes()
