"""Secret sentences that some people type, and what models tell of them.

People are made to type sentences with random words beside their own text; a
control is typed by nobody. Every system that has one model is then asked how
likely it takes each secret, among candidates with other random words.

Reference: Carlini et al. 2019, arXiv 1802.08232 (`privacy.exposure`); groups of
secrets as in Ramaswamy et al. 2020, arXiv 2009.10031 (`data.secret_sentences`).
"""

from collections.abc import Sequence
import dataclasses
import statistics
from typing import Any

import numpy as np
import tensorflow_federated as tff

from tff_pipelines.cli import comparison, flag_groups
from tff_pipelines.core import seeds, tokens, wording
from tff_pipelines.data import next_tokens, secret_sentences
from tff_pipelines.models import row_losses
from tff_pipelines.privacy import exposure
from tff_pipelines.programs import files, run_directory
from tff_pipelines.reports import memorization_record

# Typed by nobody: what chance gives.
_CONTROL = (0, 0)


class MemorizationFlags(flag_groups.FlagGroup):
  """`--secret_sentences` and what they are like."""

  def __init__(self) -> None:
    super().__init__('Secret sentences, to see what models memorize')
    define = self.define
    self._number = define(
      'secret_sentences',
      0,
      'made-up secrets of each kind, and as many that nobody types, to compare '
      'with; all systems are trained with them. 0 for no such experiment',
      only_with=('level', ('word',)),
    )
    self._people = define(
      'secret_people',
      ['1', '4', '16'],
      'kinds of secrets: how many people type one',
    )
    self._copies = define('secret_copies', 5, 'how often each of them types it')
    self._words = define(
      'secret_words', 5, 'words of a secret, drawn at random'
    )
    self._candidates = define(
      'secret_candidates',
      4096,
      'sentences of the same form that a secret is ranked among, itself one of '
      'them',
    )
    self._prefix = define(
      'secret_prefix', 'see you at', 'how all of them begin'
    )

  @property
  def requested(self) -> bool:
    """Whether there are secrets."""
    return self._number.value > 0

  def check(self) -> None:
    """Refuses numbers below what they can be, and kinds without secrets."""
    super().check()
    for flag, least in (
      (self._number, 0),
      (self._copies, 1),
      (self._words, 1),
      (self._candidates, 2),
    ):
      if flag.value < least:
        raise flag_groups.FlagError(
          f'Expected --{flag.name} of at least {least}, found {flag.value}.'
        )
    people = flag_groups.whole_numbers(self._people, '1,4,16')
    if not people or min(people) < 1 or len(set(people)) < len(people):
      raise flag_groups.FlagError(
        f'Expected different numbers of at least 1 in --{self._people.name}, '
        f'such as 1,4,16, found {",".join(self._people.value) or "none"}; '
        'secrets that nobody types are there anyway.'
      )
    if self.requested:
      return
    for name in self.given_flags():
      if name != self._number.name:
        raise flag_groups.FlagError(
          f'Expected --{self._number.name} above 0 where --{name} is given, '
          'found 0, with which it has no effect; remove one of them.'
        )

  def insert(
    self, dataset: next_tokens.LanguageDataset, seed: int
  ) -> next_tokens.LanguageDataset:
    """Returns the data set whose training people also type the secrets.

    Without secrets it is the data set itself; with them nothing but `train`
    differs.

    Args:
      dataset: Who typed what, in words.
      seed: The run's.

    Raises:
      FlagError: If the vocabulary lacks words of the prefix.
      SecretError: If there are too few people, or rows are too short.
    """
    if not self.requested:
      return dataset
    return dataclasses.replace(
      dataset,
      train=secret_sentences.SecretPopulation(
        dataset.train, self._secrets(dataset, seed)
      ),
    )

  def measure(
    self,
    outcome: comparison.Outcome,
    trained: Sequence[comparison.TrainedSystem],
    dataset: next_tokens.LanguageDataset,
    model: tff.learning.models.FunctionalModel,
    *,
    seed: int,
    directory: run_directory.RunDirectory,
  ) -> list[str]:
    """Asks every system that has one model for the secrets.

    Writes simulation_only/memorization.json.

    Args:
      outcome: What came of the training.
      trained: The systems that were trained in rounds, for their privacy.
      dataset: What `insert` returned.
      model: What was trained.
      seed: The run's, as given to `insert`.
      directory: The run's.

    Returns:
      Notes for below the final table, one a system.
    """
    if not self.requested:
      return []
    secrets = self._secrets(dataset, seed)
    sentences = _sentences(secrets, dataset)
    rows = secrets.scored_rows(
      np.concatenate([secrets.words, secrets.alternatives]), dataset.length
    )
    promises = _promises(outcome, trained)
    found, notes = [], []
    for system, weights in outcome.weights_by_system.items():
      losses = row_losses.compute(model, weights, *rows)
      if not np.isfinite(losses).all():
        notes.append(
          f'{system}: what it tells of secrets is unknown, its model gives '
          'numbers that are none'
        )
        continue
      content = {
        'system': system,
        'epsilon': promises.get(system),
        **_told(
          secrets,
          sentences,
          losses,
          seeds.generator(seed, 'memorization', system),
        ),
      }
      found.append(content)
      notes.append(self._note(content))
    if not found:
      return notes or ['secrets: no system has one model to ask for them']
    files.write_json(
      directory.simulation_only / memorization_record.FILE_NAME,
      {'candidates': self._candidates.value, 'systems': found},
    )
    return notes

  def _secrets(
    self, dataset: next_tokens.LanguageDataset, seed: int
  ) -> secret_sentences.Secrets:
    """Returns the secrets, a pure function of the flags and the seed."""
    vocabulary = dataset.vocabulary
    # A number or a mark is no word that anybody would take for a secret's.
    letters = [word for word in vocabulary.words if word.isalpha()]
    people = flag_groups.whole_numbers(self._people, '1,4,16')
    return secret_sentences.choose(
      secret_sentences.SecretChoice(
        groups=(*((p, self._copies.value) for p in sorted(people)), _CONTROL),
        canaries_per_group=self._number.value,
        num_words=self._words.value,
        num_alternatives=self._candidates.value - 1,
      ),
      self._prefix_ids(dataset),
      vocabulary.encode(letters),
      dataset.train.num_clients,
      seed,
    )

  def _prefix_ids(self, dataset: next_tokens.LanguageDataset) -> np.ndarray:
    words = dataset.sentences.tokens(self._prefix.value)
    ids = dataset.vocabulary.encode(words)
    for word, token in zip(words, ids, strict=True):
      if token == tokens.UNKNOWN:
        raise flag_groups.FlagError(
          f'Expected --{self._prefix.name} of words that the vocabulary has, '
          f'such as {" ".join(dataset.vocabulary.words[:3])!r}, found '
          f'{word!r}, which it lacks; choose others.'
        )
    return ids

  def _note(self, content: dict[str, Any]) -> str:
    """Returns what a system tells of secrets, in a sentence."""
    by_people: dict[int, list[float]] = {}
    for secret in content['secrets']:
      by_people.setdefault(secret['clients'], []).append(secret['exposure'])
    medians = {
      people: f'{statistics.median(bits):.1f}'
      for people, bits in by_people.items()
    }
    of_control = medians.pop(0)
    typed = ', '.join(
      f'{bits} of those that {wording.people(people)} typed'
      for people, bits in medians.items()
    )
    times = 'once' if self._copies.value == 1 else f'{self._copies.value} times'
    return (
      f'{content["system"]}: median exposure of secrets, of '
      f'{np.log2(self._candidates.value):.3g} bits: {typed} {times} each '
      f'(p = {content["p_value_inserted"]:.2g} that chance does it), '
      f'{of_control} of those that nobody typed (p = '
      f'{content["p_value_control"]:.2g}); chance has a median of 1'
    )


