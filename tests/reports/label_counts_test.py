import numpy as np
import pytest

from tff_pipelines.reports import label_counts

pytestmark = pytest.mark.filterwarnings('error')


def test_rare_labels_are_added_up():
  found = label_counts.LabelCounts(
    ('x', 'y'), ('a', 'b', 'c', 'd'), np.array([[1, 9, 0, 5], [1, 9, 1, 5.0]])
  )
  folded = label_counts.fold_rare_labels(found, 2)
  assert folded.labels == ('b', 'd', '2 other labels')
  assert folded.counts.tolist() == [[9, 5, 1], [9, 5, 2]]
  assert label_counts.fold_rare_labels(found, 3) is found
