"""Random generators named by what they are for.

Every random choice of a simulation (which clients, which order, which initial
weights) is a pure function of the run's seed and of a path such as
`('selection', round_num)`, so that a resumed run draws what the interrupted
one would have drawn, and no choice depends on how many came before it.

Not for noise that a privacy guarantee rests on: that comes from the operating
system.
"""

import hashlib

import numpy as np


def derive(seed: int, *path: str | int) -> int:
  """Returns the 128-bit seed that belongs to `path` under `seed`.

  Args:
    seed: The run's seed, any integer.
    *path: Strings and integers that name the purpose; `1` and `'1'` differ.

  Returns:
    An integer in [0, 2**128), the BLAKE2b digest of the encoded arguments.

  Raises:
    TypeError: If a part is neither a string nor an integer.
  """
  digest = hashlib.blake2b(digest_size=16)
  for part in (seed, *path):
    if not isinstance(part, str | int | np.integer):
      raise TypeError(
        'Expected a seed path of strings and integers, '
        f'found {part!r} of type {type(part).__name__}.'
      )
    kind = b's' if isinstance(part, str) else b'i'
    encoded = str(part).encode()
    digest.update(kind + len(encoded).to_bytes(4, 'big') + encoded)
  return int.from_bytes(digest.digest(), 'big')


def generator(seed: int, *path: str | int) -> np.random.Generator:
  """Returns a fresh NumPy generator for `path` under `seed`."""
  return np.random.Generator(np.random.PCG64(derive(seed, *path)))
