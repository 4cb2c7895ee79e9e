"""What an honest client accepts, refuses and leaves for."""

import dataclasses

from cryptography.hazmat.primitives.asymmetric import x25519
import numpy as np
import pytest

from tff_pipelines.secagg import client, errors, messages, records, signing

State = client.ClientState
MALICIOUS = {'malicious': True}


def bring_to(parties, state: client.ClientState) -> None:
  """Runs the protocol until all clients are in a state."""
  if state == State.ABORTED:
    bring_to(parties, State.ADVERTISED)
    for i, party in enumerate(parties.clients):
      with pytest.raises(errors.BelowThresholdError):
        party.handle(
          messages.KeyBroadcast(parties.session.digest, i, records.Records())
        )
  while parties.clients[0].state != state:
    parties.advance()


def examples(parties) -> list[messages.Message]:
  """Messages of every type for client 0."""
  digest, some = parties.session.digest, records.build([1], [b'x'])
  return [
    messages.AdvertiseKeys(digest, 0, bytes(32), bytes(32)),
    messages.KeyBroadcast(digest, 0, some),
    messages.EncryptedShares(digest, 0, bytes(32), some),
    messages.ShareDelivery(digest, 0, some),
    messages.MaskedInput(digest, 0, (b'',)),
    messages.ConsistencyRequest(digest, 0, (0, 1, 2)),
    messages.ConsistencySignature(digest, 0, b''),
    messages.UnmaskRequest(digest, 0, (0, 1, 2, 3), ()),
    messages.UnmaskResponse(digest, 0, some, some),
  ]


# (state, malicious) -> the one message that is legal.
LEGAL = {
  (State.NEW, False): None,
  (State.ADVERTISED, False): messages.KeyBroadcast,
  (State.SHARED, False): messages.ShareDelivery,
  (State.MASKED, False): messages.UnmaskRequest,
  (State.DONE, False): None,
  (State.ABORTED, False): None,
  (State.NEW, True): None,
  (State.ADVERTISED, True): messages.KeyBroadcast,
  (State.SHARED, True): messages.ShareDelivery,
  (State.MASKED, True): messages.ConsistencyRequest,
  (State.SIGNED, True): messages.UnmaskRequest,
  (State.DONE, True): None,
  (State.ABORTED, True): None,
}


@pytest.mark.parametrize(('state', 'malicious'), LEGAL)
def test_every_illegal_message_in_every_state_is_refused(
  build_parties, state, malicious
):
  parties = build_parties(malicious=malicious)
  bring_to(parties, state)
  refused = 0
  for message in examples(parties):
    if type(message) is LEGAL[state, malicious]:
      continue
    with pytest.raises(
      errors.UnexpectedMessageError, match=f'in the state {state}, found it'
    ):
      parties.clients[0].handle(message)
    refused += 1
    assert parties.clients[0].state == state
  assert refused == 9 - (LEGAL[state, malicious] is not None)


@pytest.mark.parametrize(('state', 'malicious'), LEGAL)
def test_a_client_starts_once(build_parties, state, malicious):
  parties = build_parties(malicious=malicious)
  bring_to(parties, state)
  if state == State.NEW:
    parties.clients[0].start()
  with pytest.raises(errors.UnexpectedMessageError, match='nothing like a sta'):
    parties.clients[0].start()


@pytest.mark.parametrize('malicious', [False, True])
def test_refused_messages_do_not_disturb_the_session(build_parties, malicious):
  parties = build_parties(malicious=malicious)
  while parties.clients[0].state != State.DONE:
    for message in examples(parties):
      legal = LEGAL[parties.clients[0].state, malicious]
      if type(message) is not legal:
        with pytest.raises(errors.RefusedMessageError):
          parties.clients[0].handle(message)
    parties.advance()
  np.testing.assert_array_equal(parties.server.sums[0], sum(parties.inputs))


@pytest.mark.parametrize('change', ['round_num', 'session_id'])
def test_messages_of_another_session_are_refused(build_parties, change):
  other = {'round_num': 8, 'session_id': b'\1' * 16}[change]
  here, there = build_parties(), build_parties(**{change: other})
  here.advance()
  there.advance()
  with pytest.raises(
    errors.WrongSessionError, match='another session or round'
  ):
    here.clients[0].handle(there.outgoing[0])
  assert here.clients[0].state == State.ADVERTISED


