import dataclasses

import numpy as np
import pytest
import tensorflow_federated as tff

from tests import slow_cases
from tests.programs import map_samples
from tff_pipelines.core import client_kinds, errors
from tff_pipelines.data import grid_world
from tff_pipelines.execution import contexts
from tff_pipelines.programs import map_runs

Settings = map_runs.MapSettings


@pytest.fixture(scope='module', autouse=True)
def _context():
  with contexts.using('xla', threads=2):
    yield


@pytest.fixture(scope='module')
def computations() -> map_runs.MapComputations:
  return map_samples.computations()


def forward(weights, x):
  """Hidden [..., n, 4] and output [..., n] of models [...]."""
  kernel, bias, last_kernel, last_bias = weights
  hidden = np.tanh(x @ kernel + bias[..., np.newaxis, :])
  return hidden, np.tanh((hidden @ last_kernel)[..., 0] + last_bias)


def step(weights, x, y):
  """One step of gradient descent on the mean squared error, of each model."""
  hidden, output = forward(weights, x)
  above = 2 * (output - y) / y.shape[-1] * (1 - output**2)
  below = (
    above[..., np.newaxis] * np.swapaxes(weights[2], -1, -2) * (1 - hidden**2)
  )
  gradients = (
    np.swapaxes(x, -1, -2) @ below,
    below.sum(-2),
    np.swapaxes(hidden, -1, -2) @ above[..., np.newaxis],
    above.sum(-1, keepdims=True),
  )
  return [
    w - map_samples.RATE * g for w, g in zip(weights, gradients, strict=True)
  ]


def accuracy(weights, test) -> np.ndarray:
  places, labels = test.examples(0)
  return ((forward(weights, places.astype(float))[1] > 0.5) == labels).mean(-1)


def in_numpy(settings: Settings, seed: int):
  """Models after each step and each merge, in float64.

  Returns:
    The users' models after each step, at a merge before it; and the model of
    all after each merge, by step.
  """
  world = settings.world.dataset(seed)
  x, y = (
    np.stack(c).astype(float)
    for c in zip(*map(world.train.examples, range(settings.users)), strict=True)
  )
  start = [w.astype(float) for w in map_samples.NET.initial_weights(seed)]
  own = [np.stack([w] * settings.users) for w in start]
  by_step, merged = [own], {0: start}
  included = list(settings.participants)
  for number in range(1, settings.steps + 1):
    own = step(own, x, y)
    by_step.append([w.copy() for w in own])
    if number % settings.merge == 0:
      merged[number] = [w[included].mean(axis=0) for w in own]
      for w, mean in zip(own, merged[number], strict=True):
        w[included] = mean
  return by_step, merged


def assert_same_weights(found, expected) -> None:
  for one, other in zip(found, expected, strict=True):
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
  'settings',
  [
    slow_cases.slow(Settings(merge=40)),
    Settings(merge=10),
    Settings(merge=10, outliers=3, noise=1.0, excluded=(1, 14, 15)),
    Settings(merge=49, users=5, points=7, truth='ring', avoid_middle=True),
  ],
  ids=['merge 40', 'merge 10', 'excluded', 'ring'],
)
def test_all_models_are_those_of_a_rewrite_in_numpy(computations, settings):
  seed = 3
  by_step, merged = in_numpy(settings, seed)
  asked = (0, 1, 37, settings.merge, 98)
  (run,) = map_runs.run(computations, settings, [seed], weights_at=asked)
  test = settings.world.dataset(seed).test
  assert (run.settings, run.seed) == (settings, seed)
  assert run.server.steps == tuple(merged)
  assert run.server.round_nums == tuple(range(len(merged)))
  for k, (number, model) in enumerate(merged.items()):
    assert_same_weights([w[k] for w in run.server.weights], model)
    assert run.server.accuracy[k] == pytest.approx(
      accuracy(model, test), abs=0.006
    ), number
  assert sorted(run.simulation.weights) == sorted(set(asked))
  for number, weights in run.simulation.weights.items():
    assert_same_weights(weights, by_step[number])
  expected = np.stack([accuracy(w, test) for w in by_step], axis=1)
  # A place in 420 can change sides by rounding, two at the most at once.
  np.testing.assert_allclose(run.simulation.accuracy, expected, atol=0.006)
  assert np.mean(np.abs(run.simulation.accuracy - expected) > 1e-6) < 0.01


