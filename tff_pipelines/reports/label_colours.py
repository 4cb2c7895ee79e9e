"""Colours of labels: none of them is the colour of a system."""

# Up to this many labels, shades of grey are told apart.
_GREYS = ('#4a4a4a', '#a8a8a8', '#d9d9d9', '#7c7c7c')

# Paul Tol's muted colours.
_COLOURS = (
  '#332288',
  '#88ccee',
  '#117733',
  '#ddcc77',
  '#cc6677',
  '#44aa99',
  '#882255',
  '#999933',
  '#aa4499',
)
_OTHERS = '#dddddd'

# Of more labels, the rarest are added up; together they have the last colour.
MOST_LABELS = len(_COLOURS)


def colours(num_labels: int) -> tuple[str, ...]:
  """Returns a colour for each of up to `MOST_LABELS + 1` labels.

  Without labels there is one colour, that of all examples.
  """
  if num_labels == 0:
    return ('#9a9a9a',)
  if num_labels <= len(_GREYS):
    return _GREYS[:num_labels]
  return (*_COLOURS, _OTHERS)[:num_labels]
