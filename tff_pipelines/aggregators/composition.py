"""Whether the layers of an aggregator fit together, told before round 1.

A stack is a tuple of layers, outermost first: the order in which a client's
update passes them, as in TFF's nested factories. The last one adds up.
"""

from collections.abc import Sequence
import dataclasses
import enum

from tff_pipelines.core import errors


class CompositionError(errors.PipelineError):
  """Layers that do not fit together.

  Attributes:
    problems: One sentence for each.
  """

  def __init__(self, problems: Sequence[str]):
    """Initializes the error with its problems."""
    super().__init__('\n'.join(problems))
    self.problems = tuple(problems)


class Kind(enum.Enum):
  """What a layer does; the value is how messages call it."""

  ZERO = 'zeroing of extreme updates'
  CLIP_NORM = 'a clip of the Euclidean norm'
  CLIP_COORDINATES = 'a clip of each coordinate'
  WEIGHT = 'weighting by examples'
  ROTATE = 'a rotation'
  SKETCH = 'a linear sketch'
  COMPRESS = "compression with each client's own code"
  QUANTIZE = 'rounding to integers'
  SERVER_NOISE = "the server's noise"
  DISTRIBUTED_NOISE = "the clients' integer noise"
  LOCAL_NOISE = 'noise of each client on its own'
  PLAIN_SUM = 'a sum in the clear'
  SECURE_SUM = 'a secure sum'
  ROBUST_STATISTIC = 'a robust statistic'


# What a stack ends with: it makes one value out of those of the clients.
_LAST = (Kind.PLAIN_SUM, Kind.SECURE_SUM, Kind.ROBUST_STATISTIC)


@dataclasses.dataclass(frozen=True)
class Layer:
  """One layer of an aggregator.

  Attributes:
    kind: What it does.
    name: How messages call it; the kind's words by default.
    input_span: Of a secure sum: the number of integers that a client's input
      can be, less one: 2^b - 1 for b bits.
    modulus: Of a secure sum.
    planned_clients: Of a secure sum that fits into its modulus by chance, since
      no input is bounded: the largest cohort that it does for.
    wrap_around_probability: That it does not, for that cohort, at most.
  """

  kind: Kind
  name: str = ''
  input_span: int | None = None
  modulus: int | None = None
  planned_clients: int | None = None
  wrap_around_probability: float | None = None

  def __post_init__(self) -> None:
    by_chance = (self.planned_clients, self.wrap_around_probability)
    numbers = (self.input_span, self.modulus, *by_chance)
    if self.kind is not Kind.SECURE_SUM and numbers != (None,) * 4:
      raise ValueError(
        f'Expected an input span and a modulus for a secure sum only, found '
        f'them for {self.kind.value}.'
      )
    if (self.planned_clients is None) != (self.wrap_around_probability is None):
      raise ValueError(
        'Expected both planned clients and a wrap-around probability, or '
        f'neither, found {self.planned_clients} and '
        f'{self.wrap_around_probability}.'
      )
    bounds = (self.input_span, self.planned_clients)
    if (self.modulus is None) != (bounds == (None, None)) or None not in bounds:
      raise ValueError(
        'Expected both an input span and a modulus, or neither, found '
        f'{self.input_span} and {self.modulus}; planned clients, '
        f'{self.planned_clients}, take the place of the span.'
      )

  def __str__(self) -> str:
    return self.name or self.kind.value

  @property
  def max_clients(self) -> int | None:
    """Clients whose secure sum fits; None where unknown."""
    if self.planned_clients is not None:
      return self.planned_clients
    if self.input_span is None or self.modulus is None:
      return None
    return (self.modulus - 1) // max(1, self.input_span)


Stack = tuple[Layer, ...]

ZERO = Layer(Kind.ZERO)
CLIP_NORM = Layer(Kind.CLIP_NORM)
CLIP_COORDINATES = Layer(Kind.CLIP_COORDINATES)
WEIGHT = Layer(Kind.WEIGHT)
ROTATE = Layer(Kind.ROTATE)
SKETCH = Layer(Kind.SKETCH)
COMPRESS = Layer(Kind.COMPRESS)
QUANTIZE = Layer(Kind.QUANTIZE)
SERVER_NOISE = Layer(Kind.SERVER_NOISE)
DISTRIBUTED_NOISE = Layer(Kind.DISTRIBUTED_NOISE)
LOCAL_NOISE = Layer(Kind.LOCAL_NOISE)
PLAIN_SUM = Layer(Kind.PLAIN_SUM)
SECURE_SUM = Layer(Kind.SECURE_SUM)


