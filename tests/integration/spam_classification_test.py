"""The spam task from its command line to a model that others can use."""

import csv
import functools
import json
import math
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_federated  # noqa: F401  (Its flags have to outlive a run.)

from tests.integration import command_lines
from tff_pipelines.data import text_features

TASK = 'tasks.spam_classification'
FLAGS = (
  '--people=6',
  '--rounds=4',
  '--clients_per_round=3',
  '--central_epochs=2',
  '--local_epochs=2',
)
TEXTS = (
  'urgent: your account is locked, confirm at www.win42.com',
  'are we still on for tea tonight',
  'Größe: 42 €, bis morgen?',
)
run = functools.partial(command_lines.run_here, TASK)


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> tuple[pathlib.Path, str]:
  """A run directory that `python -m` has made, and what it has printed."""
  path = tmp_path_factory.mktemp('trained') / 'run'
  done = command_lines.run(TASK, *FLAGS, f'--output_dir={path}')
  assert (done.returncode, done.stderr) == (0, '')
  return path, done.stdout


# What a run leaves.


def test_run_writes_every_file_that_is_promised(trained):
  path, _ = trained
  written = {
    str(file.relative_to(path)) for file in path.rglob('*') if file.is_file()
  }
  assert {
    'manifest.json',
    'metrics.csv',
    'central/metrics.csv',
    'results.json',
    'report.html',
    'model/model.json',
    'model/weights.npz',
    'model/model.keras',
    'model/saved_model/saved_model.pb',
    'simulation_only/clients.csv',
    'simulation_only/local_models.csv',
  } <= written
  for pattern in (
    'figures/*.png',
    'tensorboard/events.*',
    'central/tensorboard/events.*',
    'checkpoints/round_4/*',
    'central/checkpoints/round_2/*',
  ):
    assert list(path.glob(pattern)), pattern
  assert not [name for name in written if '.partial' in name or '_temp' in name]


def test_manifest_says_what_was_asked_for(trained):
  path, _ = trained
  manifest = json.loads((path / 'manifest.json').read_text())
  assert manifest['task'] == 'spam_classification'
  assert manifest['command'].split() == [
    'python', '-m', TASK, *FLAGS, f'--output_dir={path}',
  ]  # fmt: skip
  assert manifest['configuration']['people'] == 6
  assert manifest['data']['num_people'] == 6


def test_metrics_have_a_row_a_round(trained):
  path, _ = trained
  federated, central = (
    command_lines.table(path / 'metrics.csv'),
    command_lines.table(path / 'central' / 'metrics.csv'),
  )
  assert [row['round_num'] for row in federated] == list('01234')
  assert [row['round_num'] for row in central] == list('012')
  for rows in (federated, central):
    # All weights are zero at first.
    assert float(rows[0]['test/loss']) == pytest.approx(math.log(2), rel=1e-6)
    assert float(rows[-1]['test/loss']) < float(rows[0]['test/loss'])
  assert [row['cohort/clients'] for row in federated] == ['', *'3333']
  assert [row['cohort/clients'] for row in central] == ['', *'11']


def test_results_compare_four_systems_with_plausible_values(trained):
  path, _ = trained
  results = json.loads((path / 'results.json').read_text())
  rows = {row['system']: row for row in results['rows']}
  assert list(rows) == ['central', 'local', 'federated', 'secure_federated']
  assert results['primary'] == 'accuracy'
  last = command_lines.table(path / 'metrics.csv')[-1]
  assert rows['federated']['accuracy'] == float(last['test/accuracy'])
  assert rows['federated']['ham_blocked'] == float(
    last['test/false_positive_rate']
  )
  # Calling every text ham is right for 24 texts of 36.
  for system in ('central', 'federated', 'secure_federated'):
    assert 24 / 36 < rows[system]['accuracy'] <= 1
    assert 0.8 < rows[system]['auc'] <= 1
    assert rows[system]['seconds'] > 0
  local = rows['local']
  assert 0 <= local['accuracy_min'] <= local['accuracy']
  assert local['accuracy'] <= local['accuracy_max'] <= 1
  assert (rows['central']['rounds'], rows['federated']['rounds']) == (2, 4)
  # The same training, but for updates in 16 bits.
  assert rows['secure_federated']['rounds'] == 4
  assert rows['secure_federated']['auc'] == pytest.approx(
    rows['federated']['auc'], abs=0.05
  )
  secure = command_lines.table(path / 'secure_federated' / 'metrics.csv')
  assert [row['secure_sum/survivors'] for row in secure] == ['', *'3333']


