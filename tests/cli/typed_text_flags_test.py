"""Flags that name typed text, and its way to rows of tokens."""

import json

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest

from tff_pipelines.cli import flag_groups, typed_text_flags
from tff_pipelines.core import errors
from tff_pipelines.data import (
  example_cache,
  next_tokens,
  population,
  row_files,
  token_rows,
  typed_text,
  vocabularies,
)

PEOPLE = tuple(f'p{i}' for i in range(10))


def load(*arguments: str, seed: int = 0) -> typed_text.TypedText:
  with flagsaver.flagsaver():
    group = typed_text_flags.TypedTextFlags()
    flags.FLAGS(['program', *arguments])
    group.check()
    return group.load(seed)


def typed(num_people: int = 10, num_texts: int = 10) -> typed_text.TypedText:
  """Everyone's text t is `The cat says <t>`, as two sentences."""
  pairs = [
    (person, f'The cat says {t}! OK.')
    for t in range(num_texts)
    for person in PEOPLE[:num_people]
  ]
  clients, texts = zip(*pairs, strict=True)
  return typed_text.TypedText(texts, clients, {'source': 'test'})


def build(*arguments: str, **world) -> next_tokens.LanguageDataset:
  with flagsaver.flagsaver():
    group = typed_text_flags.TokenRowFlags()
    flags.FLAGS(['program', *arguments])
    group.check()
    return group.build('test', typed(**world), seed=3)


# Where the text comes from.


def test_generated_people_need_no_flags():
  found = load('--people=4')
  assert len(set(found.clients)) == 4
  assert len(found) > 4 * 4


def test_seed_decides_what_is_generated():
  texts = [load('--people=2', seed=seed).texts for seed in (1, 1, 2)]
  assert texts[0] == texts[1] != texts[2]


def test_csv_of_ones_own_with_its_own_names(tmp_path):
  path = tmp_path / 'chat.csv'
  path.write_bytes(b'nick,said\nann,gr\xfc\xdfe\nbob,\n ann,bye\n')
  found = load(
    '--dataset=csv', f'--csv_path={path}', '--client_column=nick',
    '--text_column=said', '--csv_encoding=latin-1', '--skip_bad_rows',
  )  # fmt: skip
  assert found.clients == ('ann', 'ann')
  assert found.texts == ('grüße', 'bye')
  assert found.provenance['rows_read'] == 3
  assert sum(r['count'] for r in found.provenance['skipped_rows'].values()) == 1


def test_jsonl_of_ones_own(tmp_path):
  path = tmp_path / 'chat.jsonl'
  rows = [{'person': i % 2, 'text': f'text {i}'} for i in range(4)]
  path.write_text(''.join(json.dumps(row) + '\n' for row in rows))
  found = load('--dataset=jsonl', f'--jsonl_path={path}')
  assert found.clients == ('0', '1', '0', '1')
  assert found.texts[3] == 'text 3'


