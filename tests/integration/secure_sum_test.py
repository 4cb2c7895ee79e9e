"""The protocol's task from its command line to its report."""

import functools
import json

import pytest

from tests.integration import command_lines

TASK = 'tasks.secure_sum'
run = functools.partial(command_lines.run_here, TASK)


def test_a_sum_from_the_command_line(tmp_path):
  path = tmp_path / 'run'
  arguments = [
    '--clients=30', '--length=100',
    '--dropout=advertise:0.02,share:0.02,mask:0.05,unmask:0.05',
    f'--output_dir={path}',
  ]  # fmt: skip
  done = command_lines.run(TASK, *arguments)
  assert (done.returncode, done.stderr) == (0, '')
  for shown in ('advertise', 'all phases', 'survivors: ', 'sum: exactly that'):
    assert shown in done.stdout
  assert f'report: {path / "report.html"}\n' in done.stdout
  manifest = json.loads((path / 'manifest.json').read_text())
  assert manifest['task'] == 'secure_sum'
  assert manifest['configuration']['clients'] == 30
  content = json.loads((path / 'results.json').read_text())
  assert content['details']['sum']['is_exact'] is True
  assert len(content['details']['phase_costs']) == 8
  report = (path / 'report.html').read_text(encoding='utf-8')
  assert content['sentence'] in report
  assert (path / 'figures' / 'phase_costs.png').is_file()


@pytest.mark.parametrize(
  'name, shown',
  [
    ('three_people', 'server: 4 + 9 + 4 = 17'),
    ('three_devices', 'The mean: 1.5 / 3 = 0.5'),
  ],
)
def test_an_example_is_told_and_drawn(tmp_path, name, shown):
  code, out, err = run(f'--example={name}', f'--output_dir={tmp_path}')
  assert (code, err) == (0, '')
  assert shown in out
  assert 'real protocol' in out
  picture = tmp_path / 'figures' / 'masking_picture.png'
  assert f'picture: {picture}\n' in out
  assert picture.read_bytes().startswith(b'\x89PNG')
  report = (tmp_path / 'report.html').read_text(encoding='utf-8')
  assert 'The idea' in report


def test_the_same_seed_drops_the_same_clients(tmp_path):
  found = []
  for folder in ('a', 'b'):
    code, _, _ = run(
      '--clients=20', '--length=5', '--dropout=mask:0.2', '--seed=4',
      f'--output_dir={tmp_path / folder}',
    )  # fmt: skip
    assert code == 0
    content = json.loads((tmp_path / folder / 'results.json').read_text())
    found.append(content['details']['sum']['dropouts'])
  assert found[0] == found[1] != {}


@pytest.mark.parametrize(
  'arguments, told',
  [
    (['--clients=1'], 'Expected --clients of at least 2, found 1; give'),
    (['--length=0'], 'Expected --length of at least 1, found 0; give'),
    (['--bits=0'], 'Expected --bits of at least 1, found 0; give'),
    (['--bits=60'], 'take between 1 and 55 bits'),
    (['--dropout=lunch:0.1'], "such as mask:0.05, found 'lunch:0.1'"),
    (['--dropout=mask:2'], "found 'mask:2'"),
    (['--dropout=consistency:0.1'], 'Expected --malicious where --dropout'),
    (['--graph=ring'], 'should be one of <complete|sparse>'),
    (['--graph=sparse', '--clients=5'], 'use the complete graph'),
    (['--graph=sparse', '--malicious'], 'Expected the complete graph in the'),
    (['--tolerated_dropout=1.5'], 'Expected --tolerated_dropout to be a share'),
    (['--example=three_people', '--bits=8'], 'Expected --example=none where'),
    (['--example=three_people', '--graph=sparse'], 'Expected --example=none'),
    (['--example=four_people'], 'should be one of <none|three_people|three_d'),
    (
      ['--clients=10', '--dropout=mask:0.99'],
      'Expected at least 6 clients to answer in the phase mask, found ',
    ),
  ],
)
def test_what_cannot_be_is_one_sentence_and_2(tmp_path, arguments, told):
  code, out, err = run(*arguments, f'--output_dir={tmp_path / "run"}')
  assert (code, out) == (2, '')
  assert err.startswith('Error: ') and told in err
  assert not (tmp_path / 'run' / 'results.json').exists()


def test_a_directory_of_another_sum_is_refused(tmp_path):
  flags = ('--length=5', f'--output_dir={tmp_path}')
  assert run('--clients=3', *flags)[0] == 0
  code, _, err = run('--clients=4', *flags)
  assert code == 2
  assert 'found --clients=4 where it has 3;' in err
