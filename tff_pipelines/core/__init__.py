"""What every other folder speaks in: client batches, participation, seeds."""

from tff_pipelines.core.client_batches import ClientBatches
from tff_pipelines.core.errors import PipelineError
from tff_pipelines.core.participation import Participation

__all__ = ['ClientBatches', 'Participation', 'PipelineError']
