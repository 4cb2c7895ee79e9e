import html.parser
import pathlib
import re

import pytest

from tests.reports import map_world
from tff_pipelines.reports import __main__ as main
from tff_pipelines.reports import page, run_reader

pytestmark = pytest.mark.filterwarnings('error')

_EVIL = '<script>alert(1)</script><img src=x onerror=alert(2)>"\''


class _Reader(html.parser.HTMLParser):
  """Collects elements and what they load; checks that all are closed."""

  def __init__(self):
    super().__init__()
    self.elements = []
    self.loads = []
    self.text = ''
    self._open = []

  def handle_starttag(self, tag, attrs):
    self.elements.append((tag, dict(attrs)))
    self.loads += [
      value
      for key, value in attrs
      if key in ('src', 'href', 'srcset', 'action')
    ]
    if tag not in ('meta', 'img', 'br'):
      self._open.append(tag)

  def handle_endtag(self, tag):
    assert self._open.pop() == tag

  def handle_data(self, data):
    self.text += data

  def close(self):
    super().close()
    assert not self._open


def _read(path):
  reader = _Reader()
  reader.feed(path.read_text(encoding='utf-8'))
  reader.close()
  return reader


@pytest.fixture(scope='module')
def complete_page(make_run_writer):
  """The page of a complete run: drawn once, since that takes a second."""
  return page.write(make_run_writer().complete(maps=''), dpi=20)


def _num_pictures(report: pathlib.Path) -> int:
  """How many lie beside a page; which, `test_the_pictures_lie_...` knows."""
  return len(list((report.parent / 'figures').glob('*.png')))


def test_the_page_loads_nothing_but_itself(complete_page):
  reader = _read(complete_page)
  assert len(reader.loads) == _num_pictures(complete_page)
  assert all(load.startswith('data:image/png;base64,') for load in reader.loads)
  content = complete_page.read_text()
  assert 'http' not in content.replace('http-equiv', '')
  assert 'url(' not in content
  assert '@import' not in content
  tags = {tag for tag, _ in reader.elements}
  assert not tags & {'script', 'link', 'iframe', 'object', 'form'}


def test_the_page_says_everything(complete_page):
  text = _read(complete_page).text
  for expected in (
    'Spam classification: sms_spam',
    'Federated reaches 98.7 % accuracy, 0.2 points below central and 6.1 above '
    'the median local model.',
    'local: median over 100 people',
    'Only a simulation can see this',
    '3 clients.',
    'Configuration: 2 settings',
    'python -m tasks.spam --rounds=4',
    'split: by',
    '3.11.7',
  ):
    assert expected in text


def test_the_clients_table_is_that_of_the_clients(complete_page):
  content = complete_page.read_text()
  # Sizes 3, 5 and 7; ham 3, 4 and 5; spam 0, 1 and 2.
  for cells in (
    ('training examples', '15', '', '3', '5', '7'),
    ('test examples', '3', '', '1', '1', '1'),
    ('ham', '12', '80.0 %', '3', '4', '5'),
    ('spam', '3', '20.0 %', '0', '1', '2'),
  ):
    row = f'<th scope="row">{cells[0]}</th>'
    row += ''.join(f'<td>{cell}</td>' for cell in cells[1:])
    assert row in content


def test_every_picture_has_an_alternative(complete_page):
  reader = _read(complete_page)
  images = [attributes for tag, attributes in reader.elements if tag == 'img']
  assert len(images) == _num_pictures(complete_page)
  assert all(len(image['alt']) > 20 for image in images)


