"""The execution context: which way each computation takes, and why."""

from collections.abc import Callable
import contextlib
import dataclasses
import os
import threading
from typing import Any, Literal

import numpy as np
import tensorflow as tf
import tensorflow_federated as tff

from tff_pipelines.core import errors, system_randomness
from tff_pipelines.execution import masked_sums, native
from tff_pipelines.execution.xla import (
  graphs,
  programs,
  rounds,
  splitting,
  values,
)

Way = Literal['xla', 'function', 'native']

_RANDOM = (
  'RandomStandardNormal', 'RandomUniform', 'RandomUniformInt', 'RandomGammaV2',
  'RandomPoissonV2', 'RandomShuffle', 'TruncatedNormal', 'Multinomial',
  'ParameterizedTruncatedNormal',
)  # fmt: skip

_STATELESS = (
  'StatelessRandom', 'StatelessTruncated', 'StatelessMultinomial',
  'StatelessParameterized', 'StatelessShuffle',
)  # fmt: skip


class ThreadsError(errors.PipelineError):
  """A number of threads that there cannot be."""


@dataclasses.dataclass(frozen=True)
class Explanation:
  """How a computation runs.

  Attributes:
    way: `xla`, one compiled program; `function`, plain TensorFlow functions in
      this process; `native`, TFF's worker process.
    reason: Why, in words.
    randomness: Where its random numbers come from.
  """

  way: Way
  reason: str
  randomness: str

  def __str__(self) -> str:
    return f'{self.way}: {self.reason}. {self.randomness}'


@dataclasses.dataclass
class _Plan:
  computation: tff.Computation  # Kept alive: plans are found by its identity.
  explanation: Explanation
  run: Callable[[Any], Any]
  round: rounds.Round | None = None


