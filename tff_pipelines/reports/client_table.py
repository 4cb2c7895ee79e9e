"""The clients of a run in numbers. Only a simulation can see this."""

import html

import numpy as np
import pandas as pd

from tff_pipelines.core import wording
from tff_pipelines.reports import formats, label_counts, tables

# A table of 62 characters of an alphabet says nothing.
_MOST_LABELS = 12


def client_table(clients: pd.DataFrame) -> str:
  """Builds an HTML table: examples and labels, in total and by client.

  Args:
    clients: The content of clients.csv, with at least one row.
  """
  rows: list[tuple[str, ...]] = []
  for key, title in (
    ('train_examples', 'training examples'),
    ('test_examples', 'test examples'),
  ):
    if key in clients:
      counts = np.nan_to_num(clients[key].to_numpy(float))
      rows.append((title, _count(counts.sum()), '', *_spread(counts)))
  found = label_counts.label_counts(clients)
  labels = found.labels if found is not None else ()
  if found is not None and labels:
    folded = label_counts.fold_rare_labels(found, _MOST_LABELS)
    total = folded.counts.sum()
    for label, counts in zip(folded.labels, folded.counts.T, strict=True):
      share = formats.number(counts.sum() / total if total else None, 'percent')
      rows.append((label, _count(counts.sum()), share, *_spread(counts)))
  head: tuple[str, ...] = ('', 'total', 'share', 'minimum', 'median', 'maximum')
  if not labels:
    head = (head[0], head[1], *head[3:])
    rows = [(row[0], row[1], *row[3:]) for row in rows]
  number = wording.counted(len(clients), 'client')
  sentence = f'{number}. Minimum, median and maximum are by client'
  sentence += '; labels are those of the training examples.' if labels else '.'
  table = tables.plain_html_table(head, rows)
  return f'<p>{html.escape(sentence)}</p>\n{table}'


def _spread(counts: np.ndarray) -> tuple[str, str, str]:
  return (
    _count(counts.min()),
    _count(float(np.median(counts))),
    _count(counts.max()),
  )


def _count(value: float) -> str:
  return formats.number(float(value), 'count')
