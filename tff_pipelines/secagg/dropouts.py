"""Which clients disappear, and when."""

from collections.abc import Mapping

from tff_pipelines.core import seeds
from tff_pipelines.secagg import errors, phases


def draw_dropouts(
  num_clients: int,
  rates: Mapping[phases.Phase, float] | Mapping[str, float],
  seed: int,
) -> dict[int, phases.Phase]:
  """Draws the clients that disappear before their message of a phase.

  A pure function of its arguments. Each client that is still there leaves
  before its message of a phase with that phase's rate, independently.
  Source: the dropouts of Bonawitz et al. 2017, section 7.

  Args:
    num_clients: How many clients there are.
    rates: By phase, probabilities; phases left out have none.
    seed: The run's seed, or `seeds.derive(seed, 'dropouts', round_num)`.

  Returns:
    By client the phase; clients that stay are left out.

  Raises:
    ParameterError: If a phase is unknown or a rate not in [0, 1].
  """
  known = {checked_phase(phase): rate for phase, rate in rates.items()}
  for phase, rate in known.items():
    if not 0 <= rate <= 1:
      raise errors.ParameterError(
        f'Expected a dropout rate in [0, 1], found {rate} for the phase '
        f'{phase}.'
      )
  dropouts: dict[int, phases.Phase] = {}
  # One draw a client and phase, so that no rate changes another phase's draws.
  for phase in phases.Phase:
    draws = seeds.generator(seed, 'secagg dropouts', str(phase)).random(
      num_clients
    )
    for client in (draws < known.get(phase, 0.0)).nonzero()[0].tolist():
      dropouts.setdefault(client, phase)
  return dropouts


def checked_phase(phase: phases.Phase | str) -> phases.Phase:
  """Returns the phase of a name (Bonawitz et al. 2017, figure 4).

  Raises:
    ParameterError: If there is none.
  """
  try:
    return phases.Phase(phase)
  except ValueError as error:
    raise errors.ParameterError(
      f'Expected a phase out of {", ".join(phases.Phase)}, found {phase!r}.'
    ) from error
