"""The world of heat maps in a little NumPy, and the files of its figures.

Only to have something real to draw: many runs at once, nothing private, nothing
federated.
"""

import csv
import dataclasses
import json
import pathlib

import numpy as np

_GRID = 21


@dataclasses.dataclass(frozen=True)
class Setting:
  """What one curve is run with."""

  users: int = 16
  points: int = 4
  merge: int = 20
  steps: int = 100
  outliers: int = 0
  excluded: tuple[int, ...] = ()
  noise: float = 0.0
  update_noise: float = 0.0


@dataclasses.dataclass(frozen=True)
class Result:
  """Of runs with several seeds.

  Attributes:
    merged: {step: accuracy[seeds]} of the shared model.
    local: accuracy[seeds, users, steps + 1].
    maps: {step: outputs[grid, grid]} of the shared model of the first seed.
    user_maps: {step: outputs[users, grid, grid]} likewise.
    places: [users, points, 2] of the first seed.
    labels: [users, points] likewise.
    part: [users], who takes part.
  """

  merged: dict
  local: np.ndarray
  maps: dict
  user_maps: dict
  places: np.ndarray
  labels: np.ndarray
  part: np.ndarray


def grid() -> np.ndarray:
  """All places of the grid, [grid * grid, 2], x0 changing fastest."""
  line = np.linspace(0.0, 1.0, _GRID)
  x1, x0 = np.meshgrid(line, line, indexing='ij')
  return np.stack([x0.ravel(), x1.ravel()], axis=-1)


def _layers(weights, places):
  """[..., 17] and [..., n, 2] -> hidden [..., n, 4] and output [..., n]."""
  first = weights[..., :8].reshape(*weights.shape[:-1], 2, 4)
  hidden = np.tanh(places @ first + weights[..., None, 8:12])
  value = (hidden @ weights[..., 12:16, None])[..., 0] + weights[..., 16, None]
  return hidden, np.tanh(value)


def outputs(weights, places):
  """[..., 17] and [..., n, 2] -> [..., n]."""
  return _layers(weights, places)[1]


def _step(weights, places, labels):
  """One step of gradient descent on the mean squared error."""
  hidden, value = _layers(weights, places)
  error = 2 * (value - labels) * (1 - value**2) / labels.shape[-1]
  back = error[..., None] * weights[..., None, 12:16] * (1 - hidden**2)
  first = np.swapaxes(places, -1, -2) @ back
  gradient = (
    first.reshape(*weights.shape[:-1], 8),
    back.sum(-2),
    (error[..., None, :] @ hidden)[..., 0, :],
    error.sum(-1)[..., None],
  )
  return weights - 0.1 * np.concatenate(gradient, axis=-1)


def accuracy(weights):
  """[..., 17] -> [...], on the grid without its diagonal."""
  places = grid()
  far = np.abs(places[:, 0] - places[:, 1]) >= 0.05
  places = places[far]
  hot = places[:, 0] < places[:, 1]
  return ((outputs(weights, places) > 0.5) == hot).mean(-1)


def run(setting: Setting, seeds: int, map_steps=()) -> Result:
  """Runs a setting with as many seeds."""
  places, labels = (
    np.stack(column)
    for column in zip(
      *(_world(setting, seed) for seed in range(seeds)), strict=True
    )
  )
  start = np.stack(
    [np.random.default_rng([seed, 0]).normal(size=17) for seed in range(seeds)]
  )
  fresh = np.random.default_rng(7)
  part = ~np.isin(np.arange(setting.users), setting.excluded)
  weights = np.repeat(start[:, None], setting.users, axis=1)
  shared = start
  merged = {0: accuracy(shared)}
  local = [accuracy(weights)]
  maps, user_maps = {}, {}
  for step in range(setting.steps + 1):
    if step:
      weights = _step(weights, places, labels)
      local.append(accuracy(weights))
    if step in map_steps:
      user_maps[step] = outputs(weights[0], grid()[None]).reshape(
        -1, _GRID, _GRID
      )
    if step and step % setting.merge == 0:
      shared = weights[:, part].mean(1)
      shared = shared + setting.update_noise * fresh.normal(size=shared.shape)
      weights = np.where(part[None, :, None], shared[:, None], weights)
      merged[step] = accuracy(shared)
    if step in map_steps:
      maps[step] = outputs(shared[0], grid()).reshape(_GRID, _GRID)
  return Result(
    merged,
    np.stack(local, axis=-1),
    maps,
    user_maps,
    places[0],
    labels[0],
    part,
  )


