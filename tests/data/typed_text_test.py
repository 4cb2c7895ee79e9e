import pathlib

import pytest

from tff_pipelines.data import row_files, typed_text


def source(tmp_path: pathlib.Path, content: str, name='texts.csv', **options):
  path = tmp_path / name
  path.write_text(content, encoding='utf-8')
  return typed_text.TextSource(path, 'who', 'what', **options)


def test_rows_of_csv_in_the_order_of_the_file(tmp_path):
  typed = typed_text.load_csv(
    source(tmp_path, 'what,who\nhi there,ann\n"a, b",bob\nbye, ann \n')
  )
  assert typed.texts == ('hi there', 'a, b', 'bye')
  assert typed.clients == ('ann', 'bob', 'ann')
  assert len(typed) == 3
  assert typed.provenance['source'] == 'csv'
  assert typed.provenance['file'] == 'texts.csv'
  assert typed.provenance['rows_read'] == 3
  assert typed.provenance['skipped_rows'] == {}
  assert len(typed.provenance['sha256']) == 64


def test_jsonl_holds_the_same(tmp_path):
  typed = typed_text.load_jsonl(
    source(
      tmp_path,
      '{"who": "ann", "what": "hi"}\n\n{"what": "ok", "who": 7, "more": []}\n',
      'texts.jsonl',
    )
  )
  assert typed.texts == ('hi', 'ok')
  assert typed.clients == ('ann', '7')
  assert typed.provenance['source'] == 'jsonl'


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    ('who,what\nann,\n', 'line 2: expected a text in .what., found none'),
    ('who,what\n ,hi\n', 'line 2: expected a person in .who., found none'),
    ('who,what\nann,hi\nann\n', 'line 3: expected 2 columns'),
    ('who,what\nann,a\0b\n', 'line 2: expected a text in .what. without NUL'),
    ('who,what\nann,"hi\n', 'line 2: expected the quote that opens here'),
  ],
)
def test_a_bad_row_of_csv_is_told_with_its_line(tmp_path, content, message):
  with pytest.raises(row_files.MalformedRowError, match=message):
    typed_text.load_csv(source(tmp_path, content))


@pytest.mark.parametrize(
  ('line', 'message'),
  [
    ('{', 'line 1: expected a JSON object on one line'),
    ('[1]', 'line 1: expected a JSON object, found'),
    ('{"who": "ann"}', "line 1: expected the keys 'who', 'what', found no"),
    ('{"who": true, "what": "hi"}', "expected 'who' to be a string or an int"),
    ('{"who": "ann", "what": 3}', "expected 'what' to be a string, found an"),
    ('{"who": "ann", "what": "\\ud800"}', 'without NUL characters and lone'),
  ],
)
def test_a_bad_row_of_jsonl_is_told_with_its_line(tmp_path, line, message):
  with pytest.raises(row_files.MalformedRowError, match=message):
    typed_text.load_jsonl(source(tmp_path, line + '\n', 'texts.jsonl'))


def test_bad_rows_are_skipped_and_counted_if_asked(tmp_path):
  typed = typed_text.load_csv(
    source(tmp_path, 'who,what\nann,hi\nann,\nbob\nbob,\n', skip_bad_rows=True)
  )
  assert typed.texts == ('hi',)
  assert typed.provenance['rows_read'] == 4
  assert typed.provenance['skipped_rows'] == {
    'empty text': {'count': 2, 'first_line': 3},
    'wrong number of columns': {'count': 1, 'first_line': 4},
  }


def test_undecodable_bytes_are_told_in_both_formats(tmp_path):
  path = tmp_path / 'texts'
  for load, content in (
    (typed_text.load_csv, b'who,what\nann,caf\xe9\n'),
    (typed_text.load_jsonl, b'{"who": "ann", "what": "caf\xe9"}\n'),
  ):
    path.write_bytes(content)
    given = typed_text.TextSource(path, 'who', 'what')
    with pytest.raises(row_files.MalformedRowError, match='latin-1'):
      load(given)


def test_no_rows_no_column_no_file(tmp_path):
  with pytest.raises(row_files.NoRowsError, match='only a header; add texts'):
    typed_text.load_csv(source(tmp_path, 'who,what\n'))
  with pytest.raises(row_files.ColumnError, match="one column 'what'"):
    typed_text.load_csv(source(tmp_path, 'who,text\nann,hi\n'))
  missing = typed_text.TextSource(tmp_path / 'none.csv', 'who', 'what')
  with pytest.raises(row_files.UnreadableFileError, match='found none'):
    typed_text.load_csv(missing)


@pytest.mark.parametrize('columns', [('a', 'a'), ('', 'a'), ('a', '')])
def test_columns_differ(columns):
  with pytest.raises(row_files.InvalidSourceError, match='two different'):
    typed_text.TextSource(pathlib.Path('x'), *columns)


def test_the_encoding_is_known():
  with pytest.raises(row_files.InvalidSourceError, match='klingon'):
    typed_text.TextSource(pathlib.Path('x'), 'a', 'b', encoding='klingon')


def test_each_text_has_a_client():
  with pytest.raises(ValueError, match='one client for each text'):
    typed_text.TypedText(('a', 'b'), ('ann',), {})
