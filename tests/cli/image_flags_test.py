"""Flags that name labelled images and their clients."""

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest

from tff_pipelines.cli import flag_groups, image_flags
from tff_pipelines.data import fetching, image_classification, partitioners


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def load(*arguments: str, seed: int = 0):
  group = image_flags.LabelledImageFlags()
  flags.FLAGS(['program', *arguments])
  group.check()
  return group.load(seed)


def test_small_digits_need_no_flags():
  dataset = load()
  assert dataset.name == 'small_digits'
  assert (dataset.train.num_clients, dataset.train.num_examples) == (50, 1438)
  assert (dataset.test.num_clients, dataset.test.num_examples) == (10, 359)
  assert dataset.provenance['partition']['scheme'] == 'iid'
  assert dataset.label_names == tuple('0123456789')


def test_clients_and_shares_arrive():
  dataset = load('--num_clients=7', '--test_clients=3', '--test_fraction=0.5')
  assert (dataset.train.num_clients, dataset.test.num_clients) == (7, 3)
  assert dataset.test.num_examples == 898
  assert dataset.provenance['test_fraction'] == 0.5


def test_shards_leave_few_labels_a_client():
  dataset = load('--partition=shards', '--shards_per_client=1')
  assert dataset.provenance['partition']['scheme'] == 'shards'
  assert dataset.provenance['partition']['shards_per_client'] == 1
  labels = [len(np.unique(dataset.train.examples(c)[1])) for c in range(50)]
  # 50 shards, 9 borders between labels.
  assert sum(count > 1 for count in labels) <= 9


@pytest.mark.parametrize(
  ('scheme', 'flag', 'name'),
  [
    ('dirichlet', '--dirichlet_alpha=0.7', 'alpha'),
    ('k_labels', '--labels_per_client=3', 'labels_per_client'),
    ('class_share', '--class_share=0.7', 'class_share'),
    ('log_normal', '--log_normal_sigma=0.7', 'sigma'),
    ('power_law', '--power_law_exponent=0.7', 'exponent'),
  ],
)
def test_uneven_partitions_have_their_parameter(scheme, flag, name):
  partition = load(f'--partition={scheme}', flag).provenance['partition']
  value = float(flag.partition('=')[2])
  assert (partition['scheme'], partition[name]) == (scheme, value)


@pytest.mark.parametrize(
  ('kind', 'flag'),
  [('rotation', '--rotation_degrees=30'), ('brightness', None)],
)
def test_images_can_differ_from_client_to_client(kind, flag):
  shifted = load(f'--feature_shift={kind}', *([flag] if flag else []))
  assert shifted.provenance['feature_shift'] == {
    'kind': kind,
    'strength': 30.0 if flag else 0.5,
  }


def test_images_do_not_differ_by_default():
  assert 'feature_shift' not in load().provenance


def test_seed_decides_who_holds_what():
  held = []
  for seed in (0, 0, 1):
    with flagsaver.flagsaver():
      held.append(load(seed=seed).train.examples(0)[0])
  np.testing.assert_array_equal(held[0], held[1])
  assert not np.array_equal(held[0], held[2])


def test_mnist_by_writer(real_data_dir):
  dataset = load(
    '--dataset=mnist', f'--data_dir={real_data_dir}', '--partition=writer'
  )
  assert (dataset.train.num_clients, dataset.test.num_clients) == (539, 297)
  assert dataset.provenance['partition'] == 'writer'


def test_mnist_dealt_evenly_from_its_own_folder(real_data_dir):
  dataset = load(
    '--dataset=mnist', f'--data_dir={real_data_dir / "mnist"}',
    '--num_clients=3383', '--test_clients=1',
  )  # fmt: skip
  assert (dataset.train.num_clients, dataset.train.num_examples) == (
    3383, 60_000,
  )  # fmt: skip
  assert dataset.test.sizes.tolist() == [10_000]
  assert len(dataset.provenance['sha256']) == 4  # Writers are not loaded.


def test_mnist_that_is_damaged_is_one_sentence(tmp_path):
  (tmp_path / 'mnist').mkdir()
  path = tmp_path / 'mnist' / 'train-images-idx3-ubyte.gz'
  path.write_bytes(b'')
  with pytest.raises(
    fetching.ChecksumMismatchError, match=f'^Expected {path} to have sha256'
  ):
    load('--dataset=mnist', f'--data_dir={tmp_path}')


def test_writers_of_small_digits_are_not_known():
  with pytest.raises(image_classification.NoWritersError) as raised:
    load('--partition=writer')
  assert str(raised.value) == (
    'Expected a data set that names the writers of its images, found '
    'small_digits; choose another data set or partition.'
  )


def test_more_clients_than_digits_are_refused():
  with pytest.raises(
    partitioners.PartitionError,
    match=r'^Expected at least 1439 examples for 1439 clients, found 1438',
  ):
    load('--num_clients=1439')


@pytest.mark.parametrize(
  ('arguments', 'wanted'),
  [
    (['--data_dir=x'], '--dataset=mnist where --data_dir'),
    (
      ['--dataset=mnist', '--test_fraction=0.1'],
      '--dataset=small_digits where --test_fraction',
    ),
    (
      ['--partition=writer', '--num_clients=5'],
      '--partition=iid or --partition=dirichlet or .* or '
      '--partition=power_law where --num_clients',
    ),
    (
      ['--partition=writer', '--test_clients=5'],
      '--partition=iid or --partition=dirichlet or .* or '
      '--partition=power_law where --test_clients',
    ),
    (['--dirichlet_alpha=1'], '--partition=dirichlet where --dirichlet_alpha'),
    (['--shards_per_client=1'], '--partition=shards where --shards_per_client'),
    (['--labels_per_client=1'], '--partition=k_labels where --labels_per'),
    (['--class_share=1'], '--partition=class_share where --class_share'),
    (['--log_normal_sigma=1'], '--partition=log_normal where --log_normal_s'),
    (['--power_law_exponent=1'], '--partition=power_law where --power_law'),
    (['--rotation_degrees=9'], '--feature_shift=rotation where --rotation'),
    (
      ['--feature_shift=rotation', '--brightness_strength=1'],
      '--feature_shift=brightness where --brightness',
    ),
  ],
)
def test_flag_without_an_effect_is_refused_by_name(arguments, wanted):
  with pytest.raises(flag_groups.FlagError, match=f'^Expected {wanted}'):
    load(*arguments)
