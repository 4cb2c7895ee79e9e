import json

import pytest

from tff_pipelines.privacy import guarantee


def _guarantee(**changes):
  values = {
    'epsilon': 1.0,
    'delta': 1e-5,
    'relation': guarantee.Relation.ZERO_OUT,
    'trust': guarantee.Trust.SUM,
    'method': 'rdp',
    'num_rounds': 3,
    'assumptions': ('a', 'b'),
  }
  return guarantee.Guarantee(**values | changes)


def test_it_is_read_back_exactly():
  found = _guarantee(epsilon=0.1 + 0.2, rho=1 / 3)
  text = json.dumps(found.to_json())
  assert guarantee.Guarantee.from_json(json.loads(text)) == found


def test_it_says_everything_in_a_line():
  text = '(1, 1e-05)-DP for each client (zero_out), trusting sum, 3 rounds'
  assert str(_guarantee()).startswith(text)


@pytest.mark.parametrize('epsilon', [-1.0, float('inf'), float('nan')])
def test_no_guarantee_is_refused(epsilon):
  with pytest.raises(guarantee.GuaranteeError, match='finite epsilon'):
    _guarantee(epsilon=epsilon)


@pytest.mark.parametrize('delta', [-1e-9, 1.0, 2.0])
def test_impossible_deltas_are_refused(delta):
  with pytest.raises(guarantee.GuaranteeError, match='below 1 over the popul'):
    _guarantee(delta=delta)


@pytest.mark.parametrize('population', [2, 3383, 10**8])
def test_default_delta_is_below_one_over_the_population(population):
  assert guarantee.default_delta(population) < 1 / population


def test_default_delta_needs_a_population():
  with pytest.raises(guarantee.GuaranteeError, match='at least 2 clients'):
    guarantee.default_delta(1)
