"""The messages, and their canonical byte encoding.

An encoding is the message's number in one byte, the digest of the session (32
bytes), the client that sends or receives it (4), and the fields in order. Sizes
below are of the fields, in bytes, with n' clients in a client's closed
neighbourhood (all n in the complete graph), k' = n' - 1 and b = n / 8 for a
set.

Source: Bonawitz et al. 2017, figure 4. Deviation: sets are bitmaps, and records
go in the order of their owners, without names.
"""

from collections.abc import Callable
import dataclasses
from typing import Any

from tff_pipelines.secagg import encoding, errors, keys, phases
from tff_pipelines.secagg import records as records_lib

Records = records_lib.Records
DIGEST_BYTES = 32


@dataclasses.dataclass(frozen=True)
class Message:
  """What every message says (Bonawitz et al. 2017, figure 4).

  Attributes:
    session: The digest of the session's description.
    client: The client that sends the message, or that the server sends it to.
  """

  session: bytes = dataclasses.field(repr=False)
  client: int


@dataclasses.dataclass(frozen=True)
class AdvertiseKeys(Message):
  """Client to server, to be passed on: two fresh public keys.

  Secrecy: public. Size: 64, malicious variant 128.
  Source: Bonawitz et al. 2017, figure 4, round 0.

  Attributes:
    cipher_key: c^PK, X25519, for the encryption of shares.
    mask_key: s^PK, X25519, for the pairwise masks.
    signature: Ed25519 of both; empty unless malicious.
  """

  cipher_key: bytes
  mask_key: bytes
  signature: bytes = b''


@dataclasses.dataclass(frozen=True)
class KeyBroadcast(Message):
  """Server to client: the public keys of its neighbours.

  Secrecy: public. Size: b + 64 k', malicious variant b + 128 k'.
  Source: Bonawitz et al. 2017, figure 4, rounds 0 and 1.

  Attributes:
    keys: cipher_key, mask_key and signature of each neighbour in U1.
  """

  keys: Records


@dataclasses.dataclass(frozen=True)
class EncryptedShares(Message):
  """Client to server, to be passed on: shares of its two secrets.

  Secrecy: each record can be read by its owner only. Size: 32 + b + 82 k'.
  Source: Bonawitz et al. 2017, figure 4, round 1. Deviation: the commitment.

  Attributes:
    seed_commitment: Derived from the mask seed; shows the server that a seed
      put together from shares is the right one.
    ciphertexts: For each neighbour the share of the mask seed and that of the
      mask key, sealed.
  """

  seed_commitment: bytes
  ciphertexts: Records


@dataclasses.dataclass(frozen=True)
class ShareDelivery(Message):
  """Server to client: what its neighbours sealed for it.

  Secrecy: as `EncryptedShares`. Size: b + 82 k'.
  Source: Bonawitz et al. 2017, figure 4, rounds 1 and 2.

  Attributes:
    ciphertexts: One of each neighbour in U2.
  """

  ciphertexts: Records


@dataclasses.dataclass(frozen=True)
class MaskedInput(Message):
  """Client to server: its input under all of its masks.

  Secrecy: uniform to who does not know the masks. Size: ceil(log2 m) bits an
  entry.
  Source: Bonawitz et al. 2017, figure 4, round 2.

  Attributes:
    vectors: y_u, packed, one for each modulus of the session.
  """

  vectors: tuple[bytes | memoryview, ...] = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class ConsistencyRequest(Message):
  """Server to client: whose masked input has arrived (malicious variant).

  Secrecy: public. Size: b.
  Source: Bonawitz et al. 2017, figure 4, round 3.

  Attributes:
    survivors: U3.
  """

  survivors: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class ConsistencySignature(Message):
  """Client to server, to be passed on: "this is the U3 that I was shown".

  Secrecy: public. Size: 64.
  Source: Bonawitz et al. 2017, figure 4, round 3.

  Attributes:
    signature: Ed25519 of the session and U3.
  """

  signature: bytes


@dataclasses.dataclass(frozen=True)
class UnmaskRequest(Message):
  """Server to client: whose mask seed and whose mask key to reveal.

  Secrecy: public. Size: 2 b, malicious variant 3 b + 64 n'.
  Source: Bonawitz et al. 2017, figure 4, round 4.

  Attributes:
    survivors: U3 in the closed neighbourhood: shares of mask seeds.
    dropped: U2 without U3 in the neighbourhood: shares of mask keys.
    signatures: Of U3, by each client of U4; empty unless malicious.
  """

  survivors: tuple[int, ...]
  dropped: tuple[int, ...]
  signatures: Records = dataclasses.field(default=Records(), repr=False)


