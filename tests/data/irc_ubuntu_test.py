import collections

import pytest

from tff_pipelines.data import fetching, irc_ubuntu

LOG = """\
[12:18] <Ann> usual, quite stable though
[12:18] <tweaked_> Ann: ok how many?
=== bob [~bob@host.example]  has joined #ubuntu
[12:19] <ubottu> Ann: I am a bot
[12:19] <FloodBot2> please stop
[12:19]  * bob shrugs
[12:20] <ann`> tweaked, Ann: nope : never
[12:20] <tweaked> carol: who is that
[12:20] -gfx:#ubuntu- a notice
[12:21] <tweaked> ann:
[12:21] <tweaked> http://a.b/c it says: no
"""


@pytest.fixture(scope='module')
def chat(real_data_dir):
  return irc_ubuntu.load(real_data_dir)


def test_a_log_by_hand():
  counts = collections.Counter()
  assert irc_ubuntu._messages(LOG, counts) == [
    ('ann', 'usual, quite stable though'),
    ('tweaked', 'ok how many?'),
    ('ann', 'nope : never'),
    ('tweaked', 'carol: who is that'),  # No carol in this log.
    ('tweaked', 'http://a.b/c it says: no'),
  ]
  assert counts == {
    'lines': 11,
    'messages_of_bots': 2,
    'actions': 1,
    'system_lines': 2,
    'messages_without_text': 1,
    'addresses': 3,
  }


@pytest.mark.parametrize(
  ('nick', 'name'),
  [('Ann', 'ann'), ('k1l_', 'k1l'), ('a_b`_', 'a_b'), ('__', '__')],
)
def test_nicknames_of_one_person_are_one(nick, name):
  assert irc_ubuntu.person(nick) == name


def test_every_line_is_counted_once(chat):
  counted = chat.provenance
  assert counted['lines'] == 247_963
  assert len(chat) == counted['messages'] == 216_816
  assert counted['left_out'] == {
    'messages_of_bots': 4_671,
    'actions': 513,
    'system_lines': 25_831,
    'messages_without_text': 132,
  }
  assert counted['messages'] + sum(counted['left_out'].values()) == 247_963
  assert len(set(chat.clients)) == 16_989


def test_no_bot_and_no_host_name_enters(chat):
  largest = collections.Counter(chat.clients).most_common(5)
  assert [name for name, _ in largest] == [
    'dr_willis', 'actionparsnip', 'ikonia', 'seveas', 'bazhang',
  ]  # fmt: skip
  assert not any(name.startswith(('ubot', 'floodbot')) for name in chat.clients)
  assert not any('has joined #ubuntu' in text for text in chat.texts)


def test_messages_of_a_nickname_are_in_the_order_of_time(chat):
  # The first log is of 2004, in the folder `dev`; `usual` is a nickname.
  assert chat.texts[0] == 'quite stable though  :)'
  assert chat.clients[0] == '|trey|'


def test_without_the_logs_it_says_how_to_get_them(tmp_path):
  with pytest.raises(
    fetching.DataUnavailableError, match='irc-disentanglement, check out 82ed0'
  ):
    irc_ubuntu.load(tmp_path)
