"""Flags that name labelled texts and their features."""

import json

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest

from tff_pipelines.cli import flag_groups, text_flags
from tff_pipelines.core import errors
from tff_pipelines.data import row_files, text_classification

CSV = b"""person,body,kind
ann,win a prize,junk
ann,see you at five,fine
bob,call this number now,junk
bob,bring the cake,fine
eve,lunch tomorrow?,fine
eve,free entry today,junk
"""


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def load(*arguments: str, seed: int = 0) -> text_classification.TextDataset:
  groups = text_flags.LabelledTextFlags(), text_flags.TextFeatureFlags()
  flags.FLAGS(['program', *arguments])
  for group in groups:
    group.check()
  source, features = groups
  return source.load(features.get(), seed)


def choice(*arguments: str) -> text_classification.FeatureChoice:
  features = text_flags.TextFeatureFlags()
  flags.FLAGS(['program', *arguments])
  features.check()
  return features.get()


def examples(dataset) -> list[int]:
  return sorted([*dataset.train.sizes, *dataset.test.sizes])


# Where the texts come from.


def test_generated_messages_need_no_flags():
  dataset = load('--people=4')
  assert dataset.name == 'messages'
  assert dataset.train.client_ids == tuple(f'person_00{i}' for i in range(4))
  assert dataset.provenance['num_people'] == 4
  assert dataset.provenance['partition'] == 'people'
  # A fifth of the distinct texts is for testing.
  assert dataset.provenance['test_fraction'] == 0.2


def test_tiny_world_has_three_people_and_36_messages():
  dataset = load('--world=tiny')
  assert dataset.train.client_ids == ('alice', 'bob', 'carol')
  assert sum(examples(dataset)) == 36


def test_seed_decides_what_is_generated():
  sha256 = []
  for seed in (1, 1, 2):
    with flagsaver.flagsaver():
      dataset = load('--world=tiny', seed=seed)
    sha256.append(dataset.provenance['sha256_of_texts'])
  assert sha256[0] == sha256[1] != sha256[2]


OWN_COLUMNS = (
  '--client_column=person',
  '--text_column=body',
  '--label_column=kind',
  '--positive_labels=junk',
  '--negative_labels=fine,good',
)


@pytest.fixture
def own_csv(tmp_path):
  path = tmp_path / 'inbox.csv'
  path.write_bytes(CSV)
  return path


def test_csv_of_ones_own_with_its_own_names(own_csv):
  dataset = load(
    '--dataset=csv', f'--csv_path={own_csv}', *OWN_COLUMNS,
    '--test_fraction=0.5',
  )  # fmt: skip
  assert dataset.name == 'csv'
  assert set(dataset.train.client_ids) <= {'ann', 'bob', 'eve'}
  assert (dataset.train.num_examples, dataset.test.num_examples) == (3, 3)
  assert dataset.label_names == ('ham', 'spam')
  assert dataset.provenance['file'] == 'inbox.csv'
  labels = [
    dataset.train.pooled().examples(0)[1],
    dataset.test.pooled().examples(0)[1],
  ]
  assert np.concatenate(labels).sum() == 3


def test_split_in_the_order_of_the_file(own_csv):
  dataset = load(
    '--dataset=csv', f'--csv_path={own_csv}', *OWN_COLUMNS,
    '--split=first_30_percent',
  )  # fmt: skip
  # 30 % of 6 rows are the first two, both of ann.
  assert dataset.train.client_ids == ('ann',)
  assert dataset.test.client_ids == ('bob', 'eve')
  assert dataset.provenance['test_fraction'] is None


def test_jsonl_of_ones_own(tmp_path):
  path = tmp_path / 'inbox.jsonl'
  rows = [
    {'client': f'p{i % 2}', 'text': f'text {i}', 'label': bool(i % 3)}
    for i in range(6)
  ]
  path.write_text(''.join(json.dumps(row) + '\n' for row in rows))
  dataset = load('--dataset=jsonl', f'--jsonl_path={path}')
  assert sum(examples(dataset)) == 6
  assert dataset.provenance['source'] == 'jsonl'


def test_encoding_and_bad_rows_of_ones_own(tmp_path):
  path = tmp_path / 'inbox.csv'
  path.write_bytes(
    b'client,text,label\na,gr\xfc\xdfe,ham\nb,hello,spam\nc,what,maybe\n'
  )
  dataset = load(
    '--dataset=csv', f'--csv_path={path}', '--csv_encoding=latin-1',
    '--skip_bad_rows', '--test_fraction=0.5',
  )  # fmt: skip
  assert dataset.provenance['skipped_rows'] == {
    'unknown label': {'count': 1, 'first_line': 4}
  }


