"""Training a model further at home: what the flags make of it."""

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest
import tensorflow as tf

from tff_pipelines.cli import flag_groups, personalization_flags
from tff_pipelines.core import tokens
from tff_pipelines.data import batching, population
from tff_pipelines.execution import contexts
from tff_pipelines.learning import optimizers
from tff_pipelines.models import language_models
from tff_pipelines.programs import fairness, run_directory

A, B, C = range(tokens.FIRST_WORD, tokens.FIRST_WORD + 3)
SIZE = C + 1


class Table:
  """A model that knows the last token only: its weights are the logits."""

  name, vocabulary_size, length = 'table', SIZE, 2
  num_parameters = SIZE * SIZE

  def initial_weights(self, seed: int = 0):
    del seed
    return (np.zeros([SIZE, SIZE], np.float32),)

  def logits(self, weights, tokens, unrolled=False):
    del unrolled
    return tf.gather(weights[0], tokens)


def weights() -> tuple[np.ndarray]:
  """After the start comes a, after a comes b."""
  (table,) = Table().initial_weights()
  table[tokens.START, A] = table[A, B] = 1.0
  return (table,)


def people(**second: list[int]) -> population.ArrayPopulation:
  """Sentences that begin with a, by their second word; C + 1 is unknown."""
  words = [w for own in second.values() for w in own]
  y = np.array([[A, w] for w in words], np.int32)
  x = np.array([[tokens.START, A]] * len(words), np.int32)
  ends = np.cumsum([len(own) for own in second.values()])
  rows = np.split(np.arange(len(words)), ends[:-1])
  return population.ArrayPopulation(
    (x, y), dict(zip(second, rows, strict=True))
  )


# Ann learns, Bob knew, Eve changes her mind.
EARLIER = people(ann=[C] * 5, bob=[B], eve=[C, C])
LATER = people(ann=[C, C], bob=[B], eve=[B])


def parsed(*arguments: str) -> personalization_flags.PersonalizationFlags:
  group = personalization_flags.PersonalizationFlags(steps=10, batch_size=8)
  flags.FLAGS(['program', *arguments])
  group.check()
  return group


def run(path, *arguments: str, later=LATER, model_weights=None) -> list[str]:
  if model_weights is None:
    model_weights = weights()
  with flagsaver.flagsaver(), contexts.using('xla'):
    return parsed(*arguments).run(
      language_models.build(Table()),
      model_weights,
      EARLIER,
      later,
      metric='top1_recall',
      title='top-1 recall',
      client_optimizer=optimizers.OptimizerConfig('sgd', 2.0),
      seed=0,
      directory=run_directory.RunDirectory(path),
    )


@pytest.fixture(scope='module')
def personalized(tmp_path_factory):
  path = tmp_path_factory.mktemp('run')
  return path, run(path)


def test_each_person_is_tested_before_and_after(personalized):
  gains = fairness.read(run_directory.RunDirectory(personalized[0]))
  assert [g.client_id for g in gains] == ['ann', 'bob', 'eve']
  assert [g.before['top1_recall'] for g in gains] == [0.5, 1.0, 1.0]
  assert [g.after['top1_recall'] for g in gains] == [1.0, 1.0, 0.5]
  assert [g.train_examples for g in gains] == [5, 1, 2]


def test_note_says_who_gains(personalized):
  assert personalized[1] == [
    'personalization: 10 steps on the earlier text of each of 3 held-out '
    'people change top-1 recall on their later text by +0.0 points on average '
    '(median person 100.0 % before, 100.0 % after), help 33 % and harm 33 % '
    'of them'
  ]


def test_summary_is_written(personalized):
  path = personalized[0] / 'simulation_only' / 'personalization_summary.csv'
  head, *rows = path.read_text().splitlines()
  assert head.startswith('group,users,before_10%')
  assert [row.split(',')[:2] for row in rows] == [['everyone', '3']]


@pytest.mark.slow
def test_one_small_step_changes_less_than_ten(tmp_path, personalized):
  run(
    tmp_path, '--personalize_steps=1', '--personalize_learning_rate=0.001',
    '--personalize_batch_size=2',
  )  # fmt: skip
  ann, *_ = fairness.read(run_directory.RunDirectory(tmp_path))
  much, *_ = fairness.read(run_directory.RunDirectory(personalized[0]))
  assert ann.before == much.before
  assert much.after['loss'] < ann.after['loss'] < ann.before['loss']
  assert ann.after['top1_recall'] == 0.5


