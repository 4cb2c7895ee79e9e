import itertools

import pytest

from tff_pipelines.data import sentences

TOKENIZER = sentences.Tokenizer()


@pytest.mark.parametrize(
  ('text', 'tokens'),
  [
    ("Don't do that", ["don't", 'do', 'that']),
    ('it\u2019s ok', ["it's", 'ok']),
    ('apt-get on 10.04, yes', ['apt-get', 'on', '10.04', ',', 'yes']),
    ('a .iso (or .img)', ['a', '.iso', '(', 'or', '.img', ')']),
    ('c++ and g++-4', ['c++', 'and', 'g++-4']),
    ('e.g. this', ['e.g.', 'this']),
    ('wait..... what?!! no!!', ['wait', '...', 'what', '?', 'no', '!']),
    ('---- **** ,,', ['-', '*', ',']),
    (':) :P ;-) :-D <3 ^_^', [':)', ':P', ';-)', ':-D', '<3', '^_^']),
    ('re:Do a:b', ['re', ':', 'do', 'a', ':', 'b']),
    ('http://a.b/c?d=e. www.x.org!', ['<link>', '.', '<link>', '!']),
    ('me.too@some-where.co.uk', ['<link>']),
    ('/etc/fstab ~/.bashrc ./run ../x', ['<link>'] * 4),
    ('and/or on /', ['and', '/', 'or', 'on', '/']),
    ('<link>', ['<', 'link', '>']),
    ('na\u00efve \u4f60\u597d', ['na\u00efve', '\u4f60\u597d']),
    ('\x02bold\x0f \t x\x00y', ['bold', 'x', 'y']),
    ('', []),
    (' \n ', []),
  ],
)
def test_tokens(text, tokens):
  assert TOKENIZER.tokens(text) == tokens


def test_cased_keeps_capitals():
  cased = sentences.Tokenizer(cased=True)
  assert cased.tokens('The the :P') == ['The', 'the', ':P']
  assert TOKENIZER.tokens('The the :P') == ['the', 'the', ':P']


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('one two', ['one two']),
    ('One. Two! three? (Four.)', ['one.', 'two!', 'three?', '(four.)']),
    ('thanks! :) bye', ['thanks! :)', 'bye']),
    ('hm... fine', ['hm... fine']),
    ('uses 10.04 i think', ['uses 10.04 i think']),
    ('!ask me', ['! ask me']),
    ('a line\nanother', ['a line', 'another']),
    ('end.', ['end.']),
    ('\n\n', []),
  ],
)
def test_sentences(text, expected):
  assert [sentences.join(s) for s in TOKENIZER.split(text)] == expected


@pytest.mark.parametrize(
  'text',
  ['One. Two!! (three) ... :) four? http://x.y. "five." six\nseven. .', '...'],
)
def test_splitting_loses_no_token_and_leaves_no_empty_sentence(text):
  split = TOKENIZER.split(text)
  assert list(itertools.chain(*split)) == TOKENIZER.tokens(
    text.replace('\n', ' ')
  )
  assert all(split)


def test_join_is_what_one_would_write():
  tokens = ['well', ',', 'yes', '(', 'i', 'am', ')', ':)', 'ok', '?']
  assert sentences.join(tokens) == 'well, yes (i am) :) ok?'
  assert sentences.join([]) == ''


def test_tokens_of_what_join_wrote_are_the_same():
  for text in ("i can't, (really) do 10.04?", 'ok ... fine. :) x'):
    tokens = TOKENIZER.tokens(text)
    assert TOKENIZER.tokens(sentences.join(tokens)) == tokens


def test_the_configuration_makes_an_equal_tokenizer():
  for cased in (True, False):
    tokenizer = sentences.Tokenizer(cased)
    tokenizer.tokens('used before')
    assert sentences.Tokenizer(**tokenizer.config()) == tokenizer


@pytest.mark.parametrize(
  'piece',
  ['a', 'a-', '/.', 'a@', '^_', 'a.', 'ftp://', 'www.', "a'", ':-', '.'],
)
def test_long_texts_take_no_more_than_their_length(piece):
  # Minutes, if a pattern tried every way to fail.
  TOKENIZER.split(piece * 20_000)
  TOKENIZER.split('x@ /' + piece * 20_000)
