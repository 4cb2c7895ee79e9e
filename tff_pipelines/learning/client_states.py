"""States that clients keep from one round of theirs to the next.

A state is the client's own: in production it stays on the device, and an
algorithm has it as an argument, and hands in its next value, at the clients.
Here, where clients are simulated, something has to keep it for them. A process
with client states says so in its type, and `Simulation` keeps them, as a part
of the state that a training program passes on, saves and resumes.
"""

from collections.abc import Callable, Sequence
import dataclasses
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import client_batches, errors


class ClientStateError(errors.PipelineError):
  """Clients whose states cannot be kept."""


class Brought(NamedTuple):
  """What a client brings to a round.

  Attributes:
    place: Its number in the cohort, int32[].
    own: Its state.
  """

  place: Any
  own: Any


class Collected(NamedTuple):
  """The next states of a cohort, as the simulation gets them.

  Attributes:
    handed_in: 1 where a client of that place was there, int32[max_clients]; one
      that dropped out keeps the state that it had.
    rows: The states, a structure of arrays [max_clients, ...].
  """

  handed_in: Any
  rows: Any


class Output(NamedTuple):
  """What `ClientStateProcess.next` returns.

  Attributes:
    state: The next state of the server.
    metrics: As those of a `tff.learning.templates.LearningProcess`.
    client_states: `Collected`.
  """

  state: Any
  metrics: Any
  client_states: Any


@dataclasses.dataclass(frozen=True)
class ClientStateProcess:
  """A learning process whose clients keep states.

  Types, with S the server's state, B the model's batch, C a client's state, W
  the model's weights:
    initialize:        ( -> S@SERVER)
    next:              (<S@SERVER, {B*}@CLIENTS, {Brought(C)}@CLIENTS>
                        -> Output(S, M, Collected(C))@SERVER)
    get_model_weights: (S -> W)
    set_model_weights: (<S, W> -> S)

  That C comes back at the server is the simulation's, whatever the algorithm
  sends: TFF's compilers have results at the server or at the clients, not both,
  and to train a second time for a result at the clients would double the work.
  So no such process is without sums in the clear.

  Attributes:
    initialize: See types.
    next: See types.
    get_model_weights: See types.
    set_model_weights: See types.
    first: The state of a client that has not taken part yet, a structure of
      arrays.
    max_clients: The largest cohort.
  """

  initialize: tff.Computation
  next: tff.Computation
  get_model_weights: tff.Computation
  set_model_weights: tff.Computation
  first: Any
  max_clients: int


def of_named_state(
  initialize: tff.Computation,
  next_fn: tff.Computation,
  first: Any,
  max_clients: int,
) -> ClientStateProcess:
  """Builds a process whose server's state is a named tuple with `weights`.

  Args:
    initialize: As in `ClientStateProcess`.
    next_fn: Its `next`.
    first: The state of a client that has not taken part yet.
    max_clients: The largest cohort.
  """
  state_type = initialize.type_signature.result.member
  weights_type = state_type.weights

  @tff.tensorflow.computation(state_type)
  def get_model_weights(state):
    return state.weights

  @tff.tensorflow.computation(state_type, weights_type)
  def set_model_weights(state, weights):
    return state._replace(weights=weights)

  return ClientStateProcess(
    initialize,
    next_fn,
    get_model_weights,
    set_model_weights,
    first,
    max_clients,
  )


def brought_type(first: Any) -> tff.Type:
  """Returns the type `Brought(C)` of states like the one given."""
  own = tf.nest.map_structure(lambda a: tf.TensorSpec(a.shape, a.dtype), first)
  return tff.types.tensorflow_to_type(Brought(tf.TensorSpec([], tf.int32), own))


def build_collection(first: Any, max_clients: int) -> Callable[[Any], Any]:
  """Builds {Brought(C)}@CLIENTS -> Collected(C)@SERVER.

  Each state lands in the row of its place, so that the order in which clients
  are summed does not matter. All shapes are fixed, as XLA needs them; every
  thread that trains has an array of max_clients states.

  Raises:
    ClientStateError: If there is no room for a client.
  """
  if max_clients < 1:
    raise ClientStateError(
      f'Expected max_clients of at least 1, found {max_clients}; give the '
      'largest cohort.'
    )
  row = brought_type(first)

  @tff.tensorflow.computation
  def nobodys():
    return Collected(
      tf.zeros([max_clients], tf.int32),
      tf.nest.map_structure(
        lambda a: tf.zeros([max_clients, *a.shape], a.dtype), first
      ),
    )

  collected = nobodys.type_signature.result

  @tff.tensorflow.computation(collected, row)
  def accumulate(total, client):
    place = [[client.place]]

    # Of a scatter, XLA changes one row of the array in its place.
    def written(rows, own):
      return tf.tensor_scatter_nd_update(rows, place, own[tf.newaxis])

    return Collected(
      written(total.handed_in, tf.constant(1)),
      tf.nest.map_structure(written, total.rows, client.own),
    )

  @tff.tensorflow.computation(collected, collected)
  def merge(total, other):
    return tf.nest.map_structure(tf.add, total, other)

  @tff.tensorflow.computation(collected)
  def report(total):
    return total

  def collect(rows):
    return tff.federated_aggregate(rows, nobodys(), accumulate, merge, report)

  return collect


