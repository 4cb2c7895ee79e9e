"""Next-word prediction from its command line to the suggestions."""

import csv
import functools
import json
import math
import pathlib
import signal
import subprocess
import time

import pytest
import tensorflow_federated  # noqa: F401  (Its flags have to outlive a run.)

from tests.integration import command_lines

TASK = 'tasks.next_word_prediction'
TINY = (
  '--units=8',
  '--embedding_size=8',
  '--length=8',
  '--clients_per_round=3',
  '--batch_size=4',
)
FLAGS = (
  *TINY,
  '--people=12',
  '--rounds=2',
  '--evaluate_every=1',
  '--central_epochs=1',
  '--local_epochs=1',
  '--personalize_steps=2',
)
# What is compared byte by byte: rounds, and nothing that follows them.
ROUNDS = (
  *TINY,
  '--people=12',
  '--rounds=6',
  '--evaluate_every=2',
  '--checkpoint_every=2',
  '--system=federated',
  '--ngrams=',
  '--personalize_steps=0',
  '--noexport',
)
run = functools.partial(command_lines.run_here, TASK)


def ran(path: pathlib.Path, *arguments: object) -> str:
  """Runs the task, which has to succeed, in a folder; returns its stdout."""
  code, out, err = run(*arguments, f'--output_dir={path}')
  assert err == ''
  assert code == 0
  return out


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> tuple[pathlib.Path, str]:
  """A run directory, and what was printed meanwhile."""
  path = tmp_path_factory.mktemp('trained') / 'run'
  return path, ran(path, *FLAGS)


# What a run leaves.


def test_run_writes_every_file_that_is_promised(trained):
  path, _ = trained
  written = {
    str(file.relative_to(path)) for file in path.rglob('*') if file.is_file()
  }
  assert {
    'manifest.json',
    'metrics.csv',
    'speed.csv',
    'central/metrics.csv',
    'central/speed.csv',
    'results.json',
    'suggestions.json',
    'report.html',
    'model/model.json',
    'model/vocabulary.json',
    'model/export.json',
    'model/weights.npz',
    'model/model.keras',
    'model/saved_model/saved_model.pb',
    'model/model_float32.tflite',
    'model/model_int8.tflite',
    'simulation_only/clients.csv',
    'simulation_only/local_models.csv',
    'simulation_only/people.csv',
    'simulation_only/personalization.csv',
    'simulation_only/personalization_summary.csv',
  } <= written
  assert not [name for name in written if '.partial' in name or '_temp' in name]


def test_manifest_says_that_words_were_counted_in_one_place(trained):
  data = json.loads((trained[0] / 'manifest.json').read_text())['data']
  assert data['name'] == 'dialects'
  assert 'not private' in data['vocabulary']['source']
  assert data['rows']['length'] == 8


def test_metrics_and_speed_have_a_row_a_round(trained):
  path, _ = trained
  rows = command_lines.table(path / 'metrics.csv')
  assert [row['round_num'] for row in rows] == list('012')
  losses = [float(row['test/loss']) for row in rows]
  manifest = json.loads((path / 'manifest.json').read_text())
  # All words are about as likely at first.
  assert losses[0] == pytest.approx(
    math.log(manifest['data']['vocabulary']['size']), rel=0.05
  )
  assert losses[2] < losses[0]
  speeds = command_lines.table(path / 'speed.csv')
  assert [row['round_num'] for row in speeds] == ['1', '2']
  assert all(int(row['tokens']) > int(row['examples']) > 0 for row in speeds)


def test_results_compare_ngrams_central_local_and_federated(trained):
  path, out = trained
  results = json.loads((path / 'results.json').read_text())
  rows = {row['system']: row for row in results['rows']}
  assert list(rows) == [
    'unigram', 'bigram', 'trigram', 'central', 'local', 'federated',
  ]  # fmt: skip
  assert results['primary'] == 'top1_recall'
  last = command_lines.table(path / 'metrics.csv')[-1]
  for metric in ('top1_recall', 'top3_recall', 'perplexity'):
    assert rows['federated'][metric] == float(last[f'test/{metric}'])
  for row in rows.values():
    assert 0 <= row['top1_recall'] <= row['top3_recall'] <= 1
  # So little training learns less than counting does.
  assert rows['trigram']['top1_recall'] > rows['unigram']['top1_recall']
  assert rows['trigram']['perplexity'] < rows['unigram']['perplexity']
  assert rows['trigram']['top1_recall'] > rows['federated']['top1_recall']
  assert rows['federated']['tokens_per_second'] > 0
  for system in rows:
    assert f'\n{system} ' in out


def test_people_are_the_held_out_ones_under_each_system_with_one_model(trained):
  path, _ = trained
  rows = command_lines.table(path / 'simulation_only' / 'people.csv')
  systems = ['unigram', 'bigram', 'trigram', 'central', 'federated']
  assert [row['system'] for row in rows] == systems
  assert len({row['client_id'] for row in rows}) == 1
  # One person is held out, so the mean over people is the person's.
  results = json.loads((path / 'results.json').read_text())
  of_system = {row['system']: row['top1_recall'] for row in results['rows']}
  for row in rows:
    assert float(row['top1_recall']) == pytest.approx(of_system[row['system']])


