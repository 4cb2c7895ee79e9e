"""Which small data take the place of a paper's in a smoke test: in one place.

A smoke test shows that the flags of a reproduction still work, not that it
reproduces: two rounds on generated data (of digits those that come with
scikit-learn), a few small clients, a small model. Flags of the paper that have
no effect with these data are left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from tff_pipelines.cli import app
from tff_pipelines.core import errors

# What a task always gets.
_DATA: Mapping[str, Mapping[str, Any]] = {
  'digits': {'dataset': 'small_digits'},
  'spam_classification': {'dataset': 'messages', 'people': 12},
  'next_word_prediction': {
    'dataset': 'dialects',
    'people': 12,
    'max_sentences_per_client': 4,
    'min_sentences_per_client': 1,
    'export': 'false',
  },
  'heat_map': {'dataset': 'grid', 'users': 6},
  'privacy_audit': {},
}
_ALWAYS: Mapping[str, Any] = {
  'rounds': 2,
  'evaluate_every': 1,
  # Few clients drown in noise, which says nothing about the flags.
  'allow_weak_privacy': 'true',
}
# What it gets where the paper's own value is larger.
_AT_MOST: Mapping[str, int] = {
  'clients_per_round': 3,
  'num_clients': 12,
  'test_clients': 4,
  'client_epochs': 1,
  'client_steps': 2,
  'central_epochs': 1,
  'local_epochs': 1,
  'local_people': 2,
  'units': 8,
  'embedding_size': 8,
  'num_buckets': 512,
  'personalize_steps': 1,
  'canaries': 20,
  'membership_pairs': 1,
  'outlier_seeds': 1,
  'known_rounds': 1,
  'secret_copies': 2,
}
# What has nothing to do in two rounds.
_NEVER = (
  'stop_metric', 'stop_at_target', 'stop_after_plateau', 'stop_after_seconds',
)  # fmt: skip


def arguments(
  application: app.Application,
  task: str,
  given: Sequence[str],
  optional: Sequence[str],
  smoke: bool,
) -> list[str]:
  """Returns a task's command line.

  Args:
    application: The task.
    task: Its name.
    given: The paper's flags.
    optional: Flags that are added where they have an effect.
    smoke: Whether small data take the place of the paper's.

  Raises:
    FlagError: If the paper's flags do not fit the task.
  """
  whole = application.check(given)
  if smoke:
    whole = _smaller(application, task, whole)
  known = [each for each in optional if _name(each) in application.flag_names()]
  needed = {_name(each) for each in (() if smoke else given)}
  return application.useful([*whole, *known], needed)


def _smaller(
  application: app.Application, task: str, whole: Sequence[str]
) -> list[str]:
  data = _DATA.get(task)
  if data is None:
    raise errors.PipelineError(
      f'Expected small data for the smoke test of {task}, found none; add them '
      'to cli/reproduction_smoke.py.'
    )
  kept = [each for each in whole if _name(each) not in _NEVER]
  values = {_name(each): flags.FLAGS[_name(each)].value for each in kept}
  names = application.flag_names()
  # A figure about training at clients has no rounds.
  rounds = values.get('figure', 'comparison') in ('none', 'comparison')
  changes = {**data, **(_ALWAYS if rounds else {})}
  for name, most in _AT_MOST.items():
    if name in values and values[name] > most:
      changes[name] = most
  if 'hidden_sizes' in values:
    changes['hidden_sizes'] = ','.join('8' for _ in values['hidden_sizes'])
  kept = [each for each in kept if _name(each) not in changes]
  return kept + [f'--{k}={v}' for k, v in changes.items() if k in names]


def _name(argument: str) -> str:
  """Returns the flag of an argument: 'x' of --x=1, --x and --nox."""
  name = argument.lstrip('-').partition('=')[0].replace('-', '_')
  if name not in flags.FLAGS and name.startswith('no'):
    return name.removeprefix('no')
  return name
