"""What goes wrong in a session, named for the rule that was broken.

Two families, because the receiver does different things: a refused message is
forgotten and the session goes on; an abort ends the party's part in it. No
message holds a secret: errors name phases, clients and counts only.

Source: the abort conditions of Bonawitz et al. 2017, "Practical Secure
Aggregation for Privacy-Preserving Machine Learning", figure 4.
"""

from tff_pipelines.core import errors


class SecAggError(errors.PipelineError):
  """The base of every error of secure aggregation (Bonawitz et al. 2017)."""


class ParameterError(SecAggError):
  """Parameters that are impossible or unsafe (Bonawitz et al. 2017, sec. 6)."""


class InputError(SecAggError):
  """Input vectors outside of Z_m or of different lengths (Bonawitz, fig. 4)."""


class RefusedMessageError(SecAggError):
  """A message that is forgotten: the receiver's state is what it was.

  Source: Bonawitz et al. 2017, figure 4: parties wait for the right message.
  """


class MalformedMessageError(RefusedMessageError):
  """Bytes that are not the canonical encoding of any message (ours)."""


class WrongSessionError(RefusedMessageError):
  """A message of another session or round: a replay (Bonawitz, sec. 6.2)."""


class UnexpectedMessageError(RefusedMessageError):
  """A message that the receiver's state does not accept (Bonawitz, fig. 4)."""


class LateMessageError(UnexpectedMessageError):
  """An answer to a phase that is over: its sender counts as dropped out."""


class DuplicateMessageError(RefusedMessageError):
  """A second answer of one client to one phase; the first one counts."""


class UnknownSenderError(RefusedMessageError):
  """A message from a client that this phase does not wait for."""


class ForgedMessageError(RefusedMessageError):
  """A message whose signature does not fit its sender (Bonawitz, fig. 4)."""


class AbortError(SecAggError):
  """The party has left the session for good and answers nothing more.

  Source: "otherwise abort" in Bonawitz et al. 2017, figure 4.
  """


class BelowThresholdError(AbortError):
  """Fewer clients than the threshold t are left (Bonawitz et al., fig. 4)."""


class InvalidKeyError(AbortError):
  """A public key that is repeated or of low order (Bonawitz, round 1)."""


class BadSignatureError(AbortError):
  """The server passed on a signature that is wrong (Bonawitz, fig. 4)."""


class TamperedCiphertextError(AbortError):
  """An encrypted share fails its authentication (Bonawitz, round 4)."""


class BothSharesRequestedError(AbortError):
  """The server asked for both secrets of one client (Bonawitz, sec. 4, 6)."""


class InconsistentSurvivorsError(AbortError):
  """The server named different sets of survivors (Bonawitz, round 3)."""


class WrongShareError(AbortError):
  """Shares that do not give back the secret that was shared.

  Deviation from Bonawitz et al. 2017, which has no such check: a wrong share
  would make a wrong sum.
  """
