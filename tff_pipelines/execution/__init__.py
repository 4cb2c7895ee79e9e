"""Where a TFF computation runs."""

from tff_pipelines.execution.contexts import install

__all__ = ['install']
