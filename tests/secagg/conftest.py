"""A session driven by hand, message by message."""

from collections.abc import Sequence
import dataclasses

import numpy as np
import pytest

from tff_pipelines.secagg import (
  client,
  dropouts,
  errors,
  graph,
  messages,
  parameters,
  phases,
  server,
  session,
  signing,
  simulation,
)


@dataclasses.dataclass
class Parties:
  """All parties of a session; `advance` runs whole phases."""

  session: session.Session
  server: server.Server
  clients: list[client.Client]
  inputs: list[np.ndarray]
  outgoing: dict[int, messages.Message] = dataclasses.field(
    default_factory=dict
  )
  # Everything that clients have sent, by phase.
  sent: list[dict[int, messages.Message]] = dataclasses.field(
    default_factory=list
  )

  def answers(self, who: Sequence[int] | None = None):
    """Lets clients answer; returns their messages without delivering them."""
    present = range(len(self.clients)) if who is None else who
    if not self.sent:
      return {i: self.clients[i].start() for i in present}
    return {i: self.clients[i].handle(self.outgoing[i]) for i in present}

  def advance(self, who: Sequence[int] | None = None):
    """One whole phase with the given clients."""
    answers = self.answers(who)
    self.sent.append(answers)
    for answer in answers.values():
      self.server.receive(messages.decode(messages.encode(answer)))
    self.close()

  def close(self):
    self.outgoing = dict(self.server.close_phase())


@pytest.fixture
def build_parties():
  """Returns a function that builds the parties of a small session."""

  def build(
    num_clients=4,
    threshold=3,
    *,
    modulus=2**20,
    length=3,
    round_num=7,
    session_id=bytes(16),
    identities=None,
    **options,
  ):
    chosen = parameters.SecAggParameters(num_clients, threshold, **options)
    opened = session.open_session(
      chosen,
      [modulus],
      [length],
      round_num=round_num,
      session_id=session_id,
      graph_seed=bytes(32),
    )
    if identities is None:
      identities = [None] * num_clients
      if chosen.malicious:
        identities = signing.create_identities(num_clients)
    directory = identities[0].directory if chosen.malicious else None
    inputs = [np.arange(length) * 10 + i for i in range(num_clients)]
    return Parties(
      opened,
      server.Server(opened, directory),
      [
        client.Client(opened, i, [inputs[i]], identities[i])
        for i in range(num_clients)
      ],
      inputs,
    )

  return build


Phase = phases.Phase
MODULUS = 2**20


def expected_abort(chosen, present, graph_seed) -> Phase | None:
  """The first phase that leaves too few, from the definition."""
  n = chosen.num_clients
  public = graph.Graph(n, chosen.degree, graph_seed)
  closed = {i: {i, *public.neighbours(i)} for i in range(n)}
  sharers = present[Phase.SHARE]
  owners = {
    Phase.ADVERTISE: present[Phase.ADVERTISE],
    Phase.SHARE: sharers,
    Phase.MASK: sharers,
    Phase.UNMASK: sharers,
  }
  for phase, alive in present.items():
    least = chosen.threshold if phase == Phase.UNMASK else chosen.min_survivors
    if len(alive) < least:
      return phase
    # Only those who shared hold shares, and they are the alive ones' superset.
    if any(len(closed[i] & alive) < chosen.threshold for i in owners[phase]):
      return phase
  return None


def run_schedule(chosen, seed: int) -> str:
  n = chosen.num_clients
  generator = np.random.default_rng(seed)
  rates = generator.dirichlet(np.ones(4)) * generator.choice([0.1, 0.3, 0.55])
  order = phases.phases_of(malicious=False)
  gone = dropouts.draw_dropouts(n, dict(zip(order, rates, strict=True)), seed)
  present = {
    phase: {
      i
      for i in range(n)
      if i not in gone or order.index(gone[i]) > order.index(phase)
    }
    for phase in order
  }
  graph_seed = generator.bytes(32)
  given = [[generator.integers(MODULUS, size=4)] for _ in range(n)]
  aborted = expected_abort(chosen, present, graph_seed)
  if aborted is not None:
    with pytest.raises(errors.BelowThresholdError, match=f'phase {aborted},'):
      simulation.run_session(
        given, [MODULUS], chosen, dropouts=gone, graph_seed=graph_seed
      )
    return 'aborted'
  result = simulation.run_session(
    given, [MODULUS], chosen, dropouts=gone, graph_seed=graph_seed
  )
  assert set(result.survivors) == present[Phase.MASK]
  assert result.refusals == ()
  expected = sum(given[i][0] for i in result.survivors) % MODULUS
  np.testing.assert_array_equal(result.sums[0], expected)
  return 'summed'


@pytest.fixture
def random_schedule():
  """Runs a session with random dropouts; gives 'summed' or 'aborted'."""
  return run_schedule
