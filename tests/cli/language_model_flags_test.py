"""The flags of a language model become its architecture."""

from absl import flags
from absl.testing import flagsaver
import pytest

from tff_pipelines.cli import flag_groups, language_model_flags
from tff_pipelines.data import next_tokens, typed_text, vocabularies
from tff_pipelines.models import (
  character_lstm,
  cifg_lstm,
  gru,
  sizes,
  transformer,
)

WORDS = ('so', 'it', 'goes')


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


@pytest.fixture(scope='module')
def dataset() -> next_tokens.LanguageDataset:
  """Rows of 6 places out of a vocabulary of 7 ids."""
  people = [f'p{i % 4}' for i in range(16)]
  return next_tokens.build(
    'test',
    typed_text.TypedText(('so it goes',) * 16, tuple(people), {}),
    next_tokens.RowChoice(length=6),
    seed=0,
    vocabulary=vocabularies.Vocabulary(WORDS, 'test'),
  )


def architecture(dataset, *arguments: str):
  group = language_model_flags.LanguageModelFlags(embedding_size=48, units=128)
  flags.FLAGS(['program', *arguments])
  group.check()
  return group.architecture(dataset)


@pytest.mark.parametrize(
  'arguments, expected',
  [
    ([], cifg_lstm.CifgLstm(7, 6, 48, 128)),
    (['--embedding_size=3', '--units=5'], cifg_lstm.CifgLstm(7, 6, 3, 5)),
    (['--model=gru', '--units=5'], gru.Gru(7, 6, 48, 5)),
    (
      ['--model=character_lstm', '--embedding_size=3', '--layers=2'],
      character_lstm.CharacterLstm(7, 6, 3, 128, 2),
    ),
    (
      ['--model=transformer', '--embedding_size=6', '--heads=3', '--layers=2'],
      transformer.Transformer(7, 6, 6, heads=3, layers=2, hidden=24),
    ),
    (
      ['--model=transformer'],
      transformer.Transformer(7, 6, 48, heads=4, layers=1, hidden=192),
    ),
  ],
)
def test_flags_arrive_and_the_rows_tell_the_rest(dataset, arguments, expected):
  assert architecture(dataset, *arguments) == expected


@pytest.mark.parametrize(
  'arguments, wanted',
  [
    (['--heads=2'], '--model=transformer where --heads'),
    (['--layers=2'], '--model=character_lstm or --model=transformer where --l'),
    (['--model=gru', '--layers=2'], '--model=character_lstm or --model=trans'),
    (
      ['--model=transformer', '--units=5'],
      '--model=cifg_lstm or --model=gru or --model=character_lstm where --un',
    ),
  ],
)
def test_flag_without_an_effect_is_refused_by_name(dataset, arguments, wanted):
  with pytest.raises(flag_groups.FlagError, match=f'^Expected {wanted}'):
    architecture(dataset, *arguments)


@pytest.mark.parametrize(
  'arguments, told',
  [
    (['--units=0'], r'units of at least 1, found 0\.$'),
    (['--embedding_size=-1'], r'embedding_size of at least 1, found -1\.$'),
    (['--model=transformer', '--heads=0'], 'heads of at least 1, found 0'),
    (['--model=transformer', '--heads=5'], 'a multiple of the 5 heads, found'),
    (['--model=transformer', '--layers=0'], 'layers of at least 1, found 0'),
    (['--model=character_lstm', '--layers=0'], 'layers of at least 1, found 0'),
  ],
)
def test_size_that_makes_no_model_is_refused(dataset, arguments, told):
  with pytest.raises(sizes.ModelSizeError, match=f'^Expected .*{told}'):
    architecture(dataset, *arguments)
