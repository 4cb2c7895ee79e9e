"""What a privacy guarantee says, in words that are exact."""

import math

from tff_pipelines.reports import formats, privacy_record

# Beyond, e^epsilon is above 485 million.
_MEANINGLESS_EPSILON = 20.0

# The same client in two worlds, and what an attacker would like to know.
_WORLDS = {
  'add_or_remove': (
    'with a {unit}',
    'without it',
    'whether one {unit} took part',
  ),
  'replace': (
    "with a {unit}'s data",
    'with any other data in their place',
    "which of two sets of data is one {unit}'s",
  ),
  'zero_out': (
    "with a {unit}'s contributions",
    'with zeros in their place',
    "whether one {unit}'s contributions were exchanged for zeros",
  ),
}

_TRUST = {
  'server': (
    'It holds against everyone who sees the models, but not against the '
    'server: the server sees more than the models, and has to be trusted to '
    'keep that to itself.'
  ),
  'sum': (
    'It holds against everyone, the server too, as long as the server learns '
    'of each round nothing but the sum (secure aggregation).'
  ),
  'nothing': (
    'It holds against everyone, the server too: every report is noisy before '
    'it leaves the client.'
  ),
}

TRUSTED = {
  'server': 'the server',
  'sum': 'secure aggregation',
  'nothing': 'nobody',
}

_METHODS = {
  'gaussian': 'exactly, as one Gaussian mechanism',
  'pld': 'as an upper bound, from privacy loss distributions',
  'rdp': 'as an upper bound, from R\N{LATIN SMALL LETTER E WITH ACUTE}nyi '
  'divergences',
  'pure': 'as an upper bound, by adding up the epsilons of single reports',
}


def promise(guarantee: privacy_record.Guarantee) -> str:
  """States a guarantee: what, against whom, trusting whom, how computed."""
  world, other, _ = (
    text.format(unit=guarantee.unit) for text in _WORLDS[guarantee.relation]
  )
  rounds = (
    'the round'
    if guarantee.num_rounds == 1
    else f'all {guarantee.num_rounds:,} rounds'
  )
  limit = f'{formats.factor(guarantee.epsilon)} times the other'
  if guarantee.delta:
    limit += f' plus {formats.small(guarantee.delta)}'
    if guarantee.delta < 1e-3:
      limit += f' (1 in {formats.number(round(1 / guarantee.delta), "count")})'
  return (
    'Take any conclusion that someone could draw from the models of '
    f'{rounds}, and compare its probability {world} and {other}: neither is '
    f'more than {limit}. {_TRUST[guarantee.trust]} What is protected is a '
    f'{guarantee.unit} with all of its examples. Computed '
    f'{_METHODS.get(guarantee.method, f"by {guarantee.method}")}.'
  )


def meaning(guarantee: privacy_record.Guarantee) -> str:
  """Explains epsilon, and what the promise is worth to an attacker."""
  epsilon = formats.epsilon(guarantee.epsilon)
  goal = _WORLDS[guarantee.relation][2].format(unit=guarantee.unit)
  sentences = [
    f'This is differential privacy with epsilon {epsilon} and delta '
    f'{formats.small(guarantee.delta)}. Epsilon is the factor on a logarithmic '
    f'scale (e^{epsilon} is {formats.factor(guarantee.epsilon)}): at 0 nothing '
    f'could be told about a {guarantee.unit}, and every 0.69 more doubles the '
    'factor. Delta is what is added.',
    f'Someone who already knows the data of everyone else and guesses {goal}, '
    'where a coin would be right half the time, is right in at most '
    f'{guess(guarantee)} of the cases.',
  ]
  if guarantee.epsilon > _MEANINGLESS_EPSILON:
    sentences.append(
      'So large an epsilon promises nothing that is worth having.'
    )
  return ' '.join(sentences)


def guess(guarantee: privacy_record.Guarantee) -> str:
  """The most that a guess at even odds can be right, rounded up: '88 %'.

  (e^epsilon + delta) / (1 + e^epsilon): of all tests with errors a and b, where
  a + e^epsilon b and b + e^epsilon a are at least 1 - delta, the mean error is
  at least (1 - delta) / (1 + e^epsilon).
  """
  wrong = (
    (1.0 - guarantee.delta)
    * math.exp(-guarantee.epsilon)
    / (1.0 + math.exp(-guarantee.epsilon))
  )
  if 100 * wrong < 1e-6:
    return '100 %'
  digits = max(1, 1 - math.floor(math.log10(100 * wrong)))
  # The error is rounded down, so that 'at most' stays true.
  unit = 10.0**-digits
  shown = 100.0 - math.floor(100 * wrong / unit + 1e-9) * unit
  return f'{shown:.{digits}f} %'