def _sentences(
  secrets: secret_sentences.Secrets, dataset: next_tokens.LanguageDataset
) -> list[str]:
  """Returns the secrets as people type them."""
  return [
    ' '.join(dataset.vocabulary.decode([*secrets.prefix, *words]))
    for words in secrets.words
  ]


def _promises(
  outcome: comparison.Outcome, trained: Sequence[comparison.TrainedSystem]
) -> dict[str, dict[str, float]]:
  """Returns what private systems promise, by name."""
  spent: dict[str, Any] = {
    row['system']: row.get('epsilon') for row in outcome.rows
  }
  return {
    one.name: {
      'epsilon': spent[one.name],
      'delta': one.program.privacy.delta,
    }
    for one in trained
    if one.program.privacy and spent.get(one.name) is not None
  }


def _told(
  secrets: secret_sentences.Secrets,
  sentences: Sequence[str],
  losses: np.ndarray,
  rng: np.random.Generator,
) -> dict[str, Any]:
  """Returns what a model tells of the secrets, plain values.

  Args:
    secrets: The secrets.
    sentences: The same in words.
    losses: float64[m + n], log-perplexities of secrets, then of alternatives.
    rng: Of the permutation tests.
  """
  of_secrets, of_others = np.split(losses, [len(sentences)])
  is_typed = secrets.copies > 0
  columns = zip(
    sentences,
    map(len, secrets.clients),
    secrets.copies.tolist(),
    exposure.ranks(of_secrets, of_others).tolist(),
    exposure.measured(of_secrets, of_others).tolist(),
    strict=True,
  )
  names = ('sentence', 'clients', 'copies', 'rank', 'exposure')
  return {
    'secrets': [dict(zip(names, each, strict=True)) for each in columns],
    'p_value_inserted': exposure.shared_p_value(
      of_secrets[is_typed], of_others, rng
    ),
    'p_value_control': exposure.shared_p_value(
      of_secrets[~is_typed], of_others, rng
    ),
  }
