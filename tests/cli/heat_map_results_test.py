"""The final table and the sentence, out of tables written by hand."""

import pandas as pd
import pytest

from tff_pipelines.cli import heat_map_results
from tff_pipelines.reports import map_record

MINUS = '\N{MINUS SIGN}'
PLUS_MINUS = '\N{PLUS-MINUS SIGN}'
ALONE = (
  'users on their own: mean accuracy of their models after the last step, '
  'trained since the last merge; only a simulation can see it'
)


def server(*courses: dict[int, list[float]]) -> pd.DataFrame:
  """Accuracies after each round from 0, by curve and seed."""
  return pd.DataFrame(
    [
      (curve, seed, 20 * round_num, round_num, accuracy)
      for curve, by_seed in enumerate(courses)
      for seed, course in by_seed.items()
      for round_num, accuracy in enumerate(course)
    ],
    columns=['curve', 'seed', 'step', 'round_num', 'accuracy'],
  )


def final(*means: list[float]) -> pd.DataFrame:
  """Mean and (a tenth less) median of the users' own, by curve and seed."""
  return pd.DataFrame(
    [
      (curve, seed, mean, mean - 0.1)
      for curve, by_seed in enumerate(means)
      for seed, mean in enumerate(by_seed)
    ],
    columns=['curve', 'seed', 'mean_local_accuracy', 'median_local_accuracy'],
  )


def record(kind: str, names: list, **tables) -> map_record.MapRecord:
  """Curves are names, or values with a name."""
  curves = [{'name': n} if isinstance(n, str) else n for n in names]
  return map_record.MapRecord(
    name=kind,
    kind=kind,
    title=kind,
    settings={},
    curves=tuple(map_record.Curve(c['name'], c) for c in curves),
    notes=tables.pop('notes', ()),
    **tables,
  )


MERGE = record(
  'merge',
  ['merged every 20 steps', 'never merged'],
  server=server({0: [0.5, 0.7, 0.9], 1: [0.4, 0.8, 0.8]}, {0: [0.5], 1: [0.4]}),
  final=final([0.8, 0.7], [0.65, 0.75]),
  notes=('of a grid',),
)


def test_a_row_is_the_mean_of_the_last_merges_and_its_error():
  found = heat_map_results.table([MERGE])
  merged, never = found.rows
  # Of 0.9 and 0.8 the standard deviation is 0.1 / sqrt(2), over sqrt(2).
  assert merged == {
    'system': 'merge: merged every 20 steps',
    'accuracy': pytest.approx(0.85),
    'standard_error': pytest.approx(0.05),
    'alone': pytest.approx(0.75),
    'seeds': 2,
  }
  # The model that is never merged is the start, and says nothing.
  assert never == {
    'system': 'merge: never merged',
    'accuracy': None,
    'standard_error': None,
    'alone': pytest.approx(0.7),
    'seeds': 2,
  }


def test_columns_are_those_of_the_rows():
  found = heat_map_results.table([MERGE])
  assert ['system', *(c.key for c in heat_map_results.COLUMNS)] == list(
    found.rows[0]
  )


def test_one_seed_has_no_error():
  found = heat_map_results.table(
    [record('outliers', ['0 of 0'], server=server({3: [0.5, 0.7]}))]
  )
  assert found.rows == [
    {
      'system': 'outliers: 0 of 0',
      'accuracy': 0.7,
      'standard_error': None,
      'alone': None,
      'seeds': 1,
    }
  ]


def test_the_sentence_of_merge_compares_with_the_median_alone():
  # The medians of those who never merge are 0.55 and 0.65.
  assert heat_map_results.table([MERGE]).sentence == (
    'Merging now and then, the shared map is right at 85.0 % of the places; '
    'the median user who never merges at 60.0 %.'
  )


@pytest.mark.parametrize('kind', ['merge', 'outliers', 'privacy'])
def test_without_a_single_merge_there_is_nothing_to_say(kind):
  found = heat_map_results.table(
    [
      record(
        kind,
        ['merged every 20 steps', 'never merged'],
        server=server({0: [0.5]}, {0: [0.5]}),
        final=final([0.8], [0.8]),
      )
    ]
  )
  assert found.sentence == ''
  assert [row['accuracy'] for row in found.rows] == [None, None]


def test_drift_is_told_from_its_first_to_its_last_period():
  found = heat_map_results.table(
    [
      record(
        'drift',
        ['merge every 2 steps', 'merge every 4 steps', 'merge every 9 steps'],
        server=server({0: [0, 0.9]}, {0: [0, 0.8]}, {0: [0, 0.7]}),
      )
    ]
  )
  assert found.sentence == (
    'Merge every 2 steps: 90.0 %; merge every 9 steps: 70.0 %.'
  )


def test_a_sweep_is_told_among_those_that_merge():
  found = heat_map_results.table(
    [
      record(
        'sweep',
        ['merge 80', 'merge 40', 'merge 2'],
        server=server({0: [0.1]}, {0: [0.1, 0.625]}, {0: [0.1, 0.75]}),
      )
    ]
  )
  assert found.sentence == 'Merge 40: 62.5 %; merge 2: 75.0 %.'
  # Whose names say what was swept.
  assert [row['system'] for row in found.rows] == [
    'merge 80', 'merge 40', 'merge 2',
  ]  # fmt: skip


def test_a_single_period_is_compared_with_nothing():
  found = heat_map_results.table(
    [record('drift', ['merge every 2 steps'], server=server({0: [0, 0.9]}))]
  )
  assert found.sentence == ''


