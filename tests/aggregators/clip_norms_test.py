"""Clip norms: what is refused, and how the adaptive one moves."""

import math
import re

import pytest
import tensorflow as tf

from tff_pipelines.aggregators import clip_norms


def adaptive(**fields) -> clip_norms.AdaptiveClip:
  return clip_norms.AdaptiveClip(**({'count_noise_stddev': 1.0} | fields))


def updated(clip, clip_norm, noisy_sum, denominator=10.0) -> float:
  return float(
    clip.updated(
      tf.constant(clip_norm, tf.float64),
      tf.constant(noisy_sum, tf.float64),
      denominator,
    )
  )


def test_defaults_are_those_of_the_paper():
  clip = adaptive()
  assert clip.initial == 0.1
  assert (clip.target_quantile, clip.learning_rate) == (0.5, 0.2)
  assert clip_norms.FixedClip(0.3).initial == 0.3


def test_a_norm_at_its_quantile_stays():
  # 7 of 10 clients below: 7/2 - 3/2 = 2.
  assert updated(adaptive(target_quantile=0.7), 0.3, 2.0) == pytest.approx(0.3)


def test_all_below_makes_it_smaller_and_none_larger():
  clip = adaptive(target_quantile=0.5, learning_rate=0.2)
  assert updated(clip, 1.0, 5.0) == pytest.approx(math.exp(-0.2 * 0.5))
  assert updated(clip, 1.0, -5.0) == pytest.approx(math.exp(0.2 * 0.5))


def test_an_absent_client_counts_for_half():
  # As the sum of +-1/2 over the planned number of clients has it.
  assert updated(adaptive(target_quantile=0.5), 1.0, 0.0) == pytest.approx(1.0)


@pytest.mark.parametrize('sign', [-1, 1])
def test_it_stays_within_limits_whatever_the_noise(sign):
  found = updated(adaptive(), 1.0, sign * 1e9)
  assert found == (clip_norms.MIN_NORM if sign > 0 else clip_norms.MAX_NORM)


@pytest.mark.parametrize('norm', [0.0, -1.0, math.inf, math.nan, 2.0**61])
def test_norms_that_bound_nothing_are_refused(norm):
  found = re.escape(f'between 2^-60 and 2^60, found {norm};')
  with pytest.raises(
    clip_norms.ClipNormError, match=f'Expected clip_norm {found}'
  ):
    clip_norms.FixedClip(norm)
  with pytest.raises(
    clip_norms.ClipNormError, match=f'Expected initial_clip_norm {found}'
  ):
    adaptive(initial_clip_norm=norm)


@pytest.mark.parametrize(
  'fields,message',
  [
    ({'target_quantile': 0.0}, 'above 0 and below 1, found 0.0; 0.5 is'),
    ({'target_quantile': 1.0}, 'above 0 and below 1, found 1.0; 0.5 is'),
    ({'learning_rate': 0.0}, 'finite learning_rate above 0, found 0.0'),
    ({'count_noise_stddev': -1.0}, 'count_noise_stddev above 0, found -1.0'),
    ({'count_noise_stddev': math.inf}, 'count_noise_stddev above 0, found inf'),
  ],
)
def test_adaptive_norms_that_could_not_work_are_refused(fields, message):
  with pytest.raises(clip_norms.ClipNormError, match=message):
    adaptive(**fields)
