import csv
import hashlib
import json
import pathlib

import numpy as np
import pytest

from tff_pipelines.core import errors
from tff_pipelines.data import row_files, tabular

HEADER = b'person,text,label\n'


@pytest.fixture
def write(tmp_path):
  """Writes a file and returns its source."""

  def written(content: bytes, name='inbox.csv', **options):
    path = tmp_path / name
    path.write_bytes(content)
    return tabular.TabularSource(path, 'person', 'text', 'label', **options)

  return written


def error_of(load, source, kind=row_files.MalformedRowError) -> str:
  """Returns the message after the path, which has to be one sentence."""
  with pytest.raises(kind) as raised:
    load(source)
  message = str(raised.value)
  assert isinstance(raised.value, errors.PipelineError)
  assert '\n' not in message and message.endswith('.')
  return message.replace(str(source.path), source.path.name)


def csv_error(source, kind=row_files.MalformedRowError) -> str:
  return error_of(tabular.load_csv, source, kind)


def jsonl_error(source, kind=row_files.MalformedRowError) -> str:
  return error_of(tabular.load_jsonl, source, kind)


# What is read.


def test_csv_rows_become_records_in_the_order_of_the_file(write):
  content = HEADER + b'ann,Win a prize!,spam\nbob,"Yes, at 5.",ham\n'
  records = tabular.load_csv(write(content))
  assert records.clients == ('ann', 'bob')
  assert records.texts == ('Win a prize!', 'Yes, at 5.')
  np.testing.assert_array_equal(records.labels, [1, 0])
  assert records.labels.dtype == np.int32
  assert records.label_names == ('ham', 'spam')
  assert records.provenance == {
    'source': 'csv',
    'file': 'inbox.csv',
    'sha256': hashlib.sha256(content).hexdigest(),
    'rows_read': 2,
    'skipped_rows': {},
  }


def test_jsonl_rows_become_records_in_the_order_of_the_file(write):
  content = (
    b'{"person": "ann", "text": "Win!", "label": "spam", "more": [1]}\n'
    b'\n'
    b'{"label": "ham", "text": "a\\nb", "person": 7}\n'
  )
  records = tabular.load_jsonl(write(content, 'inbox.jsonl'))
  assert records.clients == ('ann', '7')
  assert records.texts == ('Win!', 'a\nb')
  np.testing.assert_array_equal(records.labels, [1, 0])
  assert records.provenance == {
    'source': 'jsonl',
    'file': 'inbox.jsonl',
    'sha256': hashlib.sha256(content).hexdigest(),
    'rows_read': 2,
    'skipped_rows': {},
  }


@pytest.mark.parametrize('name', ['inbox.tsv', 'INBOX.TSV'])
def test_a_tsv_has_tabs_between_the_columns(write, name):
  records = tabular.load_csv(
    write(b'person\ttext\tlabel\nann\tYes, "at" 5.\tham\n', name)
  )
  assert records.texts == ('Yes, "at" 5.',)


def test_columns_are_found_by_name_and_others_ignored(write):
  content = b'extra,label, text ,person,extra\nx,ham,Hi,ann,y\n'
  records = tabular.load_csv(write(content))
  assert records.clients == ('ann',)
  assert records.texts == ('Hi',)


@pytest.mark.parametrize(
  ('label', 'meaning'),
  [
    ('spam', 1),
    ('1', 1),
    ('true', 1),
    ('yes', 1),
    (' SPAM\t', 1),
    ('True', 1),
    ('ham', 0),
    ('0', 0),
    ('false', 0),
    ('no', 0),
    ('Ham ', 0),
    ('NO', 0),
  ],
)
def test_csv_labels_are_compared_without_case_and_margins(
  write, label, meaning
):
  records = tabular.load_csv(write(HEADER + f'ann,Hi,{label}\n'.encode()))
  np.testing.assert_array_equal(records.labels, [meaning])


