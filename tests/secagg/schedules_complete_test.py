"""100 random schedules of dropouts with 50 clients, complete graph."""

import collections

import pytest

from tff_pipelines.secagg import parameters

pytestmark = pytest.mark.slow

CHOSEN = parameters.SecAggParameters(50, 26)


@pytest.mark.parametrize('block', range(2))
def test_the_exact_sum_or_the_right_abort(random_schedule, block):
  outcomes = collections.Counter(
    random_schedule(CHOSEN, 0 + 50 * block + i) for i in range(50)
  )
  assert outcomes.total() == 50
  assert len(outcomes) == 2
