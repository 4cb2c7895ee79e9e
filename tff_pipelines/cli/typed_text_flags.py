"""Flags that name people's typed text, and how it becomes rows of tokens."""

from collections.abc import Callable
import dataclasses
import pathlib

from tff_pipelines.cli import file_flags, flag_groups
from tff_pipelines.data import (
  dialects,
  example_cache,
  fetching,
  irc_ubuntu,
  next_tokens,
  shakespeare,
  typed_text,
  vocabularies,
)
from tff_pipelines.models import suggestions

_FILES = ('csv', 'jsonl')
_FETCHED = ('irc_ubuntu', 'shakespeare')
_WORDS = ('level', ('word',))


class TypedTextFlags(flag_groups.FlagGroup):
  """`--dataset` and all that belongs to it."""

  def __init__(self) -> None:
    super().__init__('The data')
    define = self.define
    self._dataset = define(
      'dataset',
      'dialects',
      'dialects are generated; irc_ubuntu: the #ubuntu channel, a nickname a '
      'client; shakespeare: a speaking role a client; csv and jsonl (a JSON '
      'object a line) are your own',
      choices=('dialects', *_FETCHED, *_FILES),
    )
    self._data_dir = define(
      'data_dir',
      str(fetching.default_data_dir()),
      'folder of data sets; what is not there is fetched once',
      only_with=('dataset', _FETCHED),
      identifies_run=False,
    )
    self._people = define(
      'people',
      200,
      'people of the generated world',
      only_with=('dataset', ('dialects',)),
    )
    self._file = file_flags.FileFlags(self, _FILES)
    files = ('dataset', _FILES)
    self._client_column = define(
      'client_column', 'person', 'column of the person', only_with=files
    )
    self._text_column = define(
      'text_column',
      'text',
      "column of the text; a person's texts are in the order of time",
      only_with=files,
    )

  def check(self) -> None:
    """Refuses a world without somebody to train and somebody to test on."""
    super().check()
    if self._people.value < 2:
      raise flag_groups.FlagError(
        f'Expected --{self._people.name} of at least 2, found '
        f'{self._people.value}.'
      )

  @property
  def name(self) -> str:
    """The data set's name."""
    return self._dataset.value

  def load(self, seed: int) -> typed_text.TypedText:
    """Loads or generates what people typed."""
    sources: dict[str, Callable[[], typed_text.TypedText]] = {
      'dialects': lambda: dialects.generate(
        dialects.DialectWorld(num_people=self._people.value), seed
      ),
      'irc_ubuntu': lambda: irc_ubuntu.load(self._folder),
      'shakespeare': lambda: shakespeare.load(self._folder),
      'csv': lambda: typed_text.load_csv(self._source()),
      'jsonl': lambda: typed_text.load_jsonl(self._source()),
    }
    return sources[self.name]()

  @property
  def _folder(self) -> pathlib.Path:
    return pathlib.Path(self._data_dir.value).expanduser()

  def _source(self) -> typed_text.TextSource:
    return typed_text.TextSource(
      client_column=self._client_column.value,
      text_column=self._text_column.value,
      **self._file.source(self.name),
    )


