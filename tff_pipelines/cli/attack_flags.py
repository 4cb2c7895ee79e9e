"""Flags of attacks on training: which, by how many clients, how strongly."""

from absl import flags
import tensorflow_federated as tff

from tff_pipelines.cli import defence_results, flag_groups
from tff_pipelines.core import client_kinds as kinds_lib
from tff_pipelines.data import client_kinds
from tff_pipelines.learning import attacked_updates
from tff_pipelines.models import kind_blind

_Kind = kinds_lib.ClientKind
_NONE = defence_results.NONE
ATTACKS = {
  'outlier': _Kind.OUTLIER,
  'label_flip': _Kind.LABEL_FLIPPER,
  'random_update': _Kind.RANDOM_UPDATE,
  defence_results.BACKDOOR: _Kind.BOOSTED_BACKDOOR,
  'sign_flip': _Kind.SIGN_FLIPPER,
}
# Without effect where clients attack: defences are compared, not systems.
_OF_SYSTEMS = ('system', 'central_epochs', 'local_epochs')


class AttackFlags(flag_groups.FlagGroup):
  """`--attack`, `--attackers` and how strong they are."""

  def __init__(self) -> None:
    super().__init__('Attacks (instead of comparing systems)')
    define, strengths = self.define, attacked_updates.Strengths()
    any_attack = ('attack', tuple(ATTACKS))
    self._attacks = define(
      'attack',
      [_NONE],
      'some clients attack, and every --aggregator is tried on every attack; '
      'any of outlier (one label everywhere), label_flip, random_update (noise '
      'instead of updates), backdoor (a trigger that is to be misread), '
      'sign_flip (the opposite of the update)',
    )
    self._attackers = define(
      'attackers',
      '0.25',
      'how many clients attack: a number, or a share below 1',
      only_with=any_attack,
    )
    self._who = define(
      'attackers_are',
      'random',
      'who attacks: some at random, the first clients or the last ones',
      choices=('random', 'first', 'last'),
      only_with=any_attack,
    )
    self._repeats = define(
      'attack_repeats',
      1,
      'times that it is tried, with data, cohorts and attackers drawn anew; '
      'the mean is told',
      only_with=any_attack,
    )
    self._sign_flip_scale = define(
      'sign_flip_scale',
      strengths.sign_flip_scale,
      'a sign flipper sends minus its update times this',
      only_with=('attack', ('sign_flip',)),
    )
    self._backdoor_boost = define(
      'backdoor_boost',
      strengths.backdoor_boost,
      'a client with a backdoor sends its update times this',
      only_with=('attack', ('backdoor',)),
    )
    self._random_stddev = define(
      'random_update_stddev',
      strengths.random_stddev,
      'stddev of each coordinate of a random update',
      only_with=('attack', ('random_update',)),
    )

  @property
  def requested(self) -> bool:
    """Whether anybody attacks."""
    return self._attacks.value != [_NONE]

  def seeds(self, seed: int) -> range:
    """Returns the seed of each repeat, that of the run first."""
    return range(seed, seed + self._repeats.value)

  @property
  def names(self) -> tuple[str, ...]:
    """The attacks to try: none first, which all others are compared with."""
    return (_NONE, *(name for name in self._attacks.value if name != _NONE))

  @property
  def strengths(self) -> attacked_updates.Strengths | None:
    """How strong they are; None if nobody attacks."""
    if not self.requested:
      return None
    return attacked_updates.Strengths(
      sign_flip_scale=self._sign_flip_scale.value,
      backdoor_boost=self._backdoor_boost.value,
      random_stddev=self._random_stddev.value,
    )

  @property
  def of_process(self) -> dict[str, attacked_updates.Strengths]:
    """What `fed_avg.build` has to know; of honest clients nothing."""
    strengths = self.strengths
    return {} if strengths is None else {'attack': strengths}

  def check(self) -> None:
    """Refuses attacks that there are not, and flags without effect."""
    super().check()
    found = self._attacks.value
    known = (_NONE, *ATTACKS)
    unknown = [name for name in found or [''] if name not in known]
    if unknown or len(set(found)) < len(found):
      raise flag_groups.FlagError(
        f'Expected different attacks out of {", ".join(known)}, found '
        f'--attack={",".join(found)}.'
      )
    if not self.requested:
      return
    self._number()
    if self._repeats.value < 1:
      raise flag_groups.FlagError(
        f'Expected --{self._repeats.name} of at least 1, found '
        f'{self._repeats.value}.'
      )
    _ = self.strengths  # Which checks itself.
    self._check_algorithm()
    for name in _OF_SYSTEMS:
      if name in flags.FLAGS and flags.FLAGS[name].present:
        raise flag_groups.FlagError(
          f'Expected --attack={_NONE} where --{name} is given, found --attack='
          f'{",".join(found)}, with which it has no effect, as aggregators are '
          'compared instead of systems; remove one of them.'
        )

  def _check_algorithm(self) -> None:
    """Refuses algorithms whose clients cannot be made attackers."""
    if 'algorithm' not in flags.FLAGS:
      return
    algorithm = flags.FLAGS['algorithm'].value
    if algorithm != 'fed_avg':
      raise flag_groups.FlagError(
        f'Expected --algorithm=fed_avg where --attack is given, as attackers '
        f'change the updates of its clients alone, found --algorithm='
        f'{algorithm}; remove one of them.'
      )

  def count(self, num_clients: int) -> int:
    """Returns how many of so many clients attack.

    Raises:
      FlagError: If that leaves nobody honest.
    """
    number = self._number()
    count = number if isinstance(number, int) else round(number * num_clients)
    if count >= num_clients:
      raise flag_groups.FlagError(
        f'Expected fewer attackers than the {num_clients} clients, found '
        f'--{self._attackers.name}={number}.'
      )
    return max(1, count)

  def kinds(
    self, attack: str, num_clients: int, seed: int
  ) -> tuple[kinds_lib.ClientKind, ...]:
    """Returns the kind of each client under one attack.

    The attackers of all attacks are the same clients.

    Args:
      attack: One of `names`.
      num_clients: All clients.
      seed: The run's seed.
    """
    return client_kinds.choose(
      num_clients,
      0 if attack == _NONE else self.count(num_clients),
      ATTACKS.get(attack, _Kind.HONEST),
      chosen=self._who.value,
      seed=seed,
    )

  def trained(
    self, model: tff.learning.models.FunctionalModel
  ) -> tff.learning.models.FunctionalModel:
    """Returns the model on examples that say a client's kind, if any attack."""
    return kind_blind.build(model) if self.requested else model

  def _number(self) -> int | float:
    """Returns the number of attackers, or their share, a float below 1."""
    text = self._attackers.value
    try:
      number = float(text) if '.' in text else int(text)
    except ValueError:
      number = 0
    if number <= 0 or (isinstance(number, float) and number >= 1):
      raise flag_groups.FlagError(
        'Expected a number of clients, such as 4, or a share, such as 0.25, in '
        f'--{self._attackers.name}, found {text!r}.'
      )
    return number
