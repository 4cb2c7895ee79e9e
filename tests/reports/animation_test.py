import shutil
import stat

import numpy as np
from PIL import Image
import pytest

from tests.reports import map_world
from tff_pipelines.reports import __main__ as main
from tff_pipelines.reports import animation, map_record, run_files

pytestmark = pytest.mark.filterwarnings('error')


@pytest.fixture(scope='module')
def run_dir(make_run_writer):
  path = make_run_writer()()
  map_world.Writer(path).merge({'users': 2, 'points': 2, 'merge': 2,
                                'steps': 4})  # fmt: skip
  return path


def test_a_frame_for_each_step_with_maps(run_dir):
  path = animation.write_gif(run_dir)
  assert path == run_dir / 'figures' / 'merge_animation.gif'
  assert [p.name for p in path.parent.iterdir()] == [path.name]
  with Image.open(path) as image:
    assert image.n_frames == 3  # The start, and two merges.
    assert image.info['loop'] == 0
    durations = []
    for frame in range(3):
      image.seek(frame)
      durations.append(image.info['duration'])
  assert durations == [600, 600, 3000]
  assert path.stat().st_size < animation.MOST_BYTES


def test_twice_the_same(run_dir, tmp_path):
  first = animation.write_gif(run_dir, tmp_path / 'a.gif').read_bytes()
  assert animation.write_gif(run_dir, tmp_path / 'b.gif').read_bytes() == first


def test_frames_are_of_one_size_and_differ(run_dir):
  (record,) = map_record.read_all(run_dir)
  first, second, third = animation.frames(record, 40)
  assert first.shape == second.shape == third.shape
  assert first.dtype == np.uint8
  assert (first != second).any()
  assert (second != third).any()


def test_a_large_one_is_made_smaller(run_dir, tmp_path, monkeypatch):
  whole = animation.write_gif(run_dir, tmp_path / 'a.gif')
  monkeypatch.setattr(animation, 'MOST_BYTES', whole.stat().st_size - 1)
  smaller = animation.write_gif(run_dir, tmp_path / 'b.gif')
  with Image.open(whole) as before, Image.open(smaller) as after:
    assert after.size < before.size


def test_of_many_steps_some_are_left_out(run_dir, monkeypatch):
  monkeypatch.setattr(animation, '_MOST_FRAMES', 2)
  (record,) = map_record.read_all(run_dir)
  assert len(list(animation.frames(record, 40))) == 2


def test_the_palette_has_the_marks_colours():
  palette = animation._palette().getpalette()
  colors = {tuple(palette[i : i + 3]) for i in range(0, len(palette), 3)}
  assert {(178, 24, 43), (33, 102, 172), (0, 114, 178)} <= colors


def test_without_maps_there_is_nothing_to_animate(write_run):
  with pytest.raises(
    animation.NothingToAnimateError,
    match=r'maps of merges in .*maps, found none',
  ):
    animation.write_gif(write_run())


def test_a_failed_write_leaves_nothing(run_dir, tmp_path, monkeypatch):
  def fail(*_):
    raise OSError('disk full')

  monkeypatch.setattr(run_files.os, 'replace', fail)
  with pytest.raises(OSError, match='disk full'):
    animation.write_gif(run_dir, tmp_path / 'a.gif')
  assert not list(tmp_path.iterdir())


class TestMp4:
  def test_without_ffmpeg_one_sentence_says_so(self, run_dir, monkeypatch):
    monkeypatch.setattr(shutil, 'which', lambda _: None)
    with pytest.raises(
      animation.NoEncoderError, match='program ffmpeg for an MP4, found none'
    ):
      animation.write_mp4(run_dir)

  def _encoder(self, tmp_path, monkeypatch, script):
    """A program that takes ffmpeg's place."""
    path = tmp_path / 'ffmpeg'
    path.write_text(f'#!/bin/sh\n{script}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv('PATH', f'{tmp_path}:/usr/bin:/bin')

  def test_the_encoder_gets_every_frame(self, run_dir, tmp_path, monkeypatch):
    # Writes its arguments and the number of bytes that it was given.
    self._encoder(
      tmp_path,
      monkeypatch,
      'for last; do :; done; printf "%s\\n" "$@" > "$last"; wc -c >> "$last"',
    )
    said = animation.write_mp4(run_dir, tmp_path / 'a.mp4').read_text()
    *arguments, count = said.split()
    width, height = arguments[arguments.index('-s') + 1].split('x')
    # 3 frames, and the last one 4 more times: it is seen 5 times as long.
    assert int(count) == 7 * 3 * int(width) * int(height)

  def test_what_the_encoder_says_is_passed_on(
    self, run_dir, tmp_path, monkeypatch
  ):
    self._encoder(
      tmp_path, monkeypatch, 'cat > /dev/null; echo no codec >&2; exit 1'
    )
    with pytest.raises(animation.NoEncoderError, match='it failed: no codec;'):
      animation.write_mp4(run_dir, tmp_path / 'a.mp4')
    assert not (tmp_path / 'a.mp4').exists()


class TestMain:
  def test_animate_writes_the_gif_and_says_what_is_missing(
    self, run_dir, capsys, monkeypatch
  ):
    monkeypatch.setattr(shutil, 'which', lambda _: None)
    assert main.main([str(run_dir), '--animate']) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
      str(run_dir / 'report.html'),
      str(run_dir / 'figures' / 'merge_animation.gif'),
    ]
    assert 'ffmpeg' in printed.err

  def test_nothing_to_animate_is_an_error(self, write_run, capsys):
    assert main.main([str(write_run()), '--animate']) == 2
    assert 'Expected maps of merges' in capsys.readouterr().err
