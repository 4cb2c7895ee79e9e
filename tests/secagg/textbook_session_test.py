"""The people of the textbook in the real protocol."""

import decimal

from tff_pipelines.secagg import textbook, textbook_session


def test_people_get_their_total():
  found = textbook_session.run(textbook.three_people())
  assert (found.integer_sum, found.total, found.steps) == (17, 17, 1)


def test_devices_get_their_total_in_thousandths():
  found = textbook_session.run(textbook.three_devices())
  assert (found.integer_sum, found.steps) == (1500, 1000)
  assert found.total == decimal.Decimal('1.5')


def test_what_the_server_receives_is_new_in_every_session():
  example = textbook.three_people()
  received = [textbook_session.run(example).received for _ in range(2)]
  for numbers in received:
    assert len(numbers) == 3
    assert all(0 <= number < textbook_session.MODULUS for number in numbers)
  # All three equal twice: a false alarm with probability 2^-48.
  assert received[0] != received[1]
