"""What the server takes, refuses and aborts for."""

import dataclasses

import numpy as np
import pytest

from tff_pipelines.secagg import (
  errors,
  field,
  messages,
  records,
  server,
  signing,
)

State = server.ServerState
MALICIOUS = {'malicious': True}
AWAITED = {
  State.COLLECT_KEYS: messages.AdvertiseKeys,
  State.COLLECT_SHARES: messages.EncryptedShares,
  State.COLLECT_INPUTS: messages.MaskedInput,
  State.COLLECT_SIGNATURES: messages.ConsistencySignature,
  State.COLLECT_UNMASKING: messages.UnmaskResponse,
}
STATES = [
  (state, malicious)
  for malicious in (False, True)
  for state in State
  if malicious or state != State.COLLECT_SIGNATURES
]


def bring_to(parties, state: server.ServerState) -> None:
  if state == State.ABORTED:
    with pytest.raises(errors.BelowThresholdError):
      parties.server.close_phase()
  while parties.server.state != state:
    parties.advance()


def examples(parties, client: int = 0) -> list[messages.Message]:
  digest, some = parties.session.digest, records.build([1], [b'x'])
  return [
    messages.AdvertiseKeys(digest, client, bytes(32), bytes(32)),
    messages.KeyBroadcast(digest, client, some),
    messages.EncryptedShares(digest, client, bytes(32), some),
    messages.ShareDelivery(digest, client, some),
    messages.MaskedInput(digest, client, (b'',)),
    messages.ConsistencyRequest(digest, client, (0, 1, 2)),
    messages.ConsistencySignature(digest, client, b''),
    messages.UnmaskRequest(digest, client, (0, 1, 2, 3), ()),
    messages.UnmaskResponse(digest, client, some, some),
  ]


@pytest.mark.parametrize(('state', 'malicious'), STATES)
def test_every_illegal_message_in_every_state_is_refused(
  build_parties, state, malicious
):
  parties = build_parties(malicious=malicious)
  bring_to(parties, state)
  refused = 0
  for message in examples(parties):
    if type(message) is AWAITED.get(state):
      continue
    with pytest.raises(errors.UnexpectedMessageError, match=f'state {state}'):
      parties.server.receive(message)
    refused += 1
    assert parties.server.state == state
  assert refused == 9 - (state in AWAITED)


@pytest.mark.parametrize(('state', 'malicious'), STATES)
def test_only_answers_to_earlier_phases_are_late(
  build_parties, state, malicious
):
  parties = build_parties(malicious=malicious)
  bring_to(parties, state)
  order = list(AWAITED.values())
  for message in examples(parties):
    if type(message) is AWAITED.get(state):
      continue
    with pytest.raises(errors.UnexpectedMessageError) as caught:
      parties.server.receive(message)
    is_late = type(message) in order and (
      state not in AWAITED
      or order.index(type(message)) < order.index(AWAITED[state])
    )
    assert isinstance(caught.value, errors.LateMessageError) == is_late


@pytest.mark.parametrize('malicious', [False, True])
def test_refused_messages_do_not_disturb_the_session(build_parties, malicious):
  parties = build_parties(malicious=malicious)
  while parties.server.state != State.DONE:
    for message in examples(parties):
      if type(message) is not AWAITED[parties.server.state]:
        with pytest.raises(errors.RefusedMessageError):
          parties.server.receive(message)
    parties.advance()
  np.testing.assert_array_equal(parties.server.sums[0], sum(parties.inputs))


@pytest.mark.parametrize('num_phases', range(5))
def test_a_second_answer_is_refused_and_the_first_counts(
  build_parties, num_phases
):
  parties = build_parties(**MALICIOUS)
  for _ in range(num_phases):
    parties.advance()
  for answer in parties.answers().values():
    parties.server.receive(answer)
    with pytest.raises(errors.DuplicateMessageError, match='first one counts'):
      parties.server.receive(answer)
  parties.sent.append({})
  parties.close()
  while parties.server.state != State.DONE:
    parties.advance()
  np.testing.assert_array_equal(parties.server.sums[0], sum(parties.inputs))