def robust_statistic(name: str) -> Layer:
  """A statistic of the single updates, such as `the median` or `Krum`."""
  return Layer(Kind.ROBUST_STATISTIC, name)


def secure_sum(input_span: int, modulus: int) -> Layer:
  """A secure sum of so many integers a client; see `Layer`."""
  return Layer(Kind.SECURE_SUM, input_span=input_span, modulus=modulus)


def secure_sum_by_chance(
  modulus: int, planned_clients: int, wrap_around_probability: float
) -> Layer:
  """A secure sum of inputs without a bound, such as noise; see `Layer`."""
  return Layer(
    Kind.SECURE_SUM,
    modulus=modulus,
    planned_clients=planned_clients,
    wrap_around_probability=wrap_around_probability,
  )


@dataclasses.dataclass(frozen=True)
class Order:
  """`outer` is wrong anywhere outside of `inner`."""

  outer: Kind
  inner: Kind
  reason: str

  def problems(self, stack: Stack) -> list[str]:
    """One sentence for the first pair in this order."""
    for position, layer in enumerate(stack):
      for inside in stack[position + 1 :]:
        if (layer.kind, inside.kind) == (self.outer, self.inner):
          return [f'Expected {layer} not outside of {inside}: {self.reason}.']
    return []


@dataclasses.dataclass(frozen=True)
class Conflict:
  """`first` and `second` do not go together in any order."""

  first: Kind
  second: Kind
  reason: str

  def problems(self, stack: Stack) -> list[str]:
    """One sentence if both are there."""
    found = {layer.kind: layer for layer in reversed(stack)}
    if not {self.first, self.second} <= set(found):
      return []
    return [
      f'Expected {found[self.first]} without {found[self.second]}: '
      f'{self.reason}.'
    ]


@dataclasses.dataclass(frozen=True)
class Need:
  """`kind` needs one of `needed` on the given side of it."""

  kind: Kind
  needed: tuple[Kind, ...]
  outside: bool
  reason: str

  def problems(self, stack: Stack) -> list[str]:
    """One sentence for the first layer that lacks it."""
    for position, layer in enumerate(stack):
      there = stack[:position] if self.outside else stack[position + 1 :]
      if layer.kind is self.kind and not any(
        other.kind in self.needed for other in there
      ):
        side = 'outside' if self.outside else 'inside'
        needed = ' or '.join(kind.value for kind in self.needed)
        return [
          f'Expected {needed} {side} of {layer}, found none: {self.reason}.'
        ]
    return []


Rule = Order | Conflict | Need

_MIXES = 'it mixes the coordinates, so the bound on each of them is gone'
_NOT_INTEGERS = 'its results are no integers, which modular sums need'

