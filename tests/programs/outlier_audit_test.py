"""One unusual client, in or out, as privacy_audit.json has it."""

import pytest

from tff_pipelines.privacy import error_rates
from tff_pipelines.programs import outlier_audit
from tff_pipelines.reports import audit_record


def in_lowers_by(gap: float):
  """A loss that depends on the seed, lower by the gap with the client."""
  return lambda seed, is_in: 2.0 + 0.01 * seed - gap * is_in


def test_every_system_is_trained_with_and_without_from_every_seed():
  asked = []

  def loss(seed: int, is_in: bool) -> float:
    asked.append((seed, is_in))
    return 1.0 - 0.5 * is_in

  found = outlier_audit.experiment({'x': loss}, range(3, 7))
  assert sorted(asked) == [(s, i) for s in range(3, 7) for i in (False, True)]
  assert found['seeds'] == 4
  (row,) = found['systems']
  assert (row['name'], row['metric']) == ('x', "loss on the outlier's own data")
  assert row['with'] == [0.5] * 4 and row['without'] == [1.0] * 4


def test_told_apart_by_hand():
  cases = {
    'all': (in_lowers_by(1.0), 1.0),
    'none': (in_lowers_by(-1.0), 0.0),
    'nothing': (in_lowers_by(0.0), 0.5),
    # Pairs (i, j) of 0..3 with i < j + 1.5: 13 of 16.
    'some': (in_lowers_by(0.015), 13 / 16),
  }
  found = outlier_audit.experiment(
    {name: loss for name, (loss, _) in cases.items()}, range(4)
  )
  for row in found['systems']:
    assert row['told_apart'] == pytest.approx(cases[row['name']][1]), row[
      'name'
    ]


def test_the_gap_is_paired_by_seed():
  (row,) = outlier_audit.experiment({'x': in_lowers_by(0.3)}, range(5))[
    'systems'
  ]
  assert row['gap']['paired']
  assert row['gap']['mean'] == pytest.approx(-0.3)
  assert row['gap']['interval'] == pytest.approx([-0.3, -0.3])


def test_the_report_reads_what_is_written():
  found = outlier_audit.experiment(
    {'with noise': in_lowers_by(0.015), 'without': in_lowers_by(1.0)}, range(4)
  )
  read = audit_record.parse({'outlier': found}).outlier
  assert [system.name for system in read] == ['with noise', 'without']
  assert read[0].told_apart == 13 / 16
  assert read[1].inside == pytest.approx((1.0, 1.01, 1.02, 1.03))


def test_the_sentence_tells_gap_and_share():
  (row,) = outlier_audit.experiment({'x': in_lowers_by(1.0)}, range(4))[
    'systems'
  ]
  assert outlier_audit.sentence(row) == (
    "outlier in or out, x: the loss on the outlier's own data changes by -1 "
    '(-1 to -1; other seeds alone: 0.0129); it is lower with the outlier in '
    '100% of all pairs of models (50% is guessing)'
  )


def test_too_few_seeds_are_refused():
  with pytest.raises(error_rates.AuditError, match='at least 4'):
    outlier_audit.experiment({'x': in_lowers_by(1.0)}, range(3))


def test_a_loss_that_is_not_finite_is_refused():
  with pytest.raises(error_rates.AuditError, match='finite'):
    outlier_audit.experiment({'x': lambda seed, is_in: float('nan')}, range(4))
