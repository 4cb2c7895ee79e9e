"""A session with random inputs: exact, and its costs by role and phase."""

import pytest

from tff_pipelines.secagg import (
  errors,
  expected_costs,
  layout,
  parameters,
  phases,
  random_sum,
)

Phase = phases.Phase


def run(chosen=None, **changes):
  given = {'length': 50, 'bits': 16, 'rates': {}, 'seed': 0} | changes
  return random_sum.run(
    chosen or parameters.derive_parameters(10, 0.3, 0.0), **given
  )


def test_a_sum_without_dropouts_is_exact_and_costs_the_formula():
  found = run()
  assert found.is_exact
  assert found.survivors == tuple(range(10))
  assert found.dropouts == {}
  assert found.modulus == 2**20
  assert found.clear_bytes == 100
  assert found.paper_bytes == expected_costs.paper_client_bytes(10, 50, 2**20)
  exact = [
    expected_costs.client_bytes(10, layout.Group(2**20, 50), client)
    for client in range(10)
  ]
  # Each of the seven means was rounded.
  assert found.client_bytes == pytest.approx(sum(exact) / 10, abs=3.5)


def test_rows_are_a_client_on_average_and_the_server_for_all():
  found = run()
  assert [(row.role, row.phase) for row in found.costs] == [
    (role, phase)
    for role in ('client', 'server')
    for phase in phases.phases_of(malicious=False)
  ]
  for client, server in zip(found.costs[:4], found.costs[4:], strict=True):
    assert server.received_bytes == pytest.approx(10 * client.sent_bytes, abs=5)
    assert server.sent_bytes == pytest.approx(10 * client.received_bytes, abs=5)
    assert client.seconds > 0 and server.seconds > 0


def test_a_clients_means_are_over_those_that_answered():
  # With 40 clients each leaves before `mask` with probability 0.3.
  chosen = parameters.derive_parameters(40, 0.6, 0.0)
  found = run(chosen, rates={Phase.MASK: 0.3}, seed=1)
  assert 0 < len(found.dropouts) < 24
  assert len(found.survivors) == 40 - len(found.dropouts)
  assert found.is_exact
  advertise, _, mask, _ = found.costs[:4]
  assert advertise.sent_bytes == 109
  server_mask = found.costs[6]
  assert server_mask.received_bytes == pytest.approx(
    mask.sent_bytes * len(found.survivors), abs=len(found.survivors)
  )


def test_the_malicious_variant_has_a_phase_more():
  chosen = parameters.derive_parameters(5, 0.0, 0.0, malicious=True)
  found = run(chosen)
  assert found.is_exact
  assert len(found.costs) == 10


def test_the_paper_counts_neighbours_in_the_sparse_graph():
  chosen = parameters.derive_parameters(200, 0.05, 0.0, 'sparse')
  found = run(chosen, length=3)
  assert found.is_exact
  assert found.paper_bytes == expected_costs.paper_client_bytes(
    chosen.degree + 1, 3, found.modulus
  )


@pytest.mark.parametrize('bits', [1, 32, 33, 58])
def test_sums_of_any_bits_are_exact(bits):
  assert run(bits=bits).is_exact


@pytest.mark.parametrize(
  'changes, told',
  [
    ({'bits': 59}, 'sum of 63 bits; take between 1 and 58 bits'),
    ({'bits': 0}, 'found 50 entries of 0 bits'),
    ({'length': 0}, 'found 0 entries'),
  ],
)
def test_inputs_that_do_not_fit_are_told(changes, told):
  with pytest.raises(errors.InputError, match=told):
    run(**changes)


def test_too_many_dropouts_give_no_sum():
  with pytest.raises(errors.BelowThresholdError, match='in the phase share'):
    run(rates={Phase.SHARE: 0.999})