def test_what_each_server_saw_is_kept_apart_from_the_truth(trained):
  path, _ = trained
  systems = {p.name for p in (path / 'server_view').iterdir()}
  assert systems == {'central', 'federated', 'secure_federated'}
  assert (path / 'simulation_only' / 'leak.json').is_file()


def test_simulation_only_tells_each_persons_data_and_model(trained):
  path, _ = trained
  clients = command_lines.table(path / 'simulation_only' / 'clients.csv')
  models = command_lines.table(path / 'simulation_only' / 'local_models.csv')
  names = [f'person_00{i}' for i in range(6)]
  assert [row['client_id'] for row in clients] == names
  assert [row['client_id'] for row in models] == names
  assert [row['train_examples'] for row in models] == [
    row['train_examples'] for row in clients
  ]
  assert sum(int(row['test_examples']) for row in clients) == 36
  assert {row['num_examples'] for row in models} == {'36.0'}


def test_terminal_shows_data_directory_progress_and_table(trained):
  path, out = trained
  assert out.startswith('train  6 clients, ')
  assert f'run directory: {path} (--output_dir={path} resumes it)\n' in out
  assert 'federated: round 4/4  test loss ' in out
  assert f'report: {path / "report.html"}\n' in out


def test_report_shows_the_table_and_its_pictures(trained):
  path, _ = trained
  report = (path / 'report.html').read_text(encoding='utf-8')
  assert 'Spam classification: messages' in report
  for system in ('central', 'local', 'federated', 'secure federated'):
    assert system in report
  assert 'What the server can tell' in report


# Using the model.


@pytest.fixture
def predictions(trained, tmp_path) -> list[tuple[str, float, str]]:
  """What the command line says of `TEXTS`: label, probability, text."""
  file = tmp_path / 'texts.txt'
  file.write_text(f'{TEXTS[1]}\n\n{TEXTS[2]}\n', encoding='utf-8')
  code, out, err = run(
    f'--output_dir={trained[0]}', f'--predict={TEXTS[0]}',
    f'--predict_file={file}',
  )  # fmt: skip
  assert (code, err) == (0, '')
  rows = [line.split('\t') for line in out.splitlines()]
  return [(label, float(p), text) for label, p, text in rows]


def test_predict_classifies_the_text_and_each_line_of_the_file(predictions):
  assert tuple(text for _, _, text in predictions) == TEXTS
  assert [label for label, _, _ in predictions[:2]] == ['spam', 'ham']
  for label, probability, _ in predictions:
    assert label == ('spam' if probability >= 0.5 else 'ham')


_TENSORFLOW_ALONE = """
import json, sys
import numpy as np
import tensorflow as tf

folder, features = sys.argv[1], dict(np.load(sys.argv[2]))
saved = tf.saved_model.load(f'{folder}/saved_model')
texts = tf.constant(json.loads(sys.argv[3]))
signature = saved.signatures['serving_default'](texts=texts)
keras = tf.keras.models.load_model(f'{folder}/model.keras', safe_mode=True)
print(json.dumps({
  'serve': saved.serve(texts)['probability'].numpy().tolist(),
  'signature': signature['probability'].numpy().tolist(),
  'keras': keras.predict(features, verbose=0)[:, 0].tolist(),
  'ours': [name for name in sys.modules if name.startswith('tff_pipelines')],
  'tff': 'tensorflow_federated' in sys.modules,
}))
"""