def test_a_message_for_another_client_is_refused(build_parties):
  parties = build_parties()
  parties.advance()
  with pytest.raises(errors.UnexpectedMessageError, match='one for client 1'):
    parties.clients[0].handle(parties.outgoing[1])


def test_a_replayed_message_is_refused(build_parties):
  parties = build_parties()
  parties.advance()
  request = parties.outgoing[0]
  parties.clients[0].handle(request)
  with pytest.raises(errors.UnexpectedMessageError):
    parties.clients[0].handle(request)


def leave(parties, message, error, match):
  """The client leaves for good, and has forgotten its secrets."""
  party = parties.clients[message.client]
  with pytest.raises(error, match=match):
    party.handle(message)
  assert party.state == State.ABORTED
  assert party._secrets is None
  assert not party._held_shares
  assert not party._share_keys
  with pytest.raises(errors.UnexpectedMessageError):
    party.handle(message)


# Round 1.


@pytest.mark.parametrize('count', [0, 1])
def test_too_few_neighbours_in_round_1(build_parties, count):
  parties = build_parties()
  parties.advance()
  keys = parties.outgoing[0].keys
  message = dataclasses.replace(
    parties.outgoing[0], keys=keys.select(keys.owners[:count])
  )
  leave(parties, message, errors.BelowThresholdError, f'found {count + 1} arou')


@pytest.mark.parametrize('owners', [(0, 1, 2), (1, 2, 4)])
def test_keys_of_others_than_neighbours_are_refused(build_parties, owners):
  parties = build_parties()
  parties.advance()
  keys = records.build(owners, [bytes(64)] * 3)
  with pytest.raises(
    errors.MalformedMessageError, match='found some of others'
  ):
    parties.clients[0].handle(
      dataclasses.replace(parties.outgoing[0], keys=keys)
    )
  assert parties.clients[0].state == State.ADVERTISED


@pytest.mark.parametrize('malicious', [False, True])
def test_keys_of_another_size_are_refused(build_parties, malicious):
  parties = build_parties(malicious=malicious)
  parties.advance()
  keys = records.build((1, 2, 3), [bytes(65)] * 3)
  with pytest.raises(errors.MalformedMessageError, match='found 65'):
    parties.clients[0].handle(
      dataclasses.replace(parties.outgoing[0], keys=keys)
    )


def replace_key(message, owner: int, key: bytes):
  contents = dict(message.keys.items()) | {owner: key}
  return dataclasses.replace(
    message, keys=records.build(message.keys.owners, list(contents.values()))
  )


def test_a_key_shown_twice(build_parties):
  parties = build_parties()
  parties.advance()
  message = replace_key(parties.outgoing[0], 1, parties.outgoing[0].keys[2])
  leave(parties, message, errors.InvalidKeyError, 'found one twice')


def test_the_own_key_under_another_name(build_parties):
  parties = build_parties()
  parties.advance()
  own = parties.outgoing[1].keys[0]
  message = replace_key(parties.outgoing[0], 1, own)
  leave(parties, message, errors.InvalidKeyError, 'found one twice')


def test_a_cipher_key_of_low_order(build_parties):
  parties = build_parties()
  parties.advance()
  message = replace_key(
    parties.outgoing[0], 1, bytes(32) + parties.outgoing[0].keys[1][32:]
  )
  leave(parties, message, errors.InvalidKeyError, 'one of low order')


def test_a_mask_key_that_the_server_swapped(build_parties):
  # Without signatures too: the keys are associated data of the shares.
  parties = build_parties()
  parties.advance()
  parties.outgoing = {
    i: message
    if i == 1
    else replace_key(message, 1, message.keys[1][:32] + bytes(32))
    for i, message in parties.outgoing.items()
  }
  parties.advance()
  leave(
    parties,
    parties.outgoing[0],
    errors.TamperedCiphertextError,
    'client 1 sealed for client 0',
  )


def test_keys_that_the_server_made_up(build_parties):
  parties = build_parties(**MALICIOUS)
  parties.advance()
  fake = x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()
  record = parties.outgoing[0].keys[1]
  message = replace_key(parties.outgoing[0], 1, fake + record[32:])
  leave(parties, message, errors.BadSignatureError, 'keys signed by client 1')


# Round 2.


def test_too_few_neighbours_in_round_2(build_parties):
  parties = build_parties()
  parties.advance()
  parties.advance()
  given = parties.outgoing[0].ciphertexts
  message = dataclasses.replace(
    parties.outgoing[0], ciphertexts=given.select([1])
  )
  leave(parties, message, errors.BelowThresholdError, 'found 2 around client 0')


