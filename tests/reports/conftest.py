"""Small run directories, written the way a run writes them."""

from collections.abc import Callable, Sequence
import csv
import json
import math
import pathlib
from typing import Any

import pytest

from tests.reports import map_world
from tff_pipelines.reports import page

COLUMNS = [
  {
    'key': 'accuracy',
    'title': 'accuracy',
    'format': 'percent',
    'better': 'higher',
  },
  {
    'key': 'ham_blocked',
    'title': 'ham blocked',
    'format': 'percent',
    'better': 'lower',
  },
  {'key': 'auc', 'title': 'AUC', 'format': 'ratio', 'better': 'higher'},
  {'key': 'rounds', 'title': 'rounds', 'format': 'count'},
]
FEDERATED = {
  'system': 'federated',
  'accuracy': 0.987,
  'ham_blocked': 0.004,
  'auc': 0.991,
  'rounds': 4,
}
CENTRAL = {
  'system': 'central',
  'accuracy': 0.989,
  'ham_blocked': 0.003,
  'auc': float('nan'),
  'rounds': 2,
}
LOCAL = {
  'system': 'local',
  'accuracy': 0.926,
  'accuracy_min': 0.5,
  'accuracy_max': 0.97,
  'ham_blocked': None,
}

Table = tuple[Sequence[str], Sequence[Sequence[Any]]]


class RunWriter:
  """Writes run directories, one after the other."""

  columns = COLUMNS
  federated = FEDERATED
  central = CENTRAL
  local = LOCAL

  def __init__(self, directory: pathlib.Path):
    self._directory = directory
    self._number = 0

  def __call__(
    self,
    *,
    rows: Sequence[dict[str, Any]] = (FEDERATED, CENTRAL, LOCAL),
    manifest: dict[str, Any] | None = None,
    metrics: dict[str, Table] | None = None,
    clients: Table | None = None,
    label_mixes: Table | None = None,
    local_models: Table | None = None,
    leak: Any = None,
    privacy: dict[str, Any] | None = None,
    audit: Any = None,
    personalization: Table | None = None,
    suggestions: Any = None,
    people: Table | None = None,
    memorization: Any = None,
    maps: str | None = None,
    **results: Any,
  ) -> pathlib.Path:
    """Writes one; what is not given is missing.

    `maps` is what all names and titles in maps/ begin with.
    """
    self._number += 1
    run_dir = self._directory / f'run{self._number}'
    content = {
      'title': 'Spam classification: sms_spam',
      'primary': 'accuracy',
      'columns': COLUMNS,
      'rows': list(rows),
      'notes': ['local: median over 100 people'],
    }
    run_dir.mkdir()
    (run_dir / 'manifest.json').write_text(
      json.dumps(manifest or {'task': 'spam'})
    )
    (run_dir / 'results.json').write_text(json.dumps(content | results))
    for system, table in (metrics or {}).items():
      folder = '.' if system == 'federated' else system
      _write(run_dir / folder / 'metrics.csv', table)
    if clients is not None:
      _write(run_dir / 'simulation_only/clients.csv', clients)
    if label_mixes is not None:
      _write(run_dir / 'simulation_only/label_mixes.csv', label_mixes)
    if local_models is not None:
      _write(run_dir / 'simulation_only/local_models.csv', local_models)
    if personalization is not None:
      _write(run_dir / 'simulation_only/personalization.csv', personalization)
    if people is not None:
      _write(run_dir / 'simulation_only/people.csv', people)
    if suggestions is not None:
      _write_json(run_dir / 'suggestions.json', suggestions)
    if memorization is not None:
      _write_json(run_dir / 'simulation_only/memorization.json', memorization)
    if maps is not None:
      map_world.Writer(run_dir, text=maps).everything()
    if leak is not None:
      path = run_dir / 'simulation_only/leak.json'
      path.parent.mkdir(exist_ok=True)
      path.write_text(json.dumps(leak))
    for system, record in (privacy or {}).items():
      path = run_dir / ('.' if system == 'federated' else system)
      path.mkdir(exist_ok=True)
      (path / 'privacy.json').write_text(json.dumps(record))
    if audit is not None:
      (run_dir / 'privacy_audit.json').write_text(json.dumps(audit))
    return run_dir

  def leak_of(self, name: str = 'Ann', word: str = 'tea') -> dict[str, Any]:
    """What leak.json holds."""
    return _leak_of(name, word)

  def privacy_of(self, **changes: Any) -> dict[str, Any]:
    """What privacy.json holds."""
    return _privacy_of(**changes)

  def audit_of(self, name: str = 'loss') -> dict[str, Any]:
    """What privacy_audit.json holds."""
    return _audit_of(name)

  def suggestions_of(self, text: str = 'how do i') -> dict[str, Any]:
    """What suggestions.json holds."""
    return _suggestions_of(text)

  def memorization_of(self, system: str = 'federated') -> dict[str, Any]:
    """What memorization.json holds."""
    return _memorization_of(system)

  def details_of(self, name: str = 'A') -> dict[str, Any]:
    """What results.json holds for the figures of secure sums."""
    return _details_of(name)

  def complete(self, *, num_clients: int = 3, **changes: Any) -> pathlib.Path:
    """Writes a run with every file, but maps/ only if asked for."""
    return self(
      **{
        'manifest': {
          'task': 'spam',
          'command': 'python -m tasks.spam --rounds=4',
          'configuration': {'rounds': 4, 'dp': None},
          'seed': 0,
          'versions': {'python': '3.11.7'},
          'machine': {'cores': 2},
          'data': {'split': {'by': 'text'}},
        },
        'metrics': {
          'federated': private_metrics_table(4),
          'central': metrics_table(2),
        },
        'privacy': {'federated': self.privacy_of()},
        'audit': self.audit_of(),
        'clients': clients_table(num_clients),
        'label_mixes': label_mixes_table(),
        'local_models': local_models_table(num_clients),
        'personalization': personalization_table(num_clients),
        'suggestions': self.suggestions_of(),
        'people': people_table(num_clients),
        'memorization': self.memorization_of(),
        'leak': self.leak_of(),
        'details': self.details_of(),
      }
      | changes
    )


