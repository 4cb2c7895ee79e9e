"""What privacy.json must hold."""

import pytest

from tff_pipelines.reports import privacy_record, run_reader

pytestmark = pytest.mark.filterwarnings('error')


def test_a_record_is_read(write_run):
  record = privacy_record.parse(write_run.privacy_of())
  (setting,) = record.settings
  assert (setting.kind, setting.numbers) == (
    'Gaussian',
    {'noise_multiplier': 1.2},
  )
  assert (setting.population_size, setting.clients_per_round) == (400, 20)
  assert [r.contributors for r in record.of_setting(0)] == [20, 18, 20, 22]
  assert record.releases[3] == privacy_record.Release(4, 0, 22, 2, 3)
  assert record.spent.epsilon == 2.0
  assert record.spent.assumptions == ('Cohorts stay secret.',)
  assert (record.planned.epsilon, record.planned.num_rounds) == (2.5, 6)


def test_what_nobody_stated_is_none(write_run):
  content = write_run.privacy_of(limits=(None, None))
  del content['planned']
  content['guarantee'] = None
  record = privacy_record.parse(content)
  assert record.spent is None
  assert record.planned is None
  assert record.releases[0].max_participations is None


def test_every_system_has_its_own(write_run):
  run_dir = write_run(
    privacy={
      'federated': write_run.privacy_of(),
      'dp_fixed': write_run.privacy_of(epsilon=1.0),
    }
  )
  found = run_reader.read(run_dir).privacy
  assert list(found) == ['federated', 'dp_fixed']
  assert found['dp_fixed'].spent.epsilon == 1.0


def test_what_only_a_simulation_sees_promises_nothing(write_run):
  run_dir = write_run(
    privacy={'simulation_only': write_run.privacy_of(), 'a': {'format': 0}}
  )
  (run_dir / 'a' / 'privacy.json').unlink()
  assert run_reader.read(run_dir).privacy == {}


@pytest.mark.parametrize(
  'changes',
  [
    {'epsilon': -1.0},
    {'epsilon': float('inf')},
    {'epsilon': float('nan')},
    {'delta': 1.0},
    {'relation': 'cousins'},
    {'trust': 'everyone'},
    {'num_rounds': 'many'},
    {'mechanism': {'noise_multiplier': 1.0}},
    {'limits': ('a', 'b')},
    {'settings': {'participation': {}}},
    {'planned': {'epsilon': 'x'}},
  ],
)
def test_another_form_is_a_broken_file(write_run, changes):
  run_dir = write_run(privacy={'dp': write_run.privacy_of(**changes)})
  with pytest.raises(
    run_reader.BrokenRunFileError,
    match=r'dp/privacy\.json: Expected a privacy record with settings, rounds '
    'and a guarantee, found a mistake: .*; let the run write it again',
  ):
    run_reader.read(run_dir)


def test_a_round_without_a_setting_is_refused(write_run):
  content = write_run.privacy_of()
  content['rounds'][2][1] = 1
  with pytest.raises(
    privacy_record.MalformedPrivacyError, match='round 3 has no setting'
  ):
    privacy_record.parse(content)


def test_another_format_is_refused(write_run):
  with pytest.raises(
    privacy_record.MalformedPrivacyError, match='of format 1, found 2; read it'
  ):
    privacy_record.parse(write_run.privacy_of() | {'format': 2})
