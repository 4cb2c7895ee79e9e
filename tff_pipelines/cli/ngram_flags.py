"""The flag of the n-gram models that a language model is compared with."""

from collections.abc import Mapping

from tff_pipelines.cli import flag_groups
from tff_pipelines.data import population
from tff_pipelines.models import ngrams

_ORDERS = {'unigram': 1, 'bigram': 2, 'trigram': 3}


class NgramFlags(flag_groups.FlagGroup):
  """`--ngrams`."""

  def __init__(self) -> None:
    super().__init__('The n-gram models to compare with')
    self._names = self.define(
      'ngrams',
      list(_ORDERS),
      'any of unigram, bigram, trigram (interpolated Kneser-Ney), counted on '
      "everyone's text in one place; empty for none",
    )

  def check(self) -> None:
    """Refuses models that there are not."""
    super().check()
    for name in self._names.value:
      if name not in _ORDERS:
        raise flag_groups.FlagError(
          f'Expected n-gram models out of {", ".join(_ORDERS)}, found '
          f'--{self._names.name}={",".join(self._names.value)}.'
        )

  def fit(
    self, train: population.ClientPopulation, vocabulary_size: int
  ) -> Mapping[str, ngrams.NgramModel]:
    """Returns the chosen models by name, fitted on everyone's rows."""
    if not self._names.value:
      return {}
    x, y = train.pooled().examples(0)
    return {
      name: ngrams.fit(x, y, order, vocabulary_size)
      for name, order in _ORDERS.items()
      if name in self._names.value
    }