RULES: tuple[Rule, ...] = (
  # Secure sums.
  Conflict(
    Kind.ROBUST_STATISTIC,
    Kind.SECURE_SUM,
    'it compares single updates, and the server learns their sum only; take '
    'the sum in the clear, or a mean with zeroing and clipping',
  ),
  Conflict(
    Kind.COMPRESS,
    Kind.SECURE_SUM,
    'codes that differ between clients cannot be added; take a linear sketch '
    'or rounding to integers',
  ),
  Need(
    Kind.SECURE_SUM,
    (Kind.QUANTIZE,),
    True,
    'it adds integers modulo a number; round the updates first',
  ),
  # Bounds that must hold where they are used.
  Order(Kind.CLIP_COORDINATES, Kind.ROTATE, f'{_MIXES}; clip inside of it'),
  Order(Kind.CLIP_COORDINATES, Kind.SKETCH, f'{_MIXES}; clip inside of it'),
  Order(
    Kind.CLIP_NORM,
    Kind.SKETCH,
    'a sketch can be longer than what it is of, so what is summed is not '
    'bounded; clip inside of it',
  ),
  # Integers.
  Order(Kind.QUANTIZE, Kind.ROTATE, f'{_NOT_INTEGERS}; rotate before'),
  Order(Kind.QUANTIZE, Kind.CLIP_NORM, f'{_NOT_INTEGERS}; clip before'),
  # Sketches.
  Order(
    Kind.SKETCH,
    Kind.ROBUST_STATISTIC,
    'the statistic of sketches is not the sketch of the statistic; only sums '
    'pass through a sketch',
  ),
  # Noise.
  Need(
    Kind.SERVER_NOISE,
    (Kind.CLIP_NORM, Kind.CLIP_COORDINATES),
    True,
    'noise hides a client only if what it hands in is bounded',
  ),
  Order(
    Kind.SERVER_NOISE,
    Kind.CLIP_NORM,
    'the noise is measured by what is summed, which this clip changes; clip '
    'outside of the noise',
  ),
  Conflict(
    Kind.WEIGHT,
    Kind.SERVER_NOISE,
    'weights multiply what one client can change, and their sum is released '
    'without noise; weight every client alike',
  ),
  Conflict(
    Kind.ROBUST_STATISTIC,
    Kind.SERVER_NOISE,
    'the noise is measured by how far one client moves a sum, which is not '
    'how far it moves this statistic',
  ),
  Need(
    Kind.DISTRIBUTED_NOISE,
    (Kind.QUANTIZE,),
    True,
    'it is made of integers and added to integers',
  ),
  Need(
    Kind.DISTRIBUTED_NOISE,
    (Kind.SECURE_SUM,),
    False,
    "each client's share of it is too small to hide that client; only the sum "
    'has enough',
  ),
  Need(
    Kind.DISTRIBUTED_NOISE,
    (Kind.CLIP_NORM,),
    True,
    'noise hides a client only if what it hands in is bounded',
  ),
  Conflict(
    Kind.WEIGHT,
    Kind.DISTRIBUTED_NOISE,
    'weights multiply what one client can change, and their sum is released '
    'without noise; weight every client alike',
  ),
  Need(
    Kind.LOCAL_NOISE,
    (Kind.CLIP_NORM, Kind.CLIP_COORDINATES),
    True,
    'noise hides what a client has only if that is bounded',
  ),
  Order(
    Kind.QUANTIZE,
    Kind.LOCAL_NOISE,
    f'{_NOT_INTEGERS}; add the noise before',
  ),
  Conflict(
    Kind.WEIGHT,
    Kind.LOCAL_NOISE,
    'a weight is told without noise, and nobody is trusted with it; weight '
    'every client alike',
  ),
)


def check(
  stack: Stack,
  num_clients: int | None = None,
  metrics_released_per_client: bool = False,
) -> None:
  """Refuses a stack that is wrong.

  Args:
    stack: Layers, outermost first.
    num_clients: The largest cohort of a round; None leaves it unchecked.
    metrics_released_per_client: Whether a run writes metrics of single
      clients.

  Raises:
    CompositionError: With one sentence for each problem.
  """
  problems = [
    *_about_the_end(stack),
    *(problem for rule in RULES for problem in rule.problems(stack)),
  ]
  secure = [layer for layer in stack if layer.kind is Kind.SECURE_SUM]
  if secure and num_clients is not None:
    problems += _about_the_cohort(secure[0], num_clients)
  if secure and metrics_released_per_client:
    problems.append(
      f'Expected metrics summed over the cohort under {secure[0]}, found '
      'metrics of single clients: they tell what the sum hides; sum the '
      'metrics securely too.'
    )
  if problems:
    raise CompositionError(problems)


def _about_the_end(stack: Stack) -> list[str]:
  ends = [layer for layer in stack if layer.kind in _LAST]
  if len(ends) == 1 and stack[-1] is ends[0]:
    return []
  expected = ', '.join(kind.value for kind in _LAST)
  found = ', '.join(map(str, stack)) or 'no layer'
  return [
    f'Expected exactly one of {expected}, as the innermost layer, found '
    f'{found}: it alone sees more than one client, and nothing acts on what '
    'it has added up.'
  ]


def _about_the_cohort(layer: Layer, num_clients: int) -> list[str]:
  if num_clients < 2:
    return [
      f'Expected at least 2 clients under {layer}, found {num_clients}: the '
      'sum of one client is its update; take larger cohorts.'
    ]
  most = layer.max_clients
  if most is None or num_clients <= most:
    return []
  if layer.wrap_around_probability is not None:
    return [
      f'Expected at most {most} clients under {layer} with modulus '
      f'{layer.modulus}, found {num_clients}: larger sums wrap around with a '
      f'probability above the planned {layer.wrap_around_probability:.2g}; '
      'plan for the largest cohort.'
    ]
  return [
    f'Expected at most {most} clients under {layer} with modulus '
    f'{layer.modulus}, found {num_clients}: larger sums wrap around; take more '
    'bits for the sum, fewer for the update, or smaller cohorts.'
  ]
