"""scipy 1.9 calls a function that numpy 1.25 deprecates, for every cdf."""

from collections.abc import Iterator
import contextlib
import warnings


@contextlib.contextmanager
def silenced() -> Iterator[None]:
  """Hides that one warning, which is scipy's to mend; use as a decorator."""
  with warnings.catch_warnings():
    warnings.filterwarnings(
      'ignore', message='np.find_common_type', category=DeprecationWarning
    )
    yield
