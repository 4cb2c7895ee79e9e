"""Whom a model serves well, and whom it helps to train it further at home.

A mean over all users hides those for whom the model is bad. Here is a row a
user, and how the users are spread, group by group. Only a simulation can see
any of it.
"""

from collections.abc import Mapping, Sequence
import csv
import dataclasses
import pathlib
from typing import Any

import numpy as np
import tensorflow_federated as tff

from tff_pipelines.core import errors
from tff_pipelines.data import batching as batching_lib
from tff_pipelines.data import population as population_lib
from tff_pipelines.programs import files, progress, run_directory

EVERYONE = 'everyone'
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
# Clients computed at a time: bounds memory, and gives the display steps.
_CLIENTS_AT_A_TIME = 50
_PLAIN = ('client_id', 'group', 'train_examples', 'test_examples')


class NoCommonClientsError(errors.PipelineError):
  """Populations without a client who can both train and test."""


class UnknownMetricError(errors.PipelineError):
  """A metric that was not measured."""


@dataclasses.dataclass(frozen=True)
class UserGain:
  """What one user has of the model, and of training it further.

  Attributes:
    client_id: The user.
    group: Whom the user is counted with, `honest` for instance.
    train_examples: Examples to train on.
    test_examples: Examples to test on.
    before: Metrics of the received model on the user's test examples.
    after: Metrics of the model that the user trained further.
  """

  client_id: str
  group: str
  train_examples: int
  test_examples: int
  before: Mapping[str, float]
  after: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class GroupSummary:
  """How a metric is spread over the users of a group.

  Attributes:
    group: Its name, `EVERYONE` for all users.
    users: How many are in it.
    before: The metric's `QUANTILES` over the users, with the received model.
    after: The same after further training.
    mean_gain: Mean over the users of how much better they fare after it; below
      0 if they fare worse.
    helped: Share of the users who fare better.
    harmed: Share of the users who fare worse.
  """

  group: str
  users: int
  before: tuple[float, ...]
  after: tuple[float, ...]
  mean_gain: float
  helped: float
  harmed: float


def personalize(
  computation: tff.Computation,
  weights: Any,
  train: population_lib.ClientPopulation,
  test: population_lib.ClientPopulation,
  *,
  batching: batching_lib.Batching,
  seed: int,
  groups: Mapping[str, str] | None = None,
) -> list[UserGain]:
  """Lets every user train a model further, and tests it before and after.

  Users are those of both populations, by name, with an example in each.

  Args:
    computation: As `learning.personalization` builds it.
    weights: The model that everyone receives.
    train: What the users train on.
    test: What they test on.
    batching: Batch size and epochs of their training.
    seed: The run's seed.
    groups: The group of each user, by name; None puts all into one.

  Raises:
    NoCommonClientsError: If there is no such user.
  """
  pairs = _common(train, test)
  testing = batching_lib.Batching(batching.batch_size, shuffle=False)
  gains: list[UserGain] = []
  with progress.Progress('personalization', len(pairs), unit='client') as shown:
    for first in range(0, len(pairs), _CLIENTS_AT_A_TIME):
      block = pairs[first : first + _CLIENTS_AT_A_TIME]
      found = computation(
        weights,
        train.batches([c for c, _ in block], batching, seed=seed, round_num=1),
        test.batches([c for _, c in block], testing, seed=seed, round_num=1),
      )
      for (client, tester), metrics in zip(block, found, strict=True):
        name = train.client_ids[client]
        gains.append(
          UserGain(
            name,
            EVERYONE if groups is None else groups[name],
            int(train.sizes[client]),
            int(test.sizes[tester]),
            *(_floats(metrics[when]) for when in ('before', 'after')),
          )
        )
      shown.update(len(gains), {})
  return gains


def summarize(
  gains: Sequence[UserGain], metric: str = 'accuracy', *, higher: bool = True
) -> list[GroupSummary]:
  """Returns the spread over everyone and, if there are several, each group.

  Args:
    gains: One a user, at least one.
    metric: Of those that the model has.
    higher: Whether a higher value is better.

  Raises:
    UnknownMetricError: If a user has no such metric.
  """
  groups = list(dict.fromkeys(g.group for g in gains))
  summaries = [_summary(EVERYONE, gains, metric, higher)]
  if len(groups) > 1:
    summaries += [
      _summary(name, [g for g in gains if g.group == name], metric, higher)
      for name in groups
    ]
  return summaries