def metrics_table(last_round: int) -> Table:
  head = (
    'round_num',
    'train/loss',
    'test/accuracy',
    'test/loss',
    'cohort/clients',
  )
  # In round 1 nothing was evaluated.
  return head, [
    (r, 1 / (r + 1), '', '', 20)
    if r == 1
    else (r, 1 / (r + 1), 0.98 - 0.4 / (r + 1), 2 / (r + 1), 20)
    for r in range(last_round + 1)
  ]


def private_metrics_table(last_round: int) -> Table:
  """Of updates that travel compressed, too."""
  head, rows = metrics_table(last_round)
  return (
    *head,
    'privacy/epsilon',
    'uplink_bytes_per_client',
    'uplink_bytes',
    'aggregator/uplink_compression',
  ), [
    (*row, row[0] / 2, 2e5 if row[0] else '', 4e6 * row[0], 16.0)
    for row in rows
  ]


def clients_table(num_clients: int) -> Table:
  head = (
    'client_id',
    'train_examples',
    'test_examples',
    'train:ham',
    'train:spam',
  )
  return head, [
    (f'{i:04d}', 2 * i + 3, 1, i + 3, i) for i in range(num_clients)
  ]


def label_mixes_table(labels: Sequence[str] = ('ham', 'spam')) -> Table:
  """A day of as many rounds as labels, each of one label, then all alike."""
  head = ('round_num', *(f'{who}:{label}' for who in ('awake', 'cohort')
                         for label in labels))  # fmt: skip
  return head, [
    (
      index + 1,
      *(float(other == label) for other in labels),
      *(1 / len(labels) for _ in labels),
    )
    for index, label in enumerate(labels)
  ]


def local_models_table(num_clients: int) -> Table:
  head = ('client_id', 'train_examples', 'accuracy', 'auc')
  return head, [
    (f'{i:04d}', 2 * i + 3, 0.5 + 0.4 * i / num_clients, '')
    for i in range(num_clients)
  ]


