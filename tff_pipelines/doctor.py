"""Says in one screen what is installed, what works, and what to do if not.

python -m tff_pipelines.doctor
"""

import importlib.metadata
import os
import platform
import shutil
import sys
import time

# What is installed beside the two packages whose version is checked.
_SHOWN = ('tensorflow-privacy', 'dp-accounting', 'numpy', 'jaxlib', 'protobuf')


_AGAIN = 'install the packages again: uv sync'


def main() -> int:
  """Prints the findings; returns 0 if everything works."""
  try:
    from tff_pipelines import _requirements
  except ImportError as error:
    print(f'FAILS   versions: {error}')
    return 1
  print(f'Python {platform.python_version()}, {platform.platform()}')
  print(f'{os.cpu_count()} cores, {_memory()}')
  for package in (*_requirements.PACKAGES, *_SHOWN):
    print(f'  {package:22} {importlib.metadata.version(package)}')
  checks = (
    ('computes', lambda: _one_client_round('xla'), _AGAIN),
    ('computes', lambda: _one_client_round('native'), _AGAIN),
    ('saves', _save_tuple, 'import tff_pipelines before tensorflow'),
    ('writes', _temporary_folder, 'free some disk space'),
  )
  failures = 0
  for name, check, remedy in checks:
    started = time.monotonic()
    try:
      found = check()
      verdict = 'works'
    except Exception as error:
      found = f'{str(error).splitlines()[0][:200]}. To do: {remedy}'
      verdict = 'FAILS'
      failures += 1
    print(f'{verdict}   {name}: {found} ({time.monotonic() - started:.1f} s)')
  return int(failures > 0)


def _memory() -> str:
  pages, size = os.sysconf('SC_PHYS_PAGES'), os.sysconf('SC_PAGE_SIZE')
  return f'{pages * size / 2**30:.0f} GiB of memory'


def _one_client_round(context: str) -> str:
  """Trains one round on one client and checks the number that comes out."""
  import numpy as np
  import tensorflow as tf
  import tensorflow_federated as tff

  from tff_pipelines.data import batching, population
  from tff_pipelines.execution import contexts
  from tff_pipelines.learning import fed_avg, optimizers

  people = population.ArrayPopulation(
    (np.array([[2.0]], np.float32), np.array([[1.0]], np.float32)),
    {'one': np.array([0])},
  )

  @tf.function
  def predict(weights, x, training=True):
    del training  # Unused.
    return tf.matmul(x, weights[0][0])

  def loss(output, label, sample_weight=None):
    del sample_weight  # Unused.
    return tf.reduce_mean(tf.square(output - label)) / 2

  model = tff.learning.models.FunctionalModel(
    initial_weights=((np.zeros([1, 1], np.float32),), ()),
    predict_on_batch_fn=predict,
    loss_fn=loss,
    input_spec=people.batch_spec,
  )
  config = optimizers.OptimizerConfig
  process = fed_avg.build(
    model,
    client_optimizer=config('sgd', 0.25).build(),
    server_optimizer=config('sgd', 1.0).build(),
    aggregator=tff.aggregators.MeanFactory(),
  )
  with contexts.using(context):
    batches = people.batches([0], batching.Batching(1), seed=0, round_num=1)
    state = process.next(process.initialize(), batches).state
    weight = float(process.get_model_weights(state).trainable[0][0, 0])
  # Prediction 0, label 1, input 2: the gradient is -2, the step 0.25.
  if weight != 0.5:
    raise RuntimeError(f'a round gave {weight}, expected 0.5')
  return f"one client's round of federated averaging, context {context}"


def _save_tuple() -> str:
  import tempfile

  import tensorflow as tf

  module = tf.Module()
  module.value = (tf.Variable(1.0),)
  with tempfile.TemporaryDirectory() as folder:
    tf.saved_model.save(module, folder)
  return 'a model that holds a tuple'


def _temporary_folder() -> str:
  free = shutil.disk_usage('.').free
  if free < 2**30:
    raise RuntimeError(f'{free / 2**20:.0f} MiB are free here')
  return f'{free / 2**30:.0f} GiB are free here'


if __name__ == '__main__':
  sys.exit(main())
