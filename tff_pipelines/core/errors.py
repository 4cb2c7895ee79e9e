"""The base of every error whose message is the whole explanation."""


class PipelineError(Exception):
  """A failure that is explained by its message: what, found what, do what.

  Task binaries print the message without a stack trace and exit with 2.
  Subclasses are named for the rule that was broken.
  """