def personalization_table(num_clients: int, group: str = 'honest') -> Table:
  head = ('client_id', 'group', 'before_accuracy', 'after_accuracy')
  return head, [
    (f'{i:04d}', group if i else 'outlier', 0.5 + 0.3 * i / num_clients, 0.9)
    for i in range(num_clients)
  ]


def people_table(
  num_clients: int, systems: Sequence[str] = ('central', 'federated')
) -> Table:
  head = ('client_id', 'test_examples', 'system', 'accuracy', 'loss')
  return head, [
    (f'{i:04d}', i + 1, system, 0.5 + 0.3 * i / num_clients + 0.1 * better, 2.0)
    for better, system in enumerate(systems)
    for i in range(num_clients)
  ]


def _suggestions_of(text: str) -> dict[str, Any]:
  return {
    'prompts': [
      {
        'text': text,
        'suggestions': {
          'federated': [['get', 0.25], [text, 0.125], ['put', 0.0625]],
          'trigram': [['get', 0.5], ['make', 0.25]],
        },
      },
      {'text': '', 'suggestions': {text: [[text, 1.0]]}},
    ]
  }


def _memorization_of(system: str) -> dict[str, Any]:
  """Of 1024 candidates: without noise one of two is first; with it none is."""
  kinds = ((1, 1), (5, 4), (0, 0))
  return {
    'candidates': 1024,
    'systems': [
      {
        'system': name,
        'secrets': [
          {
            'sentence': f'my code is {name} {rank}', 'clients': clients,
            'copies': copies, 'rank': rank, 'exposure': 10 - math.log2(rank),
          }
          for (clients, copies), rank in zip(kinds, ranks, strict=True)
        ],
        'p_value_inserted': p_value, 'p_value_control': 0.5, 'epsilon': epsilon,
      }
      for name, ranks, p_value, epsilon in (
        (system, (16, 1, 512), 1e-5, None),
        (f'private {system}', (256, 1024, 512), 0.25,
         {'epsilon': 4.0, 'delta': 1e-5}),
      )
    ],
  }  # fmt: skip


def _details_of(name: str) -> dict[str, Any]:
  """The masking example of a circle of three, and the costs of two phases."""
  names = (name, f'{name} 2', f'{name} 3')
  numbers = [(5, 2, 3, 4), (4, 7, 2, 9), (8, 3, 7, 4)]
  keys = ('hidden', 'added', 'subtracted', 'sent')
  return {
    'masking_example': {
      'people': [
        {'name': each, **dict(zip(keys, values, strict=True))}
        for each, values in zip(names, numbers, strict=True)
      ],
      'masks': [
        {'adder': names[i], 'subtracter': names[(i + 1) % 3], 'number': number}
        for i, number in enumerate((2, 7, 3))
      ],
      'total': 17,
      'wanted': 'total',
    },
    'phase_costs': [
      {
        'role': role, 'phase': phase, 'seconds': seconds,
        'sent_bytes': 1000, 'received_bytes': 20,
      }
      for role, phase, seconds in (
        ('client', name, 0.0025), ('client', 'mask', 0.01),
        ('server', name, 0.2), ('server', 'mask', 3.0),
      )
    ],
  }  # fmt: skip


def _privacy_of(
  mechanism: dict[str, Any] | None = None,
  contributors: Sequence[int] = (20, 18, 20, 22),
  limits: tuple[int | None, int | None] = (2, 3),
  planned: dict[str, Any] | None = None,
  settings: dict[str, Any] | None = None,
  **guarantee: Any,
) -> dict[str, Any]:
  """A privacy.json of 4 rounds, epsilon 2 at delta 1e-5 after them."""
  spent = {
    'epsilon': 2.0, 'delta': 1e-5, 'relation': 'add_or_remove',
    'trust': 'server', 'method': 'pld', 'num_rounds': 4,
    'assumptions': ['Cohorts stay secret.'], 'rho': None, 'unit': 'client',
  } | guarantee  # fmt: skip
  return {
    'format': 1,
    'unit': 'client',
    'settings': [
      {
        'query': 'update',
        'mechanism': mechanism or {'kind': 'Gaussian', 'noise_multiplier': 1.2},
        'participation': {
          'population_size': 400, 'clients_per_round': 20, 'scheme': 'poisson',
        },
        'secret_cohort': True,
      }
      | (settings or {})
    ],
    'rounds': [
      [round_num, 0, count, *limits]
      for round_num, count in enumerate(contributors, start=1)
    ],
    'guarantee': spent,
    'planned': spent | {'epsilon': 2.5, 'num_rounds': 6} | (planned or {}),
  }  # fmt: skip