@pytest.mark.parametrize('position', [0, 65, 66, 81])
def test_a_tampered_ciphertext(build_parties, position):
  parties = build_parties()
  parties.advance()
  parties.advance()
  given = parties.outgoing[0].ciphertexts
  data = bytearray(given.data)
  data[82 + position] ^= 1
  message = dataclasses.replace(
    parties.outgoing[0],
    ciphertexts=dataclasses.replace(given, data=bytes(data)),
  )
  leave(parties, message, errors.TamperedCiphertextError, 'client 2 sealed for')


def test_ciphertexts_that_were_swapped(build_parties):
  parties = build_parties()
  parties.advance()
  parties.advance()
  given = parties.outgoing[0].ciphertexts
  message = dataclasses.replace(
    parties.outgoing[0],
    ciphertexts=records.build((1, 2, 3), [given[2], given[1], given[3]]),
  )
  leave(parties, message, errors.TamperedCiphertextError, 'client 1 sealed for')


def test_a_ciphertext_that_comes_back_to_its_sender(build_parties):
  parties = build_parties()
  parties.advance()
  parties.advance()
  given = parties.outgoing[0].ciphertexts
  own = parties.sent[1][0].ciphertexts[1]
  message = dataclasses.replace(
    parties.outgoing[0],
    ciphertexts=records.build((1, 2, 3), [own, given[2], given[3]]),
  )
  leave(parties, message, errors.TamperedCiphertextError, 'client 1 sealed for')


def test_ciphertexts_of_another_size_are_refused(build_parties):
  parties = build_parties()
  parties.advance()
  parties.advance()
  message = dataclasses.replace(
    parties.outgoing[0],
    ciphertexts=records.build((1, 2, 3), [bytes(81)] * 3),
  )
  with pytest.raises(errors.MalformedMessageError, match='found 81'):
    parties.clients[0].handle(message)


# Round 4.


def unmask_request(parties, **changes):
  return dataclasses.replace(parties.outgoing[0], **changes)


@pytest.mark.parametrize('malicious', [False, True])
@pytest.mark.parametrize('dropped', [(3,), (0,), (0, 1, 2, 3)])
def test_both_secrets_of_a_client_are_never_revealed(
  build_parties, malicious, dropped
):
  parties = build_parties(malicious=malicious)
  bring_to(parties, State.SIGNED if malicious else State.MASKED)
  message = unmask_request(parties, dropped=dropped)
  leave(
    parties,
    message,
    errors.BothSharesRequestedError,
    f'found {len(dropped)} clients of whom both',
  )


def test_a_second_request_with_the_roles_changed_is_refused(build_parties):
  # The seed of client 3 is revealed; its key must not be afterwards.
  parties = build_parties()
  bring_to(parties, State.MASKED)
  response = parties.clients[0].handle(parties.outgoing[0])
  assert 3 in response.seed_shares.owners
  with pytest.raises(errors.UnexpectedMessageError):
    parties.clients[0].handle(
      unmask_request(parties, survivors=(0, 1, 2), dropped=(3,))
    )


def test_a_response_holds_one_share_of_each(build_parties):
  parties = build_parties()
  bring_to(parties, State.MASKED)
  response = parties.clients[0].handle(
    unmask_request(parties, survivors=(0, 1, 2), dropped=(3,))
  )
  assert response.seed_shares.owners == (0, 1, 2)
  assert response.key_shares.owners == (3,)
  assert response.seed_shares.size == response.key_shares.size == 33


@pytest.mark.parametrize(
  ('survivors', 'dropped'),
  [((0, 1, 2), ()), ((0, 1, 2, 3), (4,)), ((0, 1, 2, 3, 4), ())],
)
def test_requests_about_others_are_refused(build_parties, survivors, dropped):
  parties = build_parties()
  bring_to(parties, State.MASKED)
  with pytest.raises(errors.MalformedMessageError, match='one about others'):
    parties.clients[0].handle(
      unmask_request(parties, survivors=survivors, dropped=dropped)
    )
  assert parties.clients[0].state == State.MASKED


def test_a_request_that_leaves_the_client_itself_out(build_parties):
  parties = build_parties()
  bring_to(parties, State.MASKED)
  message = unmask_request(parties, survivors=(1, 2, 3), dropped=(0,))
  leave(parties, message, errors.InconsistentSurvivorsError, 'left out')


