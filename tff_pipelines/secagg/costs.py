"""What a session costs, for each role and phase."""

from collections.abc import Iterator
import contextlib
import dataclasses
import time
from typing import Literal

import numpy as np

from tff_pipelines.secagg import phases

Role = Literal['client', 'server']
_PHASES = tuple(phases.Phase)


@dataclasses.dataclass(frozen=True)
class CostRow:
  """One role in one phase; sums over all clients in the role of the client.

  Source: the rows of Bonawitz et al. 2017, tables 1 and 3.

  Attributes:
    role: `client` or `server`.
    phase: The phase.
    sent_bytes: Lengths of the canonical encodings that the role sent.
    received_bytes: Lengths of those that it received.
    seconds: Wall time spent computing, encoding and decoding.
  """

  role: Role
  phase: phases.Phase
  sent_bytes: int
  received_bytes: int
  seconds: float


class CostLedger:
  """Bytes and seconds of a session, by client and phase.

  Bytes of a client are counted when they pass between it and the server, so the
  server sends what clients download. A message belongs to the phase in which it
  is sent or answered.

  Source: Bonawitz et al. 2017, section 7.

  Attributes:
    upload_bytes: By phase int64[num_clients].
    download_bytes: By phase int64[num_clients].
    client_seconds: By phase float64[num_clients].
    server_seconds: By phase.
  """

  def __init__(self, num_clients: int) -> None:
    self.upload_bytes = {p: np.zeros(num_clients, np.int64) for p in _PHASES}
    self.download_bytes = {p: np.zeros(num_clients, np.int64) for p in _PHASES}
    self.client_seconds = {p: np.zeros(num_clients) for p in _PHASES}
    self.server_seconds = dict.fromkeys(_PHASES, 0.0)

  @contextlib.contextmanager
  def client_time(self, phase: phases.Phase, client: int) -> Iterator[None]:
    """Adds the time of a `with` block to a client (Bonawitz, section 7)."""
    started = time.perf_counter()
    try:
      yield
    finally:
      self.client_seconds[phase][client] += time.perf_counter() - started

  @contextlib.contextmanager
  def server_time(self, phase: phases.Phase) -> Iterator[None]:
    """Adds the time of a `with` block to the server (Bonawitz, section 7)."""
    started = time.perf_counter()
    try:
      yield
    finally:
      self.server_seconds[phase] += time.perf_counter() - started

  @property
  def total_client_bytes(self) -> np.ndarray:
    """int64[num_clients]: up and down, all phases (Bonawitz, table 1)."""
    return np.sum(
      [*self.upload_bytes.values(), *self.download_bytes.values()], axis=0
    )

  @property
  def total_client_seconds(self) -> np.ndarray:
    """float64[num_clients]: all phases (Bonawitz et al. 2017, table 3)."""
    return np.sum([*self.client_seconds.values()], axis=0)

  @property
  def total_server_seconds(self) -> float:
    """All phases (Bonawitz et al. 2017, table 3)."""
    return sum(self.server_seconds.values())

  def rows(self) -> list[CostRow]:
    """Returns a row for each role and phase, clients first."""
    rows = []
    for phase in _PHASES:
      up = int(self.upload_bytes[phase].sum())
      down = int(self.download_bytes[phase].sum())
      seconds = float(self.client_seconds[phase].sum())
      rows.append(CostRow('client', phase, up, down, seconds))
    for phase in _PHASES:
      up = int(self.upload_bytes[phase].sum())
      down = int(self.download_bytes[phase].sum())
      seconds = self.server_seconds[phase]
      rows.append(CostRow('server', phase, down, up, seconds))
    return rows