def test_a_seed_alone_gives_what_it_gives_among_others(computations):
  settings = Settings(users=6, merge=8, steps=20)
  together = map_runs.run(computations, settings, (4, 0, 2))
  (alone,) = map_runs.run(computations, settings, (2,))
  assert [run.seed for run in together] == [4, 0, 2]
  np.testing.assert_array_equal(
    together[2].simulation.accuracy, alone.simulation.accuracy
  )
  # Rounds are summed on two threads: by rounding alike.
  assert_same_weights(together[2].server.weights, alone.server.weights)
  assert together[1].server.accuracy[-1] != alone.server.accuracy[-1]


def test_the_process_and_the_simulation_agree_on_every_merge(computations):
  """The mean of the followed users' models is what the server got."""
  settings = Settings(merge=5, steps=15, outliers=2).including(0)
  (run,) = map_runs.run(computations, settings, [0], weights_at=(5, 10, 15))
  for k, number in enumerate((5, 10, 15), start=1):
    means = [
      w[run.simulation.taking_part].mean(axis=0)
      for w in run.simulation.weights[number]
    ]
    assert_same_weights([w[k] for w in run.server.weights], means)


def test_long_trainings_are_cut_without_a_difference(computations):
  small = dataclasses.replace(computations, local_steps=map_samples.steps(7))
  settings = Settings(users=3, merge=20, steps=45)
  (run,) = map_runs.run(computations, settings, [1])
  (cut,) = map_runs.run(small, settings, [1])
  np.testing.assert_array_equal(
    cut.simulation.accuracy, run.simulation.accuracy
  )


def test_excluded_users_train_alone_and_receive_nothing(computations):
  settings = Settings(users=6, merge=10, steps=35, excluded=(1, 4))
  never = dataclasses.replace(settings, merge=100, excluded=())
  (run,), (alone,) = (
    map_runs.run(computations, s, [0], weights_at=[35])
    for s in (settings, never)
  )
  assert run.simulation.taking_part.tolist() == [
    True, False, True, True, False, True,
  ]  # fmt: skip
  for user in range(6):
    of_run, of_alone = (
      np.concatenate([np.ravel(w[user]) for w in r.simulation.weights[35]])
      for r in (run, alone)
    )
    is_alone = user in (1, 4)
    assert np.array_equal(of_run, of_alone) is is_alone


def test_what_excluded_users_know_does_not_reach_the_others(computations):
  honest = Settings(users=6, merge=10, steps=20, outliers=0, excluded=(4, 5))
  lying = dataclasses.replace(honest, outliers=2)
  (one,), (other,) = (
    map_runs.run(computations, s, [0], weights_at=[20]) for s in (honest, lying)
  )
  for a, b in zip(one.server.weights, other.server.weights, strict=True):
    np.testing.assert_array_equal(a, b)
  same = [
    np.array_equal(one.simulation.accuracy[u], other.simulation.accuracy[u])
    for u in range(6)
  ]
  assert same == [True, True, True, True, False, False]


def test_without_a_whole_merge_the_server_sees_the_start_only(computations):
  (run,) = map_runs.run(computations, Settings(merge=41, steps=40), [0])
  assert (run.server.steps, run.server.round_nums) == ((0,), (0,))
  assert_same_weights(
    [w[0] for w in run.server.weights], map_samples.NET.initial_weights(0)
  )
  assert run.simulation.accuracy.shape == (16, 41)


def test_the_last_merge_only_is_the_last_of_every_merge(computations):
  settings = Settings(users=4, merge=3, steps=10)
  (every,) = map_runs.run(computations, settings, [0])
  (last,) = map_runs.run(computations, settings, [0], every_merge=False)
  assert every.server.steps == (0, 3, 6, 9)
  assert (last.server.steps, last.server.round_nums) == ((0, 9), (0, 3))
  np.testing.assert_array_equal(
    last.server.accuracy, every.server.accuracy[[0, -1]]
  )


def test_the_server_sees_the_same_whether_users_are_followed(computations):
  settings = Settings(users=4, merge=3, steps=10)
  (run,) = map_runs.run(computations, settings, [0])
  (unseen,) = map_runs.run(computations, settings, [0], follow_users=False)
  assert unseen.simulation is None
  np.testing.assert_array_equal(unseen.server.accuracy, run.server.accuracy)
  assert_same_weights(unseen.server.weights, run.server.weights)


