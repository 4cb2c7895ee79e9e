"""Flags of the classifiers of images."""

from absl import flags
from absl.testing import flagsaver
import numpy as np
import pytest

from tff_pipelines.cli import flag_groups, image_flags, image_model_flags
from tff_pipelines.models import sizes


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def weights(*arguments: str, seed: int = 0) -> tuple[np.ndarray, ...]:
  """The initial weights of the model that the flags describe."""
  data = image_flags.LabelledImageFlags()
  model = image_model_flags.ImageClassifierFlags(32)
  flags.FLAGS(['program', *arguments])
  model.check()
  return model.build(data.load(seed), seed).initial_weights[0]


@pytest.mark.parametrize(
  ('given', 'shapes'),
  [
    ([], [(64, 32), (32,), (32, 10), (10,)]),
    (['--hidden_sizes='], [(64, 10), (10,)]),
    (
      ['--hidden_sizes=7,5'],
      [(64, 7), (7,), (7, 5), (5,), (5, 10), (10,)],
    ),
  ],
  ids=['default', 'none', 'two'],
)
def test_hidden_sizes_arrive(given, shapes):
  assert [w.shape for w in weights(*given)] == shapes


def test_seed_decides_the_initial_weights():
  kernels = []
  for seed in (0, 0, 1):
    with flagsaver.flagsaver():
      kernels.append(weights(seed=seed)[0])
  np.testing.assert_array_equal(kernels[0], kernels[1])
  assert np.all(kernels[0] != kernels[2])


@pytest.mark.parametrize('given', ['big', '200,2.5', '200,,100'])
def test_hidden_sizes_that_are_no_numbers_are_refused(given):
  with pytest.raises(flag_groups.FlagError) as raised:
    weights(f'--hidden_sizes={given}')
  assert str(raised.value) == (
    f'Expected whole numbers in --hidden_sizes, such as 200,200, found {given}.'
  )


def test_hidden_layer_without_units_is_refused():
  with pytest.raises(
    sizes.ModelSizeError, match=r'^Expected hidden_size of at least 1, found 0'
  ):
    weights('--hidden_sizes=32,0')


def test_the_convolutional_one_is_that_of_the_paper_on_any_square_images():
  shapes = [w.shape for w in weights('--model=cnn')]
  assert shapes == [
    (5, 5, 1, 32), (32,), (5, 5, 32, 64), (64,), (256, 512), (512,),
    (512, 10), (10,),
  ]  # fmt: skip


def test_hidden_layers_of_a_convolutional_one_are_refused():
  with pytest.raises(
    flag_groups.FlagError,
    match=r'^Expected --model=mlp where --hidden_sizes is given, found --mod',
  ):
    weights('--model=cnn', '--hidden_sizes=200')