def test_the_pictures_lie_beside_the_page(complete_page):
  run_dir = complete_page.parent
  assert complete_page.name == 'report.html'
  assert sorted(path.name for path in (run_dir / 'figures').iterdir()) == [
    f'{name}.{suffix}'
    for name in (
      'attack_curves',
      'canary_picture',
      'client_data',
      'defence_table',
      'drift_picture',
      'epsilon_by_round',
      'excluded_picture',
      'fairness_picture',
      'gap_picture',
      'interpolation_picture',
      'label_drift',
      'learning_curves',
      'local_models',
      'loss_curves',
      'masking_picture',
      'memorization_picture',
      'merge_maps',
      'merge_picture',
      'metric_by_bytes',
      'metric_by_epsilon',
      'other_metrics',
      'outlier_picture',
      'outliers_picture',
      'people_picture',
      'personalization_picture',
      'phase_costs',
      'privacy_picture',
      'server_view',
      'station_map',
      'sweep_overview',
      'sweep_picture_noise',
      'sweep_picture_points',
      'sweep_picture_users',
      'sweep_table_merge_points',
      'system_comparison',
    )
    for suffix in ('png', 'svg')
  ]


def test_each_map_record_is_a_section(complete_page):
  content = complete_page.read_text()
  sections = re.findall(r'<section( class="apart")?>\n<h2>(.*?)</h2>', content)
  apart = {title: bool(mark) for mark, title in sections}
  assert apart['Models that meet now and then']
  assert apart['All knobs']
  assert not apart['Users who report cold everywhere']
  assert not apart['Noise that hides a user']
  titles = [title for _, title in sections]
  assert titles.index('All knobs') + 1 == titles.index('More or fewer: noise')
  assert titles[0:2] == ['The idea', 'Result']
  assert titles[2] == 'What the keyboard suggests'
  assert titles[3] == 'Models that meet now and then'
  assert '<li>Each seed is another world.</li>' in content


def test_within_a_section_what_only_a_simulation_sees_is_apart(complete_page):
  content = complete_page.read_text()
  section = content[content.index('<h2>Noise that hides a user') :]
  section = section[: section.index('</section>')]
  server, _, hidden = section.partition('<div class="apart">')
  assert 'noise on the places' in server
  assert 'minus accuracy with it' in hidden
  assert 'Only a simulation can see this' in hidden
  assert 'Only a simulation can see this' not in server


def test_absent_parts_are_absent(write_run):
  run_dir = write_run(manifest={'task': 'spam'}, notes=[])
  reader = _read(page.write(run_dir, dpi=20))
  for absent in (
    'Learning',
    'Privacy',
    'Clients',
    'tell',
    'measurements',
    'Command',
    'Versions',
  ):
    assert absent not in reader.text
  assert [tag for tag, _ in reader.elements].count('section') == 2


def test_hostile_text_is_only_text(write_run):
  run_dir = write_run.complete(
    title=_EVIL,
    notes=[_EVIL],
    rows=[{**write_run.federated, 'system': _EVIL}],
    columns=[{'key': 'accuracy', 'title': _EVIL, 'format': 'percent'}],
    manifest={
      'task': _EVIL,
      'command': _EVIL,
      'seed': _EVIL,
      'configuration': {_EVIL: [_EVIL, {_EVIL: _EVIL}]},
      'versions': {_EVIL: _EVIL},
      'machine': {_EVIL: None},
      'data': {_EVIL: {_EVIL: _EVIL}},
    },
    clients=(
      ('client_id', 'train_examples', f'train:{_EVIL}'),
      [(_EVIL, 1, 1), ('b', 2, 2)],
    ),
    privacy={
      'federated': write_run.privacy_of(
        mechanism={'kind': _EVIL},
        assumptions=[_EVIL],
        unit=_EVIL,
        method=_EVIL,
        settings={'query': _EVIL},
      ),
      'central': write_run.privacy_of(settings={'query': _EVIL}),
    },
    audit=write_run.audit_of(_EVIL),
    suggestions=write_run.suggestions_of(_EVIL),
    memorization=write_run.memorization_of(_EVIL),
  )
  map_world.Writer(run_dir, text=_EVIL).table(
    {'users': 2, 'steps': 2, 'merge': 1}, seeds=1
  )
  reader = _read(page.write(run_dir, dpi=20))
  assert 'script' not in {tag for tag, _ in reader.elements}
  assert all('onerror' not in attributes for _, attributes in reader.elements)
  assert all(load.startswith('data:') for load in reader.loads)
  assert reader.text.count('alert(1)') > 12


