"""How fast rounds were: kept, cut when a run resumes, and summed up."""

import pytest

from tff_pipelines.programs import files, speed_log

HEAD = 'round_num,seconds,examples,tokens'


def speed(round_num, seconds, examples=100, tokens=0) -> speed_log.RoundSpeed:
  return speed_log.RoundSpeed(round_num, seconds, examples, tokens)


def rates(tmp_path, *rows: speed_log.RoundSpeed) -> dict[str, float]:
  log = speed_log.SpeedLog(tmp_path, 0)
  for row in rows:
    log.append(row)
  return log.rates()


def lines(tmp_path) -> list[str]:
  return (tmp_path / 'speed.csv').read_text().split()


# The file.


def test_a_round_is_a_row_at_once(tmp_path):
  log = speed_log.SpeedLog(tmp_path, 0)
  assert not (tmp_path / 'speed.csv').exists()
  log.append(speed(1, 0.5, 30, 600))
  assert lines(tmp_path) == [HEAD, '1,0.5,30,600']
  log.append(speed(2, 0.25, 20, 400))
  assert lines(tmp_path) == [HEAD, '1,0.5,30,600', '2,0.25,20,400']


def test_rounds_after_the_last_one_done_are_forgotten(tmp_path):
  log = speed_log.SpeedLog(tmp_path, 0)
  for round_num in (1, 2, 3):
    log.append(speed(round_num, 1.0))
  resumed = speed_log.SpeedLog(tmp_path, 2)
  assert resumed.rates()['seconds_per_round'] == 1
  resumed.append(speed(3, 7.0))
  assert lines(tmp_path) == [HEAD, '1,1.0,100,0', '2,1.0,100,0', '3,7.0,100,0']


@pytest.mark.parametrize(
  'content',
  [
    b'',
    b'\x89PNG\r\n\xff\x00',
    b'round_num,seconds\n1,2.0\n',
    HEAD.encode() + b'\n1,2.0,100,0\n2,fast,100,0\n',
    HEAD.encode() + b'\n1,2.0\n',
    HEAD.encode() + b'\n' + b'1' * 200_000 + b',1,1,1\n',
  ],
  ids=['empty', 'no text', 'columns', 'no number', 'cut short', 'huge field'],
)
def test_damaged_file_is_begun_anew(tmp_path, content):
  (tmp_path / 'speed.csv').write_bytes(content)
  log = speed_log.SpeedLog(tmp_path, 5)
  assert log.rates() == {}
  log.append(speed(6, 1.0))
  assert lines(tmp_path) == [HEAD, '6,1.0,100,0']


def test_row_that_cannot_be_written_is_told(tmp_path):
  log = speed_log.SpeedLog(tmp_path, 0)
  (tmp_path / 'speed.csv').mkdir()
  with pytest.raises(files.SavingFailedError):
    log.append(speed(1, 1.0))


# The rates.


def test_no_rounds_have_no_rates(tmp_path):
  assert rates(tmp_path) == {}
  assert rates(tmp_path, speed(1, 1.0, examples=0), speed(2, 0.0)) == {}


def test_rates_are_sums_over_sums(tmp_path):
  found = rates(tmp_path, speed(1, 1.0, 100, 900), speed(2, 3.0, 200, 1100))
  assert found == {
    'seconds_per_round': 2.0,
    'examples_per_second': 75,
    'tokens_per_second': 500,
  }


def test_model_that_counts_no_tokens_has_no_rate_of_them(tmp_path):
  assert 'tokens_per_second' not in rates(tmp_path, speed(1, 1.0))


@pytest.mark.parametrize('plain', [1, 2, 5])
def test_round_that_compiled_does_not_count(tmp_path, plain):
  rows = [speed(1, 30.0), *(speed(2 + i, 0.5) for i in range(plain))]
  assert rates(tmp_path, *rows) == {
    'seconds_per_round': 0.5, 'examples_per_second': 200,
  }  # fmt: skip


def test_as_many_rounds_that_compiled_as_others_do_not_count(tmp_path):
  found = rates(
    tmp_path, speed(1, 30.0), speed(2, 0.5), speed(3, 20.0), speed(4, 0.5)
  )
  assert found['seconds_per_round'] == 0.5


def test_round_of_many_examples_does_count(tmp_path):
  found = rates(
    tmp_path, speed(1, 0.5), speed(2, 0.5), speed(3, 30.0, examples=6000)
  )
  assert found == {
    'seconds_per_round': pytest.approx(31 / 3), 'examples_per_second': 200,
  }  # fmt: skip


def test_round_alone_counts_though_it_compiled(tmp_path):
  assert rates(tmp_path, speed(1, 30.0))['seconds_per_round'] == 30
