"""What is measured of trained language models: by person, by time, by prompt.

Adds to a comparison of systems the n-gram models and how everyone fares on
later text of the people who trained; writes simulation_only/people.csv and
suggestions.json.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
import dataclasses
import math
import time
from typing import Any

import numpy as np
import tensorflow_federated as tff

from tff_pipelines.cli import comparison
from tff_pipelines.core import tokens
from tff_pipelines.data import next_tokens, population
from tff_pipelines.learning import evaluation
from tff_pipelines.models import ngrams as ngrams_lib
from tff_pipelines.models import suggestions
from tff_pipelines.programs import files, people, results, run_directory

COLUMNS = (
  results.Column('top1_recall', 'top1_recall', 'top-1', 'percent', 'higher'),
  results.Column('top3_recall', 'top3_recall', 'top-3', 'percent', 'higher'),
  results.Column('perplexity', 'perplexity', 'perplexity', 'ratio', 'lower'),
  results.Column(
    'later_top1_recall', 'later_top1_recall', 'top-1, later text', 'percent',
    'higher',
  ),
  results.Column(
    'tokens_per_second', 'tokens_per_second', 'tokens/s', 'count', 'higher'
  ),
  *results.EFFORT,
)  # fmt: skip
# Rows that are tested together: bounds the memory of their logits.
ROWS_AT_A_TIME = 32
_OF_PEOPLE = ('top1_recall', 'top3_recall', 'loss')
_LATER = 'later_top1_recall'
# What anybody could have begun to type.
_PROMPTS = {
  'word': (
    '', 'how do i', 'see you', 'thank you', 'i am', 'do you', "i don't",
  ),
  'character': ('th', 'what', 'my lo', 'the kin'),
}  # fmt: skip


def complete(
  outcome: comparison.Outcome,
  dataset: next_tokens.LanguageDataset,
  model: tff.learning.models.FunctionalModel,
  ngrams: Callable[[], Mapping[str, ngrams_lib.NgramModel]],
  *,
  directory: run_directory.RunDirectory,
) -> comparison.Outcome:
  """Returns the outcome with n-gram models first and everyone's later text.

  Args:
    outcome: Of the systems that were trained.
    dataset: Who typed what.
    model: What was trained.
    ngrams: Fits the n-gram models, by name.
    directory: The run's.
  """
  started = time.monotonic()
  fitted = ngrams()
  seconds = (time.monotonic() - started) / max(1, len(fitted))
  of_people: dict[str, people.ByPerson] = {}
  rows = []
  for name, fit in fitted.items():
    metrics = fit.evaluate(*dataset.test.pooled().examples(0))
    metrics[_LATER] = _top1_of(fit, dataset.later)
    metrics['seconds'] = seconds
    rows.append(results.row(name, metrics, outcome.columns))
    of_people[name] = _ngram_people(fit, dataset.test)
  evaluate = evaluation.build(model)
  evaluate_each = evaluation.build_for_each_client(model)
  for row in outcome.rows:
    weights = outcome.weights_by_system.get(row['system'])
    if weights is None:
      rows.append(row)
      continue
    of_model = tff.learning.models.ModelWeights(tuple(weights), ())
    found = evaluate(
      of_model,
      dataset.later.batches(
        range(dataset.later.num_clients),
        people.testing(ROWS_AT_A_TIME),
        seed=0,
        round_num=0,
      ),
    )
    rows.append({**row, _LATER: _known(float(found['top1_recall']))})
    of_people[row['system']] = people.evaluate(
      evaluate_each, of_model, dataset.test, ROWS_AT_A_TIME
    )
  people.write(directory, dataset.test, of_people, _OF_PEOPLE)
  _write_suggestions(directory, dataset, model, outcome, fitted)
  return dataclasses.replace(
    outcome, rows=rows, notes=[*outcome.notes, *_notes(dataset)]
  )


def _top1_of(
  fit: ngrams_lib.NgramModel, later: population.ClientPopulation
) -> float:
  return float(fit.evaluate(*later.pooled().examples(0))['top1_recall'])


def _ngram_people(
  fit: ngrams_lib.NgramModel, test: population.ClientPopulation
) -> list[dict[str, float]]:
  x, y = test.pooled().examples(0)
  groups = np.repeat(np.arange(test.num_clients), test.sizes)
  found = fit.evaluate(x, y, groups)
  return [
    {name: float(found[name][c]) for name in _OF_PEOPLE}
    for c in range(test.num_clients)
  ]


def _known(value: float) -> float | None:
  return None if math.isnan(value) else value


def _notes(dataset: next_tokens.LanguageDataset) -> list[str]:
  return [
    'top-1, top-3: how often the next word is the first suggestion, or one of '
    f'three, for {dataset.test.num_clients} people on whose text nobody '
    'trained; unknown words and ends of sentences do not count',
    'top-1, later text: what the people who trained typed afterwards',
  ]


def _write_suggestions(
  directory: run_directory.RunDirectory,
  dataset: next_tokens.LanguageDataset,
  model: tff.learning.models.FunctionalModel,
  outcome: comparison.Outcome,
  fitted: Mapping[str, ngrams_lib.NgramModel],
) -> None:
  """Writes what each system suggests after beginnings of held-out text."""
  prompts, prefixes = _prompts(dataset)
  by_system: dict[str, list[Any]] = {}
  if fitted:
    name = list(fitted)[-1]
    by_system[name] = _suggestions(
      dataset, _of_ngrams(fitted[name], prefixes)
    )
  for system, weights in outcome.weights_by_system.items():
    logits = model.predict_on_batch(
      (tuple(weights), ()), prefixes, training=False
    )
    by_system[system] = _suggestions(
      dataset, suggestions.after_last(logits, prefixes).numpy()
    )
  content = {
    'prompts': [
      {
        'text': text,
        'suggestions': {s: found[i] for s, found in by_system.items()},
      }
      for i, text in enumerate(prompts)
    ]
  }
  files.write_json(directory.path / 'suggestions.json', content)


def _prompts(
  dataset: next_tokens.LanguageDataset,
) -> tuple[list[str], np.ndarray]:
  """Returns beginnings of sentences, as text and as int32[n, length]."""
  texts = _PROMPTS[dataset.vocabulary.level]
  prefixes = np.zeros([len(texts), dataset.length], np.int32)
  for row, text in zip(prefixes, texts, strict=True):
    if dataset.vocabulary.level == 'word':
      ids = [
        tokens.START,
        *dataset.vocabulary.encode(dataset.sentences.tokens(text)),
      ]
    else:
      ids = list(dataset.vocabulary.encode(list(text)))
    row[: len(ids)] = ids
  return list(texts), prefixes


def _of_ngrams(
  fit: ngrams_lib.NgramModel, prefixes: np.ndarray
) -> np.ndarray:
  """Returns log probabilities float64[n, vocabulary_size] after prefixes."""
  sizes = np.sum(prefixes != tokens.PADDING, axis=1)
  order = fit.order - 1
  padded = np.pad(
    prefixes, [(0, 0), (order, 0)], constant_values=tokens.START
  )
  places = sizes[:, np.newaxis] + np.arange(order)
  contexts = np.take_along_axis(padded, places, axis=1)
  with np.errstate(divide='ignore'):
    return np.log(fit.distribution(contexts))


def _suggestions(
  dataset: next_tokens.LanguageDataset, log_probabilities: np.ndarray
) -> Iterable[list[Any]]:
  ids, probabilities = suggestions.likeliest(
    log_probabilities.astype(np.float32)
  )
  return [
    [
      [word, round(float(p), 6)]
      for word, p in zip(dataset.vocabulary.decode(row), of_row, strict=True)
    ]
    for row, of_row in zip(ids.numpy(), probabilities.numpy(), strict=True)
  ]
