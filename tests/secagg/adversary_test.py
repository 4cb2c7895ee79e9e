"""A network that loses, repeats, delays and changes; a server that is read."""

import collections
import dataclasses

import numpy as np
import pytest

from tff_pipelines.secagg import (
  errors,
  messages,
  parameters,
  phases,
  simulation,
)

Phase = phases.Phase
SERVER = simulation.SERVER
VARIANTS = [
  parameters.SecAggParameters(6, 4),
  parameters.SecAggParameters(6, 4, malicious=True),
]
INPUTS = [[np.arange(5) + 100 * i] for i in range(6)]
MODULUS = 2**20


def run(chosen, intercept=None, **options):
  return simulation.run_session(
    INPUTS, [MODULUS], chosen, intercept=intercept, **options
  )


def check_exact(result):
  expected = sum(INPUTS[i][0] for i in result.survivors) % MODULUS
  np.testing.assert_array_equal(result.sums[0], expected)


def cases():
  return [
    (chosen, phase)
    for chosen in VARIANTS
    for phase in phases.phases_of(malicious=chosen.malicious)
  ]


@pytest.mark.parametrize(('chosen', 'phase'), cases())
def test_an_answer_sent_twice_counts_once(chosen, phase):
  def twice(now, envelope):
    return [envelope] * (1 + (now == phase and envelope.sender == 2))

  result = run(chosen, twice)
  assert result.survivors == tuple(range(6))
  check_exact(result)
  (refusal,) = result.refusals
  assert isinstance(refusal.error, errors.DuplicateMessageError)


@pytest.mark.parametrize(('chosen', 'phase'), cases())
def test_a_request_sent_twice_is_answered_once(chosen, phase):
  def twice(now, envelope):
    return [envelope] * (1 + (now == phase and envelope.receiver == 2))

  result = run(chosen, twice, record_transcript=True)
  check_exact(result)
  answers = collections.Counter(
    (type(message), message.client)
    for message in result.transcript.messages()
    if message.client == 2 and type(message) is messages.UnmaskResponse
  )
  assert set(answers.values()) == {1}
  assert len(result.refusals) == (phase != Phase.ADVERTISE)


@pytest.mark.parametrize(('chosen', 'phase'), cases())
def test_a_straggler_counts_as_dropped(chosen, phase):
  held = []

  def delay(now, envelope):
    if now == phase and envelope.sender == 2:
      held.append(envelope)
      return []
    if now != phase and envelope.receiver == SERVER and held:
      return [held.pop(), envelope]
    return [envelope]

  result = run(chosen, delay)
  stays = phase in (Phase.CONSISTENCY, Phase.UNMASK)
  assert (2 in result.survivors) == stays
  check_exact(result)
  if phase != Phase.UNMASK:  # After which nothing is sent.
    (refusal,) = result.refusals
    assert isinstance(refusal.error, errors.LateMessageError)


@pytest.mark.parametrize(
  ('chosen', 'phase', 'to_server'),
  [
    (*case, to_server)
    for case in cases()
    for to_server in (True, False)
    # Masked inputs rely on authenticated channels.
    if not (to_server and case[1] == Phase.MASK)
  ],
)
def test_flipped_bits_give_the_exact_sum_or_a_named_error(
  chosen, phase, to_server
):
  # One bit of one message of client 2, over the whole length of the message.
  # The session runs without it, or ends with an error; but a masked input has
  # no authentication of its own (as in the paper), so channels must have it.
  for share in np.linspace(0, 0.999, 12):

    def flip(now, envelope, share=share):
      end = envelope.sender if to_server else envelope.receiver
      if now != phase or end != 2:
        return [envelope]
      data = bytearray(envelope.payload)
      data[int(share * len(data))] ^= 4
      return [dataclasses.replace(envelope, payload=bytes(data))]

    try:
      result = run(chosen, flip)
    except errors.AbortError:
      continue
    check_exact(result)


