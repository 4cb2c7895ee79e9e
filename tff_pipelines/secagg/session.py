"""What all parties know about a session before it starts."""

from collections.abc import Sequence
import dataclasses
import functools
import os

from cryptography.hazmat.primitives import hashes

from tff_pipelines.secagg import errors, graph, layout, parameters, phases

SESSION_ID_BYTES = 16
_DOMAIN = b'tff_pipelines/secagg/1/session/'


@dataclasses.dataclass(frozen=True)
class Session:
  """The public description of one secure sum.

  Source: the setup of Bonawitz et al. 2017, figure 4; graph_seed is the
  server's public randomness of Bell et al. 2020, section 3.

  Attributes:
    parameters: Threshold and graph.
    layout: Moduli and lengths of the vectors.
    session_id: 16 bytes that no other session has.
    round_num: The round of training that the sum belongs to.
    graph_seed: 32 bytes that place the clients in a sparse graph.
  """

  parameters: parameters.SecAggParameters
  layout: layout.Layout
  session_id: bytes
  round_num: int
  graph_seed: bytes

  def __post_init__(self) -> None:
    for name, size in (
      ('session_id', SESSION_ID_BYTES),
      ('graph_seed', graph.SEED_BYTES),
    ):
      if len(getattr(self, name)) != size:
        raise errors.ParameterError(
          f'Expected {name} of {size} bytes, found '
          f'{len(getattr(self, name))}; draw it from os.urandom.'
        )
    if not 0 <= self.round_num < 2**64:
      raise errors.ParameterError(
        f'Expected round_num in [0, 2**64), found {self.round_num}.'
      )

  @functools.cached_property
  def digest(self) -> bytes:
    """32 bytes that bind messages and keys to this description (SHA-256)."""
    chosen = self.parameters
    text = repr(
      (
        self.session_id,
        self.round_num,
        self.graph_seed,
        dataclasses.astuple(chosen),
        self.layout.moduli,
        self.layout.lengths,
      )
    )
    digest = hashes.Hash(hashes.SHA256())
    digest.update(_DOMAIN + text.encode())
    return digest.finalize()

  @functools.cached_property
  def graph(self) -> graph.Graph:
    """Who shares with whom (Bell et al. 2020, section 3)."""
    return graph.Graph(
      self.parameters.num_clients, self.parameters.degree, self.graph_seed
    )

  @property
  def phases(self) -> tuple[phases.Phase, ...]:
    """The phases of the variant (Bonawitz et al. 2017, figure 4)."""
    return phases.phases_of(malicious=self.parameters.malicious)


def open_session(
  chosen: parameters.SecAggParameters,
  moduli: Sequence[int],
  lengths: Sequence[int],
  *,
  round_num: int = 0,
  session_id: bytes | None = None,
  graph_seed: bytes | None = None,
) -> Session:
  """Describes a session, with a fresh id and graph unless they are given.

  Source: Bonawitz et al. 2017, figure 4, setup.
  """
  return Session(
    chosen,
    layout.Layout(tuple(map(int, moduli)), tuple(lengths)),
    os.urandom(SESSION_ID_BYTES) if session_id is None else session_id,
    round_num,
    os.urandom(graph.SEED_BYTES) if graph_seed is None else graph_seed,
  )
