"""Fixtures of the contract suites."""

import pytest


@pytest.fixture(scope='module')
def pair():
  """The XLA context and the one it has to agree with, each module's own.

  Secure sums are in the clear in both, so that one client is enough for them.
  """
  from tests.contracts import execution_samples
  from tff_pipelines.execution.xla import context

  # Two threads on every machine: results depend on their number by rounding.
  contexts = execution_samples.Pair(
    execution_samples.Reference(),
    context.XlaContext(threads=2, secure_sums='insecure'),
  )
  yield contexts
  contexts.reference.close()
  contexts.xla.close()
