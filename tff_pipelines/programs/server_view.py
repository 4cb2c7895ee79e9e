"""What an honest but curious server has, written down: server_view/.

The server follows the protocol and looks at what it gets. The files in
server_view/ hold that and nothing more. What the leak is measured against,
people's own texts, only a simulation knows: that, and so the measured leak
itself, lies in simulation_only/.

  server_view/central/rows.csv          every person's texts
  server_view/federated/updates.npz     every person's update of a round
  server_view/secure_federated/sum.npz  their sum
  simulation_only/words.csv             who used which word how often
  simulation_only/leak.json             how much of it can be read
"""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import pathlib
from typing import Any

import numpy as np

from tff_pipelines.programs import files, run_directory


@dataclasses.dataclass(frozen=True)
class Rows:
  """What the server of a central system has: the texts.

  Attributes:
    rows: Of each text the person, the label's name and the text.
  """

  rows: Sequence[tuple[str, str, str]]


@dataclasses.dataclass(frozen=True)
class Updates:
  """What the server of a federated system gets in a round.

  Attributes:
    people: The cohort; the server knows whom it asked.
    examples: float[people], the updates' weights.
    updates: The updates by model weight, each float[people, ...].
  """

  people: Sequence[str]
  examples: np.ndarray
  updates: Sequence[np.ndarray]

  def summed(self) -> 'Sum':
    """What would be left of them under secure aggregation."""
    return Sum(
      self.people,
      float(self.examples.sum()),
      [
        np.tensordot(self.examples, update, axes=1).astype(update.dtype)
        for update in self.updates
      ],
    )


@dataclasses.dataclass(frozen=True)
class Sum:
  """What a server gets in a round of secure aggregation.

  Attributes:
    people: The cohort; the server knows whom it asked.
    examples: The sum of the updates' weights.
    sums: The weighted sums of the updates by model weight.
  """

  people: Sequence[str]
  examples: float
  sums: Sequence[np.ndarray]


def write(
  directory: run_directory.RunDirectory,
  *,
  round_num: int,
  rows: Rows | None = None,
  updates: Updates | None = None,
  total: Sum | None = None,
) -> None:
  """Writes server_view/ in one step, a folder for each system that is given.

  Args:
    directory: The run.
    round_num: The round of the updates and the sum.
    rows: What the server of `central` has.
    updates: What the server of `federated` has.
    total: What the server of `secure_federated` has.
  """
  with files.writing_folder(directory.server_view) as folder:
    if rows is not None:
      path = _folder(
        folder,
        'central',
        'All texts, with whose they are: a server that trains in one place has '
        'them.',
      )
      text = files.csv_text(('person', 'label', 'text'), rows.rows)
      (path / 'rows.csv').write_text(text, encoding='utf-8', newline='')
    if updates is not None:
      path = _folder(
        folder,
        'federated',
        f"Every person's update in round {round_num} (people, their numbers of "
        'examples, and for each model weight an array with a row a person), as '
        'the server of plain federated averaging gets it.',
      )
      _savez(
        path / 'updates.npz', updates.people, updates.examples, updates.updates
      )
    if total is not None:
      path = _folder(
        folder,
        'secure_federated',
        f"The sum of all people's updates in round {round_num}, weighted by "
        'their examples, and who took part: under secure aggregation the '
        'server gets no more of the updates (their rounding to integers is '
        'left out here).',
      )
      _savez(path / 'sum.npz', total.people, total.examples, total.sums)


def write_measurement(
  directory: run_directory.RunDirectory,
  leak: Mapping[str, Any],
  truth: Iterable[tuple[str, str, int, int]],
) -> None:
  """Writes what was read out of it, and the truth, to simulation_only/.

  Args:
    directory: The run.
    leak: The content of leak.json, plain values.
    truth: Of each pair that is true the person, the word, the texts of the
      person with it, and how many of them are spam.
  """
  files.write_text(
    directory.simulation_only / 'words.csv',
    files.csv_text(('person', 'word', 'texts', 'spam'), truth),
  )
  files.write_json(directory.simulation_only / 'leak.json', leak)


def _folder(parent: pathlib.Path, system: str, sentence: str) -> pathlib.Path:
  path = parent / system
  path.mkdir()
  (path / 'README.txt').write_text(sentence + '\n', encoding='utf-8')
  return path


def _savez(
  path: pathlib.Path,
  people: Sequence[str],
  examples: Any,
  weights: Sequence[np.ndarray],
) -> None:
  np.savez_compressed(
    path,
    people=np.array(people, np.str_),
    examples=examples,
    **{f'weight_{i}': weight for i, weight in enumerate(weights)},
  )
