import math

import pytest

from tff_pipelines.secagg import dropouts, errors, phases

Phase = phases.Phase


def test_no_rates_no_dropouts():
  assert dropouts.draw_dropouts(100, {}, 0) == {}
  assert dropouts.draw_dropouts(100, {'mask': 0.0}, 0) == {}


def test_rate_one_is_everybody_at_the_first_such_phase():
  gone = dropouts.draw_dropouts(5, {'mask': 1.0, Phase.SHARE: 1.0}, 0)
  assert gone == dict.fromkeys(range(5), Phase.SHARE)


def test_draws_are_a_function_of_the_seed():
  rates = {'mask': 0.3, 'unmask': 0.2}
  one = dropouts.draw_dropouts(50, rates, 7)
  assert one == dropouts.draw_dropouts(50, rates, 7)
  assert one != dropouts.draw_dropouts(50, rates, 8)


def test_a_rate_does_not_change_who_leaves_before():
  one = dropouts.draw_dropouts(200, {'share': 0.3}, 7)
  two = dropouts.draw_dropouts(200, {'share': 0.3, 'mask': 0.9}, 7)
  assert one.items() <= two.items()
  assert set(two.values()) == {Phase.SHARE, Phase.MASK}


def test_rates_are_conditional_frequencies():
  # Hoeffding with a false alarm of 1e-9 each.
  gone = dropouts.draw_dropouts(20_000, {'share': 0.3, 'mask': 0.5}, 1)
  bound = math.sqrt(math.log(2e9) / (2 * 13_000))
  early = sum(phase == Phase.SHARE for phase in gone.values())
  late = sum(phase == Phase.MASK for phase in gone.values())
  assert abs(early / 20_000 - 0.3) < bound
  assert abs(late / (20_000 - early) - 0.5) < bound


@pytest.mark.parametrize('rate', [-0.1, 1.1])
def test_rates_out_of_range_are_refused(rate):
  with pytest.raises(errors.ParameterError, match='rate in'):
    dropouts.draw_dropouts(5, {'mask': rate}, 0)


def test_unknown_phases_are_refused():
  with pytest.raises(
    errors.ParameterError, match='advertise, share, mask, con'
  ):
    dropouts.draw_dropouts(5, {'lunch': 0.1}, 0)


def test_phases_of_the_variants():
  assert phases.phases_of(malicious=True) == tuple(Phase)
  assert Phase.CONSISTENCY not in phases.phases_of(malicious=False)
  assert len(phases.phases_of(malicious=False)) == 4
