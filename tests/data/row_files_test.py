"""Rows of a user's own file: what `tabular_test` does not show."""

import csv
import io
import itertools
import pathlib

from tff_pipelines.data import row_files


def test_splitting_agrees_with_the_csv_module_on_every_short_file():
  num_files = num_broken = 0
  for length in range(7):
    for characters in itertools.product('a",\n', repeat=length):
      content = ''.join(characters)
      lines = content.encode().splitlines(keepends=True)
      contents = row_files.Contents([x.decode() for x in lines], {}, '')
      found = list(row_files._records(pathlib.Path('x'), contents, ','))
      is_broken = any(isinstance(r, row_files.MalformedRowError) for r in found)
      reader = csv.reader(io.StringIO(content, newline=''), strict=True)
      try:
        expected = [fields for fields in reader if fields]
      except csv.Error:
        assert is_broken, content
        num_broken += 1
      else:
        assert not is_broken, content
        assert [list(row.values) for row in found] == expected, content
      num_files += 1
  assert num_files == sum(4**n for n in range(7))
  assert 0 < num_broken < num_files
