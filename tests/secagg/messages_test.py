import dataclasses
import random

import pytest

from tff_pipelines.secagg import errors, messages, phases, records

SESSION = bytes(range(32))
SOME = records.build([0, 3, 70], [b'a' * 5, b'b' * 5, b'c' * 5])
NONE = records.Records()
EXAMPLES = [
  messages.AdvertiseKeys(SESSION, 1, b'c' * 32, b's' * 32),
  messages.AdvertiseKeys(SESSION, 1, b'c' * 32, b's' * 32, b'x' * 64),
  messages.KeyBroadcast(SESSION, 2, SOME),
  messages.KeyBroadcast(SESSION, 2, NONE),
  messages.EncryptedShares(SESSION, 3, b'h' * 32, SOME),
  messages.ShareDelivery(SESSION, 4, SOME),
  messages.MaskedInput(SESSION, 5, ()),
  messages.MaskedInput(SESSION, 5, (b'', b'abc')),
  messages.ConsistencyRequest(SESSION, 6, (0, 1, 99)),
  messages.ConsistencySignature(SESSION, 7, b's' * 64),
  messages.UnmaskRequest(SESSION, 8, (0, 8), (3,), SOME),
  messages.UnmaskRequest(SESSION, 8, (0, 8), ()),
  messages.UnmaskResponse(SESSION, 2**24 - 1, SOME, NONE),
]


def test_the_examples_are_of_every_type():
  assert {type(example) for example in EXAMPLES} == set(messages.MESSAGE_TYPES)


@pytest.mark.parametrize('message', EXAMPLES, ids=repr)
def test_decoding_undoes_encoding(message):
  assert messages.decode(messages.encode(message)) == message


def test_encodings_differ():
  assert len({messages.encode(example) for example in EXAMPLES}) == len(
    EXAMPLES
  )


def test_an_encoding_by_hand():
  encoded = messages.encode(messages.ConsistencyRequest(SESSION, 258, (1,)))
  assert encoded == b'\6' + SESSION + b'\0\0\1\2' + b'\0\0\0\1\2'


@pytest.mark.parametrize('message', EXAMPLES, ids=repr)
def test_every_beginning_of_an_encoding_is_refused(message):
  encoded = messages.encode(message)
  for end in range(len(encoded)):
    with pytest.raises(errors.MalformedMessageError):
      messages.decode(encoded[:end])


@pytest.mark.parametrize('message', EXAMPLES, ids=repr)
def test_a_byte_behind_the_end_is_refused(message):
  with pytest.raises(errors.MalformedMessageError):
    messages.decode(messages.encode(message) + b'\0')


@pytest.mark.parametrize('message', EXAMPLES, ids=repr)
def test_whatever_is_accepted_is_canonical(message):
  # Random changes of an encoding are refused or encode to themselves.
  encoded, generator = messages.encode(message), random.Random(0)
  for _ in range(300):
    changed = bytearray(encoded)
    for _ in range(generator.randrange(1, 4)):
      changed[generator.randrange(len(changed))] = generator.randrange(256)
    try:
      decoded = messages.decode(bytes(changed))
    except errors.MalformedMessageError:
      continue
    assert messages.encode(decoded) == bytes(changed)


@pytest.mark.parametrize('seed', range(20))
def test_random_bytes_raise_nothing_else(seed):
  generator = random.Random(seed)
  for _ in range(50):
    number = generator.randrange(11)
    data = bytes([number]) + generator.randbytes(generator.randrange(200))
    try:
      assert messages.encode(messages.decode(data)) == data
    except errors.MalformedMessageError:
      pass


@pytest.mark.parametrize('number', [0, 10, 255])
def test_unknown_numbers_are_refused(number):
  with pytest.raises(errors.MalformedMessageError, match='message number'):
    messages.decode(bytes([number]) + bytes(100))


@pytest.mark.parametrize('message', EXAMPLES, ids=repr)
def test_messages_are_immutable(message):
  with pytest.raises(dataclasses.FrozenInstanceError):
    message.client = 0


def test_every_message_has_a_phase():
  assert set(messages.PHASES) == set(messages.MESSAGE_TYPES)
  assert set(messages.PHASES.values()) == set(phases.Phase)


def test_messages_do_not_print_their_contents():
  masked = messages.MaskedInput(SESSION, 5, (b'secret',))
  assert 'secret' not in repr(masked)
