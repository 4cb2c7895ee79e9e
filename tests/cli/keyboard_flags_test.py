"""Using a trained language model at the prompt and on a terminal."""

import builtins
import functools
import json
import pathlib
import sys
import types

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest

from tff_pipelines.cli import flag_groups, keyboard_flags
from tff_pipelines.core import tokens as marks
from tff_pipelines.data import next_tokens, typed_text, vocabularies
from tff_pipelines.models import character_lstm, cifg_lstm, loaded_keyboards

# What the model below always suggests, the likeliest first.
WORDS = ('do', 'i', 'how', 'don', '?', 'ice', 'idea', 'inn')


def dataset(level='word') -> next_tokens.LanguageDataset:
  texts = ('How do I?', 'Do I do?', 'i do. how i do', 'how, how!') * 3
  vocabulary = None
  if level == 'word':
    vocabulary = vocabularies.Vocabulary(WORDS, 'public list: by hand')
  return next_tokens.build(
    'by hand',
    typed_text.TypedText(
      texts=texts,
      clients=tuple(f'person {i // 2}' for i in range(len(texts))),
      provenance={},
    ),
    next_tokens.RowChoice(
      level=level, length=6, held_out_people=0.5, later_fraction=0.5
    ),
    seed=0,
    vocabulary=vocabulary,
  )


def constant_weights(architecture) -> list[np.ndarray]:
  """Weights by which the next token depends on nothing: 1 / 2, 1 / 4, ..."""
  weights = [np.zeros_like(w) for w in architecture.initial_weights()]
  num_words = architecture.vocabulary_size - marks.FIRST_WORD
  halved = -np.log(2) * np.arange(1, num_words + 1)
  weights[-1] = np.float32([-99] * marks.FIRST_WORD + halved.tolist())
  return weights


def export(run: pathlib.Path, architecture, made) -> list[dict]:
  return keyboard_flags.export(
    run / 'model', architecture, made, constant_weights(architecture)
  )


@pytest.fixture(scope='module')
def run_path(tmp_path_factory) -> pathlib.Path:
  run = tmp_path_factory.mktemp('run')
  made = dataset()
  architecture = cifg_lstm.CifgLstm(made.vocabulary.size, 6, 4, 8)
  rows = export(run, architecture, made)
  assert [row['same_first'] for row in rows] == [1.0] * 4
  return run


@pytest.fixture(scope='module', autouse=True)
def loaded_once():
  """Every keyboard is loaded once: it has no state."""
  with pytest.MonkeyPatch.context() as patch:
    load = functools.cache(loaded_keyboards.LoadedKeyboard)
    patch.setattr(loaded_keyboards, 'LoadedKeyboard', load)
    yield


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def prompt(run_path: pathlib.Path, *arguments: str) -> None:
  group = keyboard_flags.PromptFlags()
  flags.FLAGS(['program', *arguments])
  group.check()
  assert group.requested
  group.run(run_path)


def converse(run_path, monkeypatch, lines, *arguments: str) -> list[str]:
  """Types lines, then Ctrl-D; returns the text that was shown before each."""
  shown = []
  typed = iter(lines)

  def read(before: str) -> str:
    shown.append(before.removeprefix('> '))
    line = next(typed, None)
    if isinstance(line, str):
      return line
    raise EOFError if line is None else line

  monkeypatch.setattr(sys.stdin, 'isatty', lambda: True, raising=False)
  monkeypatch.setattr(builtins, 'input', read)
  prompt(run_path, '--interactive', *arguments)
  return shown


def test_without_the_flags_the_task_trains():
  group = keyboard_flags.PromptFlags()
  flags.FLAGS(['program'])
  assert not group.requested
  assert group.configuration() == {}


def test_a_prompt_has_three_lines(run_path, capsys):
  prompt(run_path, '--prompt=how do i')
  assert capsys.readouterr().out == 'do\t0.5020\ni\t0.2510\nhow\t0.1255\n'


def test_an_unfinished_word_is_completed(run_path, capsys):
  prompt(run_path, '--prompt=Do: ID')
  assert capsys.readouterr().out == 'idea\t0.0078\n'