@pytest.mark.slow
def test_person_with_nothing_to_count_says_nothing(tmp_path):
  unknown = people(ann=[C], bob=[B], eve=[B])
  _, y = unknown.pooled().examples(0)
  y[1] = tokens.UNKNOWN
  x, _ = unknown.pooled().examples(0)
  later = population.ArrayPopulation(
    (x, y), {p: np.array([i]) for i, p in enumerate(('ann', 'bob', 'eve'))}
  )
  (note,) = run(tmp_path, later=later)
  assert ' of each of 2 held-out people ' in note
  gains = fairness.read(run_directory.RunDirectory(tmp_path))
  assert [g.client_id for g in gains] == ['ann', 'eve']


@pytest.mark.slow
def test_nothing_to_count_at_all_writes_nothing(tmp_path):
  x, y = LATER.pooled().examples(0)
  later = population.ArrayPopulation(
    (x, np.full_like(y, tokens.UNKNOWN)), {'ann': np.arange(len(x))}
  )
  assert run(tmp_path, later=later) == []
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('why', ['no steps', 'no weights'])
def test_without_steps_or_a_model_nothing_is_written(tmp_path, why):
  group = parsed(*(['--personalize_steps=0'] if why == 'no steps' else []))
  assert (
    group.run(
      language_models.build(Table()),
      weights() if why == 'no steps' else None,
      EARLIER,
      LATER,
      metric='top1_recall',
      title='top-1 recall',
      client_optimizer=optimizers.OptimizerConfig('sgd', 2.0),
      seed=0,
      directory=run_directory.RunDirectory(tmp_path),
    )
    == []
  )
  assert list(tmp_path.iterdir()) == []


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


@pytest.mark.parametrize(
  'arguments, batches, rate',
  [
    ([], batching.Batching(8, num_steps=10), 2.0),
    (
      ['--personalize_steps=3', '--personalize_batch_size=4',
       '--personalize_learning_rate=0.5'],
      batching.Batching(4, num_steps=3),
      0.5,
    ),
  ],
)  # fmt: skip
def test_flags_arrive(tmp_path, monkeypatch, arguments, batches, rate):
  asked = {}

  def config(name, learning_rate):
    asked.update(name=name, rate=learning_rate)
    return made(name, learning_rate)

  def personalize(*_, **options):
    asked.update(options)
    return []

  made = optimizers.OptimizerConfig
  group = parsed(*arguments)
  monkeypatch.setattr(fairness, 'personalize', personalize)
  monkeypatch.setattr(optimizers, 'OptimizerConfig', config)
  found = group.run(
    language_models.build(Table()),
    weights(),
    EARLIER,
    LATER,
    metric='top1_recall',
    title='top-1 recall',
    client_optimizer=made('adam', 2.0),
    seed=7,
    directory=run_directory.RunDirectory(tmp_path),
  )
  assert found == []
  assert asked == {'name': 'sgd', 'rate': rate, 'batching': batches, 'seed': 7}


@pytest.mark.parametrize(
  'arguments, told',
  [
    (
      ['--personalize_steps=-1'],
      'Expected --personalize_steps of at least 0 and --personalize_batch_size '
      'of at least 1, found -1 and 8.',
    ),
    (
      ['--personalize_batch_size=0'],
      'Expected --personalize_steps of at least 0 and --personalize_batch_size '
      'of at least 1, found 10 and 0.',
    ),
    (
      ['--personalize_learning_rate=-1'],
      'Expected --personalize_learning_rate of at least 0, found -1.0.',
    ),
    (
      ['--personalize_learning_rate=nan'],
      'Expected --personalize_learning_rate of at least 0, found nan.',
    ),
    *(
      (
        ['--personalize_steps=0', f'--personalize_{name}=1'],
        'Expected --personalize_steps above 0 where '
        f'--personalize_{name} is given, found 0, with which it has no effect; '
        'remove one of them.',
      )
      for name in ('batch_size', 'learning_rate')
    ),
  ],
)
def test_values_that_make_no_sense_are_refused(arguments, told):
  with pytest.raises(flag_groups.FlagError) as raised:
    parsed(*arguments)
  assert str(raised.value) == told