def _audit_of(name: str) -> dict[str, Any]:
  rates = [i / 10 for i in range(11)]
  return {
    'one_shot': {
      'canaries': 4, 'dimension': 100, 'delta': 1e-5, 'estimate': 1.5,
      'lower_bound': 0.5, 'confidence': 0.95, 'accountant': 2.0,
      'cosines': {'observed': [0.1, 0.2, 0.3, 0.4], 'null_stddev': 0.1},
      'by_round': [[1, 0.5], [2, None], [3, 1.25]],
    },
    'membership': [
      {
        'name': name, 'knowledge': 'the final model',
        'roc': {'fpr': rates, 'tpr': [r**0.5 for r in rates]}, 'auc': 0.666,
        'tpr_at': [
          {'fpr': 0.001, 'tpr': 0.004, 'low': 0.0, 'high': 0.02},
          {'fpr': 0.01, 'tpr': 0.05, 'low': 0.03, 'high': 0.07},
        ],
      }
    ],
    'outlier': {
      'seeds': 2,
      'systems': [
        {'name': n, 'metric': 'loss', 'with': w, 'without': [3.0, 4.0],
         'told_apart': share}
        for n, w, share in (
          (f'without {name}', [1.0, 2.0], 1.0), ('noise', [2.0, 3.5], 0.75)
        )
      ],
    },
  }  # fmt: skip


def _leak_of(name: str, word: str) -> dict[str, Any]:
  """A leak.json in which the sum of 4 rounds tells more than that of one."""
  scores = {'named': 4, 'recall': 1.0, 'prior': 0.25}
  views = [
    ('central', 'all texts', 0, 1.0, 0),
    ('federated', 'each update', 1, 1.0, 0),
    ('secure_federated', 'one sum', 1, 0.25, 6),
    ('secure_federated', 'all 4 sums', 4, 0.5, 2),
  ]
  return {
    'num_people': 3,
    'systems': [
      {'system': s, 'saw': saw, 'rounds': r, 'precision': p, **scores}
      for s, saw, r, p, _ in views
    ],
    'person': {
      'name': name,
      'num_words': 2,
      'systems': [
        {'system': s, 'rounds': r, 'right': 2, 'wrong': wrong}
        for s, _, r, _, wrong in views
      ],
      'words': [
        {
          'word': word, 'also': [], 'texts': 4, 'spam_rate': 0.25,
          'federated': 0.2, 'secure_federated': 1.0,
        },
        {
          'word': 'prize', 'also': [word], 'texts': 1, 'spam_rate': 1.0,
          'federated': None, 'secure_federated': 1.0,
        },
      ],
      'words_of_others': [
        {
          'word': 'rain', 'also': [], 'texts': 0, 'spam_rate': None,
          'federated': None, 'secure_federated': 0.0,
        },
      ],
    },
  }  # fmt: skip


def _write_json(path: pathlib.Path, content: Any) -> None:
  path.parent.mkdir(exist_ok=True)
  path.write_text(json.dumps(content))


def _write(path: pathlib.Path, table: Table) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  head, rows = table
  with path.open('w', newline='') as file:
    writer = csv.writer(file)
    writer.writerow(head)
    writer.writerows(rows)


@pytest.fixture
def write_run(tmp_path: pathlib.Path) -> RunWriter:
  return RunWriter(tmp_path)


@pytest.fixture(scope='session')
def make_run_writer(
  tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[], RunWriter]:
  """For fixtures that live longer than a test."""
  return lambda: RunWriter(tmp_path_factory.mktemp('runs'))


@pytest.fixture(scope='session')
def text_of_everything(make_run_writer) -> str:
  """The page of a run that has everything: drawn once, since it takes long."""
  return page.write(make_run_writer().complete(), dpi=20).read_text()
