"""SMS Spam Collection v.1: English text messages, labelled ham or spam.

Features: the message, one string (16 words on average). Label: 0 ham, 1 spam.
Examples: 5,574 (4,827 ham, 747 spam), of which 5,171 are distinct texts: split
  by distinct text, or the test set knows the training set.
Clients: the source names no senders, so clients have to be made.
Format: UTF-8, one message a line, label and text separated by a tab.
Licence: "provided for free and with no limitations excepting" that copyright
  stays with the authors, and that they give no warranty (the publishers'
  `readme`).
Checksum of `SMSSpamCollection` (477,907 bytes), sha256:
  7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d

Reference: Almeida, Gómez Hidalgo, Yamakami, "Contributions to the Study of SMS
Spam Filtering: New Collection and Results", DocEng 2011.
"""

import pathlib

import numpy as np

from tff_pipelines.core import errors
from tff_pipelines.data import fetching, text_records

LABEL_NAMES = ('ham', 'spam')

FILE = fetching.DataFile(
  name='sms_spam/SMSSpamCollection',
  sha256='7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d',
  size_bytes=477_907,
  url='https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip',
  homepage='https://archive.ics.uci.edu/dataset/228/sms+spam+collection',
  member='SMSSpamCollection',
)


class MalformedLineError(errors.PipelineError):
  """A line of the collection that is not a label, a tab and a text."""


def load(data_dir: pathlib.Path) -> text_records.TextRecords:
  """Loads the collection in the order of the file, fetched if need be.

  Args:
    data_dir: The folder that holds, or is to hold, 'sms_spam'.

  Returns:
    All 5,574 messages, without clients.

  Raises:
    MalformedLineError: If a line is not a label, a tab and a text.
    PipelineError: Any of those of `fetching.locate`.
  """
  texts, labels = _parse(fetching.locate(FILE, data_dir))
  return text_records.TextRecords(
    texts=texts,
    labels=labels,
    clients=None,
    label_names=LABEL_NAMES,
    provenance={
      'source': 'sms_spam',
      'file': FILE.name,
      'sha256': FILE.sha256,
      'url': FILE.url,
      'licence': 'free, copyright Almeida and Gómez Hidalgo, no warranty',
    },
  )


def _parse(path: pathlib.Path) -> tuple[tuple[str, ...], np.ndarray]:
  """Returns the texts and their labels, int32[num_texts]."""
  texts: list[str] = []
  labels: list[int] = []
  # Not str.splitlines, which also splits at characters that messages hold.
  lines = path.read_bytes().removesuffix(b'\n').split(b'\n')
  for number, line in enumerate(lines, start=1):
    try:
      label, tab, text = line.decode('utf-8').partition('\t')
    except UnicodeDecodeError as error:
      raise MalformedLineError(
        f'Expected UTF-8 in line {number} of {path}, found byte '
        f'0x{line[error.start]:02x} at offset {error.start} of the line; '
        'restore the original file.'
      ) from error
    if label not in LABEL_NAMES or not tab or not text or '\t' in text:
      raise MalformedLineError(
        f'Expected ham or spam, one tab and a text in line {number} of {path}, '
        f'found {line.decode("utf-8")[:40]!r}; restore the original file.'
      )
    texts.append(text)
    labels.append(LABEL_NAMES.index(label))
  return tuple(texts), np.array(labels, np.int32)