class XlaContext(tff.framework.SyncContext):
  """Runs TFF computations in this process, a round as one XLA program.

  Results and their containers are those of TFF's own contexts. What cannot be
  run here goes to TFF's worker, which starts when it is first needed.

  Attributes:
    secure_sums: The protocol that secure sums run through; None is a sum in the
      clear.
  """

  def __init__(
    self,
    threads: int | None = None,
    *,
    secure_sums: masked_sums.MaskedSum | Literal['insecure'] | None = None,
  ):
    """Initializes the context.

    Args:
      threads: How many threads share the clients; None for one a core. Results
        depend on it by rounding only, and are the same in each run with it.
      secure_sums: What sums the integers of TFF's secure sums: the protocol
        with a configuration (its default for None), or `insecure`, a sum in the
        clear that protects nobody, for experiments about learning.

    Raises:
      ThreadsError: If there is less than one thread.
    """
    if threads is not None and threads < 1:
      raise ThreadsError(
        f'Expected at least 1 thread, or None for one a core, found {threads}.'
      )
    self._threads = threads
    self.secure_sums = (
      None
      if secure_sums == 'insecure'
      else secure_sums or masked_sums.MaskedSum()
    )
    _leave_threads_to_shards()
    self._native = native.NativeContext()
    self._plans: dict[int, _Plan] = {}
    self._lock = threading.RLock()

  @property
  def native(self) -> native.NativeContext:
    """Where computations go that cannot be run here."""
    return self._native

  @property
  def compilations(self) -> int:
    """How many programs have been built so far."""
    return sum(p.round.compilations for p in self._plans.values() if p.round)

  def invoke(self, comp: Any, arg: Any) -> Any:
    """Runs `comp` on `arg`, as `tff.framework.SyncContext` asks."""
    try:
      return self._run(comp, arg)
    except graphs.ArgumentError as error:
      refusal = error.__cause__
    # TFF decides whether it takes such an argument, and says so if not.
    try:
      return self._native.invoke(comp, arg)
    except (TypeError, ValueError):
      raise
    except Exception as error:  # It cannot run the computation at all.
      raise refusal from error

  def _run(self, comp: Any, arg: Any) -> Any:
    plan = self._plan(comp)
    try:
      return plan.run(arg)
    except graphs.NotLowerableError as error:
      # The data decided: say, elements that vary in shape.
      plan = self._replace(comp, self._natively(comp, str(error)))
    except graphs.NotCompilableError as error:
      plan = self._replace(comp, self._as_function(comp, str(error)))
    return plan.run(arg)

  def explain(self, comp: tff.Computation) -> Explanation:
    """Returns which way a computation takes, and why."""
    plan = self._plan(comp)
    if plan.round is not None and plan.explanation.way == 'xla':
      try:
        plan.round.check_compilable()
      except graphs.NotCompilableError as error:
        plan = self._replace(comp, self._as_function(comp, str(error)))
      except graphs.NotLowerableError as error:
        plan = self._replace(comp, self._natively(comp, str(error)))
    return plan.explanation

  def close(self) -> None:
    """Ends TFF's worker, if one was started."""
    self._native.close()

  def _plan(self, comp: tff.Computation) -> _Plan:
    with self._lock:
      plan = self._plans.get(id(comp))
      if plan is None:
        try:
          plan = self._make_plan(comp)
        except graphs.NotLowerableError as error:
          plan = self._natively(comp, str(error))
        self._plans[id(comp)] = plan
      return plan

  def _replace(self, comp: tff.Computation, plan: _Plan) -> _Plan:
    with self._lock:
      self._plans[id(comp)] = plan
    return plan

  def _make_plan(self, comp: tff.Computation) -> _Plan:
    signature = comp.type_signature
    if not splitting.has_clients(comp):
      part = splitting.local(comp)
      if any(isinstance(t, tff.SequenceType) for t in _leaves(signature)):
        raise graphs.NotLowerableError('it takes or returns a sequence')
      where = (
        'it computes at the server alone'
        if values.is_federated(signature.result)
        else 'it is TensorFlow without placements'
      )
      return self._plain(comp, part, where)
    parts = splitting.split(comp)
    if _has_strings(parts.work.type_signature):
      return self._as_function(comp, 'XLA has no strings', parts)
    if _grows(parts):
      return self._as_function(
        comp,
        'what is collected from the clients grows with their number, and XLA '
        'needs fixed shapes',
        parts,
      )
    return self._round(
      comp,
      parts,
      compiled=True,
      explanation=Explanation(
        'xla',
        'the work of all clients is one XLA program, the rest plain '
        'TensorFlow functions' + self._about_secure_sums(parts),
        _randomness(parts, compiled=True),
      ),
    )

  def _plain(
    self, comp: tff.Computation, part: graphs.TensorFlowPart, reason: str
  ) -> _Plan:
    function = rounds.function(part)
    signature = comp.type_signature
    pack = values.packer(signature.result)

    def run(arg: Any) -> Any:
      try:
        flat = (
          []
          if signature.parameter is None
          else values.flatten(arg, signature.parameter)
        )
      except (TypeError, ValueError, NotImplementedError) as error:
        raise graphs.ArgumentError from error
      return pack(values.to_numpy(function(*flat)))

    randomness = _random_sentence('it', part.operations, "TensorFlow's own")
    return _Plan(comp, Explanation('function', reason, randomness), run)

  def _round(
    self,
    comp: tff.Computation,
    parts: splitting.Aggregation | splitting.ClientMap,
    *,
    compiled: bool,
    explanation: Explanation,
  ) -> _Plan:
    one_round = rounds.Round(
      comp,
      parts,
      compiled=compiled,
      threads=self._threads,
      secure_sums=self.secure_sums,
    )
    single = splitting.arguments(comp).single

    def run(arg: Any) -> Any:
      if single:
        return one_round([arg])
      try:
        arguments = list(values.elements(arg, comp.type_signature.parameter))
      except TypeError as error:
        raise graphs.ArgumentError from error
      return one_round(arguments)

    return _Plan(comp, explanation, run, one_round)

  def _as_function(
    self,
    comp: tff.Computation,
    why: str,
    parts: splitting.Aggregation | splitting.ClientMap | None = None,
  ) -> _Plan:
    parts = parts or splitting.split(comp)
    return self._round(
      comp,
      parts,
      compiled=False,
      explanation=Explanation(
        'function',
        f'the same loops as a plain TensorFlow function, because {why}'
        + self._about_secure_sums(parts),
        _randomness(parts, compiled=False),
      ),
    )

  def _about_secure_sums(
    self, parts: splitting.Aggregation | splitting.ClientMap
  ) -> str:
    if isinstance(parts, splitting.ClientMap) or not programs.has_secure_sums(
      parts
    ):
      return ''
    if self.secure_sums is None:
      return '; its secure sums are insecure: summed in the clear'
    return '; its secure sums are masked: they run through the protocol'

  def _natively(self, comp: tff.Computation, why: str) -> _Plan:
    return _Plan(
      comp,
      Explanation(
        'native',
        f"on TFF's worker, because {why}",
        "Random numbers are drawn by TensorFlow's own generators there.",
      ),
      lambda arg: self._native.invoke(comp, arg),
    )