def test_plain_settings_are_values_of_json():
  settings = Settings(excluded=(1, 2), noise=1.5)
  plain = settings.plain()
  assert plain['excluded'] == [1, 2]
  assert Settings(**{**plain, 'excluded': (1, 2)}) == settings


def test_at_a_merge_the_users_models_are_those_before_it(computations):
  settings = Settings(users=4, merge=5, steps=6)
  (run,) = map_runs.run(computations, settings, [0], weights_at=(0, 5))
  start, before = (run.simulation.weights[s][0] for s in (0, 5))
  assert np.ptp(start, axis=0).max() == 0
  assert np.ptp(before, axis=0).min() > 0
  assert run.simulation.accuracy[:, 0].tolist() == pytest.approx(
    [run.server.accuracy[0]] * 4
  )


@pytest.mark.slow
def test_any_aggregator_decides_what_is_merged():
  """A sum of updates divided by a bound of 1: all clipped to nothing."""
  nothing = tff.aggregators.UnweightedMeanFactory(
    value_sum_factory=tff.aggregators.clipping_factory(
      1e-9, tff.aggregators.SumFactory()
    )
  )
  (run,) = map_runs.run(
    map_samples.computations(nothing), Settings(users=4, merge=5, steps=5), [0]
  )
  for w in run.server.weights:
    np.testing.assert_allclose(w[1], w[0], atol=1e-6)


def test_kinds_are_those_of_the_world(computations):
  settings = Settings(users=3, outliers=1, steps=1)
  (run,) = map_runs.run(computations, settings, [0])
  kind = client_kinds.ClientKind
  assert run.simulation.kinds == (kind.HONEST, kind.HONEST, kind.OUTLIER)


@pytest.mark.slow
def test_few_programs_serve_many_settings():
  fresh = map_samples.computations()
  with contexts.using('xla', threads=2) as context:
    for settings in (
      Settings(),
      Settings(merge=7),
      Settings(noise=3.0, outliers=4),
      Settings(users=32, merge=90),
      Settings(users=2, steps=200),
    ):
      map_runs.run(fresh, settings, [0, 1])
    assert context.compilations <= 4


def test_including_leaves_out_the_last_outliers():
  settings = Settings(users=10, outliers=3)
  assert settings.including(3).participants == tuple(range(10))
  assert settings.including(1).participants == tuple(range(8))
  assert settings.including(0).excluded == (7, 8, 9)
  with pytest.raises(map_runs.MapSettingsError) as raised:
    settings.including(4)
  assert str(raised.value) == (
    'Expected from 0 to 3 outliers that take part, found 4.'
  )


@pytest.mark.parametrize(
  'options, message',
  [
    ({'merge': 0}, 'Expected merge of at least 1, found 0.'),
    ({'steps': 0}, 'Expected steps of at least 1, found 0.'),
    ({'excluded': (16,)}, 'Expected excluded users from 0 to 15, found 16.'),
    ({'excluded': (-1,)}, 'Expected excluded users from 0 to 15, found -1.'),
    ({'excluded': (1, 1)}, 'Expected each excluded user once, found (1, 1).'),
    (
      {'users': 2, 'excluded': (1, 0)},
      'Expected at least one user who takes part, found all 2 excluded.',
    ),
  ],
)
def test_settings_that_make_no_sense_are_refused(options, message):
  with pytest.raises(map_runs.MapSettingsError) as raised:
    Settings(**options)
  assert isinstance(raised.value, errors.PipelineError)
  assert str(raised.value) == message


def test_a_world_that_cannot_be_is_refused_with_its_settings():
  with pytest.raises(grid_world.GridWorldError, match='found 17'):
    Settings(outliers=17)


@pytest.mark.parametrize(
  'options, message',
  [
    (
      {'seeds': [0], 'weights_at': [99]},
      'Expected models of steps from 0 to 98 to be kept, found 99.',
    ),
    ({'seeds': []}, 'Expected at least one seed, found none.'),
  ],
)
def test_runs_that_make_no_sense_are_refused(computations, options, message):
  with pytest.raises(map_runs.MapSettingsError) as raised:
    map_runs.run(computations, Settings(), **options)
  assert str(raised.value) == message
