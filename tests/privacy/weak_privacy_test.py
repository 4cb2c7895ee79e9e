import pytest

from tff_pipelines.privacy import guarantee, weak_privacy


def _guarantee(epsilon, delta):
  return guarantee.Guarantee(
    epsilon,
    delta,
    guarantee.Relation.ZERO_OUT,
    guarantee.Trust.SERVER,
    'gaussian',
    1,
  )


def test_sensible_settings_pass():
  weak_privacy.check_guarantee(_guarantee(20.0, 1e-3), 1000)
  # The tutorial of TFF, which learns: 4.5 times as much noise as signal.
  weak_privacy.check_cohort(1.2, 120, 199_210)


def test_epsilon_above_20_is_refused_and_can_be_allowed():
  weak = _guarantee(20.1, 1e-6)
  with pytest.raises(
    weak_privacy.LargeEpsilonError, match=r'at most 20, found 20\.1'
  ):
    weak_privacy.check_guarantee(weak, 1000)
  weak_privacy.check_guarantee(weak, 1000, allow_weak_privacy=True)


def test_delta_above_one_over_the_population_is_refused():
  with pytest.raises(
    weak_privacy.LargeDeltaError, match='publishing one of the 1000 clients'
  ):
    weak_privacy.check_guarantee(_guarantee(1.0, 1.1e-3), 1000)
  weak_privacy.check_delta(1.1e-3, 1000, allow_weak_privacy=True)
  weak_privacy.check_delta(1e-3, 1000)


def test_a_cohort_that_drowns_is_refused_with_the_least_that_does_not():
  with pytest.raises(
    weak_privacy.SmallCohortError, match='at least 1000 clients per round'
  ):
    weak_privacy.check_cohort(10.0, 999, 10**6)
  weak_privacy.check_cohort(10.0, 1000, 10**6)
  weak_privacy.check_cohort(10.0, 1, 10**6, allow_weak_privacy=True)


def test_reports_that_drown_are_refused_with_the_least_that_do_not():
  # Noise of the mean: 10 sqrt(10^4 / n), at most 10 for n of at least 10^4.
  with pytest.raises(
    weak_privacy.SmallCohortError,
    match='at least 10000 clients per round for reports',
  ):
    weak_privacy.check_reports(10.0, 9_999, 10**4)
  weak_privacy.check_reports(10.0, 10_000, 10**4)
  weak_privacy.check_reports(10.0, 1, 10**4, allow_weak_privacy=True)


def test_a_report_of_one_client_is_a_cohort_of_one():
  for check in (weak_privacy.check_cohort, weak_privacy.check_reports):
    check(10.0, 1, 1)
    with pytest.raises(
      weak_privacy.SmallCohortError, match='noise is 11 times'
    ):
      check(11.0, 1, 1)
