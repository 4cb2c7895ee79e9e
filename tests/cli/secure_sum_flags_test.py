"""The flags of secure aggregation."""

from absl import flags
from absl.testing import flagsaver
import pytest

from tff_pipelines.cli import flag_groups, secure_sum_flags
from tff_pipelines.execution import masked_sums


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def parsed(*arguments):
  group = secure_sum_flags.SecureSumFlags()
  flags.FLAGS(['program', *arguments])
  group.check()
  return group


def test_the_default_is_masked_without_dropouts():
  found = parsed().get(seed=5)
  assert isinstance(found, masked_sums.MaskedSum)
  assert found.config == masked_sums.MaskedSumConfig(seed=5)


def test_every_flag_arrives():
  found = parsed(
    '--dropout=advertise:0.02, mask:0.05,unmask:0',
    '--secagg_graph=complete',
    '--tolerated_dropout=0.2',
    '--tolerated_corrupted=0.1',
    '--malicious_server',
  ).get(seed=1)
  assert found.config == masked_sums.MaskedSumConfig(
    graph='complete',
    tolerated_dropout=0.2,
    tolerated_corrupted=0.1,
    malicious=True,
    dropout_rates={'advertise': 0.02, 'mask': 0.05, 'unmask': 0.0},
    seed=1,
  )


def test_insecure_is_its_name():
  assert parsed('--secure_sum=insecure').get(seed=0) == 'insecure'


@pytest.mark.parametrize(
  'given, found',
  [
    ('0.1', "'0.1'"),
    ('lunch:0.1', "'lunch:0.1'"),
    ('mask:much', "'mask:much'"),
    ('mask', "'mask'"),
    ('mask:1', "'mask:1'"),
    ('mask:-0.1', "'mask:-0.1'"),
    ('mask:0.1,mask:0.2', "'mask:0.2'"),
  ],
)
def test_a_wrong_dropout_is_told(given, found):
  with pytest.raises(
    flag_groups.FlagError, match=rf'^Expected --dropout to .*found {found}\.$'
  ):
    parsed(f'--dropout={given}').get(seed=0)


@pytest.mark.parametrize(
  'given',
  [
    '--dropout=mask:0.1', '--tolerated_dropout=0.1',
    '--tolerated_corrupted=0.1',
  ],
)  # fmt: skip
def test_dropouts_of_insecure_sums_are_refused(given):
  with pytest.raises(flag_groups.FlagError, match='--secure_sum'):
    parsed('--secure_sum=insecure', given)


def test_the_protocol_is_masked():
  assert parsed().is_masked


def test_insecure_is_not_masked():
  assert not parsed('--secure_sum=insecure').is_masked