def test_outliers_are_told_with_all_and_without():
  found = heat_map_results.table(
    [
      record(
        'outliers',
        ['0 of 2', '1 of 2', '2 of 2'],
        server=server({0: [0, 0.9]}, {0: [0, 0.6]}, {0: [0, 0.7]}),
      )
    ]
  )
  assert found.sentence == (
    'With all outliers the shared map is right at 70.0 % of the places, '
    'without them at 90.0 %.'
  )


def test_every_user_in_turn_has_no_rows():
  found = heat_map_results.table(
    [record('excluded', ['everybody'], server=server({0: [0, 0.9]}))]
  )
  assert (found.rows, found.notes, found.sentence) == ([], [], '')


def test_fairness_is_the_mean_over_all_users():
  users = pd.DataFrame(
    [
      (curve, seed, user, accuracy)
      for curve, seed, accuracies in (
        (0, 0, (0.9, 0.3)), (0, 1, (0.8, 0.4)), (1, 0, (1.0, 0.5)),
      )
      for user, accuracy in enumerate(accuracies)
    ],
    columns=['curve', 'seed', 'user', 'accuracy'],
  )  # fmt: skip
  found = heat_map_results.table(
    [record('fairness', ['included', 'at home'], users=users)]
  )
  assert found.rows == [
    {
      'system': 'fairness: included',
      'accuracy': pytest.approx(0.6),
      'standard_error': pytest.approx(0.0, abs=1e-15),
      'alone': None,
      'seeds': 2,
    },
    {
      'system': 'fairness: at home',
      'accuracy': 0.75,
      'standard_error': None,
      'alone': None,
      'seeds': 1,
    },
  ]


# Privacy.


def pair(mechanism: str, **values) -> list[dict]:
  """Two curves, with the outlier and without."""
  return [
    {
      'name': f'{values} {included}',
      'mechanism': mechanism,
      'included': included,
      **values,
    }
    for included in (1, 0)
  ]


def test_privacy_tells_the_gap_at_the_ends_of_each_knob():
  found = heat_map_results.table(
    [
      record(
        'privacy',
        [
          *pair('location noise', noise=0.0),
          *pair('location noise', noise=2.0),
          *pair('location noise', noise=5.0),
          *pair('clipping and noise', noise=0.0, users=16),
          *pair('clipping and noise', noise=0.0, users=1024),
        ],
        server=server(
          # The gaps of two seeds: 0.05 and 0.15.
          {0: [0, 0.8], 1: [0, 0.7]},
          {0: [0, 0.85], 1: [0, 0.85]},
          # Not at an end.
          {0: [0, 0.1], 1: [0, 0.1]},
          {0: [0, 0.9], 1: [0, 0.9]},
          # -0.03 and -0.03.
          {0: [0, 0.5], 1: [0, 0.6]},
          {0: [0, 0.47], 1: [0, 0.57]},
          # A third seed on one side alone does not count: 0 and 0.
          {0: [0, 0.5], 1: [0, 0.5], 2: [0, 1.0]},
          {0: [0, 0.5], 1: [0, 0.5]},
          {0: [0, 0.5], 1: [0, 0.5]},
          {0: [0, 0.6], 1: [0, 0.8]},
        ),
      )
    ]
  )
  assert found.sentence == (
    'Location noise: leaving the outlier out changes the map by +10.0 points '
    f'({PLUS_MINUS} 5.0) at noise level 0. '
    f'Location noise: leaving the outlier out changes the map by {MINUS}3.0 '
    f'points ({PLUS_MINUS} 0.0) at noise level 5. '
    'Clipping and noise: leaving the outlier out changes the map by 0.0 points '
    f'({PLUS_MINUS} 0.0) with 16 users. '
    'Clipping and noise: leaving the outlier out changes the map by +20.0 '
    f'points ({PLUS_MINUS} 10.0) with 1024 users.'
  )


@pytest.mark.parametrize(
  'courses',
  [
    # One seed.
    ({0: [0, 0.8]}, {0: [0, 0.9]}),
    # No seed in common.
    ({0: [0, 0.8], 1: [0, 0.8]}, {2: [0, 0.9], 3: [0, 0.9]}),
  ],
)
def test_a_gap_without_an_error_is_not_told(courses):
  found = heat_map_results.table(
    [
      record(
        'privacy', pair('location noise', noise=1.0), server=server(*courses)
      )
    ]
  )
  assert found.sentence == ''
  assert len(found.rows) == 2


def test_a_side_without_the_other_is_not_told():
  found = heat_map_results.table(
    [
      record(
        'privacy',
        pair('location noise', noise=1.0)[:1],
        server=server({0: [0, 0.8], 1: [0, 0.7]}),
      )
    ]
  )
  assert found.sentence == ''


# Several figures.


def test_several_figures_are_one_table_with_each_note_once():
  drift = record(
    'drift',
    ['merge every 2 steps', 'merge every 9 steps'],
    server=server({0: [0, 0.9]}, {0: [0, 0.5]}),
    notes=('of a grid', 'of drift'),
  )
  found = heat_map_results.table([MERGE, drift])
  assert [row['system'] for row in found.rows] == [
    'merge: merged every 20 steps', 'merge: never merged',
    'drift: merge every 2 steps', 'drift: merge every 9 steps',
  ]  # fmt: skip
  assert found.notes == ['of a grid', 'of drift', ALONE]
  assert found.sentence.endswith(
    'at 60.0 %. Merge every 2 steps: 90.0 %; merge every 9 steps: 50.0 %.'
  )


def test_what_users_have_alone_is_explained_where_it_is_told():
  drift = record('drift', ['a'], server=server({0: [0, 0.9]}))
  assert heat_map_results.table([drift]).notes == []
  assert ALONE in heat_map_results.table([MERGE]).notes
