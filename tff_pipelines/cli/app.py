"""How a task binary starts and how it ends.

Ends: 0 done; 2 an expected failure, told in one sentence; 130 Ctrl-C.
"""

from collections.abc import Callable, Container, Sequence
import logging as std_logging
import shutil
import sys
import textwrap
from typing import Any, NoReturn

from absl import app, flags, logging

from tff_pipelines.cli import flag_groups
from tff_pipelines.core import errors


class Application:
  """A task's flag groups and its main function, put together to a program."""

  def __init__(
    self,
    task: str,
    description: str,
    groups: Sequence[flag_groups.FlagGroup],
    positional: str | None = None,
  ):
    """Initializes the application.

    Args:
      task: The task's name, that of its module in `tasks`.
      description: What `--help` prints first.
      groups: Its flag groups, in the order of `--help`.
      positional: A flag whose value may be given without its name.
    """
    self.task = task
    self._positional = positional
    self._description = description
    self._groups = tuple(groups)

  def configuration(self) -> dict[str, Any]:
    """Returns the values of all flags that identify a run."""
    values: dict[str, Any] = {}
    for group in self._groups:
      values.update(group.configuration())
    return values

  def flag_names(self) -> set[str]:
    """Returns the names of the task's own flags."""
    return {name for group in self._groups for name in group.flag_names()}

  def check(self, arguments: Sequence[str]) -> list[str]:
    """Parses and checks a command line, and runs nothing.

    Args:
      arguments: As on a command line, without the program's name.

    Returns:
      The same with what flag files hold in their place.

    Raises:
      FlagError: If flags do not fit together.
      flags.Error: If there is no such flag, or a value has the wrong type.
    """
    whole = self._parsed(arguments)
    for group in self._groups:
      group.check()
    return whole

  def useful(
    self, arguments: Sequence[str], needed: Container[str] = ()
  ) -> list[str]:
    """Leaves out arguments whose flags have no effect with the others.

    Args:
      arguments: As `check` takes them.
      needed: Names of flags that stay in any case.
    """
    kept = self._parsed(arguments)
    while True:
      useless = {n for group in self._groups for n in group.useless_flags()}
      fewer = [
        argument
        for argument in kept
        if not any(
          argument.partition('=')[0] in (f'--{name}', f'--no{name}')
          for name in useless
          if name not in needed
        )
      ]
      if fewer == kept:
        return kept
      kept = self._parsed(fewer)

  def forget_flags(self) -> None:
    """Makes all flags as if no command line had been parsed."""
    for name in flags.FLAGS:
      flags.FLAGS[name].unparse()
    flags.FLAGS.unparse_flags()

  def _parsed(self, arguments: Sequence[str]) -> list[str]:
    self.forget_flags()
    whole = flags.FLAGS.read_flags_from_files(list(arguments), force_gnu=False)
    others = flags.FLAGS([self.task, *whole])[1:]
    if others:
      raise flag_groups.FlagError(
        f'Expected flags only, found {others[0]!r}; write --flag=value.'
      )
    return whole

  def run(self, main: Callable[[], None]) -> None:
    """Parses the command line, runs `main`, and exits."""
    app.run(lambda argv: self._main(argv, main), flags_parser=self._parse)

  def _parse(self, argv: Sequence[str]) -> Sequence[str]:
    if any(arg in ('--help', '-h', '-help') for arg in argv[1:]):
      print(self._help())
      sys.exit(0)
    try:
      return flags.FLAGS(list(argv))
    except flags.Error as error:
      _fail(f'{error}\n`python -m tasks.{self.task} --help` lists the flags.')

  def _main(self, argv: Sequence[str], main: Callable[[], None]) -> None:
    if not flags.FLAGS['verbosity'].present:
      # Libraries tell every file they write; --verbosity=0 shows it.
      logging.set_verbosity(logging.WARNING)
    # Warnings of TensorFlow's are about our own graphs, not the user's doing,
    # and so is the one that it calls an error: an assertion in TFF's secure
    # sums, which it takes for unused.
    tensorflow = std_logging.getLogger('tensorflow')
    tensorflow.setLevel(std_logging.ERROR)
    tensorflow.addFilter(_is_no_false_alarm)
    try:
      if len(argv) == 2 and self._positional is not None:
        flags.FLAGS[self._positional].value = argv[1]
      elif len(argv) > 1:
        raise flag_groups.FlagError(
          f'Expected flags only, found {argv[1]!r}; write --flag=value.'
        )
      for group in self._groups:
        group.check()
      main()
    except errors.PipelineError as error:
      _fail(str(error))
    except KeyboardInterrupt:
      print(
        'Stopped. The same command with --output_dir=RUN, the run directory, '
        'resumes it.',
        file=sys.stderr,
      )
      sys.exit(130)

  def _help(self) -> str:
    width = min(100, shutil.get_terminal_size().columns)
    lines = [self._description.strip(), '']
    for group in self._groups:
      lines.append(f'{group.title}:')
      for flag, text in group.help_lines():
        lines.append(f'  {flag}')
        lines += textwrap.wrap(
          text, width, initial_indent=' ' * 6, subsequent_indent=' ' * 6
        )
      lines.append('')
    lines.append(
      '--flagfile=FILE reads flags from a file, one a line; --helpfull lists '
      'those of all libraries.'
    )
    return '\n'.join(lines)


def _is_no_false_alarm(record: std_logging.LogRecord) -> bool:
  return 'Object was never used' not in record.getMessage()


def _fail(sentence: str) -> NoReturn:
  print(f'Error: {sentence}', file=sys.stderr)
  sys.exit(2)
