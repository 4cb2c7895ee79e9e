"""How much of single people a server can read out of what it sees.

Computes round 1 once more, client by client, writes down what each system's
server has of it, and measures what that tells of the people in it.
"""

from collections.abc import Mapping, Sequence
import math
from typing import Any

import numpy as np

from tff_pipelines.cli import comparison, leak_readings
from tff_pipelines.data import text_classification
from tff_pipelines.execution import contexts
from tff_pipelines.learning import optimizers
from tff_pipelines.models import text_classifiers
from tff_pipelines.privacy import leakage
from tff_pipelines.programs import run_directory, server_view, training

# Systems whose server sees something. `local` has no server.
SYSTEMS = ('central', 'federated', 'secure_federated')
# Words in leak.json that the sum names for a person who does not use them.
_OTHERS = 20


def readable(
  trained: Sequence[comparison.TrainedSystem],
  systems: Sequence[str],
  *,
  plain_training: bool = True,
) -> tuple[training.TrainingProgram, list[str]]:
  """Returns what `measure` can compare: systems that share their cohorts.

  Left out are systems whose server gets something else than plain updates: with
  the noise of clients in them, say.

  Args:
    trained: The systems that may have been trained in rounds.
    systems: Those that were, and others.
    plain_training: Whether clients train as in federated averaging, which is
      what `measure` reads; otherwise all that were trained in rounds are left
      out.

  Returns:
    The training program of the first one, and the systems.
  """
  seen = [
    one
    for one in trained
    if plain_training
    and one.name in systems
    and one.name in SYSTEMS
    and one.plain_updates
  ]
  program = (seen or trained)[0].program
  alike = {
    one.name
    for one in seen
    if one.program.participation == program.participation
  }
  others = {one.name for one in trained} - alike
  return program, [system for system in systems if system not in others]


def measure(
  directory: run_directory.RunDirectory,
  dataset: text_classification.TextDataset,
  classifier: text_classifiers.TextClassifier,
  *,
  client_optimizer: optimizers.OptimizerConfig,
  program: training.TrainingProgram,
  systems: Sequence[str],
) -> list[str]:
  """Writes what each system's server sees, and measures what it tells.

  A pure function of its arguments; writes server_view/, and leak.json and
  words.csv in simulation_only/.

  Args:
    directory: The run.
    dataset: Who has which texts.
    classifier: What is trained; its first weight is the table of words.
    client_optimizer: What clients train with.
    program: The training program.
    systems: The systems that were trained; those not in `SYSTEMS` are left out,
      and secure_federated where its sums were in the clear: its server saw
      more than a sum.

  Returns:
    Sentences for below the final table. None, and no files, if no system has a
    server or nobody takes part in round 1.
  """
  cohort = program.participation.select(program.seed, 1)
  systems = [system for system in SYSTEMS if system in systems]
  if contexts.current_secure_sums() is None:
    systems = [system for system in systems if system != 'secure_federated']
  if not systems or not len(cohort):
    return []
  people = [dataset.train.client_ids[c] for c in cohort]
  rows, updates, total = None, None, None
  readings: list[leak_readings.Reading | None] = []
  if 'central' in systems:
    rows = leak_readings.collect_rows(dataset)
    readings.append(leak_readings.read_rows(rows, people, dataset))
  if systems != ['central']:
    found = leak_readings.compute_updates(
      dataset, classifier, client_optimizer, program, cohort
    )
    if 'federated' in systems:
      updates = found
      readings.append(leak_readings.read_updates(updates, classifier))
    if 'secure_federated' in systems:
      total = found.summed()
      readings += [
        leak_readings.read_sum(total, classifier),
        leak_readings.read_sums_of_all_rounds(dataset, program, cohort),
      ]
  server_view.write(
    directory, round_num=1, rows=rows, updates=updates, total=total
  )
  truth = leak_readings.Truth(
    [dataset.train.examples(c) for c in cohort], dataset.features.num_ids
  )
  texts = [str(t) for t in dataset.train_texts.pooled().examples(0)]
  words = dataset.features.names(texts)
  leak = _leak([r for r in readings if r], truth, people, words)
  server_view.write_measurement(
    directory,
    leak,
    [
      (
        people[p],
        ' or '.join(words[w]),
        int(truth.texts[p, w]),
        int(truth.spam[p, w]),
      )
      for p, w in np.argwhere(truth.used).tolist()
    ],
  )
  return [_note(row) for row in leak['systems'] if row['system'] != 'central']


