"""Shakespeare's plays, line by line, by who speaks.

Two forms, both in the order of the plays:
  `roles`: 37 complete plays (Project Gutenberg), a client is a role in a play:
    1,345 clients, 100,434 lines of speech; 872 have at least 10 lines, Hamlet,
    the largest, 1,394. Collective roles such as ALL are among them. LEAF
    counts 1,129 in another edition, after another filter.
  `tiny`: the extract of 40,000 lines known from char-rnn, a client is a name:
    the First Citizens of all plays are one.
Features: one line of speech, a string (8 words on average). No labels.
Licence: the text is in the public domain. `roles` was attributed to roles by
  its repository, which leaves it there; `tiny` is under the MIT licence.
Sources: github.com/hopemcmanus/shakespeare, data/cleaned, at commit
  ae1e5759c8e5bfaf1ba70272b7fd61b987e0f308; github.com/karpathy/char-rnn at
  commit 6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e.

References: McMahan et al., "Communication-Efficient Learning of Deep Networks
from Decentralized Data", AISTATS 2017, section 3. Caldas et al., "LEAF: A
Benchmark for Federated Settings", 2018.
"""

import csv
import gzip
import hashlib
import io
import pathlib
from typing import Literal, get_args
import zlib

from tff_pipelines.core import errors
from tff_pipelines.data import fetching, file_bundles, typed_text

Form = Literal['roles', 'tiny']

ROLES = file_bundles.Bundle(
  archive='shakespeare/gutenberg_plays_by_role_csv.tar.gz',
  folder='shakespeare/gutenberg_plays_by_role_csv',
  suffix='.csv',
  num_files=37,
  sha256='de9cecccd95e1848c0145cf49c3917a56e226ee7b4f67abacb25a5c03490c2a5',
  how_to_get=(
    'clone https://github.com/hopemcmanus/shakespeare, check out '
    'ae1e5759c8e5bfaf1ba70272b7fd61b987e0f308 and copy its data/cleaned/*.csv '
    'to shakespeare/gutenberg_plays_by_role_csv in --data_dir'
  ),
)
TINY = fetching.DataFile(
  name='shakespeare/tinyshakespeare_input.txt',
  sha256='86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed',
  size_bytes=1_115_394,
  url=(
    'https://raw.githubusercontent.com/karpathy/char-rnn/'
    '6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt'
  ),
  homepage='https://github.com/karpathy/char-rnn',
)


class UnknownFormError(errors.PipelineError):
  """A form of the plays that there is not."""


def load(data_dir: pathlib.Path, form: Form = 'roles') -> typed_text.TypedText:
  """Loads everybody's lines in the order of the plays.

  Args:
    data_dir: The folder that holds, or is to hold, 'shakespeare'.
    form: Which of the two.

  Raises:
    UnknownFormError: If it is neither.
    PipelineError: Any of those of `file_bundles.read` and `fetching.locate`.
  """
  if form not in get_args(Form):
    raise UnknownFormError(
      f'Expected a form out of {", ".join(get_args(Form))}, found {form!r}.'
    )
  if form == 'roles':
    plays = file_bundles.read(ROLES, data_dir)
    lines = [line for play in plays.values() for line in _by_role(play)]
    sha256 = ROLES.sha256
  else:
    lines, sha256 = _by_name(_tiny(data_dir)), TINY.sha256
  clients, texts = zip(*lines, strict=True)
  return typed_text.TypedText(
    texts=texts,
    clients=clients,
    provenance={
      'source': f'shakespeare ({form})',
      'sha256': sha256,
      'licence': 'public domain',
      'lines': len(texts),
    },
  )


def _by_role(play: bytes) -> list[tuple[str, str]]:
  """Returns role and line of all speech in a play's table."""
  rows = csv.DictReader(io.StringIO(play.decode('utf-8'), newline=''))
  return [
    (f'{row["short_title"]}: {row["character"]}', row['text'])
    for row in rows
    if row['section'] == 'contents' and row['class'] == 'dialogue'
  ]


def _by_name(text: str) -> list[tuple[str, str]]:
  """Returns name and line of blocks that begin with `Name:`."""
  lines = []
  for block in text.strip('\n').split('\n\n'):
    name, *spoken = block.strip('\n').split('\n')
    lines += [(name.removesuffix(':'), line) for line in spoken]
  return lines


def _tiny(data_dir: pathlib.Path) -> str:
  """Returns the extract, from a gzipped copy of it if that lies there."""
  packed = data_dir / f'{TINY.name}.gz'
  if not packed.is_file():
    return fetching.locate(TINY, data_dir).read_bytes().decode('utf-8')
  try:
    content = gzip.decompress(packed.read_bytes())
  except (OSError, EOFError, zlib.error) as error:
    raise fetching.DataUnavailableError(
      f'Expected a whole gzip file at {packed}, found: {error}; delete it to '
      f'have the extract fetched from {TINY.url}.'
    ) from error
  found = hashlib.sha256(content).hexdigest()
  if found != TINY.sha256:
    raise fetching.ChecksumMismatchError(
      f'Expected {packed} to unpack to sha256 {TINY.sha256}, found {found}; '
      f'delete it to have the extract fetched from {TINY.url}.'
    )
  return content.decode('utf-8')
