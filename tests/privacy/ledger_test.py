import dataclasses
import json

import numpy as np
import pytest

from tff_pipelines.core import participation as participation_lib
from tff_pipelines.privacy import (
  accounting,
  central,
  contributions,
  correlated,
  distributed,
  ledger,
  local,
  mechanism,
)

_PEOPLE = participation_lib.Participation(1000, 10, 'poisson')
_MECHANISMS = [
  central.Gaussian(0.1 + 0.2),
  central.AdaptiveClippingGaussian(1 / 3, 7.0),
  central.Laplace(2.5, 4),
  central.Geometric(2.5, 3),
  central.CentralDiscreteGaussian(7.0, 3.3),
  correlated.TreeAggregation(7.0, 128, 'honaker'),
  correlated.BandedMatrixFactorization(1.411, 400, 5**-0.5),
  distributed.DistributedDiscreteGaussian(4.0, 10.0, 128, 2),
  distributed.DistributedSkellam(4.0, 10.0, 128),
  local.RandomizedResponse(0.25, 5, 2),
  local.LocalGaussian(6.0),
  local.LocalLaplace(6.0, 3),
]


def _record(round_num, **changes):
  record = ledger.Record(round_num, central.Gaussian(1.1), _PEOPLE, 9, True)
  return dataclasses.replace(record, **changes)


@pytest.mark.parametrize('mechanism_', _MECHANISMS, ids=lambda m: m.kind)
def test_every_mechanism_is_read_back_exactly(mechanism_):
  records = ledger.Ledger([_record(i, mechanism=mechanism_) for i in (1, 2, 5)])
  again = ledger.Ledger.from_json(records.to_json())
  assert again == records
  assert again.records[0].mechanism == mechanism_
  assert again.to_json() == records.to_json()


def test_every_field_is_read_back():
  limits = contributions.ContributionLimits(3, 7)
  other = participation_lib.Participation(50, 5, 'cyclic')
  records = ledger.Ledger(
    [
      _record(1),
      _record(1, query='count', mechanism=central.Laplace(3.0)),
      _record(2, limits=limits, num_contributors=0),
      _record(3, participation=other, secret_cohort=False),
    ]
  )
  again = ledger.Ledger.from_json(records.to_json())
  assert again.records == records.records
  assert len(again) == 4 and again.num_rounds == 3


def test_settings_are_written_once():
  text = ledger.Ledger([_record(i) for i in range(1, 1001)]).to_json()
  assert text.count('noise_multiplier') == 1
  assert len(text) < 40_000


def test_a_resumed_run_has_the_identical_ledger():
  rng = np.random.default_rng(3)
  cohorts = [rng.choice(1000, int(rng.integers(5, 15))) for _ in range(12)]
  cohorts = [np.unique(cohort) for cohort in cohorts]

  def run(records, history, first, last):
    for round_num in range(first, last + 1):
      cohort = cohorts[round_num - 1]
      history.add(round_num, cohort)
      records.append(
        _record(round_num, num_contributors=len(cohort), limits=history.limits)
      )

  whole = ledger.Ledger()
  run(whole, contributions.ParticipationHistory(), 1, 12)
  # Killed after round 9; the last checkpoint is that of round 6.
  killed, history = ledger.Ledger(), contributions.ParticipationHistory()
  run(killed, history, 1, 6)
  state, limits = history.state, history.limits
  run(killed, history, 7, 9)
  resumed = ledger.Ledger.from_json(killed.to_json()).up_to(6)
  run(
    resumed,
    contributions.ParticipationHistory.from_state(state, limits),
    7,
    12,
  )
  assert resumed.to_json() == whole.to_json()
  assert accounting.spent(resumed, 1e-5) == accounting.spent(whole, 1e-5)


def test_a_round_cannot_be_written_twice():
  records = ledger.Ledger([_record(2)])
  for round_num in (1, 2):
    with pytest.raises(ledger.LedgerError, match='append-only'):
      records.append(_record(round_num))
  records.append(_record(2, query='count'))
  assert len(records) == 2


def test_the_records_cannot_be_changed_from_outside():
  records = ledger.Ledger([_record(1)])
  assert isinstance(records.records, tuple)
  with pytest.raises(dataclasses.FrozenInstanceError):
    records.records[0].num_contributors = 3


@pytest.mark.parametrize(
  'changes', [{'round_num': 0}, {'num_contributors': -1}]
)
def test_impossible_rounds_are_refused(changes):
  with pytest.raises(ledger.LedgerError, match='round_num of at least 1'):
    _record(**{'round_num': 1} | changes)


def test_more_contributors_than_clients_are_refused():
  with pytest.raises(ledger.LedgerError, match='of 1000, found 1001'):
    _record(1, num_contributors=1001)


def test_the_file_is_read(tmp_path):
  records = ledger.Ledger([_record(1)])
  path = tmp_path / ledger.FILE_NAME
  path.write_text(records.to_json(), encoding='utf-8')
  assert ledger.Ledger.load(path) == records


@pytest.mark.parametrize('text', ['', '[]', '{"format": 1}', 'null'])
def test_other_files_are_refused(text):
  with pytest.raises(ledger.LedgerError, match=r'as Ledger\.to_json writes'):
    ledger.Ledger.from_json(text)


def test_other_formats_are_refused():
  with pytest.raises(ledger.LedgerError, match='format 1, found 2'):
    ledger.Ledger.from_json('{"format": 2}')


def test_unknown_mechanisms_are_refused():
  text = ledger.Ledger([_record(1)]).to_json().replace('Gaussian', 'Magic')
  with pytest.raises(mechanism.MechanismError, match="found 'Magic'"):
    ledger.Ledger.from_json(text)


def test_an_empty_ledger_is_read_back():
  assert ledger.Ledger.from_json(ledger.Ledger().to_json()) == ledger.Ledger()


def test_further_keys_are_written_and_skipped_when_it_is_read():
  whole = ledger.Ledger([_record(1), _record(2)])
  further = {'guarantee': {'epsilon': 0.1 + 0.2}, 'note': 'a "quoted" one'}
  text = whole.to_json(further)
  found = json.loads(text)
  assert {key: found[key] for key in further} == further
  assert ledger.Ledger.from_json(text) == whole
  assert set(found) - set(further) == set(json.loads(whole.to_json()))