def test_templates_in_the_text_stay_as_they_are(write_run):
  run_dir = write_run(title='$style ${x} $$')
  assert '<h1>$style ${x} $$</h1>' in page.write(run_dir, dpi=20).read_text()


@pytest.mark.slow
def test_drawing_again_gives_the_same_page_and_leaves_nothing(complete_page):
  def files():
    return {
      path: path.read_bytes()
      for path in complete_page.parent.rglob('*')
      if path.is_file()
    }

  before = files()
  page.write(complete_page.parent, dpi=20)
  assert files() == before


def test_a_picture_without_data_does_not_stay(write_run):
  run_dir = write_run(clients=(('client_id', 'train_examples'), [('a', 1)]))
  page.write(run_dir, dpi=20)
  assert (run_dir / 'figures' / 'client_data.png').exists()
  (run_dir / 'figures' / 'mine.png').write_bytes(b'')
  (run_dir / 'simulation_only' / 'clients.csv').unlink()
  page.write(run_dir, dpi=20)
  for suffix in ('png', 'svg'):
    assert not (run_dir / 'figures' / f'client_data.{suffix}').exists()
  assert (run_dir / 'figures' / 'mine.png').exists()


def test_a_failed_write_keeps_the_old_page(write_run, monkeypatch):
  run_dir = write_run()
  path = page.write(run_dir, dpi=20)
  old = path.read_bytes()

  def fail(*_):
    raise OSError('disk full')

  monkeypatch.setattr(page.os, 'replace', fail)
  with pytest.raises(OSError, match='disk full'):
    page.write(run_dir, dpi=20)
  assert path.read_bytes() == old
  assert not [p for p in run_dir.rglob('.*')]


@pytest.mark.slow
def test_only_local_makes_a_page(write_run):
  run_dir = write_run.complete(rows=[write_run.local], metrics={})
  text = _read(page.write(run_dir, dpi=20)).text
  assert 'Local reaches 92.6 % accuracy (median over its models;' in text


def test_no_rows_make_a_page(write_run):
  text = _read(page.write(write_run(rows=[], columns=[]), dpi=20)).text
  assert 'This run has no results.' in text


@pytest.mark.slow
@pytest.mark.parametrize('num_clients', [1, 5000])
def test_any_number_of_clients_makes_a_page(write_run, num_clients):
  run_dir = write_run.complete(num_clients=num_clients)
  text = _read(page.write(run_dir, dpi=20)).text
  expected = '1 client.' if num_clients == 1 else '5,000 clients.'
  assert expected in text


def test_an_alphabet_of_labels_is_folded(write_run):
  labels = [f'train:{letter}' for letter in 'abcdefghijklmnopqrstuvwxyz']
  run_dir = write_run(clients=(('client_id', *labels), [('x', *range(26))]))
  content = page.write(run_dir, dpi=20).read_text()
  # 0 + 1 + ... + 13 of 0 + 1 + ... + 25.
  row = '<th scope="row">14 other labels</th><td>91</td><td>28.0 %</td>'
  assert row in content


class TestMain:
  def test_it_redraws(self, write_run, capsys):
    run_dir = write_run()
    assert main.main([str(run_dir)]) == 0
    assert capsys.readouterr().out == f'{run_dir / "report.html"}\n'
    assert re.match('<!doctype html>', (run_dir / 'report.html').read_text())

  def test_an_error_is_one_sentence(self, tmp_path, capsys):
    assert main.main([str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ''
    assert printed.err.count('\n') == 1
    assert printed.err.startswith('Expected manifest.json and results.json')

  def test_a_directory_that_cannot_be_written(self, write_run, capsys):
    run_dir = write_run()
    (run_dir / 'figures').write_text('in the way')
    assert main.main([str(run_dir)]) == 2
    assert 'figures' in capsys.readouterr().err


def test_write_raises_what_read_raises(tmp_path):
  with pytest.raises(run_reader.NotARunDirectoryError):
    page.write(tmp_path)
