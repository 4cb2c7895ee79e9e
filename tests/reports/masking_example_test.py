"""The example of masks that cancel: read, in words, and drawn."""

import pytest

from tff_pipelines.reports import (
  masking_example,
  masking_picture,
  results,
  run_reader,
)

pytestmark = pytest.mark.filterwarnings('error')


def devices() -> masking_example.MaskingExample:
  """The three devices of the textbook, in floats."""
  numbers = [(0.1, 0.4, 0.2, 0.3), (0.5, 0.1, 0.4, 0.2), (0.9, 0.2, 0.1, 1.0)]
  people = tuple(
    masking_example.Person(f'device {i}', *each)
    for i, each in enumerate(numbers, start=1)
  )
  masks = tuple(
    masking_example.Mask(f'device {i + 1}', f'device {(i + 1) % 3 + 1}', number)
    for i, number in enumerate((0.4, 0.1, 0.2))
  )
  return masking_example.MaskingExample(people, masks, 1.5, 'mean')


def test_whole_numbers_have_no_decimals_and_fractions_all_have_one(write_run):
  people = masking_example.parse(write_run.details_of())
  assert people.masking(people.people[0]) == '5 + 2 \N{MINUS SIGN} 3 = 4'
  assert people.adding() == ['4 + 9 + 4 = 17']
  found = devices()
  assert found.masking(found.people[2]) == (
    '0.9 + 0.2 \N{MINUS SIGN} 0.1 = 1.0'
  )
  assert found.adding() == ['0.3 + 0.2 + 1.0 = 1.5', '1.5 / 3 = 0.5']


def test_the_text_tells_all_that_the_picture_tells(write_run):
  text = masking_example.text(masking_example.parse(write_run.details_of()))
  for shown in (
    '  A   +2   A 2 \N{MINUS SIGN}2',
    '  A 2 +7   A 3 \N{MINUS SIGN}7',
    '  A 3 +3   A   \N{MINUS SIGN}3',
    '  A     5 + 2 \N{MINUS SIGN} 3 = 4 --+\n',
    '  A 2   4 + 7 \N{MINUS SIGN} 2 = 9 --+--> server: 4 + 9 + 4 = 17\n',
    '17 is also\n5 + 4 + 8, which nobody has seen.',
  ):
    assert shown in text
  assert 'mean' not in text
  assert 'The mean: 1.5 / 3 = 0.5' in masking_example.text(devices())
  assert max(map(len, text.splitlines())) <= 80


def test_the_picture_has_every_number(write_run):
  figure = masking_picture.masking_picture(
    run_reader.read(write_run.complete())
  )
  texts = [text.get_text() for text in figure.axes[0].texts]
  for mask in (2, 7, 3):
    for text in (f'+ {mask}', f'\N{MINUS SIGN} {mask}', f'{mask}'):
      assert texts.count(text) == 1
  for text in ('5', '4', '8', 'sends 9', '4 + 9 + 4 = 17'):
    assert text in texts
  assert texts.count('sends 4') == 2


def test_what_is_added_stands_beside_who_adds_it(write_run):
  figure = masking_picture.masking_picture(
    run_reader.read(write_run.complete())
  )
  x = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts}
  first, second, third = x['5'], x['sends 9'], x['8']
  minus = '\N{MINUS SIGN}'
  assert first < x['+ 2'] < x['2'] < x[f'{minus} 2'] < second
  assert second < x['+ 7'] < x['7'] < x[f'{minus} 7'] < third
  assert x[f'{minus} 3'] < x['3'] < x['+ 3']


@pytest.mark.parametrize(
  'content', [{}, {'people': [{}], 'masks': [], 'total': 0}, 3]
)
def test_another_form_is_told(content):
  with pytest.raises(
    results.MalformedResultsError, match=r'^Expected the masking example'
  ):
    masking_example.parse({'masking_example': content})


def test_a_run_without_example_has_no_picture(write_run):
  assert masking_example.parse({}) is None
  assert masking_picture.masking_picture(run_reader.read(write_run())) is None