@pytest.mark.parametrize('num_phases', range(1, 5))
def test_a_client_that_missed_a_phase_is_unknown(build_parties, num_phases):
  parties = build_parties(num_clients=5, **MALICIOUS)
  for _ in range(num_phases - 1):
    parties.advance()
  parties.advance(range(4))
  message = examples(parties, client=4)
  awaited = AWAITED[parties.server.state]
  (late,) = [m for m in message if type(m) is awaited]
  with pytest.raises(errors.UnknownSenderError, match='one of client 4'):
    parties.server.receive(late)


@pytest.mark.parametrize('client', [4, 2**32 - 1])
def test_clients_that_do_not_exist_are_unknown(build_parties, client):
  parties = build_parties()
  message = messages.AdvertiseKeys(
    parties.session.digest, client, bytes(32), bytes(32)
  )
  with pytest.raises(errors.UnknownSenderError):
    parties.server.receive(message)


@pytest.mark.parametrize('change', ['round_num', 'session_id'])
def test_a_message_of_another_session_is_refused(build_parties, change):
  other = {'round_num': 8, 'session_id': b'\1' * 16}[change]
  here, there = build_parties(), build_parties(**{change: other})
  with pytest.raises(
    errors.WrongSessionError, match='another session or round'
  ):
    here.server.receive(there.clients[0].start())


def test_a_signature_without_need_is_refused(build_parties):
  parties = build_parties()
  message = dataclasses.replace(parties.clients[0].start(), signature=b'x')
  with pytest.raises(errors.MalformedMessageError, match='no signature but'):
    parties.server.receive(message)


@pytest.mark.parametrize(
  'changes', [{'signature': b''}, {'mask_key': b'm' * 32}]
)
def test_keys_that_are_not_signed_are_refused(build_parties, changes):
  parties = build_parties(**MALICIOUS)
  message = dataclasses.replace(parties.clients[0].start(), **changes)
  with pytest.raises(
    errors.ForgedMessageError, match='keys signed by client 0'
  ):
    parties.server.receive(message)


def test_survivors_that_are_not_signed_are_refused(build_parties):
  parties = build_parties(**MALICIOUS)
  bring_to(parties, State.COLLECT_SIGNATURES)
  message = messages.ConsistencySignature(parties.session.digest, 0, bytes(64))
  with pytest.raises(errors.ForgedMessageError, match='survivors signed by'):
    parties.server.receive(message)


@pytest.mark.parametrize(
  'ciphertexts',
  [
    records.Records(),
    records.build((1, 2), [bytes(82)] * 2),
    records.build((0, 1, 2), [bytes(82)] * 3),
    records.build((1, 2, 3), [bytes(81)] * 3),
    records.build((1, 2, 3, 4), [bytes(82)] * 4),
  ],
)
def test_shares_for_others_or_of_another_size_are_refused(
  build_parties, ciphertexts
):
  parties = build_parties()
  parties.advance()
  message = messages.EncryptedShares(
    parties.session.digest, 0, bytes(32), ciphertexts
  )
  with pytest.raises(errors.MalformedMessageError, match='3 sealed shares of'):
    parties.server.receive(message)


@pytest.mark.parametrize('vectors', [(), (bytes(7),), (bytes(8), bytes(8))])
def test_inputs_of_another_size_are_refused(build_parties, vectors):
  parties = build_parties()
  bring_to(parties, State.COLLECT_INPUTS)
  message = messages.MaskedInput(parties.session.digest, 0, vectors)
  with pytest.raises(errors.MalformedMessageError):
    parties.server.receive(message)
  while parties.server.state != State.DONE:
    parties.advance()
  np.testing.assert_array_equal(parties.server.sums[0], sum(parties.inputs))


