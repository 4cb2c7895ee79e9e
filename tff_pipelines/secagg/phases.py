"""The phases of a session, in order."""

import enum


class Phase(enum.StrEnum):
  """A round trip of the protocol, named for what the clients send in it.

  Source: rounds 0 to 4 of Bonawitz et al. 2017, figure 4. `CONSISTENCY` exists
  in the malicious variant only.
  """

  ADVERTISE = 'advertise'
  SHARE = 'share'
  MASK = 'mask'
  CONSISTENCY = 'consistency'
  UNMASK = 'unmask'


def phases_of(*, malicious: bool) -> tuple[Phase, ...]:
  """Returns the phases of a variant, in order (Bonawitz, figure 4)."""
  return tuple(
    phase for phase in Phase if malicious or phase != Phase.CONSISTENCY
  )
