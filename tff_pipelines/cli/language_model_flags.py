"""Flags of a language model: its architecture and its sizes."""

from tff_pipelines.cli import flag_groups
from tff_pipelines.data import next_tokens
from tff_pipelines.models import (
  character_lstm,
  cifg_lstm,
  gru,
  language_models,
  transformer,
)

_RECURRENT = ('cifg_lstm', 'gru', 'character_lstm')
_TRANSFORMER = ('model', ('transformer',))


class LanguageModelFlags(flag_groups.FlagGroup):
  """`--model` and its sizes."""

  def __init__(self, *, embedding_size: int, units: int):
    """Initializes the flags.

    Args:
      embedding_size: The default.
      units: The default.
    """
    super().__init__('The model')
    define = self.define
    self._model = define(
      'model',
      'cifg_lstm',
      'cifg_lstm: the recurrent model of mobile keyboards, one table for words '
      'in and out; gru: likewise, with gated units; transformer: a small '
      'decoder; character_lstm: with an output layer of its own',
      choices=('cifg_lstm', 'gru', 'transformer', 'character_lstm'),
    )
    self._embedding_size = define(
      'embedding_size', embedding_size, "a token's vector"
    )
    self._units = define(
      'units', units, 'of the recurrent layer', only_with=('model', _RECURRENT)
    )
    self._layers = define(
      'layers',
      1,
      'layers of the character_lstm or the transformer',
      only_with=('model', ('character_lstm', 'transformer')),
    )
    self._heads = define('heads', 4, 'attention heads', only_with=_TRANSFORMER)

  def architecture(
    self, dataset: next_tokens.LanguageDataset
  ) -> language_models.Architecture:
    """Returns the architecture that the flags describe, for such rows."""
    vocabulary_size, length = dataset.vocabulary.size, dataset.length
    embedding_size, units = self._embedding_size.value, self._units.value
    if self._model.value == 'transformer':
      return transformer.Transformer(
        vocabulary_size,
        length,
        embedding_size,
        heads=self._heads.value,
        layers=self._layers.value,
        hidden=4 * embedding_size,
      )
    if self._model.value == 'character_lstm':
      return character_lstm.CharacterLstm(
        vocabulary_size, length, embedding_size, units, self._layers.value
      )
    if self._model.value == 'gru':
      return gru.Gru(vocabulary_size, length, embedding_size, units)
    return cifg_lstm.CifgLstm(vocabulary_size, length, embedding_size, units)
