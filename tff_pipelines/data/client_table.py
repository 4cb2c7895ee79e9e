"""Who holds what: a summary to print and a row a client to keep.

Only a simulation can see it; a server learns at most the sums.
"""

import csv
import io
from typing import Any

import numpy as np

from tff_pipelines.data import population as population_lib


def label_counts(
  population: population_lib.ClientPopulation, num_labels: int
) -> np.ndarray:
  """Returns int64[num_clients, num_labels], examples (x, y) counted by y.

  Of data without labels, whose y are measurements, int64[num_clients, 0].
  """
  if not num_labels:
    return np.zeros([population.num_clients, 0], np.int64)
  return np.array(
    [
      # Binary labels may come as 0.0 and 1.0.
      np.bincount(
        population.examples(c)[1].astype(np.int64), minlength=num_labels
      )
      for c in range(population.num_clients)
    ],
    np.int64,
  )


def summary(dataset: population_lib.FederatedDataset) -> str:
  """Returns a few lines: clients, examples (min, median, max), label mix."""
  lines = []
  for side, population in (('train', dataset.train), ('test', dataset.test)):
    counts = label_counts(population, len(dataset.label_names))
    mix = ', '.join(
      f'{name} {share:.1%}'
      for name, share in zip(
        dataset.label_names, counts.sum(0) / max(1, counts.sum()), strict=True
      )
    )
    sizes = population.sizes
    lines.append(
      f'{side:5}  {population.num_clients} clients, {sizes.sum()} examples '
      f'(a client: min {sizes.min()}, median {np.median(sizes):g}, '
      f'max {sizes.max()}){mix and "; "}{mix}'
    )
    # With two labels the share of one says it all; of more it says little.
    if side == 'train' and len(dataset.label_names) == 2:
      shares = counts[:, -1] / np.maximum(1, counts.sum(1))
      low, middle, high = np.quantile(shares, [0, 0.5, 1])
      lines.append(
        f'       share of {dataset.label_names[-1]} a client: min {low:.0%}, '
        f'median {middle:.0%}, max {high:.0%}'
      )
  return '\n'.join(lines)


def to_csv(dataset: population_lib.FederatedDataset) -> str:
  """Returns one row a client: sizes, and examples of each label."""
  header: list[Any] = ['client_id', 'train_examples', 'test_examples']
  sides = (('train', dataset.train), ('test', dataset.test))
  for side, _ in sides:
    header += [f'{side}:{label}' for label in dataset.label_names]
  rows: dict[str, list[Any]] = {}
  for position, (_, population) in enumerate(sides):
    counts = label_counts(population, len(dataset.label_names))
    for name, size, by_label in zip(
      population.client_ids, population.sizes, counts, strict=True
    ):
      row = rows.setdefault(name, [name] + [0] * (len(header) - 1))
      row[1 + position] = int(size)
      first = 3 + position * len(dataset.label_names)
      row[first : first + len(dataset.label_names)] = by_label.tolist()
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(header)
  writer.writerows(rows.values())
  return text.getvalue()
