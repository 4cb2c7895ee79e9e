"""How many bytes a client has to move, by formula."""

from tff_pipelines.secagg import client_secrets, field, keys, layout, packing


def paper_client_bytes(num_clients: int, length: int, modulus: int) -> float:
  """Bytes up and down of one client, by the paper.

  2 n a_K + (5 n - 4) a_S + m ceil(log2 R) bits, with a_K = a_S = 256.
  Source: Bonawitz et al. 2017, section 7.1.1 and table 1.

  Args:
    num_clients: n, in the sparse graph k + 1.
    length: m.
    modulus: R.
  """
  keys_bits = 2 * num_clients * 256
  shares_bits = (5 * num_clients - 4) * 256
  return (keys_bits + shares_bits + length * (modulus - 1).bit_length()) / 8


# A message's number, the digest of the session, the client.
_HEADER_BYTES = 1 + 32 + 4


def _bitmap_bytes(num_clients: int, last: int) -> int:
  """The most that a set costs, behind its length: all clients up to `last`."""
  return 4 + -(-min(num_clients, last + 1) // 8)


def client_bytes(num_clients: int, group: layout.Group, client: int = 0) -> int:
  """Bytes up and down of one client, complete graph, no dropouts, ours.

  Exact for the variant against a semi-honest server and one modulus. Beyond the
  paper's formula: 16 bytes of authentication for each ciphertext, 33 instead of
  32 bytes for each share, a commitment of 32 bytes, headers, and sets of
  clients as bitmaps.
  Source: `messages`; Bonawitz et al. 2017, section 7.1.1.

  Args:
    num_clients: n.
    group: Length and modulus.
    client: The client's index; the last one's sets are a bit shorter.
  """
  others = num_clients - 1
  last_other = num_clients - 1 if client < num_clients - 1 else num_clients - 2
  neighbours = _bitmap_bytes(num_clients, last_other)
  everybody = _bitmap_bytes(num_clients, num_clients - 1)
  nobody, record_size, blob = 4, 2, 8
  advertise = 2 * keys.KEY_BYTES + blob
  broadcast = neighbours + record_size + 2 * keys.KEY_BYTES * others
  ciphertexts = (
    neighbours + record_size + client_secrets.CIPHERTEXT_BYTES * others
  )
  masked = 4 + blob + packing.packed_bytes(group)
  request = everybody + nobody + nobody + record_size
  response = (
    everybody
    + record_size
    + field.ELEMENT_BYTES * num_clients
    + nobody
    + record_size
  )
  return (
    7 * _HEADER_BYTES
    + advertise
    + broadcast
    + keys.KEY_BYTES  # The commitment.
    + 2 * ciphertexts  # Sent, and received.
    + masked
    + request
    + response
  )