@pytest.mark.parametrize(
  ('label', 'meaning'),
  [
    ('true', 1),
    ('1', 1),
    ('1.0', 1),
    ('"1"', 1),
    ('" Yes"', 1),
    ('false', 0),
    ('0', 0),
    ('-0.0', 0),
    ('"FALSE"', 0),
  ],
)
def test_json_labels_can_be_booleans_and_numbers(write, label, meaning):
  row = f'{{"person": "ann", "text": "Hi", "label": {label}}}'
  records = tabular.load_jsonl(write(row.encode()))
  np.testing.assert_array_equal(records.labels, [meaning])


def test_the_user_says_which_labels_stand_for_what(write):
  source = write(
    HEADER + b'ann,Hi,JUNK\nbob,Ho,fine\n',
    positive_labels=(' junk',),
    negative_labels=('Fine', 'good'),
    label_names=('fine', 'junk'),
  )
  records = tabular.load_csv(source)
  np.testing.assert_array_equal(records.labels, [1, 0])
  assert records.label_names == ('fine', 'junk')


def test_a_person_is_one_client_whatever_the_margins(write):
  records = tabular.load_csv(
    write(HEADER + b'ann, Hi ,ham\n ann,Ho,ham\n"ann\t",Hu,ham\n')
  )
  assert records.clients == ('ann', 'ann', 'ann')
  assert records.texts == (' Hi ', 'Ho', 'Hu')


def test_quoted_fields_hold_delimiters_line_ends_and_quotes(write):
  records = tabular.load_csv(write(HEADER + b'ann,"a,\r\n""b""\n",ham\n'))
  assert records.texts == ('a,\r\n"b"\n',)


@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
def test_every_line_end_is_one_and_other_separators_are_text(write, end):
  text = 'a\x0bb\x0cc\x1cd\x85e\u2028f'
  lines = ['person,text,label', '', f'ann,{text},ham', '', 'bob,Hi,spam']
  records = tabular.load_csv(write(end.join(lines).encode()))
  assert records.clients == ('ann', 'bob')
  assert records.texts == (text, 'Hi')


def test_fields_can_be_longer_than_the_csv_module_allows(write):
  text = 'x' * (csv.field_size_limit() + 1)
  content = HEADER + f'ann,{text},ham\nbob,"{text}",spam\n'.encode()
  assert tabular.load_csv(write(content)).texts == (text, text)


# Encodings.


@pytest.mark.parametrize(
  'encoding', ['utf-8', 'utf-8-sig', 'latin-1', 'utf-16', 'utf-16-le', 'cp037']
)
def test_the_encoding_can_be_given(write, encoding):
  content = 'person,text,label\nann,café,ham\n'.encode(encoding)
  source = write(content, encoding=encoding)
  assert tabular.load_csv(source).texts == ('café',)


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig'])
@pytest.mark.parametrize('mark', [b'', b'\xef\xbb\xbf'])
def test_a_byte_order_mark_is_no_part_of_the_first_column(
  write, encoding, mark
):
  csv_source = write(mark + HEADER + b'ann,Hi,ham\n', encoding=encoding)
  assert tabular.load_csv(csv_source).clients == ('ann',)
  row = b'{"person": "ann", "text": "Hi", "label": 0}'
  json_source = write(mark + row, encoding=encoding)
  assert tabular.load_jsonl(json_source).clients == ('ann',)


def test_latin_1_bytes_in_csv_are_named_by_line_and_offset(write):
  assert csv_error(write(HEADER + b'ann,Hi,ham\nbob,caf\xe9,ham\n')) == (
    'inbox.csv, line 3: expected utf-8 text, found byte 0xe9 at offset 7 of '
    "line 3; pass --csv_encoding=latin-1, or the file's real encoding."
  )


def test_a_byte_order_mark_in_the_encodings_name_keeps_the_lines_apart(write):
  content = b'\xef\xbb\xbf' + HEADER + b'ann,Hi,ham\nbob,caf\xe9,ham\n'
  assert csv_error(write(content, encoding='utf-8-sig')) == (
    'inbox.csv, line 3: expected utf-8-sig text, found byte 0xe9 at offset 7 '
    "of line 3; pass --csv_encoding=latin-1, or the file's real encoding."
  )


