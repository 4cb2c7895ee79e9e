"""Flags of attacks on training."""

from absl import flags
from absl.testing import flagsaver
import pytest

from tff_pipelines.cli import (
  algorithm_flags,
  attack_flags,
  comparison,
  flag_groups,
  training_flags,
)
from tff_pipelines.core.client_kinds import ClientKind
from tff_pipelines.learning import attacked_updates, optimizers
from tff_pipelines.models import image_classifiers


@pytest.fixture(autouse=True)
def registry():
  """absl's registry, without the flags of this test afterwards."""
  with flagsaver.flagsaver():
    yield


def parsed(*arguments: str) -> attack_flags.AttackFlags:
  group = attack_flags.AttackFlags()
  flags.FLAGS(['program', *arguments])
  group.check()
  return group


def test_by_default_nobody_attacks():
  group = parsed()
  assert not group.requested
  assert group.names == ('none',)
  assert group.seeds(5) == range(5, 6)
  assert group.strengths is None
  model = image_classifiers.build_mlp(image_classifiers.Mlp(4, (), 2))
  assert group.trained(model) is model


def test_attacks_are_compared_with_none_which_comes_first():
  assert parsed('--attack=sign_flip,outlier').names == (
    'none', 'sign_flip', 'outlier',
  )  # fmt: skip


def test_none_is_not_taken_twice():
  assert parsed('--attack=sign_flip,none').names == ('none', 'sign_flip')


def test_every_kind_but_the_honest_has_an_attack():
  kinds = {*attack_flags.ATTACKS.values(), ClientKind.HONEST}
  assert kinds == set(ClientKind)


def test_strengths_are_those_of_the_flags():
  group = parsed(
    '--attack=sign_flip,backdoor,random_update',
    '--sign_flip_scale=2',
    '--backdoor_boost=3',
    '--random_update_stddev=0.5',
  )
  assert group.strengths == attacked_updates.Strengths(2.0, 3.0, 0.5)


def test_trained_is_the_model_on_examples_with_kinds():
  model = image_classifiers.build_mlp(image_classifiers.Mlp(4, (), 2))
  x, _ = parsed('--attack=outlier').trained(model).input_spec
  assert list(x) == ['features', 'kind', 'attack_seed']


@pytest.mark.parametrize(
  ('given', 'expected'),
  [('4', 4), ('0.25', 4), ('0.3', 5), ('0.01', 1), ('15', 15)],
)
def test_attackers_are_a_number_or_a_share(given, expected):
  group = parsed('--attack=outlier', f'--attackers={given}')
  assert group.count(16) == expected


@pytest.mark.parametrize('given', ['0', '-1', '1.0', '0.0', 'many', '1e-1', ''])
def test_attackers_that_are_no_number_are_refused(given):
  with pytest.raises(
    flag_groups.FlagError,
    match=rf"^Expected a number of clients, .* in --attackers, found '{given}'",
  ):
    parsed('--attack=outlier', f'--attackers={given}')


@pytest.mark.parametrize('given', ['16', '20', '0.99'])
def test_somebody_stays_honest(given):
  group = parsed('--attack=outlier', f'--attackers={given}')
  with pytest.raises(
    flag_groups.FlagError,
    match=f'^Expected fewer attackers than the 16 clients, found .*={given}',
  ):
    group.count(16)


def test_kinds_of_the_clients():
  group = parsed(
    '--attack=outlier,sign_flip', '--attackers=2', '--attackers_are=last'
  )
  honest = ClientKind.HONEST
  assert group.kinds('none', 4, 0) == (honest,) * 4
  assert group.kinds('outlier', 4, 0) == (
    honest, honest, ClientKind.OUTLIER, ClientKind.OUTLIER,
  )  # fmt: skip
  assert group.kinds('sign_flip', 4, 0)[2:] == (ClientKind.SIGN_FLIPPER,) * 2


@pytest.mark.parametrize('given', ['lies', 'outlier,outlier', ''])
def test_attacks_that_there_are_not_are_refused(given):
  with pytest.raises(
    flag_groups.FlagError,
    match=rf'^Expected different attacks out of none, outlier,.*={given}\.$',
  ):
    parsed(f'--attack={given}')


@pytest.mark.parametrize(
  ('flag', 'attack'),
  [
    ('--attackers=3', 'none'),
    ('--attackers_are=first', 'none'),
    ('--sign_flip_scale=2', 'outlier'),
    ('--backdoor_boost=2', 'sign_flip'),
    ('--random_update_stddev=2', 'backdoor'),
  ],
)
def test_flags_without_effect_are_refused(flag, attack):
  with pytest.raises(
    flag_groups.FlagError, match=f'found --attack={attack}, with which it has'
  ):
    parsed(f'--attack={attack}', flag)


@pytest.mark.parametrize('flag', ['system', 'central_epochs', 'local_epochs'])
def test_flags_of_systems_are_refused_where_clients_attack(flag):
  comparison.ComparisonFlags(central_epochs=1, local_epochs=1)
  value = 'federated' if flag == 'system' else '2'
  with pytest.raises(
    flag_groups.FlagError,
    match=f'^Expected --attack=none where --{flag} is given, found --attack=',
  ):
    parsed('--attack=outlier', f'--{flag}={value}')


def test_strengths_out_of_range_are_refused():
  with pytest.raises(
    attacked_updates.AttackError, match=r'^Expected a sign_flip_scale above 0'
  ):
    parsed('--attack=sign_flip', '--sign_flip_scale=0')


def test_repeats_have_seeds_of_their_own():
  assert parsed('--attack=outlier', '--attack_repeats=3').seeds(5) == range(
    5, 8
  )


def test_no_repeat_is_refused():
  with pytest.raises(flag_groups.FlagError) as raised:
    parsed('--attack=outlier', '--attack_repeats=0')
  assert str(raised.value) == (
    'Expected --attack_repeats of at least 1, found 0.'
  )


def test_what_the_process_has_to_know_is_nothing_of_honest_clients():
  assert parsed().of_process == {}


def test_what_the_process_has_to_know_is_how_strong_attackers_are():
  assert parsed('--attack=sign_flip', '--sign_flip_scale=2').of_process == {
    'attack': attacked_updates.Strengths(sign_flip_scale=2.0)
  }


@pytest.mark.parametrize('algorithm', ['fed_prox', 'scaffold', 'fed_sgd'])
def test_other_algorithms_have_no_attackers(algorithm):
  sgd = optimizers.OptimizerConfig('sgd', 0.5)
  algorithm_flags.AlgorithmFlags(
    training_flags.OptimizerFlags('client', sgd),
    training_flags.OptimizerFlags('server', sgd),
  )
  with pytest.raises(flag_groups.FlagError) as raised:
    parsed('--attack=sign_flip', f'--algorithm={algorithm}')
  assert str(raised.value) == (
    'Expected --algorithm=fed_avg where --attack is given, as attackers change '
    f'the updates of its clients alone, found --algorithm={algorithm}; remove '
    'one of them.'
  )
