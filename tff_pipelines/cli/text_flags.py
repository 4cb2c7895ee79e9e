"""Flags that name a data set of labelled texts, and how it is dealt."""

from collections.abc import Callable
import pathlib

from tff_pipelines.cli import file_flags, flag_groups, partition_flags
from tff_pipelines.data import (
  fetching,
  messages,
  sms_spam,
  tabular,
  text_classification,
  text_features,
  text_records,
)

_FILES = ('csv', 'jsonl')
_WITHOUT_PEOPLE = ('sms_spam',)


class LabelledTextFlags(flag_groups.FlagGroup):
  """`--dataset` and all that belongs to it."""

  def __init__(self) -> None:
    super().__init__('The data')
    define = self.define
    self._dataset = define(
      'dataset',
      'messages',
      'messages are generated; sms_spam is the SMS Spam Collection; csv and '
      'jsonl (a JSON object a line) are your own',
      choices=('messages', 'sms_spam', *_FILES),
    )
    self._data_dir = define(
      'data_dir',
      str(fetching.default_data_dir()),
      'folder of data sets; what is not there is fetched once',
      only_with=('dataset', ('sms_spam',)),
      identifies_run=False,
    )
    generated = ('dataset', ('messages',))
    self._world = define(
      'world',
      'people',
      'people: many, with habits and campaigns; tiny: 3 people, 12 messages '
      'each, to read',
      choices=('people', 'tiny'),
      only_with=generated,
    )
    self._people = define(
      'people', 60, 'people of the generated world', only_with=generated
    )
    self._file = file_flags.FileFlags(self, _FILES)
    files = ('dataset', _FILES)
    self._client_column = define(
      'client_column', 'client', 'column of the person', only_with=files
    )
    self._text_column = define(
      'text_column', 'text', 'column of the text', only_with=files
    )
    self._label_column = define(
      'label_column', 'label', 'column of the label', only_with=files
    )
    self._positive_labels = define(
      'positive_labels',
      ['spam', '1', 'true', 'yes'],
      'values of the label that mean spam',
      only_with=files,
    )
    self._negative_labels = define(
      'negative_labels',
      ['ham', '0', 'false', 'no'],
      'values of the label that mean ham',
      only_with=files,
    )
    self._split = define(
      'split',
      'random',
      'random: a share of the distinct texts is for testing; first_30_percent: '
      "train on the first 30 % of the records (the SMS publishers' protocol)",
      choices=('random', 'first_30_percent'),
    )
    self._test_fraction = define(
      'test_fraction', 0.2, 'that share', only_with=('split', ('random',))
    )
    self._partition = partition_flags.PartitionFlags(
      self,
      what='texts, where the data name no people',
      scheme='dirichlet',
      num_clients=100,
      only_with=('dataset', _WITHOUT_PEOPLE),
    )

  def load(
    self, choice: text_classification.FeatureChoice, seed: int
  ) -> text_classification.TextDataset:
    """Loads, splits, deals and computes features."""
    name = self._dataset.value
    dealt = name in _WITHOUT_PEOPLE
    return text_classification.build(
      name,
      self._records(seed),
      split=self._split.value,
      test_fraction=self._test_fraction.value,
      partitioner=self._partition.get() if dealt else None,
      choice=choice,
      seed=seed,
    )

  def _records(self, seed: int) -> text_records.TextRecords:
    sources: dict[str, Callable[[], text_records.TextRecords]] = {
      'messages': lambda: self._generate(seed),
      'sms_spam': lambda: sms_spam.load(
        pathlib.Path(self._data_dir.value).expanduser()
      ),
      'csv': lambda: tabular.load_csv(self._source()),
      'jsonl': lambda: tabular.load_jsonl(self._source()),
    }
    return sources[self._dataset.value]()

  def _generate(self, seed: int) -> text_records.TextRecords:
    if self._world.value == 'tiny':
      return messages.generate_tiny(seed)
    return messages.generate(
      messages.MessageWorld(num_people=self._people.value), seed
    )

  def _source(self) -> tabular.TabularSource:
    return tabular.TabularSource(
      client_column=self._client_column.value,
      text_column=self._text_column.value,
      label_column=self._label_column.value,
      positive_labels=tuple(self._positive_labels.value),
      negative_labels=tuple(self._negative_labels.value),
      **self._file.source(self._dataset.value),
    )


class TextFeatureFlags(flag_groups.FlagGroup):
  """`--features` and what belongs to it."""

  def __init__(self) -> None:
    super().__init__('The features of a text')
    define = self.define
    self._kind = define(
      'features',
      'hashed',
      'hashed: every word and pair of words, nothing is collected first; '
      'vocabulary: words of at least two clients, counted without privacy',
      choices=('hashed', 'vocabulary'),
    )
    self._num_buckets = define(
      'num_buckets',
      2**14,
      'size of the hash table',
      only_with=('features', ('hashed',)),
    )
    self._pairs = define(
      'pairs',
      True,
      'whether pairs of neighbouring words count',
      only_with=('features', ('hashed',)),
    )
    self._vocabulary_size = define(
      'vocabulary_size',
      10_000,
      'words at the most',
      only_with=('features', ('vocabulary',)),
    )
    self._max_features = define(
      'max_features', 160, 'features kept of one text; the rest is cut off'
    )
    self._weighting = define(
      'weighting',
      'binary',
      "a feature's weight, from its count in the text alone",
      choices=('binary', 'log', 'count'),
    )

  def get(self) -> text_classification.FeatureChoice:
    """Returns the features that the flags describe."""
    hashed = self._kind.value == 'hashed'
    if not hashed and self._vocabulary_size.value < 1:
      raise flag_groups.FlagError(
        'Expected --vocabulary_size of at least 1, found '
        f'{self._vocabulary_size.value}.'
      )
    return text_classification.FeatureChoice(
      text_features.TextFeatures(
        num_buckets=self._num_buckets.value,
        max_features=self._max_features.value,
        pairs=self._pairs.value,
        weighting=self._weighting.value,
      ),
      vocabulary_size=0 if hashed else self._vocabulary_size.value,
    )
