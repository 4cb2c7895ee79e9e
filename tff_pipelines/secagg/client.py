"""A client as a state machine.

Source: Bonawitz et al. 2017, "Practical Secure Aggregation for
Privacy-Preserving Machine Learning", figure 4, the user's side; Bell et al.
2020, algorithm 2, where the graph is sparse.
"""

from collections.abc import Iterable, Mapping, Sequence
import enum
from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric import x25519
import numpy as np

from tff_pipelines.secagg import (
  client_secrets,
  errors,
  field,
  keys,
  masks,
  messages,
  packing,
  records,
  sealing,
  signing,
)
from tff_pipelines.secagg import session as sessions


class ClientState(enum.StrEnum):
  """What a client has done last (Bonawitz et al. 2017, figure 4)."""

  NEW = 'new'
  ADVERTISED = 'advertised'
  SHARED = 'shared'
  MASKED = 'masked'
  SIGNED = 'signed'
  DONE = 'done'
  ABORTED = 'aborted'


class Client:
  """One client's part in one session.

  `start` gives the first message, `handle` answers the server's. A refused
  message leaves the client as it was; after an abort it has forgotten its
  secrets and refuses everything.

  Source: Bonawitz et al. 2017, figure 4. Deviation: ciphertexts are opened
  before the masked input is sent, not after, so that a client that finds one
  tampered with leaves as an ordinary dropout.
  """

  def __init__(
    self,
    session: sessions.Session,
    index: int,
    vectors: Sequence[np.ndarray],
    identity: signing.Identity | None = None,
  ) -> None:
    """Prepares a client; nothing is drawn or sent yet.

    Args:
      session: The public description.
      index: The client's number, in [0, num_clients).
      vectors: Its input, integers in [0, m), one vector a modulus.
      identity: Its signing key; exactly in the malicious variant.

    Raises:
      ParameterError: If identity or index do not fit the parameters.
      InputError: If the vectors do not fit the session.
    """
    if not 0 <= index < session.parameters.num_clients:
      raise errors.ParameterError(
        f'Expected a client below {session.parameters.num_clients}, found '
        f'{index}.'
      )
    if session.parameters.malicious != (identity is not None):
      raise errors.ParameterError(
        'Expected an identity exactly in the malicious variant, found '
        f'{"none" if identity is None else "one"} with '
        f'malicious={session.parameters.malicious}.'
      )
    self._session = session
    self._index = index
    self._identity = identity
    self._input = session.layout.concatenate(vectors)
    self._neighbours = frozenset(session.graph.neighbours(index))
    self._state = ClientState.NEW
    self._secrets: client_secrets.ClientSecrets | None = None
    self._share_keys: dict[int, bytes] = {}  # By neighbour in U1.
    self._mask_keys: dict[int, bytes] = {}  # Public, by neighbour in U1.
    self._own_mask_key = b''  # Public.
    self._own_shares = b''
    self._held_shares: dict[int, bytes] = {}  # By client in U2.
    self._signed: tuple[int, ...] = ()

  @property
  def state(self) -> ClientState:
    """What the client has done last (Bonawitz et al. 2017, figure 4)."""
    return self._state

  def start(self) -> messages.AdvertiseKeys:
    """Draws the secrets and returns the first message (fig. 4, round 0).

    Raises:
      UnexpectedMessageError: If the client has started before.
    """
    if self._state != ClientState.NEW:
      self._refuse('a start')
    self._secrets = client_secrets.ClientSecrets()
    cipher_key = self._secrets.cipher_key.public_key().public_bytes_raw()
    mask_key = self._secrets.mask_key.public_key().public_bytes_raw()
    self._own_mask_key = mask_key
    signature = b''
    if self._identity is not None:
      signature = signing.sign_keys(
        self._identity, self._session.digest, self._index, cipher_key, mask_key
      )
    self._state = ClientState.ADVERTISED
    return messages.AdvertiseKeys(
      self._session.digest, self._index, cipher_key, mask_key, signature
    )

  def handle(self, message: messages.Message) -> messages.Message:
    """Answers a message of the server (Bonawitz et al. 2017, figure 4).

    Raises:
      RefusedMessageError: If the message is not for this state, session or
        client, or does not fit it; the client is as it was.
      AbortError: If the message must not be answered; the client has left.
    """
    if message.session != self._session.digest:
      raise errors.WrongSessionError(
        f'Expected a message of the session of client {self._index}, found '
        f'a {type(message).__name__} of another session or round.'
      )
    if message.client != self._index:
      raise errors.UnexpectedMessageError(
        f'Expected a message for client {self._index}, found one for client '
        f'{message.client}.'
      )
    try:
      match self._state, message:
        case ClientState.ADVERTISED, messages.KeyBroadcast():
          return self._share(message)
        case ClientState.SHARED, messages.ShareDelivery():
          return self._mask(message)
        case ClientState.MASKED, messages.ConsistencyRequest() if (
          self._identity is not None
        ):
          return self._sign(message)
        case ClientState.MASKED, messages.UnmaskRequest() if (
          self._identity is None
        ):
          return self._reveal(message)
        case ClientState.SIGNED, messages.UnmaskRequest():
          return self._reveal(message)
        case _:
          self._refuse(f'a {type(message).__name__}')
    except errors.AbortError:
      self._forget(ClientState.ABORTED)
      raise

  def _share(self, message: messages.KeyBroadcast) -> messages.EncryptedShares:
    """Round 1: agrees on keys and shares the secrets."""
    assert self._secrets is not None
    signature_bytes = 0
    if self._identity is not None:
      signature_bytes = signing.SIGNATURE_BYTES
    self._check_owners(
      message.keys, self._neighbours, 2 * keys.KEY_BYTES + signature_bytes
    )
    self._check_threshold(len(message.keys) + 1, 'advertised keys')
    share_keys, mask_keys = {}, {}
    for neighbour, record in message.keys.items():
      cipher_key = record[: keys.KEY_BYTES]
      mask_keys[neighbour] = record[keys.KEY_BYTES : 2 * keys.KEY_BYTES]
      if self._identity is not None and not signing.keys_are_signed(
        self._identity.directory,
        self._session.digest,
        neighbour,
        cipher_key,
        mask_keys[neighbour],
        record[2 * keys.KEY_BYTES :],
      ):
        raise errors.BadSignatureError(
          f'Expected keys signed by client {neighbour}, found another '
          f'signature; client {self._index} leaves the session.'
        )
      share_keys[neighbour] = cipher_key
    self._check_distinct([*share_keys.values(), *mask_keys.values()])
    self._mask_keys = mask_keys
    self._share_keys = {
      neighbour: self._agree(
        self._secrets.cipher_key,
        cipher_key,
        client_secrets.SHARE_KEY,
        neighbour,
      )
      for neighbour, cipher_key in share_keys.items()
    }
    shares = self._secrets.share(
      sorted([*message.keys.owners, self._index]),
      self._session.parameters.threshold,
    )
    self._own_shares = shares[self._index]
    sealed = [
      sealing.seal(
        self._share_keys[neighbour],
        shares[neighbour],
        session=self._session.digest,
        round_num=self._session.round_num,
        sender=self._index,
        receiver=neighbour,
        mask_keys=(self._own_mask_key, mask_keys[neighbour]),
      )
      for neighbour in message.keys.owners
    ]
    self._state = ClientState.SHARED
    return messages.EncryptedShares(
      self._session.digest,
      self._index,
      client_secrets.seed_commitment(
        self._secrets.mask_seed, self._session.digest, self._index
      ),
      records.build(message.keys.owners, sealed),
    )

  def _mask(self, message: messages.ShareDelivery) -> messages.MaskedInput:
    """Round 2: opens the shares and masks the input."""
    assert self._secrets is not None
    self._check_owners(
      message.ciphertexts,
      self._share_keys.keys(),
      client_secrets.CIPHERTEXT_BYTES,
    )
    self._check_threshold(len(message.ciphertexts) + 1, 'shared their keys')
    self._held_shares = {
      neighbour: sealing.unseal(
        self._share_keys[neighbour],
        ciphertext,
        session=self._session.digest,
        round_num=self._session.round_num,
        sender=neighbour,
        receiver=self._index,
        mask_keys=(self._mask_keys[neighbour], self._own_mask_key),
      )
      for neighbour, ciphertext in message.ciphertexts.items()
    }
    masked = masks.MaskedSum(self._session.layout)
    masked.add(self._input)
    masked.add_mask(
      client_secrets.single_mask_seed(
        self._secrets.mask_seed, self._session.digest, self._index
      )
    )
    self._add_pair_masks(masked, message.ciphertexts.owners)
    self._held_shares[self._index] = self._own_shares
    vectors = tuple(
      packing.pack(array, group)
      for array, group in zip(
        masked.result(), self._session.layout.groups, strict=True
      )
    )
    self._input, self._secrets = [], None
    self._state = ClientState.MASKED
    return messages.MaskedInput(self._session.digest, self._index, vectors)

  def _add_pair_masks(
    self, masked: masks.MaskedSum, neighbours: Iterable[int]
  ) -> None:
    """Adds the masks shared with clients below, subtracts those above."""
    assert self._secrets is not None
    for neighbour in neighbours:
      seed = self._agree(
        self._secrets.mask_key,
        self._mask_keys[neighbour],
        client_secrets.PAIR_MASK,
        neighbour,
      )
      if neighbour < self._index:
        masked.add_mask(seed)
      else:
        masked.subtract_mask(seed)

  def _sign(
    self, message: messages.ConsistencyRequest
  ) -> messages.ConsistencySignature:
    """Round 3: signs the one set of survivors that will be unmasked."""
    assert self._identity is not None
    survivors = message.survivors
    if not self._held_shares.keys() >= set(survivors):
      raise errors.MalformedMessageError(
        'Expected survivors that have shared keys, found others.'
      )
    self._check_self_in(survivors)
    self._check_threshold(len(survivors), 'sent their input')
    self._signed = survivors
    self._state = ClientState.SIGNED
    return messages.ConsistencySignature(
      self._session.digest,
      self._index,
      signing.sign_survivors(self._identity, self._session.digest, survivors),
    )

  def _reveal(self, message: messages.UnmaskRequest) -> messages.UnmaskResponse:
    """Round 4: reveals one share of each client, never both."""
    survivors, dropped = set(message.survivors), set(message.dropped)
    if survivors & dropped:
      raise errors.BothSharesRequestedError(
        'Expected a request for one secret of each client, found '
        f'{len(survivors & dropped)} clients of whom both were asked for; '
        f'client {self._index} leaves the session.'
      )
    if survivors | dropped != self._held_shares.keys():
      raise errors.MalformedMessageError(
        'Expected a request about exactly the clients that have shared their '
        'keys, found one about others.'
      )
    self._check_self_in(message.survivors)
    self._check_threshold(len(survivors), 'sent their input')
    if self._identity is not None:
      self._check_signatures(self._identity, message)
    size = field.ELEMENT_BYTES
    held = self._held_shares
    response = messages.UnmaskResponse(
      self._session.digest,
      self._index,
      records.build(
        message.survivors, [held[v][:size] for v in message.survivors]
      ),
      records.build(message.dropped, [held[v][size:] for v in message.dropped]),
    )
    self._forget(ClientState.DONE)
    return response

  def _check_signatures(
    self, identity: signing.Identity, message: messages.UnmaskRequest
  ) -> None:
    """Aborts unless t clients were shown the survivors that this one was."""
    if message.survivors != self._signed:
      raise errors.InconsistentSurvivorsError(
        'Expected a request about the survivors that were signed, found '
        f'others; client {self._index} leaves the session.'
      )
    signatures: Mapping[int, bytes] = dict(message.signatures.items())
    if not signatures.keys() <= set(message.survivors):
      raise errors.MalformedMessageError(
        'Expected signatures of survivors, found some of others.'
      )
    self._check_threshold(len(signatures), 'signed the survivors')
    for signer, signature in signatures.items():
      if not signing.survivors_are_signed(
        identity.directory,
        self._session.digest,
        signer,
        message.survivors,
        signature,
      ):
        raise errors.BadSignatureError(
          f'Expected the survivors signed by client {signer}, found another '
          f'signature; client {self._index} leaves the session.'
        )

  def _agree(
    self,
    private: x25519.X25519PrivateKey,
    public: bytes,
    purpose: bytes,
    neighbour: int,
  ) -> bytes:
    return keys.agree(
      private,
      x25519.X25519PublicKey.from_public_bytes(public),
      purpose,
      self._session.digest,
      (self._index, neighbour),
    )

  def _check_owners(
    self, given: records.Records, allowed: Iterable[int], size: int
  ) -> None:
    if not set(given.owners) <= set(allowed):
      raise errors.MalformedMessageError(
        f'Expected records of neighbours of client {self._index}, found some '
        'of others.'
      )
    if given.owners and given.size != size:
      raise errors.MalformedMessageError(
        f'Expected records of {size} bytes, found {given.size}.'
      )

  def _check_threshold(self, found: int, what: str) -> None:
    threshold = self._session.parameters.threshold
    if found < threshold:
      raise errors.BelowThresholdError(
        f'Expected at least {threshold} clients that {what}, found {found} '
        f'around client {self._index}; it leaves the session.'
      )

  def _check_distinct(self, public_keys: list[bytes]) -> None:
    assert self._secrets is not None
    own = [
      private.public_key().public_bytes_raw()
      for private in (self._secrets.cipher_key, self._secrets.mask_key)
    ]
    if len(set(public_keys + own)) != len(public_keys) + len(own):
      raise errors.InvalidKeyError(
        'Expected public keys that all differ, found one twice; client '
        f'{self._index} leaves the session.'
      )

  def _check_self_in(self, survivors: Sequence[int]) -> None:
    if self._index not in survivors:
      raise errors.InconsistentSurvivorsError(
        f'Expected client {self._index}, whose input was sent, among the '
        'survivors, found it left out; it leaves the session.'
      )

  def _refuse(self, what: str) -> NoReturn:
    raise errors.UnexpectedMessageError(
      f'Expected nothing like {what} in the state {self._state}, found it; '
      f'client {self._index} ignores it.'
    )

  def _forget(self, state: ClientState) -> None:
    self._state = state
    self._secrets = None
    self._input = []
    self._share_keys, self._held_shares, self._own_shares = {}, {}, b''