def test_latin_1_bytes_in_a_record_of_several_lines_are_named(write):
  assert csv_error(write(HEADER + b'bob,"a\nb\nc\xe9",ham\n')) == (
    'inbox.csv, line 2: expected utf-8 text, found byte 0xe9 at offset 1 of '
    "line 4; pass --csv_encoding=latin-1, or the file's real encoding."
  )


def test_latin_1_bytes_in_jsonl_are_named_by_line_and_offset(write):
  # The mark's three bytes count: offsets are those of the file.
  row = b'\xef\xbb\xbf{"person": "ann", "text": "\xe9", "label": 0}\n'
  assert jsonl_error(write(row)) == (
    'inbox.csv, line 1: expected utf-8 text, found byte 0xe9 at offset 30 of '
    "line 1; pass --csv_encoding=latin-1, or the file's real encoding."
  )


def test_utf_16_is_recognized_by_its_mark(write):
  content = 'person,text,label\nann,Hi,ham\n'.encode('utf-16')
  source = write(content, skip_bad_rows=True)
  assert csv_error(source) == (
    'inbox.csv, line 1: expected utf-8 text, found byte 0xff at offset 0 of '
    'line 1; pass --csv_encoding=utf-16.'
  )


def test_bytes_that_cannot_be_cut_into_lines_are_an_error_of_the_file(write):
  content = HEADER.decode().encode('utf-16-le') + b'\x00\xd8a'
  source = write(content, encoding='utf-16-le', skip_bad_rows=True)
  assert csv_error(source, row_files.UnreadableFileError) == (
    'Expected utf-16-le text in inbox.csv, found something else at offset 36; '
    "pass the file's real encoding as --csv_encoding."
  )


# Bad rows.


def test_an_unclosed_quote_is_named_where_it_opens(write):
  rows = b'ann,Hi,ham\nbob,"a\nb","c\nann,Ho,ham\n' + b'ann,Ho,ham\n' * 100
  assert csv_error(write(HEADER + rows)) == (
    'inbox.csv, line 4: expected the quote that opens here to be closed, found '
    'the end of the file; close it, or double the quotes that belong to a text.'
  )


def test_a_quote_that_a_later_row_closes_is_named_where_it_opens(write):
  rows = b'ann,"Hi\n","Ho,ham\nbob,"Hu",spam\n'
  assert csv_error(write(HEADER + rows)) == (
    "inbox.csv, line 3: expected ',' or the end of the line after the quoted "
    "field that opens here, found 'Hu\",spam' in line 4; close the field "
    'before that, or double the quotes that belong to its text.'
  )


@pytest.mark.parametrize(
  ('row', 'count'), [(b'ann,Hi', 2), (b'ann,a,b,ham', 4)]
)
def test_a_wrong_number_of_columns(write, row, count):
  content = HEADER + b'bob,"a\nb",ham\n' + row + b'\n'
  assert csv_error(write(content)) == (
    'inbox.csv, line 4: expected 3 columns as in the header, found '
    f"{count}; complete the row, or put fields that hold ',' or a line end "
    'into double quotes.'
  )


@pytest.mark.parametrize('label', ['maybe', '', '2', '1.0'])
def test_an_unknown_label_in_csv(write, label):
  assert csv_error(write(HEADER + f'ann,Hi,{label}\n'.encode())) == (
    "inbox.csv, line 2: expected 'label' to be one of 'ham', '0', 'false', "
    f"'no' or one of 'spam', '1', 'true', 'yes', found {label!r}; correct it, "
    'or pass --negative_labels and --positive_labels.'
  )


@pytest.mark.parametrize(
  ('label', 'found'),
  [
    ('2', '2'),
    ('0.5', '0.5'),
    ('NaN', 'nan'),
    ('Infinity', 'inf'),
    ('"maybe"', "'maybe'"),
  ],
)
def test_an_unknown_label_in_jsonl(write, label, found):
  row = f'{{"person": "ann", "text": "Hi", "label": {label}}}'
  assert jsonl_error(write(row.encode())) == (
    "inbox.csv, line 1: expected 'label' to be one of 'ham', '0', 'false', "
    f"'no' or one of 'spam', '1', 'true', 'yes', found {found}; correct it, "
    'or pass --negative_labels and --positive_labels.'
  )