class TokenRowFlags(flag_groups.FlagGroup):
  """`--level`, `--length`, `--vocabulary_size` and how people are split."""

  def __init__(self) -> None:
    super().__init__('From text to rows of tokens')
    define = self.define
    self._level = define(
      'level',
      'word',
      'what a token is',
      choices=('word', 'character'),
    )
    self._length = define(
      'length', 20, 'tokens in a row; a longer sentence is cut'
    )
    self._vocabulary_size = define(
      'vocabulary_size',
      0,
      'ids at the most, the 4 marks included (padding, unknown, end, start); 0 '
      'is 5,000 for words, and a fixed alphabet of 80 for characters',
    )
    self._vocabulary_path = define(
      'vocabulary_path',
      None,
      "a public list of words, one a line, instead of counting people's words "
      'centrally, which is not private',
      only_with=_WORDS,
    )
    self._min_people_per_word = define(
      'min_people_per_word',
      2,
      'training people who have to use a word, where words are counted',
    )
    self._cased = define(
      'cased', False, 'whether upper case counts', only_with=_WORDS
    )
    self._max_sentences = define(
      'max_sentences_per_client',
      400,
      "a person's sentences (texts at character level) that are used at the "
      'most',
    )
    self._min_sentences = define(
      'min_sentences_per_client', 4, 'people with fewer are left out'
    )
    self._max_clients = define(
      'max_clients',
      0,
      'people to train on at the most, 0 is all; who is held out does not '
      'depend on it',
    )
    self._held_out_people = define(
      'held_out_people',
      0.1,
      'share of the people that nobody trains on: the test set',
    )
    self._later_fraction = define(
      'later_fraction',
      0.2,
      "share of each person's sentences, the last ones, that is for testing",
    )
    self._max_test_sentences = define(
      'max_test_sentences', 4_000, 'of the held-out people, evenly; 0 is all'
    )
    self._example_cache = define(
      'example_cache',
      None,
      "an SQLite file for the training people's rows, written anew, from which "
      'a round reads those of its cohort: for populations larger than memory',
      identifies_run=False,
    )

  def check(self) -> None:
    """Refuses a rule for counted words where none are counted."""
    super().check()
    if self._min_people_per_word.present and not self._counts_words:
      instead = (
        self._vocabulary_path if self._vocabulary_path.value else self._level
      )
      raise flag_groups.FlagError(
        'Expected words that are counted where '
        f'--{self._min_people_per_word.name} is given, found '
        f'--{instead.name}={instead.value}, with which it has no effect; '
        'remove one of them.'
      )

  @property
  def _counts_words(self) -> bool:
    """Whether the vocabulary is counted over the training people's text."""
    if self._vocabulary_path.value:
      return False
    return self.level == 'word' or bool(self._vocabulary_size.value)

  @property
  def level(self) -> str:
    """`word` or `character`."""
    return self._level.value

  @property
  def length(self) -> int:
    """Tokens in a row."""
    return self._length.value

  def build(
    self, name: str, typed: typed_text.TypedText, seed: int
  ) -> next_tokens.LanguageDataset:
    """Splits people and their text, and turns it into rows."""
    vocabulary = None
    if self._vocabulary_path.value:
      vocabulary = vocabularies.load_list(
        pathlib.Path(self._vocabulary_path.value).expanduser(),
        self._vocabulary_size.value or None,
        cased=self._cased.value,
      )
    dataset = next_tokens.build(
      name,
      typed,
      next_tokens.RowChoice(
        level=self._level.value,
        length=self._length.value,
        vocabulary_size=self._vocabulary_size.value or None,
        min_people_per_word=self._min_people_per_word.value,
        cased=self._cased.value,
        max_sentences_per_client=self._max_sentences.value,
        min_sentences_per_client=self._min_sentences.value,
        max_clients=self._max_clients.value or None,
        held_out_people=self._held_out_people.value,
        later_fraction=self._later_fraction.value,
        max_test_sentences=self._max_test_sentences.value or None,
      ),
      seed=seed,
      vocabulary=vocabulary,
    )
    _check_enough_to_suggest(dataset.vocabulary)
    if not self._example_cache.value:
      return dataset
    path = pathlib.Path(self._example_cache.value).expanduser()
    example_cache.write(path, dataset.train)
    return dataclasses.replace(dataset, train=example_cache.SqlPopulation(path))


def _check_enough_to_suggest(vocabulary: vocabularies.Vocabulary) -> None:
  """Refuses a vocabulary in which a keyboard finds too few suggestions."""
  least, found = suggestions.NUM_SUGGESTIONS, len(vocabulary.words)
  if found < least:
    raise flag_groups.FlagError(
      f'Expected {least} {vocabulary.level}s or more to suggest, found '
      f'{found}; give more text or a larger --vocabulary_size.'
    )
