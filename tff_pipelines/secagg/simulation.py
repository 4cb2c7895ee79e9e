"""A whole session on one machine, with real messages.

Every message is encoded, handed over as bytes and decoded. All secrets are
drawn by the clients from the operating system. One machine that plays everybody
shows cost and behaviour under failures; it protects nobody from its owner.

Source: Bonawitz et al. 2017, figure 4; Bell et al. 2020, algorithm 2.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
import dataclasses

import numpy as np

from tff_pipelines.secagg import client as clients
from tff_pipelines.secagg import (
  costs,
  errors,
  messages,
  phases,
  signing,
)
from tff_pipelines.secagg import (
  dropouts as dropouts_lib,
)
from tff_pipelines.secagg import (
  parameters as parameters_lib,
)
from tff_pipelines.secagg import (
  server as servers,
)
from tff_pipelines.secagg import (
  session as sessions,
)
from tff_pipelines.secagg import (
  transcript as transcripts,
)

SERVER = transcripts.SERVER
Envelope = transcripts.Envelope

# What a network makes of one envelope: those that are delivered, in order.
Intercept = Callable[[phases.Phase, Envelope], Iterable[Envelope]]


@dataclasses.dataclass(frozen=True)
class SessionResult:
  """What a session gave (Bonawitz et al. 2017, figure 4, output).

  Attributes:
    sums: For each modulus the int64 vector of the survivors' sum modulo it.
    survivors: The clients whose inputs are in the sums, in order.
    costs: Bytes and seconds.
    refusals: Messages that were refused, or made a client leave; () normally.
    transcript: All envelopes, if it was asked for.
  """

  sums: tuple[np.ndarray, ...]
  survivors: tuple[int, ...]
  costs: costs.CostLedger
  refusals: tuple[transcripts.Refusal, ...]
  transcript: transcripts.Transcript | None


class Simulation:
  """The parties of one session, and the wires between them.

  `run_session` is the short form. Source: Bonawitz et al. 2017, figure 4.

  Attributes:
    server: The server.
    clients: By index; without those that never show up.
    costs: The ledger.
    refusals: So far.
    transcript: So far, or None.
  """

  def __init__(
    self,
    session: sessions.Session,
    server: servers.Server,
    parties: Mapping[int, clients.Client],
    *,
    intercept: Intercept | None = None,
    record_transcript: bool = False,
  ) -> None:
    self._session = session
    self._intercept = intercept
    self.server = server
    self.clients = parties
    self.costs = costs.CostLedger(session.parameters.num_clients)
    self.refusals: list[transcripts.Refusal] = []
    self.transcript = transcripts.Transcript() if record_transcript else None

  def run(self, dropouts: Mapping[int, phases.Phase]) -> SessionResult:
    """Runs all phases (Bonawitz et al. 2017, figure 4).

    Raises:
      AbortError: If the server aborts.
    """
    order = list(phases.Phase)
    last = {i: order.index(phase) for i, phase in dropouts.items()}
    outgoing: Mapping[int, messages.Message] = {}
    for phase in self._session.phases:
      here = [
        i for i in self.clients if last.get(i, len(order)) > order.index(phase)
      ]
      if phase == phases.Phase.ADVERTISE:
        for i in here:
          self._start(i)
      else:
        self._deliver_all(phase, outgoing, here)
      with self.costs.server_time(phase):
        outgoing = self.server.close_phase()
    return SessionResult(
      self.server.sums,
      self.server.survivors,
      self.costs,
      tuple(self.refusals),
      self.transcript,
    )

  def _start(self, client: int) -> None:
    phase = phases.Phase.ADVERTISE
    with self.costs.client_time(phase, client):
      payload = messages.encode(self.clients[client].start())
    self._send(phase, Envelope(client, SERVER, payload))

  def _deliver_all(
    self,
    phase: phases.Phase,
    outgoing: Mapping[int, messages.Message],
    here: Sequence[int],
  ) -> None:
    for i in here:
      if i in outgoing:
        with self.costs.server_time(phase):
          payload = messages.encode(outgoing[i])
        self._send(phase, Envelope(SERVER, i, payload))

  def _send(self, phase: phases.Phase, envelope: Envelope) -> None:
    """Delivers what the network makes of an envelope."""
    delivered: Iterable[Envelope] = (envelope,)
    if self._intercept is not None:
      delivered = self._intercept(phase, envelope)
    for arrived in delivered:
      if self.transcript is not None:
        self.transcript.envelopes.append(arrived)
      try:
        if arrived.receiver == SERVER:
          self._hand_to_server(phase, arrived)
        elif arrived.receiver in self.clients:
          self._hand_to_client(phase, arrived)
      except (errors.RefusedMessageError, errors.AbortError) as error:
        self.refusals.append(transcripts.Refusal(arrived, error))

  def _hand_to_server(self, phase: phases.Phase, envelope: Envelope) -> None:
    self.costs.upload_bytes[phase][envelope.sender] += len(envelope.payload)
    with self.costs.server_time(phase):
      self.server.receive(messages.decode(envelope.payload))

  def _hand_to_client(self, phase: phases.Phase, envelope: Envelope) -> None:
    client = envelope.receiver
    self.costs.download_bytes[phase][client] += len(envelope.payload)
    with self.costs.client_time(phase, client):
      reply = self.clients[client].handle(messages.decode(envelope.payload))
      payload = messages.encode(reply)
    self._send(phase, Envelope(client, SERVER, payload))


def run_session(
  inputs: Sequence[Sequence[np.ndarray]],
  moduli: Sequence[int],
  parameters: parameters_lib.SecAggParameters,
  *,
  dropouts: Mapping[int, phases.Phase | str] | None = None,
  session_id: bytes | None = None,
  round_num: int = 0,
  graph_seed: bytes | None = None,
  intercept: Intercept | None = None,
  record_transcript: bool = False,
) -> SessionResult:
  """Sums the clients' vectors through the protocol.

  Source: Bonawitz et al. 2017, figure 4; Bell et al. 2020, algorithm 2.

  Args:
    inputs: For each client one integer vector for each modulus, entries in
      [0, m).
    moduli: 2 to 2^62 each.
    parameters: Threshold and graph.
    dropouts: By client the phase before whose message it disappears:
      `advertise`, `share`, `mask`, `consistency` (malicious variant only) or
      `unmask`. Clients that leave before `unmask` are in the sum.
    session_id: 16 bytes; fresh if None.
    round_num: The round that the sum belongs to.
    graph_seed: 32 public bytes that place clients in a sparse graph; fresh if
      None.
    intercept: What the network does with each envelope, for tests.
    record_transcript: Whether to keep all messages.

  Raises:
    ParameterError: If dropouts or inputs do not fit the parameters.
    InputError: If vectors do not fit the moduli or one another.
    BelowThresholdError: If too few clients are left; nothing is revealed.
    AbortError: If the server has to end the session for another reason.
  """
  chosen = _checked_dropouts(dropouts or {}, parameters)
  if len(inputs) != parameters.num_clients:
    raise errors.ParameterError(
      f'Expected inputs of {parameters.num_clients} clients, found '
      f'{len(inputs)}; give clients that drop out a vector too.'
    )
  session = sessions.open_session(
    parameters,
    moduli,
    [np.size(vector) for vector in inputs[0]],
    round_num=round_num,
    session_id=session_id,
    graph_seed=graph_seed,
  )
  identities: list[signing.Identity | None] = [None] * len(inputs)
  directory = None
  if parameters.malicious:
    created = signing.create_identities(len(inputs))
    identities, directory = list(created), created[0].directory
  absent = {i for i, p in chosen.items() if p == phases.Phase.ADVERTISE}
  simulation = Simulation(
    session,
    servers.Server(session, directory),
    {
      i: clients.Client(session, i, inputs[i], identities[i])
      for i in range(len(inputs))
      if i not in absent
    },
    intercept=intercept,
    record_transcript=record_transcript,
  )
  return simulation.run(chosen)


def _checked_dropouts(
  dropouts: Mapping[int, phases.Phase | str],
  parameters: parameters_lib.SecAggParameters,
) -> dict[int, phases.Phase]:
  chosen = {
    i: dropouts_lib.checked_phase(phase) for i, phase in dropouts.items()
  }
  if not set(chosen) <= set(range(parameters.num_clients)):
    raise errors.ParameterError(
      f'Expected dropouts among {parameters.num_clients} clients, found '
      f'others: {sorted(set(chosen) - set(range(parameters.num_clients)))}.'
    )
  if not parameters.malicious and phases.Phase.CONSISTENCY in chosen.values():
    raise errors.ParameterError(
      'Expected dropouts before phases of this variant, found some before '
      'consistency, which only the malicious variant has; use unmask.'
    )
  return chosen