def test_a_label_that_is_a_whole_message_is_cut_short_in_the_error(write):
  message = csv_error(write(HEADER + b'ann,Hi,' + b'x' * 10_000))
  assert f"found '{'x' * 56}...; correct" in message


@pytest.mark.parametrize('quoted', [b'', b'  ', b'"\n"'])
def test_an_empty_person(write, quoted):
  assert csv_error(write(HEADER + quoted + b',Hi,ham\n')) == (
    "inbox.csv, line 2: expected a person in 'person', found none; fill it in, "
    'or remove the row.'
  )


def test_an_empty_text(write):
  assert csv_error(write(HEADER + b'ann, ,ham\n')) == (
    "inbox.csv, line 2: expected a text in 'text', found none; fill it in, or "
    'remove the row.'
  )


def test_a_nul_byte(write):
  assert csv_error(write(HEADER + b'ann,a\0b,ham\n')) == (
    "inbox.csv, line 2: expected a text in 'text' without NUL characters and "
    "lone surrogates, found 'a\\x00b'; pass the file's real encoding as "
    '--csv_encoding, or correct the row.'
  )
  assert 'expected a person in ' in csv_error(write(HEADER + b'an\0n,ab,ham\n'))


def test_a_lone_surrogate_which_no_utf_8_text_can_hold(write):
  row = b'{"person": "ann", "text": "\\ud800", "label": 0}'
  assert "found '\\ud800'; pass" in jsonl_error(write(row))


@pytest.mark.parametrize(
  ('line', 'found'),
  [
    ('{"person": "ann",', 'Expecting property name enclosed in double quotes'),
    ('person,text,label', 'Expecting value, column 1'),
    ('{} {}', 'Extra data, column 4'),
    ('9' * 5000, 'Exceeds the limit (4300 digits)'),
    ('[' * 100_000, 'maximum recursion depth exceeded'),
    ('{"person": "a\0"}', 'Invalid control character at, column 14'),
  ],
  ids=['cut', 'csv', 'two', 'digits', 'depth', 'nul'],
)
def test_invalid_json(write, line, found):
  message = jsonl_error(write(f'\n{line}\n'.encode()))
  assert message.startswith(
    'inbox.csv, line 2: expected a JSON object on one line, found '
  )
  assert f'({found}' in message
  assert message.endswith('; correct the line.')
  assert len(message) < 300


def test_json_that_is_no_object(write):
  assert jsonl_error(write(b'["ann", "Hi", "ham"]')) == (
    "inbox.csv, line 1: expected a JSON object, found ['ann', 'Hi', 'ham']; "
    "write one object with the keys 'person', 'text', 'label' on each line."
  )


def test_a_missing_key(write):
  assert jsonl_error(write(b'{"person": "ann", "body": "Hi"}')) == (
    "inbox.csv, line 1: expected the keys 'person', 'text', 'label', found no "
    "'text', 'label' among 'person', 'body'; complete the object or correct "
    'the name of the column.'
  )
  assert "found no 'person', 'text', 'label' among no keys; " in jsonl_error(
    write(b'{}')
  )


@pytest.mark.parametrize(
  ('key', 'value', 'expected', 'found'),
  [
    ('person', None, 'a string or an integer', 'null (None)'),
    ('person', True, 'a string or an integer', 'true or false (True)'),
    ('person', 1.5, 'a string or an integer', 'a number (1.5)'),
    ('text', 5, 'a string', 'an integer (5)'),
    ('text', ['Hi'], 'a string', "a list (['Hi'])"),
    (
      'label',
      {},
      'a string or an integer or a number or true or false',
      'an object ({})',
    ),
  ],
)
def test_a_json_value_of_the_wrong_type(write, key, value, expected, found):
  row = {'person': 'ann', 'text': 'Hi', 'label': 'ham', key: value}
  assert jsonl_error(write(json.dumps(row).encode())) == (
    f'inbox.csv, line 1: expected {key!r} to be {expected}, found {found}; '
    'correct it.'
  )


# Bad files.


