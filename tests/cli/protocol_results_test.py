"""results.json of a protocol that was run alone."""

import dataclasses
import json

import pytest

from tff_pipelines.cli import protocol_results
from tff_pipelines.reports import masking_example, phase_costs, results
from tff_pipelines.secagg import (
  parameters,
  phases,
  random_sum,
  textbook,
  textbook_session,
)


@pytest.fixture(scope='module')
def found() -> random_sum.RandomSum:
  return random_sum.run(
    parameters.derive_parameters(12, 0.5, 0.0),
    length=40, bits=8, rates={'mask': 0.2, 'unmask': 0.1}, seed=3,
  )  # fmt: skip


def test_a_sum_has_seconds_and_bytes_by_role_and_phase(found):
  content = protocol_results.of_sum(found, length=40, bits=8)
  # It can be written, and is the same when read back.
  assert json.loads(json.dumps(content)) == content
  costs = phase_costs.parse(content['details'])
  assert [(cost.role, cost.phase) for cost in costs] == [
    (role, phase.value)
    for role in ('client', 'server')
    for phase in phases.phases_of(malicious=False)
  ]
  final = results.parse(content)
  assert final.systems == ('advertise', 'share', 'mask', 'unmask', 'all phases')
  mask, everything = final.row('mask'), final.row('all phases')
  assert mask['client_sent_bytes'] == costs[2].sent_bytes
  assert mask['server_received_bytes'] == costs[6].received_bytes
  for column in final.columns:
    assert everything[column.key] == pytest.approx(
      sum(row[column.key] for row in final.rows[:-1])
    )


def test_a_sum_tells_survivors_exactness_and_expansion(found):
  content = protocol_results.of_sum(found, length=40, bits=8)
  summary = content['details']['sum']
  assert summary['is_exact'] is True
  assert summary['num_survivors'] == len(found.survivors)
  assert sum(summary['dropouts'].values()) == len(found.dropouts)
  assert summary['clear_bytes'] == 40
  assert summary['expansion'] == found.client_bytes / 40
  assert content['sentence'].startswith(
    f'The sum of {len(found.survivors)} of 12 clients is exact; a client moved '
  )
  notes = '\n'.join(content['notes'])
  assert f'survivors: {len(found.survivors)} of 12 clients' in notes
  assert 'left before mask' in notes
  assert 'Bonawitz et al. 2017, table 1) ' in notes


def test_a_wrong_sum_is_shouted(found):
  wrong = dataclasses.replace(found, is_exact=False)
  content = protocol_results.of_sum(wrong, length=40, bits=8)
  assert 'is WRONG' in content['sentence']
  assert any('WRONG, not that of the survivors' in n for n in content['notes'])


@pytest.mark.parametrize(
  'name, example, wanted, sent, total',
  [
    ('three_people', textbook.three_people(), 'total, 17', [4, 9, 4], 17),
    (
      'three_devices', textbook.three_devices(), 'mean, 0.5', [0.3, 0.2, 1.0],
      1.5,
    ),
  ],
)  # fmt: skip
def test_an_example_has_its_picture_and_its_session(
  name, example, wanted, sent, total
):
  session = textbook_session.run(example)
  content = protocol_results.of_example(name, example, session)
  assert json.loads(json.dumps(content)) == content
  assert f'the {wanted}, and none' in content['sentence']
  assert [row['sent'] for row in content['rows']] == [*sent, total]
  assert [row['received'] for row in content['rows']] == [
    *session.received, session.integer_sum,
  ]  # fmt: skip
  assert content['details']['session']['total'] == total
  drawn = masking_example.parse(content['details'])
  assert [person.sent for person in drawn.people] == sent
