"""Words for two labels; `tabular_test` shows them in a file."""

import pytest

from tff_pipelines.data import label_words, row_files

WORDS = label_words.LabelWords(
  ('Hot', ' 1', 'yes'), ('cold', '0'), 'hot_values', 'cold_values'
)


@pytest.mark.parametrize(
  ('value', 'meaning'),
  [
    ('hot', 1), (' HOT ', 1), (1, 1), (1.0, 1), ('1', 1), ('Cold', 0), (0, 0),
    (-0.0, 0), ('', None), ('1.0', None), (0.5, None), (True, None),
    (float('nan'), None),
  ],
)  # fmt: skip
def test_meanings(value, meaning):
  assert WORDS.meaning(value) is meaning


def test_the_complaint_names_the_flags_of_the_words():
  assert WORDS.complaint('value', 'warm') == (
    "expected 'value' to be one of 'cold', '0' or one of 'Hot', ' 1', 'yes', "
    "found 'warm'; correct it, or pass --cold_values and --hot_values"
  )


@pytest.mark.parametrize(
  ('positive', 'negative', 'message'),
  [
    (
      ('a',),
      (),
      'Expected at least one label each in --hot_values and --cold_values, '
      'found 1 and 0.',
    ),
    (
      ('a', 'B'),
      ('b ', 'c'),
      'Expected no label in both --hot_values and --cold_values, found '
      "'b' in both.",
    ),
  ],
)
def test_words_that_contradict_each_other_are_refused(
  positive, negative, message
):
  with pytest.raises(row_files.InvalidSourceError) as raised:
    label_words.LabelWords(positive, negative, 'hot_values', 'cold_values')
  assert str(raised.value) == message