@pytest.mark.parametrize(
  ('text', 'sentence'),
  [
    ('how do i', 'how do i'),
    ('How   DO ', 'how do '),
    ('see http://a.b/c, I don\u2019t', "see <link> , i don't"),
    # Sentences that have ended are forgotten.
    ('one. two three', 'two three'),
    ('yes, how? do', 'do'),
    ('one two.', ''),
    ('one two. ', ' '),
    ('one\n', ' '),
    ('', ''),
  ],
)
def test_text_is_cut_as_for_training(run_path, monkeypatch, text, sentence):
  typing = keyboard_flags._Typing(run_path / 'model')
  monkeypatch.setattr(typing, '_keyboard', types.SimpleNamespace(suggest=str))
  assert typing.suggest(text) == sentence


def test_typing_goes_on_where_it_ended(run_path, monkeypatch, capsys):
  shown = converse(
    run_path, monkeypatch, ['how', 'd', '2', '3', 'id', '1', '9', '', 'do']
  )
  assert shown == [
    '',
    'how ',
    # Nothing but `do` and `don` begins like this: the third is none.
    'how d',
    'how don ',
    'how don how ',
    'how don how id',
    'how don how idea ',
    'how don how idea 9 ',
    '',
    'do ',
  ]
  out = capsys.readouterr().out.splitlines()
  assert out[1] == '  [1] do 50.2%   [2] i 25.1%   [3] how 12.5%'
  assert out[3] == '  [1] do 50.2%   [2] don 6.3%'
  assert out[-1] == ''  # So that the shell's prompt has its own line.


def test_marks_are_put_at_the_word(run_path, monkeypatch):
  shown = converse(run_path, monkeypatch, ['?', ''], '--prompt=how do ')
  assert shown == ['how do ', 'how do ? ', '']
  typing = keyboard_flags._Typing(run_path / 'model')
  none = loaded_keyboards.Suggested((), (), '')
  assert typing.accept('how do ', none, '?') == 'how do?'
  assert typing.accept('', none, 'do') == 'do'


def test_ctrl_c_ends_cleanly(run_path, monkeypatch, capsys):
  converse(run_path, monkeypatch, ['how', KeyboardInterrupt])
  assert capsys.readouterr().out.endswith('\n\n')


@pytest.mark.slow
def test_characters_are_suggested_one_by_one(tmp_path, monkeypatch, capsys):
  made = dataset('character')
  architecture = character_lstm.CharacterLstm(made.vocabulary.size, 6, 4, 8)
  rows = export(tmp_path, architecture, made)
  assert [row['prefixes'] > 0 for row in rows] == [True] * 4
  prompt(tmp_path, '--prompt=How do I')
  out = capsys.readouterr().out
  assert out == '<newline>\t0.5000\n<space>\t0.2500\n!\t0.1250\n'
  with flagsaver.flagsaver():
    for name in ('prompt', 'interactive'):
      delattr(flags.FLAGS, name)
    shown = converse(tmp_path, monkeypatch, ['How', '2', 'do', '3'])
  assert shown == ['', 'How', 'How ', 'How do', 'How do!']


@pytest.mark.parametrize('text', ['', ' ', '\n'])
def test_an_empty_prompt_is_refused(run_path, text):
  with pytest.raises(flag_groups.FlagError) as raised:
    prompt(run_path, f'--prompt={text}')
  assert str(raised.value) == (
    'Expected text in --prompt, found none; give the beginning of a sentence, '
    'or --interactive to type it.'
  )


def test_without_a_terminal_there_is_nobody_to_type(run_path, monkeypatch):
  monkeypatch.setattr(sys.stdin, 'isatty', lambda: False, raising=False)
  with pytest.raises(flag_groups.FlagError) as raised:
    prompt(run_path, '--interactive')
  assert str(raised.value) == (
    'Expected a terminal to type in with --interactive, found none; give the '
    'text with --prompt.'
  )


def test_a_run_without_a_model_is_named(tmp_path):
  with pytest.raises(loaded_keyboards.KeyboardNotFoundError) as raised:
    prompt(tmp_path, '--prompt=how')
  assert str(raised.value) == (
    f'Expected an exported language model in {tmp_path / "model"}, found none '
    'that can be read; train one first, or name its run with --output_dir.'
  )


def test_the_export_says_where_its_words_come_from(run_path):
  description = json.loads((run_path / 'model' / 'model.json').read_text())
  assert description['vocabulary'] == 'public list: by hand'
  assert description['sentences'] == {'cased': False}
  assert description['level'] == 'word'
