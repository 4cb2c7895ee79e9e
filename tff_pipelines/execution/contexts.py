"""Installing an execution context by name, for good or for a while."""

from collections.abc import Callable, Iterator, Mapping
import contextlib
from typing import Any

import tensorflow_federated as tff

from tff_pipelines.core import errors
from tff_pipelines.execution import masked_sums, native
from tff_pipelines.execution.xla import context as xla

CONTEXTS: dict[str, Callable[[], Any]] = {
  'native': native.NativeContext,
  'xla': xla.XlaContext,
}


class UnknownContextError(errors.PipelineError):
  """A name that no execution context has."""


def install(name: str, **options: Any) -> Any:
  """Makes the named context TFF's default one and returns it.

  Args:
    name: `xla`, or `native`, TFF's own runtime.
    **options: What the context's class takes.

  Raises:
    UnknownContextError: If there is no context of that name.
  """
  context = _build(name, options)
  tff.framework.set_default_context(context)
  return context


@contextlib.contextmanager
def using(name: str, **options: Any) -> Iterator[Any]:
  """Installs the named context for the time of a `with` block, then ends it.

  Afterwards the context that was current before is current again.
  """
  context = _build(name, options)
  with tff.framework.get_context_stack().install(context):
    try:
      yield context
    finally:
      context.close()


def current_secure_sums() -> masked_sums.MaskedSum | None:
  """Returns the protocol behind secure sums in the current context, if any."""
  context = tff.framework.get_context_stack().current
  return getattr(context, 'secure_sums', None)


def _build(name: str, options: Mapping[str, Any]) -> Any:
  if name not in CONTEXTS:
    raise UnknownContextError(
      f'Expected an execution context out of {", ".join(CONTEXTS)}, '
      f'found {name!r}.'
    )
  return CONTEXTS[name](**options)