def write(
  directory: run_directory.RunDirectory, gains: Sequence[UserGain]
) -> None:
  """Writes a row a user to simulation_only/personalization.csv."""
  names = list(gains[0].before)
  header = [*_PLAIN, *(f'{w}_{n}' for w in ('before', 'after') for n in names)]
  rows = [
    [
      *(getattr(gain, name) for name in _PLAIN),
      *(gain.before[n] for n in names),
      *(gain.after[n] for n in names),
    ]
    for gain in gains
  ]
  files.write_text(_path(directory), files.csv_text(header, rows))


def read(directory: run_directory.RunDirectory) -> list[UserGain] | None:
  """Returns what `write` wrote, or None if it did not yet."""
  path = _path(directory)
  if not path.exists():
    return None
  with open(path, encoding='utf-8', newline='') as file:
    return [_gain(row) for row in csv.DictReader(file)]


def write_summary(
  directory: run_directory.RunDirectory, summaries: Sequence[GroupSummary]
) -> None:
  """Writes a row a group to simulation_only/personalization_summary.csv.

  Quantiles are in columns such as `before_10%`.
  """
  header = ['group', 'users']
  header += [f'{w}_{q:.0%}' for w in ('before', 'after') for q in QUANTILES]
  header += ['mean_gain', 'helped', 'harmed']
  rows = [
    [
      s.group, s.users, *s.before, *s.after, s.mean_gain, s.helped, s.harmed
    ]
    for s in summaries
  ]  # fmt: skip
  files.write_text(
    directory.simulation_only / 'personalization_summary.csv',
    files.csv_text(header, rows),
  )


def _common(
  train: population_lib.ClientPopulation, test: population_lib.ClientPopulation
) -> list[tuple[int, int]]:
  """Returns where the users are in both populations, as `train` has them."""
  testers = {name: c for c, name in enumerate(test.client_ids) if test.sizes[c]}
  pairs = [
    (c, testers[name])
    for c, name in enumerate(train.client_ids)
    if train.sizes[c] and name in testers
  ]
  if not pairs:
    raise NoCommonClientsError(
      'Expected clients with examples both to train and to test on, found none '
      f'among {train.num_clients} and {test.num_clients} clients; choose a '
      'data set or a partition that gives clients several examples.'
    )
  return pairs


def _summary(
  name: str, gains: Sequence[UserGain], metric: str, higher: bool
) -> GroupSummary:
  for gain in gains:
    if metric not in gain.before:
      raise UnknownMetricError(
        f'Expected a metric out of {", ".join(gain.before)}, found {metric!r}.'
      )
  before = np.array([g.before[metric] for g in gains], np.float64)
  after = np.array([g.after[metric] for g in gains], np.float64)
  better = after - before if higher else before - after
  return GroupSummary(
    group=name,
    users=len(gains),
    before=_quantiles(before),
    after=_quantiles(after),
    mean_gain=float(better.mean()),
    helped=float(np.mean(better > 0)),
    harmed=float(np.mean(better < 0)),
  )


def _quantiles(values: np.ndarray) -> tuple[float, ...]:
  return tuple(float(q) for q in np.quantile(values, QUANTILES))


def _floats(metrics: Mapping[str, Any]) -> dict[str, float]:
  return {name: float(value) for name, value in metrics.items()}


def _path(directory: run_directory.RunDirectory) -> pathlib.Path:
  return directory.simulation_only / 'personalization.csv'


def _gain(row: Mapping[str, str]) -> UserGain:
  def metrics(when: str) -> dict[str, float]:
    return {
      name.removeprefix(when): float(value)
      for name, value in row.items()
      if name.startswith(when)
    }

  return UserGain(
    client_id=row['client_id'],
    group=row['group'],
    train_examples=int(row['train_examples']),
    test_examples=int(row['test_examples']),
    before=metrics('before_'),
    after=metrics('after_'),
  )
