"""Populations whose examples say what kind of client they come from."""

import numpy as np
import pytest

from tff_pipelines.core.client_kinds import ClientKind
from tff_pipelines.data import batching, client_kinds, poisons, population

SIZES = (3, 0, 4, 5, 2, 1)
NAMES = 'abcdef'


def clients() -> population.ArrayPopulation:
  """Clients a to f, with rows that are not in their order."""
  rng = np.random.default_rng(0)
  order = rng.permutation(sum(SIZES))
  ends = np.cumsum(SIZES)
  return population.ArrayPopulation(
    (
      rng.random([sum(SIZES), 2], dtype=np.float32),
      rng.integers(0, 3, sum(SIZES)).astype(np.int32),
    ),
    {
      name: order[end - size : end]
      for name, size, end in zip(NAMES, SIZES, ends, strict=True)
    },
  )


POISON = poisons.Poison(
  flip=lambda y: 2 - y,
  outlier_label=1,
  plant=lambda x: np.full_like(x, 9),
  target_label=2,
  trigger='nines',
)
ALL_KINDS = tuple(ClientKind)


def kinded(kinds=ALL_KINDS, seed: int = 5, poison=POISON):
  return client_kinds.with_kinds(clients(), kinds, poison=poison, seed=seed)


def of(client: int, people):
  x, y = people.examples(client)
  return x['features'], y


def test_names_sizes_and_batches_are_those_of_the_population():
  base, found = clients(), kinded()
  assert found.client_ids == base.client_ids
  assert found.sizes.tolist() == base.sizes.tolist()
  options = {'seed': 1, 'round_num': 2}
  honest = kinded((ClientKind.HONEST,) * 6)
  for one, other in zip(
    base.batches([4, 0, 3], batching.Batching(2), **options).elements,
    (lambda e: (e[0]['features'], e[1]))(
      honest.batches([4, 0, 3], batching.Batching(2), **options).elements
    ),
    strict=True,
  ):
    np.testing.assert_array_equal(one, other)


def test_examples_say_the_kind_of_their_client():
  found = kinded()
  for c, kind in enumerate(ALL_KINDS):
    x, _ = found.examples(c)
    assert x['kind'].tolist() == [kind] * SIZES[c]
    assert x['kind'].dtype == np.int32


def test_attack_seeds_are_one_a_client_and_follow_from_the_seed():
  seeds = [set(kinded().examples(c)[0]['attack_seed']) for c in (0, 2, 3, 4, 5)]
  assert all(len(each) == 1 for each in seeds)
  assert len(set.union(*seeds)) == 5
  assert min(set.union(*seeds)) >= 0
  again = kinded((ClientKind.HONEST,) * 6)
  other = kinded(seed=6)
  assert set(again.examples(2)[0]['attack_seed']) == seeds[1]
  assert set(other.examples(2)[0]['attack_seed']) != seeds[1]


@pytest.mark.parametrize(
  'kind',
  [ClientKind.HONEST, ClientKind.RANDOM_UPDATE, ClientKind.SIGN_FLIPPER],
)
def test_clients_who_attack_updates_keep_their_examples(kind):
  found = kinded((kind,) * 6)
  for c in range(6):
    for one, other in zip(of(c, found), clients().examples(c), strict=True):
      np.testing.assert_array_equal(one, other)


def test_outliers_report_one_label_and_flippers_wrong_ones():
  for kind, expected in (
    (ClientKind.OUTLIER, lambda y: np.ones_like(y)),
    (ClientKind.LABEL_FLIPPER, lambda y: 2 - y),
  ):
    found = kinded((kind,) * 6)
    for c in range(6):
      x, y = clients().examples(c)
      np.testing.assert_array_equal(of(c, found)[0], x)
      np.testing.assert_array_equal(of(c, found)[1], expected(y))


def test_a_backdoor_is_planted_in_half_of_the_examples():
  found = kinded((ClientKind.BOOSTED_BACKDOOR,) * 6)
  for c in range(6):
    x, y = of(c, found)
    before_x, before_y = clients().examples(c)
    planted = (x == 9).all(axis=1)
    assert planted.sum() == -(-SIZES[c] // 2)
    assert (y[planted] == 2).all()
    np.testing.assert_array_equal(x[~planted], before_x[~planted])
    np.testing.assert_array_equal(y[~planted], before_y[~planted])


def test_who_else_attacks_does_not_change_what_a_client_has():
  one = kinded()
  other = kinded((ClientKind.LABEL_FLIPPER,) * 4 + ALL_KINDS[4:])
  for c in (4, 5):
    for a, b in zip(of(c, one), of(c, other), strict=True):
      np.testing.assert_array_equal(a, b)


def test_without_poison_examples_stay_as_they_are():
  found = kinded(poison=None)
  for c in range(6):
    for one, other in zip(of(c, found), clients().examples(c), strict=True):
      np.testing.assert_array_equal(one, other)


def test_as_many_kinds_as_clients():
  with pytest.raises(
    population.PopulationError,
    match=r'^Expected a kind for each of 6 clients, found 2\.$',
  ):
    kinded(ALL_KINDS[:2])


def attackers(*arguments, **options) -> list[int]:
  kinds = client_kinds.choose(*arguments, ClientKind.SIGN_FLIPPER, **options)
  return [c for c, kind in enumerate(kinds) if kind != ClientKind.HONEST]


def test_attackers_are_the_first_or_the_last():
  assert attackers(5, 2, chosen='first') == [0, 1]
  assert attackers(5, 2, chosen='last') == [3, 4]
  assert attackers(5, 0, chosen='last') == []


def test_random_attackers_follow_from_the_seed_and_more_include_fewer():
  assert attackers(50, 9, seed=3) == attackers(50, 9, seed=3)
  assert attackers(50, 9, seed=3) != attackers(50, 9, seed=4)
  assert set(attackers(50, 9, seed=3)) < set(attackers(50, 20, seed=3))
  assert len(attackers(50, 9, seed=3)) == 9


def test_impossible_choices_are_refused():
  with pytest.raises(
    population.PopulationError,
    match=r'^Expected from 0 to 5 attackers among as many clients, found 6',
  ):
    attackers(5, 6)
  with pytest.raises(
    population.PopulationError,
    match=r"^Expected a choice of attackers out of random.*found 'lucky'",
  ):
    attackers(5, 1, chosen='lucky')


def test_triggered_are_all_examples_that_the_backdoor_could_change():
  base = clients()
  labels = np.concatenate([base.examples(c)[1] for c in range(6)])
  found = client_kinds.triggered(base, POISON)
  assert found.client_ids == ('triggered',)
  x, y = found.examples(0)
  assert len(y) == (labels != 2).sum() < len(labels)
  assert (x == 9).all()
  assert (y == 2).all()
  assert y.dtype == np.int32


def test_nothing_to_trigger_is_refused():
  everyone_has_it = population.ArrayPopulation(
    (np.zeros([2, 2], np.float32), np.full(2, 2, np.int32)), {'a': [0, 1]}
  )
  with pytest.raises(
    population.PopulationError,
    match=r'^Expected examples of another label than the target .*, 2, found',
  ):
    client_kinds.triggered(everyone_has_it, POISON)
