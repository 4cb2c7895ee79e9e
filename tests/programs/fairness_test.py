"""Who gains by further training: computed, summed up, kept."""

import numpy as np
import pytest

from tff_pipelines.core import errors
from tff_pipelines.data import batching, population
from tff_pipelines.programs import fairness, files, run_directory


def people(**examples: list[float]) -> population.ArrayPopulation:
  values = np.concatenate([np.zeros(0), *examples.values()]).astype('f4')
  ends = np.cumsum([len(owned) for owned in examples.values()])
  rows = np.split(np.arange(len(values)), ends[:-1])
  return population.ArrayPopulation(
    values, dict(zip(examples, rows, strict=True))
  )


TRAIN = people(ann=[1, 2, 3], bob=[], cleo=[4], dan=[5, 6], eve=[7])
TEST = people(eve=[70, 71], zoe=[0], ann=[10], bob=[20], cleo=[40], dan=[])


def sums(weights, train, test):
  """Before: the sum of the test examples; after: training added to it."""

  def of(batches, client):
    owned = slice(*batches.offsets[client : client + 2])
    return float(np.asarray(batches.elements)[owned].sum())

  assert train.client_ids == test.client_ids
  return [
    {
      'before': {'accuracy': np.float32(weights * of(test, c))},
      'after': {'accuracy': np.float32(of(test, c) + of(train, c))},
    }
    for c in range(train.num_clients)
  ]


def personalize(computation=sums, **options) -> list[fairness.UserGain]:
  return fairness.personalize(
    computation,
    2.0,
    TRAIN,
    TEST,
    batching=batching.Batching(2, epochs=2),
    seed=0,
    **options,
  )


def gain(name, before, after, group='honest') -> fairness.UserGain:
  return fairness.UserGain(
    name, group, 3, 4, {'accuracy': before, 'loss': 1 - before},
    {'accuracy': after, 'loss': 1 - after},
  )  # fmt: skip


GAINS = [
  gain('ann', 0.5, 0.75),
  gain('bob', 1.0, 1.0),
  gain('cleo', 0.5, 0.25),
  gain('dan', 0.0, 1.0, 'outlier'),
]


# Computing.


def test_users_are_those_who_can_both_train_and_test():
  assert personalize() == [
    fairness.UserGain(
      'ann', 'everyone', 3, 1, {'accuracy': 20.0}, {'accuracy': 22.0}
    ),
    fairness.UserGain(
      'cleo', 'everyone', 1, 1, {'accuracy': 80.0}, {'accuracy': 48.0}
    ),
    fairness.UserGain(
      'eve', 'everyone', 1, 2, {'accuracy': 282.0}, {'accuracy': 155.0}
    ),
  ]


def test_users_are_grouped_by_name():
  kinds = {'ann': 'honest', 'cleo': 'outlier', 'eve': 'honest'}
  assert [g.group for g in personalize(groups=kinds)] == [
    'honest', 'outlier', 'honest',
  ]  # fmt: skip


@pytest.mark.parametrize(('at_a_time', 'blocks'), [(1, [1] * 3), (2, [2, 1])])
def test_number_of_clients_computed_at_a_time_changes_nothing(
  monkeypatch, at_a_time, blocks
):
  expected = personalize()
  monkeypatch.setattr(fairness, '_CLIENTS_AT_A_TIME', at_a_time)
  seen = []

  def counted(weights, train, test):
    seen.append(train.num_clients)
    return sums(weights, train, test)

  assert personalize(counted) == expected
  assert seen == blocks


def test_populations_without_a_common_client_are_refused():
  with pytest.raises(fairness.NoCommonClientsError) as raised:
    fairness.personalize(
      sums,
      1.0,
      people(ann=[1], bob=[]),
      people(bob=[1], zoe=[2]),
      batching=batching.Batching(1),
      seed=0,
    )
  assert str(raised.value) == (
    'Expected clients with examples both to train and to test on, found none '
    'among 2 and 2 clients; choose a data set or a partition that gives '
    'clients several examples.'
  )
  assert isinstance(raised.value, errors.PipelineError)