def test_a_sum_below_the_threshold_is_not_unmasked(build_parties):
  parties = build_parties()
  bring_to(parties, State.MASKED)
  message = unmask_request(parties, survivors=(0, 1), dropped=(2, 3))
  leave(
    parties, message, errors.BelowThresholdError, 'sent their input, found 2'
  )


# Rounds 3 and 4 of the malicious variant.


def test_survivors_that_never_shared_are_not_signed(build_parties):
  parties = build_parties(**MALICIOUS)
  bring_to(parties, State.MASKED)
  with pytest.raises(errors.MalformedMessageError, match='that have shared'):
    parties.clients[0].handle(
      dataclasses.replace(parties.outgoing[0], survivors=(0, 1, 2, 9))
    )


@pytest.mark.parametrize(
  ('survivors', 'error'),
  [
    ((0, 1), errors.BelowThresholdError),
    ((1, 2, 3), errors.InconsistentSurvivorsError),
  ],
)
def test_bad_survivors_are_not_signed(build_parties, survivors, error):
  parties = build_parties(**MALICIOUS)
  bring_to(parties, State.MASKED)
  message = dataclasses.replace(parties.outgoing[0], survivors=survivors)
  leave(parties, message, error, 'leaves the session')


def test_survivors_other_than_those_signed(build_parties):
  parties = build_parties(**MALICIOUS)
  bring_to(parties, State.SIGNED)
  message = unmask_request(parties, survivors=(0, 1, 2), dropped=(3,))
  leave(parties, message, errors.InconsistentSurvivorsError, 'that were signed')


def test_too_few_signatures(build_parties):
  parties = build_parties(**MALICIOUS)
  bring_to(parties, State.SIGNED)
  signatures = parties.outgoing[0].signatures
  message = unmask_request(parties, signatures=signatures.select([0, 1]))
  leave(parties, message, errors.BelowThresholdError, 'signed the survivors')


def test_signatures_of_other_survivors(build_parties):
  identities = signing.create_identities(4)
  parties = build_parties(**MALICIOUS, identities=identities)
  bring_to(parties, State.SIGNED)
  signatures = parties.outgoing[0].signatures
  other = signing.sign_survivors(
    identities[1], parties.session.digest, (0, 1, 2)
  )
  contents = dict(signatures.items()) | {1: other}
  message = unmask_request(
    parties, signatures=records.build((0, 1, 2, 3), list(contents.values()))
  )
  leave(parties, message, errors.BadSignatureError, 'signed by client 1')


def test_signatures_of_nobody_in_the_sum_are_refused(build_parties):
  parties = build_parties(**MALICIOUS)
  bring_to(parties, State.SIGNED)
  signatures = records.build((0, 1, 2, 9), [bytes(64)] * 4)
  with pytest.raises(errors.MalformedMessageError, match='signatures of surv'):
    parties.clients[0].handle(unmask_request(parties, signatures=signatures))


# Setup.


@pytest.mark.parametrize('index', [-1, 4])
def test_an_index_out_of_range_is_refused(build_parties, index):
  opened = build_parties().session
  with pytest.raises(errors.ParameterError, match='client below 4'):
    client.Client(opened, index, [np.zeros(3, int)])


@pytest.mark.parametrize('malicious', [False, True])
def test_an_identity_belongs_to_the_malicious_variant(build_parties, malicious):
  opened = build_parties(malicious=malicious).session
  identity = None if malicious else signing.create_identities(4)[0]
  with pytest.raises(
    errors.ParameterError, match='identity exactly in the mal'
  ):
    client.Client(opened, 0, [np.zeros(3, int)], identity)


def test_an_input_that_does_not_fit_is_refused(build_parties):
  with pytest.raises(errors.InputError):
    client.Client(build_parties().session, 0, [np.zeros(4, int)])


def test_secrets_are_fresh_in_every_session(build_parties):
  one, two = build_parties(), build_parties()
  first, second = one.clients[0].start(), two.clients[0].start()
  assert first.cipher_key != second.cipher_key
  assert first.mask_key != second.mask_key
  assert first.cipher_key != first.mask_key


def test_secrets_are_forgotten_when_they_are_not_needed(build_parties):
  parties = build_parties()
  bring_to(parties, State.MASKED)
  assert parties.clients[0]._secrets is None
  assert not parties.clients[0]._input
  bring_to(parties, State.DONE)
  assert not parties.clients[0]._held_shares
