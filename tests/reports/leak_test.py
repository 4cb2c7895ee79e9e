"""What leak.json says, as a table and as a picture."""

import pytest

from tff_pipelines.reports import leak, page, run_reader, server_view

pytestmark = pytest.mark.filterwarnings('error')


def test_the_table_has_a_row_a_reading(write_run):
  content = leak.leak_html(leak.parse(write_run.leak_of()))
  for cells in (
    ('central', 'all texts', '100.0 %', '100.0 %', '25.0 %'),
    ('federated', 'each update', '100.0 %', '100.0 %', '25.0 %'),
    ('secure federated', 'one sum', '100.0 %', '25.0 %', '25.0 %'),
    ('secure federated', 'all 4 sums', '100.0 %', '50.0 %', '25.0 %'),
  ):
    row = f'<th scope="row">{cells[0]}</th>'
    row += ''.join(f'<td>{cell}</td>' for cell in cells[1:])
    assert row in content
  assert 'Which of 3 people' in content
  assert 'Many sums hide it less' in content


def test_nothing_is_said_of_many_sums_without_them(write_run):
  content = write_run.leak_of()
  for systems in (content['systems'], content['person']['systems']):
    del systems[-1]
  assert 'Many sums' not in leak.leak_html(leak.parse(content))


def test_the_page_has_the_section_where_there_is_a_leak(text_of_everything):
  assert '<h2>What the server can tell</h2>' in text_of_everything


def test_a_page_without_a_leak_lacks_the_section(write_run):
  text = page.write(write_run(), dpi=20).read_text()
  assert 'What the server can tell' not in text


@pytest.mark.slow
def test_that_section_alone_is_missing_without_a_leak(write_run):
  text = page.write(write_run.complete(leak=None), dpi=20).read_text()
  assert 'What the server can tell' not in text


def test_the_picture_shows_right_and_wrong_words_and_the_rates(write_run):
  figure = server_view.server_view(run_reader.read(write_run.complete()))
  named, rates = figure.axes
  assert [bar.get_width() for bar in named.patches] == [2, 0, 2, 0, 2, 6, 2, 2]
  texts = [text.get_text() for text in named.texts]
  assert texts[:4] == [
    '2 right\n0 wrong', '2 right\n0 wrong', '2 right\n6 wrong',
    '2 right\n2 wrong',
  ]  # fmt: skip
  assert [label.get_text() for label in rates.get_yticklabels()] == [
    'prize (1 text)', 'tea (4 texts)', 'rain (never used)',
  ]  # fmt: skip
  lines = {line.get_label(): line for line in rates.get_lines()}
  assert list(lines['truth'].get_xdata()) == [1.0, 0.25]
  assert list(lines["said by the person's update"].get_xdata()) == [0.2]
  assert list(lines['said by the sum'].get_xdata()) == [1.0, 1.0, 0.0]


def test_without_estimates_there_are_only_words(write_run):
  content = write_run.leak_of()
  content['systems'] = content['systems'][:1]
  content['person']['systems'] = content['person']['systems'][:1]
  for row in (
    *content['person']['words'],
    *content['person']['words_of_others'],
  ):
    row['federated'] = row['secure_federated'] = None
  run = run_reader.read(write_run(leak=content))
  assert len(server_view.server_view(run).axes) == 1


@pytest.mark.parametrize(
  'broken',
  [
    {},
    {'num_people': 3, 'systems': [], 'person': []},
    {'num_people': 3, 'systems': [1], 'person': {'systems': [{}]}},
    {'num_people': 'many', 'systems': [], 'person': {'systems': []}},
  ],
)
def test_a_leak_of_another_form_is_a_broken_file(write_run, broken):
  with pytest.raises(
    run_reader.BrokenRunFileError, match=r'leak\.json: Expected a leak with'
  ):
    run_reader.read(write_run(leak=broken))