class SimulationState(NamedTuple):
  """The state of a `Simulation`.

  Attributes:
    server: The state of the process.
    clients: Who has taken part, as positions in the population, int32[m].
    rows: Their states, a structure of arrays [m, ...].
  """

  server: Any
  clients: Any
  rows: Any


class Simulation:
  """A process with client states, with the face of a learning process.

  A training program runs it as any other: its state has the states of all
  clients that have taken part, and a checkpoint has them with it. That takes
  the size of a client's state for each of them, and a copy of it a round.
  """

  def __init__(self, process: ClientStateProcess, client_ids: Sequence[str]):
    """Initializes the simulation.

    Args:
      process: The process.
      client_ids: The names of the population.
    """
    self.process = process
    self._positions = {name: k for k, name in enumerate(client_ids)}

  def initialize(self) -> SimulationState:
    """Returns the state before the first round, when no client has any."""
    return SimulationState(
      self.process.initialize(),
      np.zeros([0], np.int32),
      tf.nest.map_structure(
        lambda a: np.zeros([0, *a.shape], a.dtype), self.process.first
      ),
    )

  def next(
    self, state: SimulationState, batches: client_batches.ClientBatches
  ) -> tff.learning.templates.LearningProcessOutput:
    """Runs a round; the state given stays as it is.

    Raises:
      ClientStateError: If the cohort is too large, or not of the population.
    """
    cohort = self._cohort(batches)
    row_of = {int(c): row for row, c in enumerate(state.clients)}
    brought = [
      Brought(np.int32(place), self._own(state, row_of.get(client)))
      for place, client in enumerate(cohort)
    ]
    output = self.process.next(state.server, batches, brought)
    handed_in, rows = output.client_states
    places = np.flatnonzero(np.asarray(handed_in)[: len(cohort)])
    clients = [int(c) for c in state.clients]
    for place in places:
      if cohort[place] not in row_of:
        row_of[cohort[place]] = len(clients)
        clients.append(cohort[place])
    written = [row_of[cohort[place]] for place in places]

    def updated(old: np.ndarray, new: np.ndarray) -> np.ndarray:
      table = np.empty([len(clients), *old.shape[1:]], old.dtype)
      table[: len(old)] = old
      table[written] = np.asarray(new)[places]
      return table

    return tff.learning.templates.LearningProcessOutput(
      SimulationState(
        output.state,
        np.array(clients, np.int32),
        tf.nest.map_structure(updated, state.rows, rows),
      ),
      output.metrics,
    )

  def get_model_weights(self, state: SimulationState) -> Any:
    """Returns the model's weights."""
    return self.process.get_model_weights(state.server)

  def set_model_weights(
    self, state: SimulationState, weights: Any
  ) -> SimulationState:
    """Returns the state with other weights of the model."""
    server = self.process.set_model_weights(state.server, weights)
    return state._replace(server=server)

  def _cohort(self, batches: client_batches.ClientBatches) -> list[int]:
    if batches.num_clients > self.process.max_clients:
      raise ClientStateError(
        f'Expected at most {self.process.max_clients} clients in a round, for '
        f'which the process was built, found {batches.num_clients}; build it '
        'for the largest cohort.'
      )
    names = batches.client_ids
    strangers = [name for name in names if name not in self._positions]
    if strangers or len(set(names)) < len(names):
      what = strangers[0] if strangers else 'one of them twice'
      raise ClientStateError(
        'Expected distinct clients of the population, whose states are kept, '
        f'found {what}.'
      )
    return [self._positions[name] for name in names]

  def _own(self, state: SimulationState, row: int | None) -> Any:
    if row is None:
      return self.process.first
    return tf.nest.map_structure(lambda a: np.asarray(a[row]), state.rows)