@pytest.mark.parametrize('chosen', VARIANTS)
def test_messages_of_another_session_are_not_replayed(chosen):
  recorded = run(chosen, record_transcript=True).transcript.envelopes
  by_place = {}
  for old in recorded:
    kind = type(messages.decode(old.payload))
    by_place[old.sender, old.receiver, kind] = old

  def replay(now, envelope):
    kind = type(messages.decode(envelope.payload))
    return [by_place[envelope.sender, envelope.receiver, kind], envelope]

  result = run(chosen, replay)
  check_exact(result)
  assert result.survivors == tuple(range(6))
  assert {type(r.error) for r in result.refusals} == {errors.WrongSessionError}


@pytest.mark.parametrize('chosen', VARIANTS)
def test_a_tampered_ciphertext_costs_its_receiver_only(chosen):
  def tamper(now, envelope):
    message = messages.decode(envelope.payload)
    if isinstance(message, messages.ShareDelivery) and message.client == 3:
      data = bytearray(envelope.payload)
      data[-1] ^= 1
      return [dataclasses.replace(envelope, payload=bytes(data))]
    return [envelope]

  result = run(chosen, tamper)
  assert result.survivors == (0, 1, 2, 4, 5)
  check_exact(result)
  (refusal,) = result.refusals
  assert isinstance(refusal.error, errors.TamperedCiphertextError)


@pytest.mark.parametrize('chosen', VARIANTS)
def test_a_network_that_loses_everything_ends_in_an_abort(chosen):
  with pytest.raises(errors.BelowThresholdError, match='found 0 of 6'):
    run(chosen, lambda now, envelope: [])


def revealed_shares(transcript):
  """(owner, kind) of everything that clients have revealed or been asked."""
  asked, revealed = collections.Counter(), collections.Counter()
  for message in transcript.messages():
    if isinstance(message, messages.UnmaskRequest):
      asked.update((v, 'seed') for v in message.survivors)
      asked.update((v, 'key') for v in message.dropped)
    if isinstance(message, messages.UnmaskResponse):
      revealed.update((v, 'seed') for v in message.seed_shares.owners)
      revealed.update((v, 'key') for v in message.key_shares.owners)
  return asked, revealed


SPARSE = parameters.SecAggParameters(
  30, 3, degree=8, max_dropouts=15, security_bits=0, correctness_bits=0
)


@pytest.mark.parametrize('seed', range(10))
@pytest.mark.parametrize(
  'chosen',
  [
    parameters.SecAggParameters(12, 5),
    parameters.SecAggParameters(12, 7, malicious=True),
    SPARSE,
  ],
)
def test_the_transcript_never_asks_for_both_secrets(chosen, seed):
  n = chosen.num_clients
  gone = np.random.default_rng(seed).permutation(n)[:4].tolist()
  dropouts = dict(zip(gone, ['share', 'mask', 'mask', 'unmask'], strict=True))
  result = simulation.run_session(
    [[np.arange(3)]] * n,
    [64],
    chosen,
    dropouts=dropouts,
    graph_seed=bytes(32),
    record_transcript=True,
  )
  for shares in revealed_shares(result.transcript):
    owners = collections.defaultdict(set)
    for owner, kind in shares:
      owners[owner].add(kind)
    assert all(len(kinds) == 1 for kinds in owners.values())
    assert {v for v in owners if owners[v] == {'seed'}} == set(result.survivors)
    assert {v for v in owners if owners[v] == {'key'}} == set(gone[1:3])


@pytest.mark.parametrize('phase', ['advertise', 'share', 'mask'])
def test_nothing_is_revealed_below_the_threshold(phase):
  # Enough remain for no phase after this one: no request may go out.
  seen = []

  def watch(now, envelope):
    seen.append(type(messages.decode(envelope.payload)))
    return [envelope]

  with pytest.raises(errors.BelowThresholdError):
    run(VARIANTS[0], watch, dropouts=dict.fromkeys([0, 1, 2], phase))
  assert messages.UnmaskRequest not in seen
  assert messages.UnmaskResponse not in seen


def test_errors_hold_no_secret():
  # Whatever an abort says is made of names and counts.
  with pytest.raises(errors.BelowThresholdError) as caught:
    run(VARIANTS[0], dropouts=dict.fromkeys([0, 1, 2], 'mask'))
  assert str(caught.value) == (
    'Expected at least 4 clients to answer in the phase mask, found 3 of 6; '
    'run the session again, or with parameters for more dropouts.'
  )
