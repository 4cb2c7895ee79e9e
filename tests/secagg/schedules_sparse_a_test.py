"""450 random schedules of dropouts with 50 clients, sparse graph."""

import collections

import pytest

from tff_pipelines.secagg import parameters

pytestmark = pytest.mark.slow

# No promise on probabilities: 50 clients are too few, and aborts are wanted.
CHOSEN = parameters.SecAggParameters(
  50, 3, degree=6, max_dropouts=25, security_bits=0, correctness_bits=0
)


@pytest.mark.parametrize('block', range(5))
def test_the_exact_sum_or_the_right_abort(random_schedule, block):
  outcomes = collections.Counter(
    random_schedule(CHOSEN, 1000 + 90 * block + i) for i in range(90)
  )
  assert outcomes.total() == 90
  assert len(outcomes) == 2
