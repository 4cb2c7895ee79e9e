"""What suggestions.json says, as a keyboard's bar."""

import re

import pytest

from tff_pipelines.reports import page, run_reader, suggestions

pytestmark = pytest.mark.filterwarnings('error')


def _html(content):
  return suggestions.suggestions_html(suggestions.parse(content), {})


def _of(*pairs):
  return {'prompts': [{'text': 'a', 'suggestions': {'x': list(pairs)}}]}


def test_a_bar_for_every_prompt_and_system(write_run):
  content = _html(write_run.suggestions_of())
  assert content.count('class="keyboard"') == 2
  assert re.findall('class="system"><bdi>(.*?)<', content) == [
    'federated', 'trigram', 'how do i',
  ]  # fmt: skip
  first = content[content.index('<ol>') : content.index('</ol>')]
  chips = re.findall(
    r'<li><bdi>(.*?)</bdi><small>(.*?)</small><i style="width: (.*?)%">', first
  )
  # For reading, the likeliest comes first; the style puts it in the middle.
  assert chips == [
    ('get', '25.0 %', '25.0'),
    ('how do i', '12.5 %', '12.5'),
    ('put', '6.2 %', '6.2'),
  ]


def test_the_cursor_stands_where_the_text_ends():
  content = _html({'prompts': [{'text': 'שלום', 'suggestions': {}}]})
  assert (
    '<p class="typed" dir="auto">שלום <span class="cursor"></span></p>'
    in content
  )


def test_a_keyboard_has_three_words():
  prompts = suggestions.parse(_of(['a', 0.4], ['b', 0.3], ['c', 0.2], ['d', 0]))
  assert [each.word for each in prompts[0].by_system['x']] == ['a', 'b', 'c']


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    ({}, "KeyError 'prompts'; let the run write it again"),
    ({'prompts': [{'text': 'a'}]}, "KeyError 'suggestions'"),
    ({'prompts': [{'text': 3, 'suggestions': {}}]}, '3 is no text'),
    ({'prompts': [{'text': 'a', 'suggestions': ['b']}]}, 'AttributeError'),
    (
      {'prompts': [{'text': 'a', 'suggestions': {'x': {'b': 1}}}]},
      'is no list of suggestions',
    ),
    (_of(['a', 0.1, 2]), 'ValueError too many values'),
    (_of(['a', '0.1']), "TypeError probability '0.1' of 'a'"),
    (_of(['a', float('nan')]), 'ValueError probability nan'),
    (_of(['a', 1.5]), r'ValueError probability 1\.5'),
    (_of([7, 0.5]), 'TypeError 7 is no text'),
    (_of(['a', 0.1], ['b', 0.2]), 'do not begin with the likeliest'),
  ],
)
def test_what_is_malformed_is_said_in_a_sentence(write_run, content, message):
  run_dir = write_run(suggestions=content)
  with pytest.raises(
    run_reader.BrokenRunFileError,
    match=rf'suggestions\.json: Expected prompts, .*{message}',
  ):
    run_reader.read(run_dir)


def test_the_page_has_the_section_only_with_suggestions(
  write_run, text_of_everything
):
  title = '<h2>What the keyboard suggests</h2>'
  assert title in text_of_everything
  # In the colour that the system has in all figures.
  assert 'style="--look: #0072b2"' in text_of_everything
  assert title not in page.write(write_run(), dpi=20).read_text()