def test_no_file(tmp_path):
  source = tabular.TabularSource(tmp_path / 'none.csv', 'a', 'b', 'c')
  for load in (tabular.load_csv, tabular.load_jsonl):
    assert error_of(load, source, row_files.UnreadableFileError) == (
      'Expected a file at none.csv, found none; correct the path.'
    )


def test_a_directory(tmp_path):
  source = tabular.TabularSource(tmp_path, 'a', 'b', 'c')
  for load in (tabular.load_csv, tabular.load_jsonl):
    assert error_of(load, source, row_files.UnreadableFileError) == (
      f'Expected a file at {tmp_path.name}, found a directory; give the path '
      'of a file in it.'
    )


def test_a_path_through_a_file(write):
  source = write(HEADER)
  beneath = tabular.TabularSource(source.path / 'x.csv', 'a', 'b', 'c')
  assert csv_error(beneath, row_files.UnreadableFileError) == (
    'Could not read x.csv (Not a directory); make it readable.'
  )


@pytest.mark.parametrize('content', [b'', b'\n\r\n', b'\xef\xbb\xbf'])
def test_an_empty_file(write, content):
  for load in (tabular.load_csv, tabular.load_jsonl):
    assert error_of(load, write(content), row_files.NoRowsError) == (
      'Expected rows in inbox.csv, found nothing; add labelled texts.'
    )


def test_only_a_header(write):
  assert csv_error(write(HEADER + b'\n'), row_files.NoRowsError) == (
    'Expected rows in inbox.csv, found only a header; add labelled texts.'
  )


def test_a_missing_column_even_when_bad_rows_are_skipped(write):
  source = write(b'\nname,text,label\nann,Hi,ham\n', skip_bad_rows=True)
  assert csv_error(source, row_files.ColumnError) == (
    "inbox.csv, line 2: expected one column 'person', found none among the "
    "columns 'name', 'text', 'label'; correct the header or the name of the "
    'column.'
  )


def test_a_needed_column_that_is_there_twice(write):
  source = write(b'person,text,label,text\nann,Hi,ham,Ho\n')
  assert csv_error(source, row_files.ColumnError) == (
    "inbox.csv, line 1: expected one column 'text', found 2 among the columns "
    "'person', 'text', 'label', 'text'; correct the header or the name of the "
    'column.'
  )


def test_a_broken_quote_in_the_header_even_when_bad_rows_are_skipped(write):
  source = write(b'person,"text,label\nann,Hi,ham\n', skip_bad_rows=True)
  assert csv_error(source).startswith(
    'inbox.csv, line 1: expected the quote that opens here to be closed'
  )


# Skipping bad rows.


def test_skipped_csv_rows_are_counted_by_reason(write):
  rows = [
    b'ann,Hi,ham',  # Line 2.
    b'ann,Hi,maybe',
    b'ann,Hi',
    b',Hi,ham',
    b'ann,,ham',
    b'ann,caf\xe9,ham',
    b'ann,"a\nb\xe9",ham',  # Lines 8 and 9.
    b'ann,a\0,ham',
    b'bob,"Ho,ham',  # Line 11.
    b'bob,Hu,perhaps',
    b'bob,"Ha",spam',
    b'bob,"He,ham',  # Line 14.
  ]
  records = tabular.load_csv(
    write(HEADER + b'\n'.join(rows), skip_bad_rows=True)
  )
  assert records.texts == ('Hi', 'Ha')
  assert records.clients == ('ann', 'bob')
  np.testing.assert_array_equal(records.labels, [0, 1])
  assert records.provenance['rows_read'] == 12
  assert records.provenance['skipped_rows'] == {
    'unknown label': {'count': 2, 'first_line': 3},
    'wrong number of columns': {'count': 1, 'first_line': 4},
    'empty person': {'count': 1, 'first_line': 5},
    'empty text': {'count': 1, 'first_line': 6},
    'undecodable bytes': {'count': 2, 'first_line': 7},
    'not a text': {'count': 1, 'first_line': 10},
    'broken quote': {'count': 2, 'first_line': 11},
  }


