"""What a private run tells before round 1: to whom it promises what."""

import textwrap

from tff_pipelines.cli import private_request
from tff_pipelines.privacy import guarantee

_WIDTH = 80
_LABEL = 11

_NEIGHBOURS = {
  guarantee.Relation.ADD_OR_REMOVE: 'the run from one without the client',
  guarantee.Relation.REPLACE: 'the run from one with other data of the client',
  guarantee.Relation.ZERO_OUT: 'the run from one in which the client '
  'contributes zeros',
}
_TRUSTED = {
  guarantee.Trust.SERVER: 'the server, which keeps what it gets secret and '
  'adds the noise',
  guarantee.Trust.SUM: 'nobody with an update: the server sees noisy sums '
  'only, as long as the secure aggregation holds',
  guarantee.Trust.NOTHING: 'nobody: every update is noisy before it leaves the '
  'client',
}
_COHORTS = {
  'uniform': 'drawn at random',
  'poisson': 'in expectation, each by a coin',
  'cyclic': 'each in its turn',
  'everyone': 'everyone',
  'diurnal': 'drawn at random of those who are awake',
}


def text(name: str, system: str, prepared: private_request.Prepared) -> str:
  """Returns the promise in a few lines.

  Args:
    name: The aggregator.
    system: What the table calls it.
    prepared: The aggregator; its program has terms of privacy.
  """
  program, terms = prepared.program, prepared.program.privacy
  assert terms is not None
  planned, drawn = terms.planned, program.participation
  lines = [
    f'privacy of {system}' + (f' ({name})' if name != system else ''),
    _line(
      'promise',
      f'epsilon {planned.epsilon:.4g} at delta {planned.delta:.3g} over '
      f'{program.rounds} rounds: whoever sees every model cannot tell '
      f'{_NEIGHBOURS[planned.relation]} (by {planned.method})',
    ),
    _line('to whom', f'each {planned.unit}, with all of its data'),
    _line('trusting', _TRUSTED[planned.trust]),
    _line('noise', prepared.noise),
    _line(
      'cohort',
      f'{drawn.clients_per_round} of {drawn.population_size} clients a round, '
      f'{_COHORTS[drawn.scheme]}, '
      + ('secret' if terms.is_amplified else 'not counted as secret'),
    ),
    _line('signal', _signal(prepared)),
  ]
  if terms.stop_at_epsilon is not None:
    lines.append(_line('stops', f'at epsilon {terms.stop_at_epsilon:g}'))
  for number, sentence in enumerate((*planned.assumptions, *terms.assumptions)):
    lines.append(_line('' if number else 'assuming', sentence))
  return '\n'.join(lines)


def _signal(prepared: private_request.Prepared) -> str:
  return (
    f'at most {prepared.signal_to_noise:.3g} times the noise in '
    f'{prepared.signal_of}, if all updates were as long as the clip norm and '
    'of one direction'
  )


def _line(label: str, sentence: str) -> str:
  return textwrap.fill(
    sentence,
    _WIDTH,
    initial_indent=f'  {label:<{_LABEL}}',
    subsequent_indent=' ' * (_LABEL + 2),
  )
