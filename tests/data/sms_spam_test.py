import hashlib
import pathlib

import numpy as np
import pytest

from tff_pipelines.core import errors
from tff_pipelines.data import fetching, sms_spam


def parse(tmp_path: pathlib.Path, content: bytes):
  path = tmp_path / 'messages'
  path.write_bytes(content)
  return sms_spam._parse(path)


def test_ham_is_0_and_spam_is_1(tmp_path):
  texts, labels = parse(tmp_path, b'ham\tSee you.\nspam\tWin!\nham\tOk\n')
  assert texts == ('See you.', 'Win!', 'Ok')
  np.testing.assert_array_equal(labels, [0, 1, 0])
  assert labels.dtype == np.int32


def test_only_a_line_feed_ends_a_message(tmp_path):
  text = 'one\x0btwo\x85three\u2028four "quoted, not closed  '
  texts, _ = parse(tmp_path, f'ham\t{text}\nspam\tWin!'.encode())
  assert texts == (text, 'Win!')


@pytest.mark.parametrize(
  'line',
  [
    'ham',
    'ham\t',
    'ham See you.',
    'egg\tSee you.',
    'Ham\tSee you.',
    '\tSee you.',
    'ham\tSee\tyou.',
    '',
  ],
)
def test_a_malformed_line_is_named(tmp_path, line):
  with pytest.raises(sms_spam.MalformedLineError) as raised:
    parse(tmp_path, f'ham\tOk\n{line}\nham\tOk\n'.encode())
  assert str(raised.value) == (
    'Expected ham or spam, one tab and a text in line 2 of '
    f'{tmp_path / "messages"}, found {line!r}; restore the original file.'
  )
  assert isinstance(raised.value, errors.PipelineError)


def test_a_line_in_another_encoding_is_named(tmp_path):
  with pytest.raises(sms_spam.MalformedLineError) as raised:
    parse(tmp_path, b'ham\tOk\nham\tcaf\xe9\n')
  assert str(raised.value) == (
    f'Expected UTF-8 in line 2 of {tmp_path / "messages"}, found byte 0xe9 at '
    'offset 7 of the line; restore the original file.'
  )


def test_another_file_in_its_place_is_an_error(tmp_path):
  path = tmp_path / 'sms_spam' / 'SMSSpamCollection'
  path.parent.mkdir()
  path.write_bytes(b'ham\tOk\n')
  with pytest.raises(
    fetching.ChecksumMismatchError,
    match='to have sha256 7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173b',
  ):
    sms_spam.load(tmp_path)


def test_the_collection_has_the_published_counts(real_data_dir):
  records = sms_spam.load(real_data_dir)
  assert len(records) == 5574
  assert records.label_names == ('ham', 'spam')
  np.testing.assert_array_equal(np.bincount(records.labels), [4827, 747])
  assert records.labels.dtype == np.int32
  assert len(set(records.texts)) == 5171
  assert records.clients is None
  assert records.texts[0].startswith('Go until jurong point, crazy..')
  assert records.texts[-1] == 'Rofl. Its true to its name'


def test_labels_and_texts_make_up_the_file_byte_for_byte(real_data_dir):
  records = sms_spam.load(real_data_dir)
  content = ''.join(
    f'{records.label_names[label]}\t{text}\n'
    for label, text in zip(records.labels, records.texts, strict=True)
  ).encode()
  assert len(content) == sms_spam.FILE.size_bytes
  assert hashlib.sha256(content).hexdigest() == records.provenance['sha256']


def test_provenance_names_the_source_and_the_licence(real_data_dir):
  provenance = sms_spam.load(real_data_dir).provenance
  assert provenance == {
    'source': 'sms_spam',
    'file': 'sms_spam/SMSSpamCollection',
    'sha256': (
      '7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d'
    ),
    'url': (
      'https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip'
    ),
    'licence': 'free, copyright Almeida and Gómez Hidalgo, no warranty',
  }
