"""Stop rules on histories made by hand."""

import pytest

from tff_pipelines.core import errors
from tff_pipelines.programs import stop_rules


def history(*accuracies: float | None) -> list[dict[str, float]]:
  """Rounds 0, 1, ... with an accuracy where there was an evaluation."""
  return [
    {'round_num': float(i), **({} if a is None else {'test/accuracy': a})}
    for i, a in enumerate(accuracies)
  ]


NAN = float('nan')


@pytest.mark.parametrize(
  'values, reason',
  [
    ([], None),
    ([0.5], None),
    ([0.5, 0.8999], None),
    ([0.5, 0.9], 'test/accuracy reached 0.9000 (target 0.9)'),
    ([0.95], 'test/accuracy reached 0.9500 (target 0.9)'),
    # The last evaluation decides, wherever it was.
    ([0.5, 0.91, None], 'test/accuracy reached 0.9100 (target 0.9)'),
    ([0.95, 0.2], None),
    ([0.5, NAN], None),
  ],
)
def test_target_is_reached_by_the_last_evaluation(values, reason):
  rule = stop_rules.MetricTarget('test/accuracy', 0.9)
  assert rule.reason(history(*values), 0.0) == reason


@pytest.mark.parametrize(
  'values, stops',
  [
    ([], False),
    ([0.5], False),
    ([0.5, 0.5], False),
    ([0.5, 0.5, 0.5], True),
    ([0.5, 0.4, 0.3], True),
    ([0.5, 0.4, 0.6], False),
    ([0.5, 0.4, 0.6, 0.6, 0.5], True),
    # Rounds without an evaluation do not count.
    ([0.5, None, None, 0.4, None], False),
    ([0.5, None, None, 0.4, None, 0.4], True),
    # Better than the last is not better than the best.
    ([0.5, 0.1, 0.2], True),
    ([NAN, NAN], True),
    ([0.5, NAN, 0.6], False),
    ([0.5, NAN, NAN], True),
  ],
)
def test_plateau_is_two_evaluations_in_a_row_without_a_new_best(values, stops):
  reason = stop_rules.Plateau('test/accuracy', 2).reason(history(*values), 0.0)
  assert (reason is not None) == stops


def test_plateau_tells_the_best_and_since_when():
  reason = stop_rules.Plateau('test/accuracy', 3).reason(
    history(0.1, 0.625, 0.5, None, 0.625, 0.25), 0.0
  )
  assert reason == ('test/accuracy has not exceeded 0.6250 for 3 evaluations')


def test_plateau_counts_only_steps_above_min_delta():
  rule = stop_rules.Plateau('test/accuracy', 2, min_delta=0.125)
  # 0.625 is exactly 0.125 above 0.5: not more, so no new best.
  assert rule.reason(history(0.5, 0.625, 0.625), 0.0) is not None
  assert rule.reason(history(0.5, 0.625, 0.75), 0.0) is None


@pytest.mark.parametrize('evaluations', [0, -1])
def test_plateau_of_no_evaluation_is_refused(evaluations):
  with pytest.raises(
    stop_rules.StopRuleError,
    match=f'a plateau of at least 1 evaluation, found {evaluations}.$',
  ):
    stop_rules.Plateau('test/accuracy', evaluations)


def test_wall_time_is_over_when_it_is_reached():
  rule = stop_rules.WallTime(60.0)
  assert rule.reason([], 59.999) is None
  assert rule.reason([], 60.0) == '60 s are over (limit 60 s)'
  assert rule.reason(history(1.0), 61.4) == '61 s are over (limit 60 s)'


@pytest.mark.parametrize(
  'rule',
  [stop_rules.MetricTarget('accuracy', 1.0), stop_rules.Plateau('accuracy', 1)],
)
def test_metric_that_no_round_has_is_an_error_with_those_there_are(rule):
  with pytest.raises(stop_rules.StopRuleError) as raised:
    rule.reason(history(0.5, None, 0.6), 0.0)
  assert isinstance(raised.value, errors.PipelineError)
  assert str(raised.value) == (
    'Expected the metric of a stop rule among round_num, test/accuracy, found '
    "'accuracy'."
  )


@pytest.mark.parametrize(
  'rule',
  [
    stop_rules.MetricTarget('train/accuracy', 0.5),
    stop_rules.Plateau('train/accuracy', 1),
  ],
)
def test_metric_of_training_is_not_missed_before_the_first_round(rule):
  initial = {'round_num': 0.0, 'test/accuracy': 0.5}
  assert rule.reason([initial], 0.0) is None
  first = {'round_num': 1.0, 'train/accuracy': 0.5}
  second = {'round_num': 2.0, 'train/accuracy': 0.5}
  assert rule.reason([initial, first, second], 0.0) is not None


def budget(epsilon: float, next_epsilon: float, last_round: int = 9):
  return stop_rules.EpsilonBudget(epsilon, last_round, lambda: next_epsilon)


@pytest.mark.parametrize(
  'ahead, reason',
  [
    (1.999, None),
    (2.0, None),
    (2.5, 'the next round would bring epsilon to 2.5 (budget 2)'),
    (float('inf'), 'the next round would bring epsilon to inf (budget 2)'),
  ],
)
def test_budget_looks_at_the_round_ahead(ahead, reason):
  assert budget(2.0, ahead).reason(history(0.5), 0.0) == reason


def test_after_the_last_round_no_budget_is_asked_about():
  rule = budget(2.0, float('inf'), last_round=2)
  assert rule.reason(history(0.1, 0.2), 0.0) is not None
  assert rule.reason(history(0.1, 0.2, 0.3), 0.0) is None


@pytest.mark.parametrize('epsilon', [0.0, -1.0, float('inf'), NAN])
def test_budget_that_is_none_is_refused(epsilon):
  with pytest.raises(
    stop_rules.StopRuleError,
    match=f'^Expected a finite epsilon above 0 to stop at, found {epsilon}.$',
  ):
    budget(epsilon, 1.0)