def _leak(
  readings: Sequence[leak_readings.Reading],
  truth: leak_readings.Truth,
  people: Sequence[str],
  words: Mapping[int, tuple[str, ...]],
) -> dict[str, Any]:
  """Returns the content of leak.json."""
  # A typical person: as many words as the median one.
  sizes = truth.used.sum(axis=1)
  person = int(np.argsort(sizes, kind='stable')[(len(sizes) - 1) // 2])
  return {
    'round_num': 1,
    'num_people': len(people),
    'num_words': int(truth.used.any(axis=0).sum()),
    'true_pairs': int(truth.used.sum()),
    'systems': [_scores(reading, truth) for reading in readings],
    'person': {
      'name': people[person],
      'num_words': int(sizes[person]),
      'systems': [_person_scores(r, truth, person) for r in readings],
      **_person_words(readings, truth, person, words),
    },
  }


def _scores(
  reading: leak_readings.Reading, truth: leak_readings.Truth
) -> dict[str, Any]:
  score = leakage.score(reading.named, truth.used)
  row = {
    'system': reading.system,
    'saw': reading.saw,
    'rounds': reading.rounds,
    'candidates': score.candidates,
    'named': score.named,
    'right': score.right,
    'recall': score.recall,
    'precision': score.precision,
    'prior': score.prior,
    'precision_if_shuffled': score.precision_if_shuffled,
    'advantage': score.advantage,
  }
  if reading.signals is not None:
    of_people = [
      leakage.score_rates(signals, rates)
      for signals, rates in zip(reading.signals, truth.rates, strict=True)
    ]
    row |= {
      'claim_precision': leakage.claim_precision(
        reading.named, reading.signals, truth.rates
      ),
      'median_right_side': _median([s.right_side for s in of_people]),
      'median_rank_correlation': _median(
        [s.rank_correlation for s in of_people]
      ),
      'median_mean_error': _median([s.mean_error for s in of_people]),
    }
  return _plain(row)


def _person_scores(
  reading: leak_readings.Reading, truth: leak_readings.Truth, person: int
) -> dict[str, Any]:
  named, used = reading.named[person], truth.used[person]
  row = {
    'system': reading.system,
    'rounds': reading.rounds,
    'right': int((named & used).sum()),
    'wrong': int((named & ~used).sum()),
  }
  if reading.signals is not None:
    score = leakage.score_rates(reading.signals[person], truth.rates[person])
    row |= {
      'right_side': score.right_side,
      'rank_correlation': score.rank_correlation,
      'mean_error': score.mean_error,
    }
  return _plain(row)


def _person_words(
  readings: Sequence[leak_readings.Reading],
  truth: leak_readings.Truth,
  person: int,
  words: Mapping[int, tuple[str, ...]],
) -> dict[str, Any]:
  """The table of one person's words, and some that only others use."""
  estimates = {
    r.system: leakage.estimated_rates(r.signals[person])
    for r in readings
    if r.signals is not None and r.system != 'central'
  }

  def row(word: int) -> dict[str, Any]:
    texts = int(truth.texts[person, word])
    known = {
      'word': words[word][0],
      'also': list(words[word][1:]),
      'texts': texts,
      'spam_rate': float(truth.spam[person, word] / texts) if texts else None,
    }
    return _plain(known | {s: float(e[word]) for s, e in estimates.items()})

  own = np.flatnonzero(truth.used[person])
  own = own[np.argsort(-truth.texts[person, own], kind='stable')]
  # Of the words of others those of most texts, as of the person's own.
  others = np.where(truth.used[person], 0, truth.texts.sum(axis=0))
  most = np.argsort(-others, kind='stable')[:_OTHERS]
  return {
    'words': [row(w) for w in own.tolist()],
    'words_of_others': [row(w) for w in most.tolist() if others[w]],
  }


def _note(row: Mapping[str, Any]) -> str:
  """One line of the terminal about one system."""
  percent = {
    key: 'none' if row[key] is None else f'{100 * row[key]:.1f} %'
    for key in ('recall', 'precision', 'prior')
  }
  return (
    f'{row["system"]}: from {row["saw"]} the server lists who uses which word: '
    f'{percent["recall"]} of the pairs are found, {percent["precision"]} of '
    f'the list is right (guessing: {percent["prior"]})'
  )


def _median(values: Sequence[float]) -> float:
  known = [v for v in values if not math.isnan(v)]
  return float(np.median(known)) if known else math.nan


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
  """NaN as None: JSON has no NaN."""
  return {
    key: None if isinstance(v, float) and math.isnan(v) else v
    for key, v in row.items()
  }
