import dataclasses

import pytest

from tff_pipelines.secagg import (
  errors,
  parameters,
  phases,
  session,
)

CHOSEN = parameters.SecAggParameters(5, 3)
BASE = session.open_session(
  CHOSEN, [8], [3], session_id=bytes(16), graph_seed=bytes(32)
)


def test_the_digest_binds_everything():
  wider = session.open_session(CHOSEN, [9], [3]).layout
  longer = session.open_session(CHOSEN, [8], [4]).layout
  changes = [
    {},
    {'session_id': b'\1' * 16},
    {'round_num': 1},
    {'graph_seed': b'\1' * 32},
    {'parameters': parameters.SecAggParameters(5, 4)},
    {'parameters': parameters.SecAggParameters(5, 3, malicious=True)},
    {'layout': wider},
    {'layout': longer},
  ]
  digests = {dataclasses.replace(BASE, **c).digest for c in changes}
  assert len(digests) == len(changes)
  assert {len(digest) for digest in digests} == {32}


def test_the_digest_is_a_function_of_the_description():
  assert dataclasses.replace(BASE).digest == BASE.digest


def test_ids_and_graphs_are_fresh():
  one, two = (session.open_session(CHOSEN, [8], [3]) for _ in range(2))
  assert one.session_id != two.session_id
  assert one.graph_seed != two.graph_seed


def test_phases_follow_the_variant():
  assert phases.Phase.CONSISTENCY not in BASE.phases
  malicious = parameters.SecAggParameters(5, 3, malicious=True)
  opened = session.open_session(malicious, [8], [3])
  assert phases.Phase.CONSISTENCY in opened.phases


@pytest.mark.parametrize('name', ['session_id', 'graph_seed'])
def test_ids_of_another_size_are_refused(name):
  with pytest.raises(errors.ParameterError, match=f'{name} of'):
    dataclasses.replace(BASE, **{name: b'x'})


@pytest.mark.parametrize('round_num', [-1, 2**64])
def test_rounds_out_of_range_are_refused(round_num):
  with pytest.raises(errors.ParameterError, match='round_num in'):
    dataclasses.replace(BASE, round_num=round_num)
