"""The server's messages, each made when it is sent."""

from collections.abc import Callable, Collection, Iterator, Mapping

from tff_pipelines.secagg import messages


class Outbox(Mapping[int, messages.Message]):
  """A message for each of several clients, built at each access.

  The key lists and shares of a thousand clients are 150 MB together; made one
  by one they stay in the cache.
  Source: what the server sends in Bonawitz et al. 2017, figure 4.
  """

  def __init__(
    self,
    receivers: Collection[int],
    build: Callable[[int], messages.Message],
  ) -> None:
    self._receivers = dict.fromkeys(receivers)
    self._build = build

  def __getitem__(self, receiver: int) -> messages.Message:
    if receiver not in self._receivers:
      raise KeyError(receiver)
    return self._build(receiver)

  def __iter__(self) -> Iterator[int]:
    return iter(self._receivers)

  def __len__(self) -> int:
    return len(self._receivers)
