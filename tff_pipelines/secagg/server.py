"""The server as a state machine.

Source: Bonawitz et al. 2017, "Practical Secure Aggregation for
Privacy-Preserving Machine Learning", figure 4, the server's side; Bell et al.
2020, algorithm 2, where the graph is sparse.
"""

import bisect
from collections.abc import Callable, Collection, Mapping
import enum
import functools

from cryptography.hazmat.primitives.asymmetric import x25519
import numpy as np

from tff_pipelines.secagg import (
  client_secrets,
  errors,
  keys,
  masks,
  messages,
  outbox,
  packing,
  phases,
  records,
  routing,
  signing,
  unmasking,
)
from tff_pipelines.secagg import session as sessions

Phase = phases.Phase


class ServerState(enum.StrEnum):
  """What the server waits for (Bonawitz et al. 2017, figure 4)."""

  COLLECT_KEYS = 'collect keys'
  COLLECT_SHARES = 'collect shares'
  COLLECT_INPUTS = 'collect inputs'
  COLLECT_SIGNATURES = 'collect signatures'
  COLLECT_UNMASKING = 'collect unmasking'
  DONE = 'done'
  ABORTED = 'aborted'


_AWAITED: dict[ServerState, type[messages.Message]] = {
  ServerState.COLLECT_KEYS: messages.AdvertiseKeys,
  ServerState.COLLECT_SHARES: messages.EncryptedShares,
  ServerState.COLLECT_INPUTS: messages.MaskedInput,
  ServerState.COLLECT_SIGNATURES: messages.ConsistencySignature,
  ServerState.COLLECT_UNMASKING: messages.UnmaskResponse,
}
_ORDER = tuple(_AWAITED.values())


