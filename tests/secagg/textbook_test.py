import decimal

import pytest

from tff_pipelines.secagg import textbook


def test_three_people():
  example = textbook.three_people()
  assert [p.hidden for p in example.participants] == [5, 4, 8]
  assert [mask.number for mask in example.masks] == [2, 7, 3]
  assert example.sent == (4, 9, 4)
  assert example.total == 17


def test_three_devices():
  example = textbook.three_devices()
  assert [float(p.hidden) for p in example.participants] == [0.1, 0.5, 0.9]
  assert [float(sent) for sent in example.sent] == [0.3, 0.2, 1.0]
  assert example.mean == decimal.Decimal('0.5')


@pytest.mark.parametrize(
  'example', [textbook.three_people(), textbook.three_devices()]
)
def test_masks_are_the_numbers_that_participants_use(example):
  for mask, participant in zip(
    example.masks, example.participants, strict=True
  ):
    assert mask.adder == participant.name
    assert mask.number == participant.added
  by_subtracter = {mask.subtracter: mask.number for mask in example.masks}
  for participant in example.participants:
    assert by_subtracter[participant.name] == participant.subtracted


@pytest.mark.parametrize(
  'example', [textbook.three_people(), textbook.three_devices()]
)
def test_masks_cancel(example):
  assert example.total == sum(p.hidden for p in example.participants)
  assert all(p.sent != p.hidden for p in example.participants)


def test_a_circle_needs_as_many_numbers_as_people():
  with pytest.raises(ValueError, match='zip'):
    textbook.build_circle('AB', (1, 2), (3,))
