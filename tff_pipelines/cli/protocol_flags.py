"""Flags of a protocol that is run alone: an example, or a sum's size."""

from tff_pipelines.cli import flag_groups
from tff_pipelines.secagg import textbook

_EXAMPLES = {
  'three_people': textbook.three_people,
  'three_devices': textbook.three_devices,
}
NO_EXAMPLE = ('example', ('none',))


class SumFlags(flag_groups.FlagGroup):
  """`--example`, or `--clients`, `--length` and `--bits`."""

  def __init__(self) -> None:
    super().__init__('What is summed')
    self._example = self.define(
      'example',
      'none',
      'a picture instead of a measurement: three_people hide whole numbers, '
      'three_devices hide fractions, whose mean is wanted',
      choices=('none', *_EXAMPLES),
    )
    self._clients = self.define(
      'clients', 100, 'clients that are asked', only_with=NO_EXAMPLE
    )
    self._length = self.define(
      'length', 10_000, "entries of a client's input", only_with=NO_EXAMPLE
    )
    self._bits = self.define(
      'bits', 16, 'bits of an entry', only_with=NO_EXAMPLE
    )
    self._seed = self.define(
      'seed',
      0,
      'inputs and dropouts follow from it; keys and masks never do',
      only_with=NO_EXAMPLE,
    )

  def check(self) -> None:
    """Refuses sums of nothing, or of one client."""
    super().check()
    for flag, least in (
      (self._clients, 2),
      (self._length, 1),
      (self._bits, 1),
    ):
      if flag.value < least:
        raise flag_groups.FlagError(
          f'Expected --{flag.name} of at least {least}, found {flag.value}; '
          f'give {"a larger" if flag.value > 0 else "a positive"} number.'
        )

  @property
  def example_name(self) -> str | None:
    """The name of the chosen example, None for a measurement."""
    name = self._example.value
    return None if name == 'none' else name

  @property
  def example(self) -> textbook.MaskingExample | None:
    """The chosen example, None for a measurement."""
    build = _EXAMPLES.get(self._example.value)
    return build() if build is not None else None

  @property
  def num_clients(self) -> int:
    """Clients that are asked."""
    return self._clients.value

  @property
  def length(self) -> int:
    """Entries of a client's input."""
    return self._length.value

  @property
  def bits(self) -> int:
    """Bits of an entry."""
    return self._bits.value

  @property
  def seed(self) -> int:
    """The seed of inputs and dropouts."""
    return self._seed.value