def test_skipped_jsonl_rows_are_counted_by_reason(write):
  rows = [
    b'{"person": "ann", "text": "Hi", "label": 0}',
    b'{"person": "ann", "text": "Hi", "label": 2}',
    b'{"person": "ann", "text": "Hi"}',
    b'{"person": "ann", "text": null, "label": 0}',
    b'[]',
    b'{"person": "ann", "text": "\xe9", "label": 0}',
    b'{"person": "ann"',
    b'{"person": "bob", "text": "Ho", "label": true}',
  ]
  records = tabular.load_jsonl(write(b'\n'.join(rows), skip_bad_rows=True))
  assert records.texts == ('Hi', 'Ho')
  assert records.provenance['rows_read'] == 8
  assert records.provenance['skipped_rows'] == {
    'unknown label': {'count': 1, 'first_line': 2},
    'missing key': {'count': 1, 'first_line': 3},
    'wrong type': {'count': 2, 'first_line': 4},
    'undecodable bytes': {'count': 1, 'first_line': 6},
    'invalid JSON': {'count': 1, 'first_line': 7},
  }


def test_without_a_bad_row_skipping_changes_nothing(write):
  content = HEADER + b'ann,Hi,ham\nbob,Ho,spam\n'
  strict = tabular.load_csv(write(content))
  lenient = tabular.load_csv(write(content, skip_bad_rows=True))
  assert lenient.texts == strict.texts
  assert lenient.provenance == strict.provenance


def test_nothing_but_bad_rows_is_an_error(write):
  source = write(HEADER + b',Hi,ham\nann,,ham\n', skip_bad_rows=True)
  assert csv_error(source, row_files.NoRowsError) == (
    'Expected usable rows in inbox.csv, found 2 rows which are all bad, the '
    "first of them: inbox.csv, line 2: expected a person in 'person', found "
    'none; fill it in, or remove the row.'
  )


def test_unclosed_quotes_take_linear_time(write):
  # Each one would swallow the file, were it not for the next one.
  rows = b'ann,"Hi,ham\n' * 20_000 + b'bob,Ho,ham\n'
  records = tabular.load_csv(write(HEADER + rows, skip_bad_rows=True))
  assert records.texts == ('Ho',)
  assert records.provenance['rows_read'] == 20_001
  assert records.provenance['skipped_rows'] == {
    'broken quote': {'count': 20_000, 'first_line': 2}
  }


# The configuration.


def assert_invalid(message: str, **options) -> None:
  columns = {
    'client_column': 'person',
    'text_column': 'text',
    'label_column': 'label',
  }
  with pytest.raises(row_files.InvalidSourceError) as raised:
    tabular.TabularSource(pathlib.Path('x.csv'), **columns | options)
  assert str(raised.value) == message
  assert isinstance(raised.value, errors.PipelineError)


@pytest.mark.parametrize('column', ['label', ''])
def test_columns_have_to_differ(column):
  assert_invalid(
    'Expected three different columns for person, text and label, found '
    f"'person', {column!r}, 'label'.",
    text_column=column,
  )


def test_both_labels_have_to_be_given():
  assert_invalid(
    'Expected at least one label each in --positive_labels and '
    '--negative_labels, found 0 and 4.',
    positive_labels=(),
  )
  assert_invalid(
    'Expected at least one label each in --positive_labels and '
    '--negative_labels, found 4 and 0.',
    negative_labels=(),
  )


def test_a_label_has_one_meaning():
  assert_invalid(
    'Expected no label in both --positive_labels and --negative_labels, found '
    "'no' in both.",
    positive_labels=('NO ', 'x'),
  )


@pytest.mark.parametrize(
  ('names', 'found'),
  [(('a', 'a'), "'a', 'a'"), (('a', 'b', 'a'), "'a', 'b', 'a'")],
)
def test_label_names_have_to_differ(names, found):
  assert_invalid(
    f'Expected two different names for the labels 0 and 1, found {found}.',
    label_names=names,
  )


@pytest.mark.parametrize('encoding', ['utf-9', '', 'hex', 'a\0b'])
def test_the_encoding_has_to_exist_and_to_be_one_of_texts(encoding):
  assert_invalid(
    'Expected the name of a text encoding such as utf-8 or latin-1 in '
    f'--csv_encoding, found {encoding!r}.',
    encoding=encoding,
  )
