"""What is measured of trained language models: by person, by time, by prompt.

Adds to a comparison of systems the n-gram models and how everyone fares on
later text of the people who trained; writes simulation_only/people.csv and
suggestions.json.
"""

from collections.abc import Callable, Mapping
import dataclasses
import math
import time
from typing import Any

import numpy as np
import tensorflow_federated as tff

from tff_pipelines.cli import comparison
from tff_pipelines.core import tokens, wording
from tff_pipelines.data import next_tokens, population, sentences
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
# Beginnings of sentences: tokens in one, and how many such there are.
_BEGINNINGS = {1: 2, 2: 3, 3: 2}
# Nobody begins to type characters at the start of a sentence.
_CHARACTER_PROMPTS = ('th', 'what', 'my lo', 'the kin')


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
    metrics, of_people[name] = _of_test(fit, dataset.test)
    metrics[_LATER] = _top1_of(fit, dataset.later)
    metrics['seconds'] = seconds
    rows.append(results.row(name, metrics, outcome.columns))
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


def _of_test(
  fit: ngrams_lib.NgramModel, test: population.ClientPopulation
) -> tuple[dict[str, Any], list[dict[str, float]]]:
  """Returns the metrics of everyone, and of each person alone."""
  x, y = test.pooled().examples(0)
  scored = fit.score(x, y)
  groups = np.repeat(np.arange(test.num_clients), test.sizes)
  of_each = ngrams_lib.measure(y, *scored, groups)
  return ngrams_lib.measure(y, *scored), [
    {name: float(of_each[name][c]) for name in _OF_PEOPLE}
    for c in range(test.num_clients)
  ]


def _known(value: float) -> float | None:
  return None if math.isnan(value) else value


def _notes(dataset: next_tokens.LanguageDataset) -> list[str]:
  return [
    'top-1, top-3: how often the next word is the first suggestion, or one of '
    f'three, for {wording.people(dataset.test.num_clients)} on whose text '
    'nobody trained; unknown words and ends of sentences do not count',
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
    by_system[name] = _suggestions(dataset, _of_ngrams(fitted[name], prefixes))
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
  """Returns what people begin with, as text and as prefixes int32[n, length].

  Of words: nothing, and the beginnings that most held-out sentences have.
  """
  vocabulary = dataset.vocabulary
  if vocabulary.level == 'character':
    found = [vocabulary.encode(list(text)) for text in _CHARACTER_PROMPTS]
    texts = list(_CHARACTER_PROMPTS)
  else:
    found = [np.array([tokens.START], np.int32)]
    for size, count in _BEGINNINGS.items():
      found += _frequent_beginnings(dataset, size, count)
    texts = [sentences.join(vocabulary.decode(ids[1:])) for ids in found]
  prefixes = np.zeros([len(found), dataset.length], np.int32)
  for row, ids in zip(prefixes, found, strict=True):
    row[: len(ids)] = ids[-dataset.length :]
  return texts, prefixes


def _frequent_beginnings(
  dataset: next_tokens.LanguageDataset, size: int, count: int
) -> list[np.ndarray]:
  """Returns the `count` most frequent beginnings of `size` words, int32[1 +
  size] each, START first; none if they fill a row."""
  if size >= dataset.length:
    return []
  x, _ = dataset.test.pooled().examples(0)
  windows = np.lib.stride_tricks.sliding_window_view(x, size + 1, axis=1)
  windows = windows.reshape(-1, size + 1)
  begins = windows[:, 0] == tokens.START
  of_words = np.all(windows[:, 1:] >= tokens.FIRST_WORD, axis=1)
  distinct, counts = np.unique(
    windows[begins & of_words], axis=0, return_counts=True
  )
  return list(distinct[np.argsort(-counts, kind='stable')[:count]])


def _of_ngrams(fit: ngrams_lib.NgramModel, prefixes: np.ndarray) -> np.ndarray:
  """Returns log probabilities float64[n, vocabulary_size] after prefixes."""
  sizes = np.sum(prefixes != tokens.PADDING, axis=1)
  order = fit.order - 1
  padded = np.pad(prefixes, [(0, 0), (order, 0)], constant_values=tokens.START)
  places = sizes[:, np.newaxis] + np.arange(order)
  contexts = np.take_along_axis(padded, places, axis=1)
  with np.errstate(divide='ignore'):
    return np.log(fit.distribution(contexts))


def _suggestions(
  dataset: next_tokens.LanguageDataset, log_probabilities: np.ndarray
) -> list[Any]:
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
