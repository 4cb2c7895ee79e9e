import pytest

from tff_pipelines.core import wording


@pytest.mark.parametrize(
  ('count', 'text'),
  [(0, '0 seeds'), (1, '1 seed'), (2, '2 seeds'), (1200, '1,200 seeds')],
)
def test_one_is_singular_and_thousands_have_a_comma(count, text):
  assert wording.counted(count, 'seed') == text


def test_a_plural_of_its_own():
  assert wording.counted(2, 'entry', 'entries') == '2 entries'
  assert [wording.people(count) for count in (1, 2)] == ['1 person', '2 people']