def _leave_threads_to_shards() -> None:
  """Makes each operation run on the thread that asks for it.

  Clients are shared out among threads, so that an operation that would use
  several only waits for them: a round of small products takes 15 % longer. Does
  nothing when the user has said how many (`TF_NUM_INTRAOP_THREADS` or
  `tf.config`), or has already used TensorFlow, which then cannot be changed.
  """
  said = tf.config.threading.get_intra_op_parallelism_threads()
  if said or 'TF_NUM_INTRAOP_THREADS' in os.environ:
    return
  with contextlib.suppress(RuntimeError):
    tf.config.threading.set_intra_op_parallelism_threads(1)


def _leaves(signature: tff.FunctionType) -> list[tff.Type]:
  parameter = signature.parameter
  of_parameter = [] if parameter is None else values.leaves(parameter)
  return [*of_parameter, *values.leaves(signature.result)]


def _has_strings(signature: tff.FunctionType) -> bool:
  tensors = []
  for leaf in _leaves(signature):
    while isinstance(leaf, tff.SequenceType):
      leaf = leaf.element
    tensors += values.leaves(leaf)
  return any(np.dtype(t.dtype).type is np.str_ for t in tensors)


def _grows(parts: splitting.Aggregation | splitting.ClientMap) -> bool:
  """Whether an accumulator has no fixed shape, as that of a list has none."""
  if isinstance(parts, splitting.ClientMap):
    return False
  shapes = [t.shape for t in values.leaves(parts.accumulator_type)]
  return any(shape is None or None in shape for shape in shapes)


def _randomness(
  parts: splitting.Aggregation | splitting.ClientMap, *, compiled: bool
) -> str:
  at_server = set(parts.prepare.operations)
  in_loop = set(parts.work.operations)
  if isinstance(parts, splitting.Aggregation):
    for part in (parts.zero, parts.merge, parts.report, parts.update):
      at_server |= part.operations
    in_loop |= parts.accumulate.operations
  generator = "TensorFlow's own"
  in_work = "XLA's (32-bit seed, not for privacy)" if compiled else generator
  sentences = [
    _random_sentence('the server', at_server, generator),
    _random_sentence('client work', in_loop, in_work),
  ]
  found = [s for s in sentences if 'draws none' not in s]
  return ' '.join(found) if found else 'It draws no random numbers.'


def _random_sentence(who: str, operations: set[str], generator: str) -> str:
  drawn = sorted(operations & set(_RANDOM))
  stateless = sorted(o for o in operations if o.startswith(_STATELESS))
  sentences = []
  if drawn:
    sentences.append(
      f'{who.capitalize()} draws random numbers ({", ".join(drawn)}) from '
      f'{generator} generator.'
    )
  if stateless:
    sentences.append(
      f'{who.capitalize()} computes random numbers ({", ".join(stateless)}) '
      'from seeds of its own.'
    )
  if system_randomness.OPERATION in operations:
    sentences.append(
      f'{who.capitalize()} reads fresh seeds of the operating system.'
    )
  return ' '.join(sentences) or f'{who.capitalize()} draws none of its own.'
