"""The flags of the protocol, under their short and their long names."""

from absl import flags
from absl.testing import flagsaver
import pytest

from tff_pipelines.cli import flag_groups, secagg_flags
from tff_pipelines.secagg import errors, parameters


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def parsed(*arguments, **names):
  group = secagg_flags.SecAggFlags()
  group.define_session(**names)
  flags.FLAGS(['program', *arguments])
  group.check()
  return group


def test_the_default_bears_three_clients_in_ten():
  group = parsed()
  assert group.dropout_rates == {}
  assert group.parameters(100) == parameters.derive_parameters(100, 0.3, 0.0)


def test_every_flag_arrives():
  group = parsed(
    '--dropout=share:0.02, consistency:0.05',
    '--tolerated_dropout=0.2',
    '--tolerated_corrupted=0.1',
    '--malicious',
  )
  assert group.dropout_rates == {'share': 0.02, 'consistency': 0.05}
  assert group.parameters(50) == parameters.derive_parameters(
    50, 0.2, 0.1, malicious=True
  )


def test_a_task_can_give_longer_names():
  group = parsed(
    '--secagg_graph=sparse', graph='secagg_graph', malicious='malicious_server'
  )
  assert group.parameters(500).degree is not None
  assert 'malicious_server' in group.configuration()


@pytest.mark.parametrize(
  'flag', ['--tolerated_dropout=1', '--tolerated_corrupted=-0.1',
           '--tolerated_dropout=nan']
)  # fmt: skip
def test_a_share_that_is_none_is_told(flag):
  name, value = flag.removeprefix('--').split('=')
  with pytest.raises(
    flag_groups.FlagError, match=f'^Expected --{name} to be a share.*{value}'
  ):
    parsed(flag)


def test_consistency_needs_the_variant_that_has_it():
  with pytest.raises(
    flag_groups.FlagError, match=r'^Expected --malicious where --dropout names'
  ):
    parsed('--dropout=consistency:0.1')


def test_parameters_that_are_unsafe_are_told():
  with pytest.raises(errors.ParameterError, match='use the complete graph'):
    parsed('--graph=sparse').parameters(5)