@pytest.mark.parametrize(
  'row, told',
  [
    (
      b'ann,"broken quote,ham\n',
      'line 3: expected the quote that opens here to be closed',
    ),
    (b'ann,hello,maybe\n', "line 3: expected 'label' to be one of"),
    (b',hello,ham\n', "line 3: expected a person in 'client', found none"),
    (
      b'ann,gr\xfc\xdfe,ham\n',
      'line 3: expected utf-8 text, found byte 0xfc at offset 6 of line 3; '
      'pass --csv_encoding=latin-1',
    ),
    (b'ann,hello\n', 'line 3: expected 3 columns as in the header, found 2'),
  ],
  ids=['broken quote', 'label', 'empty person', 'Latin-1', 'short'],
)
def test_bad_row_is_one_sentence_with_its_line(tmp_path, row, told):
  path = tmp_path / 'inbox.csv'
  path.write_bytes(b'client,text,label\nbob,hi,ham\n' + row)
  with pytest.raises(row_files.MalformedRowError) as raised:
    load('--dataset=csv', f'--csv_path={path}')
  message = str(raised.value)
  assert isinstance(raised.value, errors.PipelineError)
  assert message.startswith(f'{path}, {told}')
  assert '\n' not in message and message.endswith('.')


@pytest.mark.parametrize(
  'content, found', [(b'', 'nothing'), (b'client,text,label\n', 'only a head')]
)
def test_empty_file_is_one_sentence(tmp_path, content, found):
  path = tmp_path / 'inbox.csv'
  path.write_bytes(content)
  with pytest.raises(
    row_files.NoRowsError, match=f'^Expected rows in {path}, found {found}'
  ):
    load('--dataset=csv', f'--csv_path={path}')


@pytest.mark.parametrize('kind', ['csv', 'jsonl'])
def test_own_data_without_a_path_are_refused_by_name(kind):
  with pytest.raises(flag_groups.FlagError) as raised:
    load(f'--dataset={kind}')
  assert str(raised.value) == (
    f'Expected --{kind}_path with --dataset={kind}, found none; give the path '
    'of the file.'
  )


def test_sms_are_dealt_to_as_many_as_asked_for(real_data_dir):
  dataset = load(
    '--dataset=sms_spam', f'--data_dir={real_data_dir}', '--num_clients=7',
    '--partition=dirichlet', '--dirichlet_alpha=0.5',
  )  # fmt: skip
  assert dataset.train.num_clients == 7
  assert sum(examples(dataset)) == 5574
  assert dataset.provenance['partition']['alpha'] == 0.5
  assert dataset.provenance['partition']['scheme'] == 'dirichlet'


# What has no effect.


@pytest.mark.parametrize(
  'arguments, wanted',
  [
    (['--dataset=csv', '--people=3'], '--dataset=messages where --people'),
    (['--dataset=csv', '--world=tiny'], '--dataset=messages where --world'),
    (['--data_dir=x'], '--dataset=sms_spam where --data_dir'),
    (['--csv_path=x'], '--dataset=csv where --csv_path'),
    (['--dataset=csv', '--jsonl_path=x'], '--dataset=jsonl where --jsonl_path'),
    (['--text_column=x'], '--dataset=csv or --dataset=jsonl where --text_col'),
    (['--skip_bad_rows'], '--dataset=csv or --dataset=jsonl where --skip_bad'),
    (['--num_clients=9'], '--dataset=sms_spam where --num_clients'),
    (['--partition=iid'], '--dataset=sms_spam where --partition'),
    (['--dirichlet_alpha=1'], '--dataset=sms_spam where --dirichlet_alpha'),
    (
      ['--dataset=sms_spam', '--labels_per_client=2'],
      '--partition=k_labels where --labels_per_client',
    ),
    (
      ['--dataset=sms_spam', '--partition=k_labels', '--log_normal_sigma=2'],
      '--partition=log_normal where --log_normal_sigma',
    ),
    (
      ['--split=first_30_percent', '--test_fraction=0.1'],
      '--split=random where --test_fraction',
    ),
    (['--vocabulary_size=9'], '--features=vocabulary where --vocabulary_size'),
    (
      ['--features=vocabulary', '--num_buckets=9'],
      '--features=hashed where --num_buckets',
    ),
    (['--features=vocabulary', '--nopairs'], '--features=hashed where --pairs'),
  ],
)
def test_flag_without_an_effect_is_refused_by_name(arguments, wanted):
  with pytest.raises(flag_groups.FlagError, match=f'^Expected {wanted}'):
    load(*arguments)


# The features.


def test_features_are_hashed_by_default():
  found = choice()
  assert found.vocabulary_size == 0
  assert found.features.num_buckets == 2**14
  assert (found.features.pairs, found.features.max_features) == (True, 160)
  assert found.features.weighting == 'binary'


def test_feature_flags_arrive():
  found = choice(
    '--num_buckets=64', '--nopairs', '--max_features=8', '--weighting=log'
  )
  assert found.features.num_buckets == 64
  assert (found.features.pairs, found.features.max_features) == (False, 8)
  assert found.features.weighting == 'log'


def test_vocabulary_has_ten_thousand_words_at_the_most_by_default():
  assert choice('--features=vocabulary').vocabulary_size == 10_000


def test_vocabulary_is_counted_on_the_training_texts():
  dataset = load('--world=tiny', '--features=vocabulary', '--vocabulary_size=3')
  assert len(dataset.features.vocabulary) == 3
  assert dataset.provenance['features']['vocabulary'] == 3


@pytest.mark.parametrize('size', [0, -1])
def test_vocabulary_of_no_words_is_refused(size):
  with pytest.raises(
    flag_groups.FlagError,
    match=rf'^Expected --vocabulary_size of at least 1, found {size}\.$',
  ):
    choice('--features=vocabulary', f'--vocabulary_size={size}')
