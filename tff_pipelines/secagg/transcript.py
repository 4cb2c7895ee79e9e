"""Everything that passes between the clients and the server."""

from collections.abc import Iterator
import dataclasses

from tff_pipelines.secagg import errors, messages

SERVER = -1


@dataclasses.dataclass(frozen=True)
class Envelope:
  """Bytes on their way (the channels of Bonawitz et al. 2017, section 2).

  Attributes:
    sender: A client, or SERVER.
    receiver: A client, or SERVER.
    payload: The canonical encoding of a message, unless it was tampered with.
  """

  sender: int
  receiver: int
  payload: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Refusal:
  """A message that its receiver refused, or that made it leave.

  Source: the aborts of Bonawitz et al. 2017, figure 4.

  Attributes:
    envelope: The message.
    error: Why; an `AbortError` if the receiver left.
  """

  envelope: Envelope
  error: errors.SecAggError


@dataclasses.dataclass
class Transcript:
  """The envelopes of a session in the order of their delivery.

  What a server could see, and what is said about it in Bonawitz et al. 2017,
  section 6, can be checked here.
  """

  envelopes: list[Envelope] = dataclasses.field(default_factory=list)

  def messages(self) -> Iterator[messages.Message]:
    """Yields the messages that can be decoded."""
    for envelope in self.envelopes:
      try:
        yield messages.decode(envelope.payload)
      except errors.MalformedMessageError:
        continue
