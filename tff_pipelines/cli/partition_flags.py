"""Flags of how examples that belong to nobody are dealt to clients."""

from collections.abc import Mapping
from typing import Any, get_args

from tff_pipelines.cli import flag_groups
from tff_pipelines.data import partitioners

_SCHEMES = get_args(partitioners.Scheme)
_WORDS = {
  'iid': 'evenly',
  'dirichlet': 'by a skewed share of each label',
  'shards': 'sorted by label and cut into shards',
  'k_labels': 'so many labels a client',
  'class_share': 'so large a share of one label a client, in turn',
  'log_normal': 'sizes of a log-normal distribution',
  'power_law': 'sizes of a power law',
}


class PartitionFlags:
  """`--num_clients`, `--partition` and the parameters of each scheme.

  In the group of a data set.
  """

  def __init__(
    self,
    group: flag_groups.FlagGroup,
    *,
    what: str,
    scheme: partitioners.Scheme,
    num_clients: int,
    natural: Mapping[str, str] | None = None,
    only_with: tuple[str, tuple[Any, ...]] | None = None,
  ):
    """Declares the flags.

    Args:
      group: The group that they belong to.
      what: What is dealt, in the plural.
      scheme: How, if the flags do not say.
      num_clients: To how many, if the flags do not say.
      natural: Further choices, by which nothing is dealt, and what they mean.
      only_with: The flag and its values with which anything is dealt at all.
    """
    natural = natural or {}
    words = {**_WORDS, **natural}
    self._scheme = group.define(
      'partition',
      scheme,
      f'who holds which {what}: '
      + '; '.join(f'{name}: {meaning}' for name, meaning in words.items()),
      choices=tuple(words),
      only_with=only_with,
    )
    self.when_dealt = ('partition', _SCHEMES) if natural else only_with
    self._num_clients = group.define(
      'num_clients',
      num_clients,
      f'clients to deal the {what} to',
      only_with=self.when_dealt,
    )

    def parameter(name: str, default: Any, text: str, scheme: str) -> Any:
      return group.define(
        name, default, text, only_with=('partition', (scheme,))
      )

    # By the names of the partitioner.
    self._parameters = {
      'alpha': parameter(
        'dirichlet_alpha', 0.3, 'small is more uneven', 'dirichlet'
      ),
      'shards_per_client': parameter(
        'shards_per_client',
        2,
        'so that a client has about so many labels',
        'shards',
      ),
      'labels_per_client': parameter(
        'labels_per_client', 1, 'labels that a client has', 'k_labels'
      ),
      'class_share': parameter(
        'class_share',
        0.9,
        "share of a client's examples that has its own label; 1 is all",
        'class_share',
      ),
      'sigma': parameter(
        'log_normal_sigma', 1.0, 'spread of the sizes', 'log_normal'
      ),
      'exponent': parameter(
        'power_law_exponent', 1.5, 'small is more uneven', 'power_law'
      ),
    }

  @property
  def name(self) -> str:
    """How clients come about."""
    return self._scheme.value

  def get(self) -> partitioners.Partitioner | None:
    """Returns what deals the examples; None where clients are natural.

    Raises:
      PartitionError: If there is no such partition.
    """
    scheme = self._scheme.value
    if scheme not in _SCHEMES:
      return None
    return partitioners.Partitioner(
      self._num_clients.value,
      scheme,
      **{name: flag.value for name, flag in self._parameters.items()},
    )
