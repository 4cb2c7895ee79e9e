import collections
import gzip

import pytest

from tff_pipelines.data import fetching, shakespeare

PLAY = b"""\
short_title,section,class,character,text
Hamlet,front_matter,title,NA,"HAMLET, PRINCE"
Hamlet,contents,dialogue,BARNARDO,Who's there?
Hamlet,contents,stage_direction,NA,Enter
Hamlet,contents,dialogue,FRANCISCO,"Nay, answer me."
Hamlet,contents,dialogue,BARNARDO,Long live the King!
"""


def test_speech_of_a_play_by_hand():
  assert shakespeare._by_role(PLAY) == [
    ('Hamlet: BARNARDO', "Who's there?"),
    ('Hamlet: FRANCISCO', 'Nay, answer me.'),
    ('Hamlet: BARNARDO', 'Long live the King!'),
  ]


def test_blocks_by_hand():
  text = 'All:\nSpeak: speak.\nOn.\n\nAnn:\nNo.\n\n\nAll:\nYes.\n'
  assert shakespeare._by_name(text) == [
    ('All', 'Speak: speak.'),
    ('All', 'On.'),
    ('Ann', 'No.'),
    ('All', 'Yes.'),
  ]


def test_roles_have_the_known_counts(real_data_dir):
  typed = shakespeare.load(real_data_dir, 'roles')
  sizes = collections.Counter(typed.clients)
  assert len(typed) == typed.provenance['lines'] == 100_434
  assert len(sizes) == 1_345
  assert sum(n >= 10 for n in sizes.values()) == 872
  assert sum(n >= 100 for n in sizes.values()) == 297
  assert sizes.most_common(1) == [('Hamlet: HAMLET', 1_394)]
  assert all(text.strip() for text in typed.texts)


def test_tiny_is_read_from_its_gzipped_copy(real_data_dir):
  typed = shakespeare.load(real_data_dir, 'tiny')
  assert typed.texts[0].startswith('Before we proceed any further, hear me')
  assert typed.clients[0] == 'First Citizen'
  assert len(typed) == 25_555
  assert len(set(typed.clients)) == 299


@pytest.mark.parametrize(
  ('content', 'error'),
  [
    (b'no gzip', fetching.DataUnavailableError),
    (gzip.compress(b'A:\nb\n')[:-9], fetching.DataUnavailableError),
    (gzip.compress(b'A:\nb\n'), fetching.ChecksumMismatchError),
  ],
  ids=['no gzip', 'cut gzip', 'another gzip'],  # Its bytes hold the time.
)
def test_another_file_in_its_place_is_an_error(tmp_path, content, error):
  path = tmp_path / 'shakespeare' / 'tinyshakespeare_input.txt.gz'
  path.parent.mkdir()
  path.write_bytes(content)
  with pytest.raises(error, match='delete it to have the extract fetched'):
    shakespeare.load(tmp_path, 'tiny')


def test_without_the_plays_it_says_how_to_get_them(tmp_path):
  with pytest.raises(fetching.DataUnavailableError, match='check out ae1e5759'):
    shakespeare.load(tmp_path)


def test_there_is_no_third_form(tmp_path):
  with pytest.raises(shakespeare.UnknownFormError, match="found 'sonnets'"):
    shakespeare.load(tmp_path, 'sonnets')
