"""Whole sessions: every dropout pattern of five clients, and refusals."""

import collections
import itertools

import numpy as np
import pytest

from tests import slow_cases
from tff_pipelines.secagg import (
  errors,
  messages,
  parameters,
  phases,
  simulation,
)

Phase = phases.Phase
STAY = None


def inputs_of(num_clients: int, moduli, seed: int = 0, length: int = 3):
  generator = np.random.default_rng(seed)
  return [
    [generator.integers(m, size=length) for m in moduli]
    for _ in range(num_clients)
  ]


def modular_sums(inputs, survivors, moduli):
  """An oracle in Python's integers."""
  return [
    sum(inputs[i][k].astype(object) for i in survivors) % m
    for k, m in enumerate(moduli)
  ]


def check(pattern, chosen, seed=0):
  """Runs a pattern; checks the exact sum or the right abort."""
  moduli = (2**20, 1009)
  given = inputs_of(len(pattern), moduli, seed)
  dropouts = {i: p for i, p in enumerate(pattern) if p is not STAY}
  order = phases.phases_of(malicious=chosen.malicious)
  # Who answers in each phase.
  present = {
    phase: [
      i
      for i in range(len(pattern))
      if i not in dropouts or order.index(dropouts[i]) > order.index(phase)
    ]
    for phase in order
  }
  starved = [p for p in order if len(present[p]) < chosen.threshold]
  if starved:
    with pytest.raises(
      errors.BelowThresholdError,
      match=f'in the phase {starved[0]}, found {len(present[starved[0]])} of',
    ):
      simulation.run_session(given, moduli, chosen, dropouts=dropouts)
    return 'aborted'
  result = simulation.run_session(given, moduli, chosen, dropouts=dropouts)
  assert result.survivors == tuple(present[Phase.MASK])
  assert result.refusals == ()
  expected = modular_sums(given, result.survivors, moduli)
  for found, sums in zip(result.sums, expected, strict=True):
    np.testing.assert_array_equal(found, sums.astype(np.int64))
  return 'summed'


PHASES = phases.phases_of(malicious=False)


@pytest.mark.parametrize(
  'first', slow_cases.all_but([PHASES[2]], [STAY, *PHASES])
)
def test_every_dropout_pattern_of_five_clients(first):
  chosen = parameters.SecAggParameters(5, 3)
  outcomes = collections.Counter(
    check((first, *rest), chosen)
    for rest in itertools.product([STAY, *PHASES], repeat=4)
  )
  assert outcomes.total() == 5**4
  assert len(outcomes) == 2


def test_every_dropout_pattern_of_five_clients_malicious_up_to_order():
  # One order of each of the 252 multisets; who is who is covered above.
  chosen = parameters.SecAggParameters(5, 3, malicious=True)
  generator = np.random.default_rng(0)
  patterns = list(itertools.combinations_with_replacement([STAY, *Phase], 5))
  assert len(patterns) == 252
  outcomes = collections.Counter(
    check([pattern[i] for i in generator.permutation(5)], chosen)
    for pattern in patterns
  )
  assert len(outcomes) == 2


MODULI = [2, 3, 255, 2**16, 1000003, 2**32, 2**34, 2**61 - 1, 2**62]


@pytest.mark.parametrize('malicious', [False, True])
@pytest.mark.parametrize('modulus', MODULI)
def test_every_modulus(modulus, malicious):
  chosen = parameters.SecAggParameters(4, 3, malicious=malicious)
  given = inputs_of(4, [modulus], length=40)
  result = simulation.run_session(
    given, [modulus], chosen, dropouts={1: 'mask'}
  )
  (expected,) = modular_sums(given, (0, 2, 3), [modulus])
  np.testing.assert_array_equal(result.sums[0], expected.astype(np.int64))


def test_several_vectors_of_different_moduli_and_lengths():
  chosen = parameters.SecAggParameters(3, 2)
  moduli, lengths = (8, 5, 8, 2**40), (4, 1, 0, 7)
  generator = np.random.default_rng(1)
  given = [
    [
      generator.integers(m, size=k)
      for m, k in zip(moduli, lengths, strict=True)
    ]
    for _ in range(3)
  ]
  result = simulation.run_session(given, moduli, chosen)
  assert [s.shape for s in result.sums] == [(4,), (1,), (0,), (7,)]
  for k, m in enumerate(moduli):
    np.testing.assert_array_equal(result.sums[k], sum(g[k] for g in given) % m)


