import pytest

from tff_pipelines.aggregators import attackers
from tff_pipelines.core import errors


@pytest.mark.parametrize(
  'clients, tolerated', [(1, 0), (3, 0), (4, 1), (16, 4), (19, 4), (100, 25)]
)
def test_a_quarter_is_tolerated_by_default(clients, tolerated):
  assert attackers.default_tolerated(clients) == tolerated


def test_cohort_of_the_least_size_passes():
  attackers.check('a trimmed mean', 2, 5, 5)


def test_smaller_cohort_is_refused():
  with pytest.raises(attackers.TooManyAttackersError) as raised:
    attackers.check('a trimmed mean', 2, 5, 4)
  assert str(raised.value) == (
    'Expected a cohort of at least 5 clients for a trimmed mean that tolerates '
    '2 attackers, found 4; tolerate fewer, or take larger cohorts.'
  )
  assert isinstance(raised.value, errors.PipelineError)


def test_negative_number_is_refused():
  with pytest.raises(
    attackers.TooManyAttackersError,
    match=r'^Expected at least 0 tolerated attackers for Krum, found -1\.$',
  ):
    attackers.check('Krum', -1, 1, 10)