def test_held_out_people_train_further_at_home(trained):
  path, out = trained
  (row,) = command_lines.table(path / 'simulation_only' / 'personalization.csv')
  (tested,) = {
    r['client_id']
    for r in command_lines.table(path / 'simulation_only' / 'people.csv')
  }
  assert row['client_id'] == tested
  assert float(row['after_loss']) < float(row['before_loss'])
  assert 'personalization: 2 steps on the earlier text of each of 1 ' in (
    ' '.join(out.split())
  )


def test_suggestions_of_every_system_are_words(trained):
  path, _ = trained
  prompts = json.loads((path / 'suggestions.json').read_text())['prompts']
  words = json.loads((path / 'model' / 'vocabulary.json').read_text())
  assert prompts[0]['text'] == '' and len(prompts) == 8
  for prompt in prompts:
    assert list(prompt['suggestions']) == ['trigram', 'central', 'federated']
    for found in prompt['suggestions'].values():
      assert len(found) == 3
      assert all(word in str(words) for word, _ in found)
      assert [p for _, p in found] == sorted((p for _, p in found))[::-1]


def test_report_shows_the_table_and_what_is_suggested(trained):
  report = (trained[0] / 'report.html').read_text(encoding='utf-8')
  assert 'Next-word prediction: dialects' in report
  for shown in ('trigram', 'central', 'local', 'federated', 'top-3'):
    assert shown in report


# Using the model.


def test_prompt_prints_three_words_and_their_probabilities(trained):
  code, out, err = run('--prompt=how do i', f'--output_dir={trained[0]}')
  assert (code, err) == (0, '')
  words, probabilities = zip(
    *(line.split('\t') for line in out.splitlines()), strict=True
  )
  assert len(set(words)) == 3
  values = [float(p) for p in probabilities]
  assert 1 > values[0] >= values[1] >= values[2] > 0


def test_prompt_without_a_run_is_one_sentence(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert run('--prompt=hello') == (
    2,
    '',
    'Error: Expected a trained run under runs/, found none; train one first or '
    'name its folder with --output_dir.\n',
  )


# What cannot be done, before anything is trained.


CHAT = 'person,text\nann,how are you\nann,fine\n'


@pytest.mark.parametrize(
  'content, arguments, told',
  [
    ('', (), 'Error: Expected rows in {path}, found nothing; add texts.'),
    (CHAT, ('--min_sentences_per_client=1',), 'Error: Expected people to trai'),
    (CHAT, ('--client_column=who',), "line 1: expected one column 'who', foun"),
    (CHAT.replace('fine', '"fine'), (), ', line 3: expected the quote that op'),
  ],
  ids=['empty', 'one person', 'no such column', 'broken quote'],
)
def test_bad_csv_is_one_sentence_and_makes_no_directory(
  tmp_path, content, arguments, told
):
  path = tmp_path / 'chat.csv'
  path.write_text(content)
  code, out, err = run(
    '--dataset=csv', f'--csv_path={path}', *arguments,
    f'--output_dir={tmp_path / "run"}',
  )  # fmt: skip
  assert (code, out) == (2, '')
  assert err.startswith('Error: ') and told.format(path=path) in err
  assert err.count('\n') == 1
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
  'arguments, told',
  [
    (('--units=0',), 'Expected units of at least 1, found 0.'),
    (('--vocabulary_size=4',), 'Expected a vocabulary of more than the 4 ids'),
    (('--ngrams=fourgram',), 'Expected n-gram models out of unigram, bigram'),
    (('--heads=2',), 'Expected --model=transformer where --heads is given'),
    (('--personalize_learning_rate=-1',), 'Expected --personalize_learning_ra'),
  ],
)
def test_flags_that_make_no_sense_end_with_2_and_make_no_directory(
  tmp_path, arguments, told
):
  path = tmp_path / 'run'
  code, out, err = run('--people=12', *arguments, f'--output_dir={path}')
  assert (code, out) == (2, '')
  assert err.startswith(f'Error: {told}') and err.count('\n') == 1
  assert not path.exists()


# The same rounds, however they come about.


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory) -> bytes:
  """The metrics.csv of `ROUNDS`."""
  path = tmp_path_factory.mktemp('rounds') / 'run'
  ran(path, *ROUNDS)
  assert len(command_lines.table(path / 'metrics.csv')) == 7
  return (path / 'metrics.csv').read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize('number, code', [('KILL', -9), ('INT', 130)])