@pytest.mark.parametrize('dtype', [np.uint8, np.int32, np.uint64])
def test_every_integer_dtype(dtype):
  given = [[np.array([1, 2], dtype)], [np.array([250, 5], dtype)]]
  chosen = parameters.SecAggParameters(2, 2)
  result = simulation.run_session(given, [2**20], chosen)
  assert result.sums[0].tolist() == [251, 7]


@pytest.mark.parametrize('malicious', [False, True])
def test_masked_inputs_look_uniform(malicious):
  # All inputs are zero. 3 x 4,000 masked entries in [0, 16): Hoeffding bounds
  # each frequency by sqrt(ln(2 * 16 / 1e-9) / 24000) = 0.0318 but for 1e-9.
  chosen = parameters.SecAggParameters(3, 2, malicious=malicious)
  given = [[np.zeros(4000, int)]] * 3
  result = simulation.run_session(given, [16], chosen, record_transcript=True)
  masked = [
    np.frombuffer(message.vectors[0], np.uint8)
    for message in result.transcript.messages()
    if isinstance(message, messages.MaskedInput)
  ]
  assert len(masked) == 3
  bits = np.unpackbits(np.concatenate(masked)).reshape(3, 4, 4000)
  entries = (bits * np.array([1, 2, 4, 8])[:, np.newaxis]).sum(axis=1)
  frequencies = np.bincount(entries.ravel(), minlength=16) / 12_000
  assert np.abs(frequencies - 1 / 16).max() < 0.0318
  assert not result.sums[0].any()


def test_two_sessions_have_nothing_in_common():
  chosen, given = parameters.SecAggParameters(3, 2), [[np.arange(9)]] * 3
  payloads = [
    envelope.payload
    for _ in range(2)
    for envelope in simulation.run_session(
      given, [2**20], chosen, session_id=bytes(16), record_transcript=True
    ).transcript.envelopes
    if len(envelope.payload) > 60
  ]
  # Only the requests, which are public, may be equal.
  same = [p for p, c in collections.Counter(payloads).items() if c > 1]
  kinds = {type(messages.decode(p)) for p in same}
  assert kinds <= {messages.UnmaskRequest}


def test_nothing_is_recorded_unless_asked_for():
  chosen, given = parameters.SecAggParameters(3, 2), [[np.arange(9)]] * 3
  assert simulation.run_session(given, [2**20], chosen).transcript is None


@pytest.mark.parametrize(
  ('changes', 'error', 'match'),
  [
    (
      {'inputs': [[np.arange(3)]] * 4},
      errors.ParameterError,
      'of 3 clients, f',
    ),
    (
      {'inputs': [[np.arange(3)], [np.arange(4)], [np.arange(3)]]},
      errors.InputError,
      'vector 0 to be 3 integers',
    ),
    ({'moduli': [2]}, errors.InputError, r'in \[0, 2\)'),
    ({'dropouts': {3: 'mask'}}, errors.ParameterError, r'others: \[3\]'),
    ({'dropouts': {0: 'lunch'}}, errors.ParameterError, "found 'lunch'"),
    (
      {'dropouts': {0: 'consistency'}},
      errors.ParameterError,
      'only the malicious variant has',
    ),
    ({'session_id': b'x'}, errors.ParameterError, 'session_id of 16 bytes'),
    ({'graph_seed': b'x'}, errors.ParameterError, 'graph_seed of 32 bytes'),
    ({'round_num': -1}, errors.ParameterError, r'round_num in \[0, 2\*\*64\)'),
  ],
)
def test_bad_arguments_are_refused(changes, error, match):
  arguments = {'inputs': [[np.arange(3)]] * 3, 'moduli': [8]} | changes
  with pytest.raises(error, match=match):
    simulation.run_session(
      parameters=parameters.SecAggParameters(3, 2), **arguments
    )
