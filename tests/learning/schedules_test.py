"""Schedules are the formulas that they say, round by round."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.learning import schedules


def rates(schedule: schedules.Schedule, rounds: int) -> list[float]:
  return [float(schedule.rate(tf.constant(r))) for r in range(rounds)]


# After a warm-up of 2 rounds; rate 4; the decay takes 4 rounds.
@pytest.mark.parametrize(
  'decay, parameters, expected',
  [
    ('constant', {}, [4, 4, 4, 4, 4, 4]),
    ('linear', {}, [4, 3, 2, 1, 0, 0]),
    ('linear', {'final_share': 0.5}, [4, 3.5, 3, 2.5, 2, 2]),
    ('cosine', {}, [4, 2 + 2**0.5, 2, 2 - 2**0.5, 0, 0]),
    ('cosine', {'final_share': 0.5}, [4, 3 + 0.5**0.5, 3, 3 - 0.5**0.5, 2, 2]),
    ('exponential', {'decay_factor': 1 / 16}, [4, 2, 1, 1 / 2, 1 / 4, 1 / 8]),
    ('inverse_sqrt', {}, [4 / math.sqrt(1 + s / 4) for s in range(6)]),
    ('step', {'decay_factor': 0.5}, [4, 4, 4, 4, 2, 2, 2, 2, 1]),
  ],
)
def test_rates_by_hand(decay, parameters, expected):
  schedule = schedules.Schedule(4.0, decay, 2, 4, **parameters)
  found = rates(schedule, 2 + len(expected))
  # The second round of the warm-up is the first at the full rate.
  np.testing.assert_allclose(found, [2, 4, *expected], atol=2e-6)
  without = schedules.Schedule(4.0, decay, 0, 4, **parameters)
  np.testing.assert_allclose(rates(without, len(expected)), found[2:])


def test_inverse_square_root_is_that_of_the_transformer():
  warmup = 5
  schedule = schedules.Schedule(1.0, 'inverse_sqrt', warmup, warmup)
  peak = warmup**-0.5  # min(n^-1/2, n w^-3/2) with n = round + 1 ...
  expected = [(r + 1) * warmup**-1.5 / peak for r in range(warmup)]
  expected += [r**-0.5 / peak for r in range(warmup, 20)]
  np.testing.assert_allclose(rates(schedule, 20), expected, rtol=1e-6)


@pytest.mark.parametrize(
  'values, told',
  [
    (
      {'learning_rate': 0.0},
      'learning_rate above 0 with the schedule constant',
    ),
    ({'learning_rate': math.inf}, 'learning_rate above 0'),
    ({'decay': 'sine'}, "schedule out of constant, linear, .*found 'sine'"),
    ({'warmup_rounds': -1}, 'warmup_rounds of at least 0 .*found -1'),
    ({'decay': 'linear'}, 'decay_rounds of at least 1 .*linear, found 0'),
    ({'decay_factor': 0.0}, 'decay_factor above 0 and at most 1'),
    ({'decay_factor': 1.5}, 'decay_factor above 0 and at most 1'),
    ({'final_share': 1.5}, 'final_share from 0 to 1 .*found 1.5'),
  ],
)
def test_schedule_that_makes_no_sense_is_refused(values, told):
  with pytest.raises(schedules.ScheduleError, match=told):
    schedules.Schedule(**{'learning_rate': 1.0, **values})


@pytest.mark.parametrize(
  'optimizer',
  [
    tff.learning.optimizers.build_sgdm(9.0),
    tff.learning.optimizers.build_sgdm(9.0, momentum=0.5),
    tff.learning.optimizers.build_adagrad(9.0),
    tff.learning.optimizers.build_adam(9.0),
    tff.learning.optimizers.build_yogi(9.0),
    tff.learning.optimizers.build_rmsprop(9.0),
  ],
)
def test_the_rate_replaces_that_of_every_optimizer(optimizer):
  def steps(chosen):
    weights = (tf.constant([1.0, -2.0]),)
    state = chosen.initialize((tf.TensorSpec([2], tf.float32),))
    for gradient in ([0.5, 1.0], [-1.0, 2.0]):
      state, weights = chosen.next(state, weights, (tf.constant(gradient),))
    return weights[0].numpy()

  at_another_rate = type(optimizer).__new__(type(optimizer))
  at_another_rate.__dict__.update({**vars(optimizer), '_lr': 0.25})
  fixed = schedules.FixedRate(optimizer, tf.constant(0.25))
  np.testing.assert_allclose(steps(fixed), steps(at_another_rate), rtol=1e-6)
  assert np.any(steps(fixed) != steps(optimizer))


def test_an_optimizer_without_a_rate_is_refused():
  class NoRate(tff.learning.optimizers.Optimizer):
    def initialize(self, specs):
      return {'count': 0}

    def next(self, state, weights, gradients):
      return state, weights

  fixed = schedules.FixedRate(NoRate(), tf.constant(1.0))
  with pytest.raises(
    schedules.ScheduleError,
    match=r'^Expected an optimizer with a learning_rate in its state, found',
  ):
    fixed.initialize(())


def test_without_a_schedule_the_server_keeps_its_optimizer():
  optimizer = tff.learning.optimizers.build_sgdm(1.0)
  assert schedules.at_server(optimizer, None) is optimizer


def test_without_a_schedule_clients_keep_their_optimizers_rate():
  optimizer = tff.learning.optimizers.build_adam(0.25)
  assert rates(schedules.at_clients(optimizer, None), 3) == [0.25] * 3
  given = schedules.Schedule(0.5, 'linear', decay_rounds=2)
  assert schedules.at_clients(optimizer, given) is given