# Summing up.


def test_summary_by_hand():
  everyone, honest, outlier = fairness.summarize(GAINS)
  # Sorted: 0, 0.5, 0.5, 1 before and 0.25, 0.75, 1, 1 after.
  assert everyone == fairness.GroupSummary(
    group='everyone',
    users=4,
    before=pytest.approx((0.15, 0.375, 0.5, 0.625, 0.85)),
    after=pytest.approx((0.4, 0.625, 0.875, 1.0, 1.0)),
    mean_gain=0.25,
    helped=0.5,
    harmed=0.25,
  )
  assert (honest.group, honest.users) == ('honest', 3)
  assert (honest.mean_gain, honest.helped, honest.harmed) == (
    0.0, pytest.approx(1 / 3), pytest.approx(1 / 3),
  )  # fmt: skip
  assert outlier == fairness.GroupSummary(
    'outlier', 1, (0.0,) * 5, (1.0,) * 5, 1.0, 1.0, 0.0
  )


def test_one_group_is_everyone():
  assert [s.group for s in fairness.summarize(GAINS[:3])] == ['everyone']


def test_a_lower_loss_is_a_gain():
  by_loss = fairness.summarize(GAINS, 'loss', higher=False)
  by_accuracy = fairness.summarize(GAINS)
  for one, other in zip(by_loss, by_accuracy, strict=True):
    assert (one.helped, one.harmed) == (other.helped, other.harmed)
    assert one.mean_gain == pytest.approx(other.mean_gain)


def test_a_metric_that_was_not_measured_is_refused():
  with pytest.raises(fairness.UnknownMetricError) as raised:
    fairness.summarize(GAINS, 'recall')
  assert str(raised.value) == (
    "Expected a metric out of accuracy, loss, found 'recall'."
  )


# The files.


def test_gains_are_read_back_as_written(tmp_path):
  directory = run_directory.RunDirectory(tmp_path)
  gains = [gain('Ann, "A"', 0.1 + 0.2, float('nan')), gain('bob\nb', 1.0, 0.5)]
  fairness.write(directory, gains)
  path = tmp_path / 'simulation_only' / 'personalization.csv'
  assert path.read_text() == (
    'client_id,group,train_examples,test_examples,before_accuracy,before_loss,'
    'after_accuracy,after_loss\n'
    '"Ann, ""A""",honest,3,4,0.30000000000000004,0.7,nan,nan\n'
    '"bob\nb",honest,3,4,1.0,0.0,0.5,0.5\n'
  )
  np.testing.assert_equal(
    [vars(g) for g in fairness.read(directory)], [vars(g) for g in gains]
  )


def test_gains_that_were_not_written_are_none(tmp_path):
  assert fairness.read(run_directory.RunDirectory(tmp_path)) is None


def test_summary_has_a_row_a_group(tmp_path):
  directory = run_directory.RunDirectory(tmp_path)
  fairness.write_summary(directory, fairness.summarize(GAINS)[2:])
  path = tmp_path / 'simulation_only' / 'personalization_summary.csv'
  assert path.read_text() == (
    'group,users,before_10%,before_25%,before_50%,before_75%,before_90%,'
    'after_10%,after_25%,after_50%,after_75%,after_90%,mean_gain,helped,harmed\n'
    'outlier,1,0.0,0.0,0.0,0.0,0.0,1.0,1.0,1.0,1.0,1.0,1.0,1.0,0.0\n'
  )


def test_gains_below_a_file_are_refused(tmp_path):
  (tmp_path / 'blocked').write_text('a file, not a folder')
  directory = run_directory.RunDirectory(tmp_path / 'blocked')
  with pytest.raises(files.SavingFailedError, match=r'personalization\.csv at'):
    fairness.write(directory, GAINS)