@pytest.mark.parametrize(
  'changes',
  [
    {'seed_shares': records.build((0, 1, 2), [bytes(33)] * 3)},
    {'seed_shares': records.build((0, 1, 2, 3), [bytes(32)] * 4)},
    {'key_shares': records.build((3,), [bytes(33)])},
  ],
)
def test_shares_that_were_not_asked_for_are_refused(build_parties, changes):
  parties = build_parties()
  bring_to(parties, State.COLLECT_UNMASKING)
  answer = dataclasses.replace(parties.answers()[0], **changes)
  with pytest.raises(errors.MalformedMessageError, match='that were asked for'):
    parties.server.receive(answer)


def falsify(shares: records.Records) -> records.Records:
  data = bytearray(shares.data)
  data[field.ELEMENT_BYTES - 1] ^= 1
  return dataclasses.replace(shares, data=bytes(data))


@pytest.mark.parametrize('kind', ['seed_shares', 'key_shares'])
def test_a_wrong_share_ends_the_session(build_parties, kind):
  parties = build_parties()
  parties.advance()
  parties.advance()
  parties.advance([0, 1, 2])
  for i, answer in parties.answers([0, 1, 2]).items():
    if i == 1:
      wrong = falsify(getattr(answer, kind))
      answer = dataclasses.replace(answer, **{kind: wrong})
    parties.server.receive(answer)
  with pytest.raises(errors.WrongShareError, match='of the secret of client'):
    parties.server.close_phase()
  assert parties.server.state == State.ABORTED
  with pytest.raises(errors.UnexpectedMessageError, match='that is done'):
    _ = parties.server.sums


@pytest.mark.parametrize('num_phases', range(5))
def test_below_the_threshold_it_fails_closed(build_parties, num_phases):
  parties = build_parties(**MALICIOUS)
  for _ in range(num_phases):
    parties.advance()
  for i in (0, 1):
    parties.server.receive(parties.answers([i])[i])
  with pytest.raises(errors.BelowThresholdError, match='found 2 of 4; run the'):
    parties.server.close_phase()
  assert parties.server.state == State.ABORTED
  with pytest.raises(
    errors.UnexpectedMessageError, match='found it in state ab'
  ):
    parties.server.close_phase()
  with pytest.raises(errors.UnexpectedMessageError):
    _ = parties.server.sums


@pytest.mark.parametrize('num_phases', range(5))
def test_exactly_the_threshold_is_enough(build_parties, num_phases):
  parties = build_parties(**MALICIOUS)
  for _ in range(num_phases):
    parties.advance()
  for _ in range(5 - num_phases):
    parties.advance([0, 1, 3])
  survivors = (0, 1, 3) if num_phases < 3 else (0, 1, 2, 3)
  assert parties.server.survivors == survivors
  np.testing.assert_array_equal(
    parties.server.sums[0], sum(parties.inputs[i] for i in survivors)
  )


def test_a_sparse_secret_without_holders_fails_closed(build_parties):
  # Client 0 keeps one of its two neighbours where two holders are needed; the
  # count of all clients is large enough.
  sparse = {
    'degree': 2,
    'max_dropouts': 6,
    'security_bits': 0,
    'correctness_bits': 0,
  }
  parties = build_parties(num_clients=10, threshold=2, **sparse)
  parties.advance()
  parties.advance()
  gone = {0, *parties.session.graph.neighbours(0)[:1]}
  others = [i for i in range(10) if i not in gone]
  for i in others:
    parties.server.receive(parties.answers([i])[i])
  with pytest.raises(errors.BelowThresholdError, match='around client'):
    parties.server.close_phase()


def test_sums_are_not_there_before_the_end(build_parties):
  parties = build_parties()
  while parties.server.state != State.DONE:
    with pytest.raises(errors.UnexpectedMessageError, match='close its phases'):
      _ = parties.server.sums
    parties.advance()
  assert parties.server.survivors == (0, 1, 2, 3)


@pytest.mark.parametrize('malicious', [False, True])
def test_a_directory_belongs_to_the_malicious_variant(build_parties, malicious):
  opened = build_parties(malicious=malicious).session
  identity = signing.create_identities(4)[0]
  with pytest.raises(errors.ParameterError, match='directory exactly in the'):
    server.Server(opened, None if malicious else identity.directory)