def test_home_is_known_in_paths(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  (tmp_path / 'chat.csv').write_text('person,text\nann,hello\n')
  assert load('--dataset=csv', '--csv_path=~/chat.csv').texts == ('hello',)


def test_roles_of_plays_are_people(real_data_dir):
  found = load('--dataset=shakespeare', f'--data_dir={real_data_dir}')
  assert len(set(found.clients)) > 500
  assert len(found) > 20_000


@pytest.mark.parametrize('name', ['irc_ubuntu', 'shakespeare'])
def test_data_that_are_not_there_are_one_sentence(tmp_path, name):
  with pytest.raises(errors.PipelineError) as raised:
    load(f'--dataset={name}', f'--data_dir={tmp_path / "none"}')
  message = str(raised.value)
  assert message.startswith(f'Expected {tmp_path / "none" / name}')
  assert '--data_dir' in message and '\n' not in message


@pytest.mark.parametrize('kind', ['csv', 'jsonl'])
def test_own_data_without_a_path_are_refused_by_name(kind):
  with pytest.raises(flag_groups.FlagError) as raised:
    load(f'--dataset={kind}')
  assert str(raised.value) == (
    f'Expected --{kind}_path with --dataset={kind}, found none; give the path '
    'of the file.'
  )


def test_column_that_is_missing_is_named(tmp_path):
  path = tmp_path / 'chat.csv'
  path.write_text('who,text\nann,hello\n')
  with pytest.raises(
    row_files.ColumnError, match="expected one column 'person', found none"
  ):
    load('--dataset=csv', f'--csv_path={path}')


@pytest.mark.parametrize('people', [-1, 0, 1])
def test_world_without_two_people_is_refused(people):
  with pytest.raises(
    flag_groups.FlagError,
    match=rf'^Expected --people of at least 2, found {people}\.$',
  ):
    load(f'--people={people}')


@pytest.mark.parametrize(
  'arguments, wanted',
  [
    (['--dataset=csv', '--people=3'], '--dataset=dialects where --people'),
    (
      ['--data_dir=x'],
      '--dataset=irc_ubuntu or --dataset=shakespeare where --data_dir',
    ),
    (['--csv_path=x'], '--dataset=csv where --csv_path'),
    (['--dataset=csv', '--jsonl_path=x'], '--dataset=jsonl where --jsonl_path'),
    (['--text_column=x'], '--dataset=csv or --dataset=jsonl where --text_col'),
    (['--client_column=x'], '--dataset=csv or --dataset=jsonl where --client'),
    (['--csv_encoding=x'], '--dataset=csv or --dataset=jsonl where --csv_enc'),
    (['--skip_bad_rows'], '--dataset=csv or --dataset=jsonl where --skip_bad'),
  ],
)
def test_flag_without_an_effect_is_refused_by_name(arguments, wanted):
  with pytest.raises(flag_groups.FlagError, match=f'^Expected {wanted}'):
    load(*arguments)


# Rows.


def test_every_flag_arrives_in_the_rows():
  found = build(
    '--length=9', '--vocabulary_size=12', '--min_people_per_word=3', '--cased',
    '--max_sentences_per_client=12', '--min_sentences_per_client=5',
    '--max_clients=6', '--held_out_people=0.3', '--later_fraction=0.25',
    '--max_test_sentences=30',
  )  # fmt: skip
  assert found.provenance['rows'] == {
    'level': 'word',
    'length': 9,
    'vocabulary_size': 12,
    'min_people_per_word': 3,
    'cased': True,
    'max_sentences_per_client': 12,
    'min_sentences_per_client': 5,
    'held_out_people': 0.3,
    'later_fraction': 0.25,
    'max_clients': 6,
    'max_test_sentences': 30,
  }
  assert (found.length, found.vocabulary.size) == (9, 12)
  assert (found.train.num_clients, found.test.num_clients) == (6, 3)
  assert 'The' in found.vocabulary.words
  assert found.provenance['parts']['test']['sentences'] == 30


def test_rows_are_of_lower_case_words_by_default():
  found = build()
  assert found.length == 20
  assert {'the', 'cat', 'ok'} <= set(found.vocabulary.words)
  assert found.provenance['rows']['max_sentences_per_client'] == 400
  assert found.vocabulary.source.startswith('counted centrally')


def test_zero_is_without_a_limit():
  chosen = build('--max_clients=0', '--max_test_sentences=0').provenance['rows']
  assert chosen['max_clients'] is chosen['max_test_sentences'] is None
  assert chosen['vocabulary_size'] is None


def test_characters_have_a_fixed_alphabet_unless_they_are_counted():
  assert build('--level=character').vocabulary.size == 80
  counted = build('--level=character', '--vocabulary_size=10')
  assert counted.vocabulary.size == 10
  assert counted.vocabulary.source.startswith('counted centrally')


def word_list(tmp_path, text: str = 'the\nThe\ncat\nsays\n'):
  path = tmp_path / 'words.txt'
  path.write_text(text)
  return path


@pytest.mark.parametrize(
  'arguments, words',
  [
    ([], ('the', 'cat', 'says')),
    (['--cased'], ('the', 'The', 'cat', 'says')),
    (['--cased', '--vocabulary_size=7'], ('the', 'The', 'cat')),
  ],
)
def test_public_list_is_taken_as_it_is(tmp_path, arguments, words):
  found = build(f'--vocabulary_path={word_list(tmp_path)}', *arguments)
  assert found.vocabulary.words == words
  assert found.vocabulary.source.startswith('public list')


def test_word_of_one_person_is_known_if_one_is_enough():
  world = {'num_people': 2, 'num_texts': 10}
  with pytest.raises(
    vocabularies.VocabularyError, match='words that at least 2 clients use'
  ):
    build(**world)
  assert 'cat' in build('--min_people_per_word=1', **world).vocabulary.words


@pytest.mark.parametrize(
  'arguments, found',
  [
    (['--vocabulary_path=w.txt'], '--vocabulary_path=w.txt'),
    (['--level=character'], '--level=character'),
  ],
)
def test_rule_for_counted_words_without_counting_is_refused(arguments, found):
  with pytest.raises(flag_groups.FlagError) as raised:
    build('--min_people_per_word=1', *arguments)
  assert str(raised.value) == (
    'Expected words that are counted where --min_people_per_word is given, '
    f'found {found}, with which it has no effect; remove one of them.'
  )


def test_rule_for_counted_characters_is_accepted():
  found = build(
    '--min_people_per_word=1', '--level=character', '--vocabulary_size=9'
  )
  assert found.provenance['rows']['min_people_per_word'] == 1


@pytest.mark.parametrize('argument', ['--cased', '--vocabulary_path=w.txt'])
def test_flag_of_words_is_refused_for_characters(argument):
  with pytest.raises(
    flag_groups.FlagError, match=r'^Expected --level=word where --'
  ):
    build('--level=character', argument)


@pytest.mark.parametrize('size', [-3, 3, 4])
def test_vocabulary_of_marks_alone_is_refused(size):
  with pytest.raises(
    vocabularies.VocabularyError, match=f'more than the 4 ids.*size of {size}'
  ):
    build(f'--vocabulary_size={size}')


def test_vocabulary_too_small_for_three_suggestions_is_refused():
  with pytest.raises(
    flag_groups.FlagError,
    match=r'^Expected 3 words or more to suggest, found 2; give',
  ):
    build('--vocabulary_size=6')
  assert build('--vocabulary_size=7').vocabulary.size == 7


@pytest.mark.parametrize(
  'argument, error',
  [
    ('--length=1', token_rows.RowLengthError),
    ('--max_clients=-1', next_tokens.RowChoiceError),
    ('--max_test_sentences=-1', next_tokens.RowChoiceError),
    ('--max_sentences_per_client=0', next_tokens.RowChoiceError),
    ('--min_sentences_per_client=0', next_tokens.RowChoiceError),
    ('--held_out_people=1', next_tokens.RowChoiceError),
    ('--held_out_people=nan', next_tokens.RowChoiceError),
    ('--later_fraction=0', next_tokens.RowChoiceError),
    ('--min_sentences_per_client=21', next_tokens.NoPeopleError),
  ],
)
def test_value_that_makes_no_sense_is_refused(argument, error):
  with pytest.raises(error, match=r'^Expected '):
    build(argument)


# The cache.


def same_examples(
  one: population.ClientPopulation, other: population.ClientPopulation
) -> bool:
  assert one.client_ids == other.client_ids
  np.testing.assert_array_equal(one.sizes, other.sizes)
  for c in range(one.num_clients):
    for a, b in zip(one.examples(c), other.examples(c), strict=True):
      np.testing.assert_array_equal(a, b)
  return True


def test_cache_holds_the_training_rows_and_nothing_else_changes(tmp_path):
  path = tmp_path / 'new' / 'rows.sqlite'
  plain = build()
  cached = build(f'--example_cache={path}')
  assert path.is_file()
  assert isinstance(cached.train, example_cache.SqlPopulation)
  assert same_examples(cached.train, plain.train)
  assert same_examples(cached.test, plain.test)
  assert cached.provenance == plain.provenance


def test_cache_of_an_earlier_run_is_written_anew(tmp_path):
  path = tmp_path / 'rows.sqlite'
  build(f'--example_cache={path}', '--max_clients=2')
  assert build(f'--example_cache={path}').train.num_clients == 9


@pytest.mark.parametrize('content', [b'my diary\n', b''])
def test_other_file_is_not_overwritten_by_the_cache(tmp_path, content):
  path = tmp_path / 'diary.txt'
  path.write_bytes(content)
  with pytest.raises(example_cache.ExampleCacheError):
    build(f'--example_cache={path}')
  assert path.read_bytes() == content


def test_cache_does_not_identify_a_run():
  with flagsaver.flagsaver():
    configuration = typed_text_flags.TokenRowFlags().configuration
    flags.FLAGS(['program', '--example_cache=x'])
    assert 'example_cache' not in configuration()
    assert 'vocabulary_size' in configuration()
