"""How counts are written in sentences."""


def counted(count: int, noun: str, nouns: str | None = None) -> str:
  """Writes how many there are: '1 client', '1,200 clients'.

  Args:
    count: How many.
    noun: What one of them is called.
    nouns: What several are called; an s is appended unless it is given.
  """
  return f'{count:,} {noun if count == 1 else nouns or noun + "s"}'


def people(count: int) -> str:
  """Writes '1 person', '1,200 people'."""
  return counted(count, 'person', 'people')