@dataclasses.dataclass(frozen=True)
class UnmaskResponse(Message):
  """Client to server: one share of each client, never both.

  Secrecy: known to the server from now on. Size: 2 b + 33 n'.
  Source: Bonawitz et al. 2017, figure 4, round 4.

  Attributes:
    seed_shares: Of b_v, for each survivor v.
    key_shares: Of s_v^SK, for each v that dropped out.
  """

  seed_shares: Records
  key_shares: Records


@dataclasses.dataclass(frozen=True)
class _Codec:
  write: Callable[[Any], bytes]
  read: Callable[[encoding.Reader], Any]


def _write_blobs(blobs: tuple[bytes | memoryview, ...]) -> bytes:
  return encoding.integer(len(blobs), 4) + b''.join(map(encoding.blob, blobs))


def _read_blobs(reader: encoding.Reader) -> tuple[memoryview, ...]:
  return tuple(reader.view() for _ in range(reader.integer(4)))


_KEY = _Codec(bytes, lambda reader: reader.raw(keys.KEY_BYTES))
_BLOB = _Codec(encoding.blob, encoding.Reader.blob)
_BLOBS = _Codec(_write_blobs, _read_blobs)
_SET = _Codec(encoding.index_set, encoding.Reader.index_set)
_RECORDS = _Codec(records_lib.encode, records_lib.read)

# The number of a message is its position plus one.
_FORMATS: dict[type[Message], dict[str, _Codec]] = {
  AdvertiseKeys: {'cipher_key': _KEY, 'mask_key': _KEY, 'signature': _BLOB},
  KeyBroadcast: {'keys': _RECORDS},
  EncryptedShares: {'seed_commitment': _KEY, 'ciphertexts': _RECORDS},
  ShareDelivery: {'ciphertexts': _RECORDS},
  MaskedInput: {'vectors': _BLOBS},
  ConsistencyRequest: {'survivors': _SET},
  ConsistencySignature: {'signature': _BLOB},
  UnmaskRequest: {'survivors': _SET, 'dropped': _SET, 'signatures': _RECORDS},
  UnmaskResponse: {'seed_shares': _RECORDS, 'key_shares': _RECORDS},
}
MESSAGE_TYPES: tuple[type[Message], ...] = tuple(_FORMATS)
_NUMBERS = {kind: number for number, kind in enumerate(_FORMATS, start=1)}

# A message belongs to the phase in which it is sent or answered.
PHASES: dict[type[Message], phases.Phase] = {
  AdvertiseKeys: phases.Phase.ADVERTISE,
  KeyBroadcast: phases.Phase.SHARE,
  EncryptedShares: phases.Phase.SHARE,
  ShareDelivery: phases.Phase.MASK,
  MaskedInput: phases.Phase.MASK,
  ConsistencyRequest: phases.Phase.CONSISTENCY,
  ConsistencySignature: phases.Phase.CONSISTENCY,
  UnmaskRequest: phases.Phase.UNMASK,
  UnmaskResponse: phases.Phase.UNMASK,
}


def encode(message: Message) -> bytes:
  """Returns the canonical bytes of a message (Bonawitz et al. 2017, fig. 4)."""
  kind = type(message)
  return b''.join(
    [
      encoding.integer(_NUMBERS[kind], 1),
      message.session,
      encoding.integer(message.client, 4),
      *(
        codec.write(getattr(message, name))
        for name, codec in _FORMATS[kind].items()
      ),
    ]
  )


def decode(encoded: bytes) -> Message:
  """Returns the message of canonical bytes (Bonawitz et al. 2017, fig. 4).

  Raises:
    MalformedMessageError: If the bytes are not the encoding of a message.
  """
  reader = encoding.Reader(encoded)
  number = reader.integer(1)
  if not 1 <= number <= len(MESSAGE_TYPES):
    raise errors.MalformedMessageError(
      f'Expected a message number between 1 and {len(MESSAGE_TYPES)}, found '
      f'{number}.'
    )
  kind = MESSAGE_TYPES[number - 1]
  session = reader.raw(DIGEST_BYTES)
  client = reader.integer(4)
  fields = {name: codec.read(reader) for name, codec in _FORMATS[kind].items()}
  reader.finish()
  return kind(session, client, **fields)
