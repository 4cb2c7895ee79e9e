"""Flags in named groups, with rules that are checked before anything runs.

A group declares its flags on absl's registry, so flagfiles, `--helpfull` and
`--noflag` work as everywhere. On top of that a group knows which of its flags
are useless under which choice, and refuses them by name.
"""

from collections.abc import Iterator, Sequence
import dataclasses
from typing import Any

from absl import flags

from tff_pipelines.core import errors


class FlagError(errors.PipelineError):
  """Flags that do not fit together."""


@dataclasses.dataclass(frozen=True)
class _Declared:
  holder: flags.FlagHolder
  only_with: tuple[str, tuple[Any, ...]] | None
  or_with: tuple[str, tuple[Any, ...]] | None
  identifies_run: bool


class FlagGroup:
  """Flags that belong together under one heading of `--help`."""

  def __init__(self, title: str):
    """Initializes an empty group.

    Args:
      title: The heading.
    """
    self.title = title
    self._declared: list[_Declared] = []

  def define(
    self,
    name: str,
    default: Any,
    help_text: str,
    *,
    choices: Sequence[str] | None = None,
    only_with: tuple[str, tuple[Any, ...]] | None = None,
    or_with: tuple[str, tuple[Any, ...]] | None = None,
    identifies_run: bool = True,
    kind: type | None = None,
  ) -> flags.FlagHolder:
    """Declares a flag.

    Args:
      name: Its name.
      default: Its default, which also tells the type (lists are comma
        separated); None makes it a string unless `kind` says otherwise.
      help_text: One line or two.
      choices: The values of a string flag.
      only_with: Another flag's name and its values with which this flag has an
        effect (of a list, any one of them); given on the command line with any
        other, it is refused.
      or_with: Such a pair too, which is enough where the first does not hold;
        its flag may be of a group that a task does not have.
      identifies_run: Whether two runs that differ in it are different runs.
      kind: The type, where the default does not tell it.
    """
    kind = kind or (str if default is None else type(default))
    if choices is not None:
      holder = flags.DEFINE_enum(name, default, list(choices), help_text)
    else:
      define = {
        str: flags.DEFINE_string,
        bool: flags.DEFINE_boolean,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        list: flags.DEFINE_list,
      }[kind]
      holder = define(name, default, help_text)
    self._declared.append(_Declared(holder, only_with, or_with, identifies_run))
    return holder

  def check(self) -> None:
    """Refuses flags that were given and have no effect.

    Raises:
      FlagError: Naming the flag, the choice it needs and the one found.
    """
    for name, other, values, chosen in self._useless():
      wanted = ' or '.join(f'--{other}={value}' for value in values)
      raise FlagError(
        f'Expected {wanted} where --{name} is given, found '
        f'--{other}={",".join(map(str, chosen))}, with which it has no '
        'effect; remove one of them.'
      )

  def useless_flags(self) -> list[str]:
    """Returns the names of the flags that `check` would refuse."""
    return [name for name, *_ in self._useless()]

  def _useless(
    self,
  ) -> Iterator[tuple[str, str, tuple[Any, ...], list[Any]]]:
    """Flags without effect: which they need, its right values, its value."""
    by_name = {declared.holder.name: declared for declared in self._declared}
    for given in self._declared:
      if not given.holder.present or _holds(given.or_with):
        continue
      # The flag it depends on can depend on another in turn.
      needed = given.only_with
      while needed is not None:
        other, values = needed
        if not _holds(needed):
          yield given.holder.name, other, values, _chosen(other)
          break
        needed = by_name[other].only_with if other in by_name else None

  def flag_names(self) -> list[str]:
    """Returns the names of all its flags."""
    return [declared.holder.name for declared in self._declared]

  def configuration(self) -> dict[str, Any]:
    """Returns the values of the flags that identify a run."""
    return {
      d.holder.name: d.holder.value for d in self._declared if d.identifies_run
    }

  def given_flags(self) -> list[str]:
    """Returns the names of the flags that were given."""
    return [d.holder.name for d in self._declared if d.holder.present]

  def help_lines(self) -> list[tuple[str, str]]:
    """Returns the flags as written on a command line, and what they do."""
    lines = []
    for declared in self._declared:
      flag = flags.FLAGS[declared.holder.name]
      value = flag.default_as_str
      text = flag.help or ''
      if declared.only_with is not None:
        other, values = declared.only_with
        text += f' (with --{other}={"|".join(map(str, values))}'
        if declared.or_with is not None:
          other, values = declared.or_with
          text += f' or --{other}={"|".join(map(str, values))}'
        text += ')'
      shown = f'--{declared.holder.name}'
      if value is not None:
        shown += '=' + value.strip("'")
      lines.append((shown, ' '.join(text.split())))
    return lines


def _chosen(name: str) -> list[Any]:
  """The values that a flag has, one unless it is a list."""
  found = flags.FLAGS[name].value
  return found if isinstance(found, list) else [found]


def _holds(needed: tuple[str, tuple[Any, ...]] | None) -> bool:
  """Whether a flag has one of some values; of a list, one element is enough."""
  if needed is None or needed[0] not in flags.FLAGS:
    return False
  name, values = needed
  return any(one in values for one in _chosen(name))


def whole_numbers(flag: flags.FlagHolder, example: str) -> tuple[int, ...]:
  """Returns the numbers of a list flag.

  Args:
    flag: The flag.
    example: A value that it could have, for the error.

  Raises:
    FlagError: If one is no whole number.
  """
  try:
    return tuple(int(number) for number in flag.value)
  except ValueError as error:
    raise FlagError(
      f'Expected whole numbers in --{flag.name}, such as {example}, found '
      f'{",".join(flag.value)}.'
    ) from error
