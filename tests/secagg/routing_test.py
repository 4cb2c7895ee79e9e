import pytest

from tff_pipelines.secagg import (
  client_secrets,
  errors,
  messages,
  outbox,
  records,
  routing,
)

SIZE = client_secrets.CIPHERTEXT_BYTES
OTHERS = {2: (5, 7), 5: (2, 7), 7: (2, 5)}


def text(sender: int, receiver: int) -> bytes:
  return f'{sender} to {receiver}'.ljust(SIZE).encode()


def sent(sender: int) -> records.Records:
  to = OTHERS[sender]
  return records.build(to, [text(sender, receiver) for receiver in to])


@pytest.mark.parametrize('order', [(2, 5, 7), (7, 2, 5)])
def test_everybody_gets_what_is_for_it(order):
  router = routing.Router(OTHERS)
  for sender in order:
    router.put(sender, sent(sender))
  assert router.senders == [2, 5, 7]
  for receiver, senders in OTHERS.items():
    assert dict(router.records_for(receiver).items()) == {
      sender: text(sender, receiver) for sender in senders
    }


def test_who_has_not_sent_is_left_out():
  router = routing.Router(OTHERS)
  router.put(7, sent(7))
  assert router.records_for(2).owners == (7,)
  assert router.records_for(7) == records.Records()


def test_an_outbox_builds_each_message_when_it_is_read():
  built = []

  def build(client):
    built.append(client)
    return messages.ConsistencyRequest(bytes(32), client, (1,))

  box = outbox.Outbox([3, 4], build)
  assert list(box) == [3, 4]
  assert len(box) == 2
  assert built == []
  assert box[4].client == 4
  assert built == [4]
  with pytest.raises(KeyError):
    box[5]


def test_every_error_is_told_in_one_sentence_by_the_programs():
  kinds = [errors.RefusedMessageError, errors.AbortError]
  assert all(issubclass(kind, errors.SecAggError) for kind in kinds)
  assert not issubclass(errors.RefusedMessageError, errors.AbortError)