def test_run_that_was_ended_goes_on_as_if_nothing_had_been(
  uninterrupted, tmp_path, number, code
):
  path = tmp_path / 'run'
  process = command_lines.start(
    TASK,
    *ROUNDS,
    f'--output_dir={path}',
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  metrics, deadline = (
    path / 'metrics.csv',
    time.monotonic() + command_lines.PATIENCE_SECONDS,
  )
  while not metrics.exists() or len(command_lines.table(metrics)) < 4:
    assert process.poll() is None and time.monotonic() < deadline
    time.sleep(0.005)
  process.send_signal(signal.Signals[f'SIG{number}'])
  _, err = process.communicate(timeout=command_lines.PATIENCE_SECONDS)
  assert process.returncode == code, err
  assert not (path / 'results.json').exists()
  if number == 'INT':
    assert err.startswith('Stopped. The same command with --output_dir=RUN')
  out = ran(path, *ROUNDS)
  assert 'federated: resuming after round ' in out
  assert metrics.read_bytes() == uninterrupted


@pytest.mark.slow
def test_examples_from_a_cache_give_the_same_rounds(uninterrupted, tmp_path):
  path = tmp_path / 'run'
  ran(path, *ROUNDS, f'--example_cache={tmp_path / "rows.sqlite"}')
  assert (tmp_path / 'rows.sqlite').is_file()
  assert (path / 'metrics.csv').read_bytes() == uninterrupted


@pytest.mark.slow
def test_seed_decides_the_rounds(uninterrupted, tmp_path):
  path = tmp_path / 'run'
  ran(path, *ROUNDS, '--seed=1')
  assert (path / 'metrics.csv').read_bytes() != uninterrupted


# Other ways to learn.


@pytest.mark.slow
def test_federated_sgd_takes_one_step_a_round(tmp_path):
  path = tmp_path / 'run'
  ran(path, *ROUNDS, '--algorithm=fed_sgd', '--server_learning_rate=1')
  losses = [
    float(row['test/loss'])
    for row in command_lines.table(path / 'metrics.csv')
    if row['test/loss']
  ]
  assert len(losses) == 4
  assert losses[-1] < losses[0]


@pytest.mark.slow
def test_learning_rates_follow_their_schedules(tmp_path):
  path = tmp_path / 'run'
  ran(
    path, *ROUNDS, '--client_learning_rate=0.5', '--client_schedule=linear',
    '--server_schedule=cosine', '--server_warmup_rounds=2',
  )  # fmt: skip
  _, *rounds = command_lines.table(path / 'metrics.csv')
  (column,) = {name for name in rounds[0] if 'client_learning_rate' in name}
  assert [float(row[column]) for row in rounds] == pytest.approx(
    [0.5 * (1 - s / 6) for s in range(6)]
  )


@pytest.mark.slow
@pytest.mark.parametrize('model', ['gru', 'transformer'])
def test_other_models_learn_and_suggest(tmp_path, model):
  path = tmp_path / 'run'
  sizes = [
    flag for flag in TINY if model == 'gru' or not flag.startswith('--units')
  ]
  ran(
    path, *sizes, f'--model={model}', '--people=12', '--rounds=2',
    '--system=federated', '--ngrams=', '--personalize_steps=0',
  )  # fmt: skip
  code, out, err = run('--prompt=the', f'--output_dir={path}')
  assert (code, err, out.count('\n')) == (0, '', 3)


# Text of one's own.


LINES = (
  'Good morrow, cousin. Is the day so young?',
  'But new struck nine. Ay me! sad hours seem long.',
  'What, ho! you men, you beasts, will they not hear?',
  'O, speak again, bright angel; for thou art as glorious.',
)


@pytest.fixture
def plays(tmp_path) -> pathlib.Path:
  """Eight roles, who say these lines in another order each."""
  path = tmp_path / 'plays.csv'
  with open(path, 'w', newline='', encoding='utf-8') as file:
    writer = csv.writer(file)
    writer.writerow(['role', 'act', 'line'])
    for number in range(12):
      for role in range(8):
        line = LINES[(number * (role + 1)) % len(LINES)]
        writer.writerow([f'ROLE {role}, a man', number, line])
  return path


@pytest.mark.slow
@pytest.mark.parametrize('level', ['word', 'character'])
def test_csv_of_ones_own_works_from_end_to_end(plays, tmp_path, level):
  path = tmp_path / 'run'
  ran(
    path, *TINY, '--dataset=csv', f'--csv_path={plays}',
    '--client_column=role', '--text_column=line', f'--level={level}',
    '--rounds=2', '--system=federated', '--personalize_steps=1',
  )  # fmt: skip
  data = json.loads((path / 'manifest.json').read_text())['data']
  assert (data['name'], data['rows_read'], data['people']) == ('csv', 96, 8)
  if level == 'character':
    assert data['vocabulary']['size'] == 80
  clients = command_lines.table(path / 'simulation_only' / 'clients.csv')
  assert {row['client_id'] for row in clients} == {
    f'ROLE {role}, a man' for role in range(8)
  }
  code, out, err = run('--prompt=good mor', f'--output_dir={path}')
  assert (code, err) == (0, '')
  shown = [line.split('\t')[0] for line in out.splitlines()]
  if level == 'word':
    assert shown == ['morrow']  # The only word that begins like this.
  else:
    assert len(shown) == 3
    assert all(len(c) == 1 or c in ('<space>', '<newline>') for c in shown)