def _world(setting, seed):
  places = np.empty((setting.users, setting.points, 2))
  labels = np.empty((setting.users, setting.points))
  for user in range(setting.users):
    rng = np.random.default_rng([seed, 1, user])
    found = rng.uniform(0.03, 0.97, size=(100, 2))[: setting.points]
    target = rng.uniform(size=(100, 2))[: setting.points]
    labels[user] = found[:, 0] < found[:, 1]
    if user >= setting.users - setting.outliers:
      labels[user] = 0.0
    if setting.noise:
      found = found + setting.noise / 5 * (target - found)
      found = found.clip(0.06, 0.94)
    places[user] = found
  return places, labels


class Writer:
  """Writes the folders of maps/ of one run directory.

  Attributes:
    text: Put into every name and title, to see what hostile text does.
  """

  def __init__(self, run_dir: pathlib.Path, *, text: str = ''):
    self._maps = run_dir / 'maps'
    self.text = text

  def everything(self, *, small: bool = True) -> None:
    """Writes a folder of every kind; a small one takes a second in all."""
    size = {'users': 4, 'points': 2, 'merge': 3, 'steps': 9} if small else {}
    seeds = 2 if small else 8
    self.merge(size)
    self.drift(size, seeds, (2, 3, 9) if small else (2, 4, 10, 20, 40, 80, 250))
    self.outliers(size, seeds, 2 if small else 4)
    self.excluded(size, seeds, 1 if small else 2)
    self.fairness(size, seeds, 1 if small else 4)
    self.privacy(size, seeds, 2 if small else 6)
    self.sweeps(size, seeds)
    self.table(size, seeds)
    self.defences()
    self.stations(40 if small else 900)
    self.interpolation()

  def merge(self, size) -> None:
    setting = dataclasses.replace(
      Setting(steps=200, outliers=1, excluded=()), **size
    )
    merges = range(setting.merge, setting.steps + 1, setting.merge)
    found = run(setting, 1, (0, *merges))
    self.figure(
      'merge',
      'merge',
      'Models that meet now and then',
      [{'name': f'merge every {setting.merge}', 'merge': setting.merge}],
      [found],
      users=True,
      kinds=self.kinds(setting),
      settings=dataclasses.asdict(setting),
    )
    self.maps('merge', found, self.kinds(setting))

  def drift(self, size, seeds, merges) -> None:
    settings = [
      dataclasses.replace(Setting(steps=500), **{**size, 'merge': merge})
      for merge in merges
    ]
    self.figure(
      'drift',
      'drift',
      'How far models drift apart between merges',
      [{'name': f'merge every {m}', 'merge': m} for m in merges],
      [run(setting, seeds) for setting in settings],
      users=True,
    )

  def outliers(self, size, seeds, most) -> None:
    basis = {'points': 8, **size}
    count = basis.get('users', 16)
    settings = [
      dataclasses.replace(
        Setting(**{'steps': 200, **basis}),
        outliers=most,
        excluded=tuple(range(count - most + included, count)),
      )
      for included in range(most + 1)
    ]
    self.figure(
      'outliers',
      'outliers',
      'Users who report cold everywhere',
      [{'name': f'{k} of {most} included', 'included': k}
       for k in range(most + 1)],
      [run(setting, seeds) for setting in settings],
    )  # fmt: skip

  def excluded(self, size, seeds, outliers) -> None:
    basis = Setting(**{'steps': 200, 'points': 8, **size, 'outliers': outliers})
    curves, results = [{'name': 'everyone takes part'}], [run(basis, seeds)]
    for user, kind in enumerate(self.kinds(basis)):
      curves.append(
        {
          'name': f'without {self.user(user)}',
          'excluded': self.user(user),
          'kind': kind,
        }
      )
      results.append(run(dataclasses.replace(basis, excluded=(user,)), seeds))
    self.figure(
      'excluded', 'excluded', 'Every user left out in turn', curves, results
    )

  def fairness(self, size, seeds, outliers) -> None:
    basis = Setting(**{'steps': 200, 'points': 8, **size, 'outliers': outliers})
    out = tuple(range(basis.users - outliers, basis.users))
    results = [
      run(basis, seeds),
      run(dataclasses.replace(basis, excluded=out), seeds),
      run(dataclasses.replace(basis, merge=10**6), seeds),
    ]
    names = ('outliers take part', 'outliers left out', 'personalized')
    self.figure(
      'fairness',
      'fairness',
      'Whom the shared model serves',
      [{'name': name} for name in names],
      results,
      users='last',
      kinds=self.kinds(basis),
    )

  def privacy(self, size, seeds, levels) -> None:
    basis = {'steps': 200, 'points': 8, **size}
    curves, results = [], []
    for level in range(levels):
      for included in (1, 0):
        setting = Setting(**{**basis, 'outliers': 1, 'noise': float(level)})
        if not included:
          setting = dataclasses.replace(setting, excluded=(setting.users - 1,))
        curves.append(
          {
            'name': f'noise {level}, {"in" if included else "out"}',
            'mechanism': 'location noise',
            'noise': float(level),
            'included': included,
          }
        )
        results.append(run(setting, seeds))
    for epsilon in (1.0, 4.0):
      for users in (4, 8, 16, 32)[: levels + 1]:
        for included in (1, 0):
          setting = Setting(
            **{
              **basis,
              'outliers': 1,
              'users': users,
              'update_noise': 2.0 / epsilon / users,
            }
          )
          if not included:
            setting = dataclasses.replace(setting, excluded=(users - 1,))
          curves.append(
            {
              'name': f'epsilon {epsilon:g}, {users} users',
              'mechanism': 'clipping and noise',
              'noise': 1.0,
              'included': included,
              'users': users,
              'epsilon': epsilon,
            }
          )
          results.append(run(setting, seeds))
    self.figure(
      'privacy', 'privacy', 'Noise that hides a user', curves, results
    )

  def sweeps(self, size, seeds) -> None:
    for knob, values in (
      ('points', (1, 2, 4, 8, 16)),
      ('users', (2, 4, 8, 16, 32)),
      ('noise', (0, 1, 2, 3, 4, 5)),
    ):
      settings = [
        Setting(**{**size, knob: value})
        for value in values[: 3 + 3 * (not size)]
      ]
      self.figure(
        f'sweep_{knob}',
        'sweep',
        f'More or fewer: {knob}',
        [
          {'name': f'{knob} {value}', 'value': value}
          for value, _ in zip(values, settings, strict=False)
        ],
        [run(setting, seeds) for setting in settings],
        final=True,
      )

  def table(self, size, seeds) -> None:
    cells = [(m, p) for m in (2, 5, 10, 20, 40) for p in (1, 2, 4, 8)]
    cells = cells[:6] if size else cells
    self.figure(
      'sweep_merge_points',
      'table',
      'Merging against places',
      [{'name': f'{m}, {p}', 'value': m, 'value2': p} for m, p in cells],
      [run(Setting(**{**size, 'merge': m, 'points': p}), seeds)
       for m, p in cells],
      final=True,
    )  # fmt: skip

  def defences(self) -> None:
    attacks = ('none', 'label flipper', 'random update', 'boosted backdoor')
    aggregators = ('mean', 'coordinate median', 'trimmed mean', 'krum',
                   'norm bound')  # fmt: skip
    rng = np.random.default_rng(5)
    curves, rows = [], []
    for a, attack in enumerate(attacks):
      for b, aggregator in enumerate(aggregators):
        curve = {
          'name': f'{attack}, {aggregator}',
          'attack': attack,
          'aggregator': aggregator,
          'expected': a < 2 or b > 0,
        }
        if attack == 'boosted backdoor':
          curve['attack_success'] = 1.0 if b == 0 else 0.1 * b
          curve['expected'] = b != 1
        for seed in range(3):
          value = 0.95 - 0.1 * a * (b == 0) - 0.02 * rng.uniform()
          rows.append((len(curves), seed, 100, 10, value))
        curves.append(curve)
    self._figure('defences', 'defences', 'Attacks and defences', curves)
    self.server('defences', rows)

  def stations(self, count) -> None:
    rng = np.random.default_rng(3)
    places = rng.uniform(0.02, 0.98, size=(count, 2))
    line = (np.arange(60) + 0.5) / 60
    x1, x0 = np.meshgrid(line, line, indexing='ij')

    def temperature(x0, x1):
      return 24 - 38 * x1 + 6 * np.sin(5 * x0) * (1 - x1)

    values = temperature(*places.T) + 3.0 * rng.normal(size=count)
    self._figure(
      'stations',
      'stations',
      'Temperatures that no station told',
      [{'name': 'federated'}],
      settings={
        'west': -120.0, 'east': -60.0, 'south': 20.0, 'north': 50.0,
        'unit': '°C', 'quantity': 'air temperature', 'threshold': 5.0,
      },
    )  # fmt: skip
    self.server('stations', [(0, 0, 100, 10, 0.9)])
    np.savez(
      self._maps / 'stations/server_maps.npz',
      **{'0/100': temperature(x0, x1).astype(np.float32)},
    )
    self._csv(
      'stations/simulation_only/places.csv',
      ('user', 'kind', 'x0', 'x1', 'label', 'held_out'),
      [
        (self.user(i), 'honest', *place, value, int(i % 5 == 0))
        for i, (place, value) in enumerate(zip(places, values, strict=True))
      ],
    )

  def interpolation(self) -> None:
    weights = [-0.2, 0.0, 0.25, 0.5, 0.75, 1.0, 1.2]
    self._figure(
      'interpolation',
      'interpolation',
      'The loss between two models',
      [
        {
          'name': name,
          'weights': weights,
          'losses': [0.5 + bend * w * (1 - w) for w in weights],
        }
        for name, bend in (('started alike', -0.4), ('started apart', 3.0))
      ],
    )

  def figure(
    self, name, kind, title, curves, results, *,
    users=False, final=False, settings=None, kinds=None,
  ) -> None:  # fmt: skip
    """Writes one folder with what runs gave."""
    self._figure(name, kind, title, curves, settings)
    self.server(
      name,
      [
        (index, seed, step, round_num, value)
        for index, result in enumerate(results)
        for round_num, (step, values) in enumerate(result.merged.items())
        for seed, value in enumerate(values)
      ],
    )
    if users:
      self._csv(
        f'{name}/simulation_only/users.csv',
        ('curve', 'seed', 'user', 'kind', 'taking_part', 'step', 'accuracy'),
        [
          (index, seed, self.user(user), kinds[user] if kinds else 'honest',
           int(result.part[user]), step, values[step])
          for index, result in enumerate(results)
          for seed, of_users in enumerate(result.local)
          for user, values in enumerate(of_users)
          for step in range(len(values))
          if users is True or step + 1 == len(values)
        ],
      )  # fmt: skip
    if final:
      self._csv(
        f'{name}/simulation_only/final.csv',
        ('curve', 'seed', 'mean_local_accuracy', 'median_local_accuracy'),
        [
          (index, seed, of_users[:, -1].mean(), np.median(of_users[:, -1]))
          for index, result in enumerate(results)
          for seed, of_users in enumerate(result.local)
        ],
      )

  def maps(self, name, result, kinds) -> None:
    folder = self._maps / name
    np.savez(
      folder / 'server_maps.npz',
      **{f'0/{s}': m.astype(np.float32) for s, m in result.maps.items()},
    )
    np.savez(
      folder / 'simulation_only/user_maps.npz',
      **{f'0/{s}': m.astype(np.float32) for s, m in result.user_maps.items()},
    )
    truth = (grid()[:, 0] < grid()[:, 1]).reshape(_GRID, _GRID)
    np.savez(folder / 'simulation_only/truth.npz', truth=truth.astype('f4'))
    self._csv(
      f'{name}/simulation_only/places.csv',
      ('user', 'kind', 'x0', 'x1', 'label'),
      [
        (self.user(user), kinds[user], *place, label)
        for user, (places, labels) in enumerate(
          zip(result.places, result.labels, strict=True)
        )
        for place, label in zip(places, labels, strict=True)
      ],
    )

  def server(self, name, rows) -> None:
    self._csv(
      f'{name}/server.csv',
      ('curve', 'seed', 'step', 'round_num', 'accuracy'),
      rows,
    )

  def kinds(self, setting) -> list[str]:
    """The kind of every user."""
    honest = setting.users - setting.outliers
    return ['honest'] * honest + ['outlier'] * setting.outliers

  def user(self, index: int) -> str:
    return f'{self.text}user{index + 1:02d}'

  def _figure(self, name, kind, title, curves, settings=None) -> None:
    folder = self._maps / name
    (folder / 'simulation_only').mkdir(parents=True)
    content = {
      'figure': name,
      'kind': kind,
      'title': self.text + title,
      'settings': {
        key: self.text + value if isinstance(value, str) else value
        for key, value in (settings or {}).items()
      },
      'curves': [
        {
          key: self.text + value
          if isinstance(value, str) and key not in ('mechanism', 'excluded')
          else value
          for key, value in curve.items()
        }
        for curve in curves
      ],
      'notes': [f'{self.text}Each seed is another world.'],
    }
    (folder / 'figure.json').write_text(json.dumps(content))

  def _csv(self, name, head, rows) -> None:
    with (self._maps / name).open('w', newline='') as file:
      writer = csv.writer(file)
      writer.writerow(head)
      writer.writerows(rows)