class Server:
  """The server's part in one session.

  `receive` takes one client's message, `close_phase` ends the waiting and
  returns the server's messages, by client. A refused message changes nothing.
  When too few clients are left, `close_phase` aborts before anything of the
  phase is revealed.

  Source: Bonawitz et al. 2017, figure 4.
  """

  def __init__(
    self,
    session: sessions.Session,
    directory: signing.Directory | None = None,
  ) -> None:
    """Opens the first phase.

    Args:
      session: The public description.
      directory: The clients' public signing keys; in the malicious variant.

    Raises:
      ParameterError: If the directory does not fit the variant.
    """
    if session.parameters.malicious != (directory is not None):
      raise errors.ParameterError(
        'Expected a directory exactly in the malicious variant, found '
        f'{"none" if directory is None else "one"} with '
        f'malicious={session.parameters.malicious}.'
      )
    self._session = session
    self._directory = directory
    self._state = ServerState.COLLECT_KEYS
    # Who is waited for, and who has answered, in the present phase.
    self._awaited: Collection[int] = range(session.parameters.num_clients)
    self._answered: set[int] = set()
    self._neighbours: dict[int, tuple[int, ...]] = {}  # Closed, sorted.
    self._advertised: dict[int, messages.AdvertiseKeys] = {}
    self._commitments: dict[int, bytes] = {}
    self._router: routing.Router | None = None
    self._sharers: frozenset[int] = frozenset()
    self._survivors: tuple[int, ...] = ()
    self._signatures: dict[int, bytes] = {}
    self._requests: dict[int, messages.UnmaskRequest] = {}
    self._responses: dict[int, messages.UnmaskResponse] = {}
    self._unpackers = [packing.Unpacker(g) for g in session.layout.groups]
    self._sum: masks.MaskedSum | None = masks.MaskedSum(session.layout)
    self._result: tuple[np.ndarray, ...] | None = None

  @property
  def state(self) -> ServerState:
    """What the server waits for (Bonawitz et al. 2017, figure 4)."""
    return self._state

  @property
  def survivors(self) -> tuple[int, ...]:
    """U3 in order: the clients whose input is in the sum; () before."""
    return self._survivors

  @property
  def sums(self) -> tuple[np.ndarray, ...]:
    """The sums over the survivors, int64, one vector a modulus.

    Raises:
      UnexpectedMessageError: If the session is not done.
    """
    if self._result is None:
      raise errors.UnexpectedMessageError(
        f'Expected a session that is done, found it in state {self._state}; '
        'close its phases first.'
      )
    return self._result

  def receive(self, message: messages.Message) -> None:
    """Takes a client's message (Bonawitz et al. 2017, figure 4).

    Raises:
      RefusedMessageError: If it does not belong here; nothing has changed.
    """
    self._check_is_due(message)
    match message:
      case messages.AdvertiseKeys():
        self._take_keys(message)
      case messages.EncryptedShares():
        self._take_shares(message)
      case messages.MaskedInput():
        self._take_input(message)
      case messages.ConsistencySignature():
        self._take_signature(message)
      case messages.UnmaskResponse():
        self._take_response(message)
    self._answered.add(message.client)

  def close_phase(self) -> Mapping[int, messages.Message]:
    """Ends the present phase; returns the messages that open the next one.

    Source: Bonawitz et al. 2017, figure 4. The last phase returns no message
    and makes the sums available.

    Raises:
      BelowThresholdError: If too few clients have answered.
      WrongShareError: If a secret could not be put together.
      UnexpectedMessageError: If the session is over.
    """
    closers: dict[ServerState, Callable[[], Mapping[int, messages.Message]]] = {
      ServerState.COLLECT_KEYS: self._broadcast_keys,
      ServerState.COLLECT_SHARES: self._deliver_shares,
      ServerState.COLLECT_INPUTS: self._announce_survivors,
      ServerState.COLLECT_SIGNATURES: self._request_unmasking,
      ServerState.COLLECT_UNMASKING: self._unmask,
    }
    if self._state not in closers:
      raise errors.UnexpectedMessageError(
        f'Expected an open session, found it in state {self._state}.'
      )
    try:
      outgoing = closers[self._state]()
    except errors.AbortError:
      self._state = ServerState.ABORTED
      self._sum = None
      raise
    self._awaited = outgoing.keys()
    self._answered = set()
    return outgoing

  def _check_is_due(self, message: messages.Message) -> None:
    kind, name = type(message), type(message).__name__
    if message.session != self._session.digest:
      raise errors.WrongSessionError(
        f'Expected messages of this session, found a {name} of client '
        f'{message.client} of another session or round.'
      )
    awaited = _AWAITED.get(self._state)
    if kind != awaited:
      # After the end everything is late, and before it what came earlier.
      late = kind in _ORDER and (
        awaited is None or _ORDER.index(kind) < _ORDER.index(awaited)
      )
      refusal = (
        errors.LateMessageError if late else errors.UnexpectedMessageError
      )
      raise refusal(
        f'Expected nothing like a {name} in the state {self._state}, found one '
        f'of client {message.client}; it is ignored.'
      )
    if message.client in self._answered:
      raise errors.DuplicateMessageError(
        f'Expected one {name} of each client, found a second one of client '
        f'{message.client}; the first one counts.'
      )
    if message.client not in self._awaited:
      raise errors.UnknownSenderError(
        f'Expected a {name} of a client that is still in the session, found '
        f'one of client {message.client}.'
      )

  # What is taken in each phase.

  def _take_keys(self, message: messages.AdvertiseKeys) -> None:
    if self._directory is None:
      if message.signature:
        raise errors.MalformedMessageError(
          'Expected no signature but in the malicious variant, found one.'
        )
    elif not signing.keys_are_signed(
      self._directory,
      self._session.digest,
      message.client,
      message.cipher_key,
      message.mask_key,
      message.signature,
    ):
      raise errors.ForgedMessageError(
        f'Expected keys signed by client {message.client}, found another '
        'signature; the message is ignored.'
      )
    self._advertised[message.client] = message

  def _take_shares(self, message: messages.EncryptedShares) -> None:
    expected = self._others(message.client)
    given = message.ciphertexts
    if given.owners != expected or (
      given.owners and given.size != client_secrets.CIPHERTEXT_BYTES
    ):
      raise errors.MalformedMessageError(
        f'Expected {len(expected)} sealed shares of client {message.client} of '
        f'{client_secrets.CIPHERTEXT_BYTES} bytes, one for each neighbour, '
        f'found {len(given)} of {given.size} bytes.'
      )
    self._commitments[message.client] = message.seed_commitment
    assert self._router is not None
    self._router.put(message.client, given)

  def _take_input(self, message: messages.MaskedInput) -> None:
    assert self._sum is not None
    groups = self._session.layout.groups
    if len(message.vectors) != len(groups):
      raise errors.MalformedMessageError(
        f'Expected {len(groups)} masked vectors of client {message.client}, '
        f'found {len(message.vectors)}.'
      )
    self._sum.add(
      [
        unpacker.unpack(vector)
        for unpacker, vector in zip(
          self._unpackers, message.vectors, strict=True
        )
      ]
    )

  def _take_signature(self, message: messages.ConsistencySignature) -> None:
    assert self._directory is not None
    if not signing.survivors_are_signed(
      self._directory,
      self._session.digest,
      message.client,
      self._survivors,
      message.signature,
    ):
      raise errors.ForgedMessageError(
        f'Expected the survivors signed by client {message.client}, found '
        'another signature; the message is ignored.'
      )
    self._signatures[message.client] = message.signature

  def _take_response(self, message: messages.UnmaskResponse) -> None:
    request = self._requests[message.client]
    if (
      message.seed_shares.owners != request.survivors
      or message.key_shares.owners != request.dropped
      or not unmasking.shares_are_elements(message)
    ):
      raise errors.MalformedMessageError(
        f'Expected of client {message.client} the shares that were asked for, '
        'found others.'
      )
    self._responses[message.client] = message

  # What ends each phase.

  def _broadcast_keys(self) -> Mapping[int, messages.Message]:
    """U1 is complete: every client gets the keys of its neighbours."""
    present = self._answered
    self._check_count(len(present), Phase.ADVERTISE)
    self._neighbours = self._closed_neighbourhoods(present)
    self._check_holders(present, present, Phase.ADVERTISE)
    everybody = sorted(present)
    public_keys = records.build(
      everybody,
      [
        message.cipher_key + message.mask_key + message.signature
        for message in map(self._advertised.__getitem__, everybody)
      ],
    )
    is_complete = self._session.parameters.degree is None
    others = {i: self._others(i) for i in everybody}
    self._router = routing.Router(others)
    self._state = ServerState.COLLECT_SHARES

    def build(client: int) -> messages.KeyBroadcast:
      if is_complete:
        chosen = public_keys.without(client)
      else:
        chosen = public_keys.select(others[client])
      return messages.KeyBroadcast(self._session.digest, client, chosen)

    return outbox.Outbox(everybody, build)

  def _deliver_shares(self) -> Mapping[int, messages.Message]:
    """U2 is complete: the sealed shares go to their receivers."""
    self._sharers = frozenset(self._answered)
    self._check_count(len(self._sharers), Phase.SHARE)
    self._neighbours = self._closed_neighbourhoods(self._sharers)
    self._check_holders(self._sharers, self._sharers, Phase.SHARE)
    router, self._router = self._router, None
    assert router is not None
    self._state = ServerState.COLLECT_INPUTS
    return outbox.Outbox(
      sorted(self._sharers),
      lambda i: messages.ShareDelivery(
        self._session.digest, i, router.records_for(i)
      ),
    )

  def _announce_survivors(self) -> Mapping[int, messages.Message]:
    """U3 is complete: it is shown for signing, or unmasked at once."""
    self._survivors = tuple(sorted(self._answered))
    self._check_count(len(self._survivors), Phase.MASK)
    self._check_holders(self._sharers, self._answered, Phase.MASK)
    if not self._session.parameters.malicious:
      return self._request_unmasking()
    self._state = ServerState.COLLECT_SIGNATURES
    return {
      i: messages.ConsistencyRequest(self._session.digest, i, self._survivors)
      for i in self._survivors
    }

  def _request_unmasking(self) -> Mapping[int, messages.Message]:
    """U3, or U4 if it was signed, is asked for one share of each client."""
    if self._session.parameters.malicious:
      self._check_count(len(self._answered), Phase.CONSISTENCY)
    signers = sorted(self._signatures)
    signatures = records.build(signers, [self._signatures[i] for i in signers])
    survivors = set(self._survivors)

    @functools.cache  # All clients of the complete graph are asked the same.
    def split(
      neighbours: tuple[int, ...],
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
      return (
        tuple(i for i in neighbours if i in survivors),
        tuple(i for i in neighbours if i not in survivors),
      )

    self._requests = {
      i: messages.UnmaskRequest(
        self._session.digest, i, *split(self._neighbours[i]), signatures
      )
      for i in sorted(self._answered)
    }
    self._state = ServerState.COLLECT_UNMASKING
    return dict(self._requests)

  def _unmask(self) -> Mapping[int, messages.Message]:
    """U5 is complete: masks are reconstructed and subtracted."""
    assert self._sum is not None
    self._check_count(len(self._answered), Phase.UNMASK)
    self._check_holders(self._sharers, self._answered, Phase.UNMASK)
    seeds = unmasking.reconstruct_mask_seeds(
      self._holders(self._survivors),
      self._responses,
      self._commitments,
      self._session.digest,
    )
    for survivor, seed in seeds.items():
      self._sum.subtract_mask(
        client_secrets.single_mask_seed(seed, self._session.digest, survivor)
      )
    self._remove_pair_masks()
    self._result = self._session.layout.split(self._sum.result())
    self._sum, self._responses = None, {}
    self._state = ServerState.DONE
    return {}

  def _remove_pair_masks(self) -> None:
    """Undoes what survivors did for the clients that have dropped out."""
    survivors = set(self._survivors)
    remaining = {
      dropped: sorted(survivors.intersection(self._neighbours[dropped]))
      for dropped in sorted(self._sharers - survivors)
    }
    mask_keys = unmasking.reconstruct_mask_keys(
      self._holders([dropped for dropped, left in remaining.items() if left]),
      self._responses,
      {i: self._advertised[i].mask_key for i in remaining},
    )
    public_keys = {
      i: x25519.X25519PublicKey.from_public_bytes(self._advertised[i].mask_key)
      for i in self._survivors
    }
    for dropped, private in mask_keys.items():
      for survivor in remaining[dropped]:
        self._remove_pair_mask(
          dropped, private, survivor, public_keys[survivor]
        )

  def _remove_pair_mask(
    self,
    dropped: int,
    private: x25519.X25519PrivateKey,
    survivor: int,
    public: x25519.X25519PublicKey,
  ) -> None:
    """Undoes what the survivor did for the client that is gone."""
    assert self._sum is not None
    seed = keys.agree(
      private,
      public,
      client_secrets.PAIR_MASK,
      self._session.digest,
      (dropped, survivor),
    )
    if dropped < survivor:
      self._sum.subtract_mask(seed)
    else:
      self._sum.add_mask(seed)

  def _holders(self, owners: Collection[int]) -> dict[int, tuple[int, ...]]:
    """Returns for each owner t clients that have answered with a share."""

    @functools.cache  # The complete graph asks once.
    def first_holders(neighbours: tuple[int, ...]) -> tuple[int, ...]:
      answered = [i for i in neighbours if i in self._answered]
      return tuple(answered[: self._session.parameters.threshold])

    return {owner: first_holders(self._neighbours[owner]) for owner in owners}

  def _closed_neighbourhoods(
    self, present: Collection[int]
  ) -> dict[int, tuple[int, ...]]:
    """Returns each client and those of its neighbours that are present."""
    everybody = tuple(sorted(present))
    if self._session.parameters.degree is None:
      return dict.fromkeys(everybody, everybody)
    neighbours = self._session.graph.neighbours
    return {
      i: tuple(sorted({i, *neighbours(i)}.intersection(everybody)))
      for i in everybody
    }

  def _others(self, client: int) -> tuple[int, ...]:
    neighbours = self._neighbours[client]
    position = bisect.bisect_left(neighbours, client)
    return neighbours[:position] + neighbours[position + 1 :]

  def _check_count(self, found: int, phase: Phase) -> None:
    """Aborts if a sum would be over too few, or could not be unmasked."""
    chosen = self._session.parameters
    least = chosen.threshold
    if phase in (Phase.ADVERTISE, Phase.SHARE, Phase.MASK):
      least = chosen.min_survivors
    if found < least:
      raise errors.BelowThresholdError(
        f'Expected at least {least} clients to answer in the phase {phase}, '
        f'found {found} of {chosen.num_clients}; run the session again, or '
        'with parameters for more dropouts.'
      )

  def _check_holders(
    self, owners: Collection[int], alive: Collection[int], phase: Phase
  ) -> None:
    """Aborts if a secret has fewer than t holders left, in a sparse graph."""
    chosen = self._session.parameters
    if chosen.degree is None:
      return  # All hold shares of all, and those were counted.
    alive = set(alive)
    for owner in owners:
      left = len(alive.intersection(self._neighbours[owner]))
      if left < chosen.threshold:
        raise errors.BelowThresholdError(
          f'Expected at least {chosen.threshold} clients around client {owner} '
          f'to answer in the phase {phase}, found {left}; run the session '
          'again, or with parameters for more dropouts.'
        )