def test_model_needs_nothing_but_tensorflow(trained, predictions, tmp_path):
  folder = trained[0] / 'model'
  description = json.loads((folder / 'model.json').read_text())
  features = text_features.TextFeatures.from_config(description['features'])
  np.savez(tmp_path / 'features.npz', **features.compute(TEXTS))
  environment = {**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'}
  environment.pop('WRAPT_DISABLE_EXTENSIONS', None)
  done = subprocess.run(
    [
      sys.executable,
      '-c',
      _TENSORFLOW_ALONE,
      folder,
      tmp_path / 'features.npz',
      json.dumps(TEXTS),
    ],
    cwd=tmp_path,  # From where tff_pipelines cannot be imported.
    env=environment,
    capture_output=True,
    text=True,
    timeout=command_lines.PATIENCE_SECONDS,
  )
  assert done.returncode == 0, done.stderr
  found = json.loads(done.stdout)
  assert (found['ours'], found['tff']) == ([], False)
  # Printed with four digits.
  np.testing.assert_allclose(
    found['serve'], [p for _, p, _ in predictions], atol=0.5001e-4
  )
  np.testing.assert_array_equal(found['signature'], found['serve'])
  np.testing.assert_allclose(found['keras'], found['serve'], rtol=1e-5)


def test_weights_are_those_of_the_keras_model(trained):
  weights = np.load(trained[0] / 'model' / 'weights.npz')
  assert sorted(weights) == ['weight_0', 'weight_1']
  assert weights['weight_0'].shape == (2**14 + 1, 1)
  assert weights['weight_1'].shape == ()
  assert np.all(weights['weight_0'][0] == 0)  # Padding has learned nothing.


def test_prediction_without_a_model_is_one_sentence(tmp_path):
  code, out, err = run(f'--output_dir={tmp_path}', '--predict=hello')
  assert (code, out) == (2, '')
  assert err == (
    f'Error: Expected an exported model in {tmp_path / "model"}, found none '
    'that can be read; train one first, or name its run with --output_dir.\n'
  )


@pytest.mark.parametrize('content', [None, b'gr\xfc\xdfe\n'])
def test_file_to_predict_that_cannot_be_read_is_one_sentence(
  trained, tmp_path, content
):
  file = tmp_path / 'texts.txt'
  if content is not None:
    file.write_bytes(content)
  code, out, err = run(f'--output_dir={trained[0]}', f'--predict_file={file}')
  assert (code, out) == (2, '')
  assert err.startswith(
    'Error: Expected a UTF-8 text file in --predict_file, found: '
  )
  assert err.count('\n') == 1


# Messages of one's own.


@pytest.mark.slow
def test_csv_with_a_person_column_works_from_end_to_end(tmp_path):
  inbox = tmp_path / 'inbox.csv'
  with open(inbox, 'w', newline='', encoding='utf-8') as file:
    writer = csv.writer(file)
    writer.writerow(['who', 'text', 'label', 'date'])
    for number in range(12):
      person = ('ann', 'bob, jr.', 'eve')[number % 3]
      writer.writerow([person, f'win prize {number}, call now', 'spam', number])
      writer.writerow([person, f'tea at {number}\nor later?', 'ham', number])
  path = tmp_path / 'run'
  code, out, err = run(
    '--dataset=csv', f'--csv_path={inbox}', '--client_column=who',
    '--num_buckets=256', '--rounds=3', '--clients_per_round=2',
    '--test_fraction=0.25', '--system=federated', f'--output_dir={path}',
  )  # fmt: skip
  assert (code, err) == (0, '')
  manifest = json.loads((path / 'manifest.json').read_text())
  assert manifest['data']['name'] == 'csv'
  assert manifest['data']['rows_read'] == 24
  clients = command_lines.table(path / 'simulation_only' / 'clients.csv')
  assert sorted(row['client_id'] for row in clients) == [
    'ann', 'bob, jr.', 'eve',
  ]  # fmt: skip
  assert sum(int(row['train_examples']) for row in clients) == 18
  assert sum(int(row['test_examples']) for row in clients) == 6

  code, out, err = run(f'--output_dir={path}', '--predict=win prize, call now')
  assert (code, err) == (0, '')
  assert out.startswith('spam\t')


@pytest.mark.parametrize(
  'content, told',
  [
    (b'ann,hi,ham\nbob,"win,spam\n', ', line 3: expected the quote that opens'),
    (b'ann,hi,ham\nbob,win,junk\n', ", line 3: expected 'label' to be one of"),
    (b'ann,hi,ham\n ,win,spam\n', ", line 3: expected a person in 'client', f"),
    (
      b'ann,hi,ham\nbob,gr\xfc\xdfe,ham\n',
      ', line 3: expected utf-8 text,',
    ),
    (None, ', found nothing; add labelled texts.'),
  ],
  ids=['broken quote', 'unknown label', 'empty person', 'Latin-1', 'empty'],
)
def test_bad_csv_ends_with_2_and_one_sentence_that_names_the_line(
  tmp_path, content, told
):
  inbox = tmp_path / 'inbox.csv'
  head = b'client,text,label\n'
  inbox.write_bytes(b'' if content is None else head + content)
  code, out, err = run(
    '--dataset=csv', f'--csv_path={inbox}', f'--output_dir={tmp_path / "run"}'
  )
  assert (code, out) == (2, '')
  assert err.startswith('Error: ') and f'{inbox}{told}' in err
  assert err.count('\n') == 1
  assert not (tmp_path / 'run').exists()
