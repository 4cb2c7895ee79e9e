import collections
import dataclasses
import hashlib
import re

import numpy as np
import pytest

from tff_pipelines.core import errors
from tff_pipelines.data import dialects

SMALL = dialects.DialectWorld(num_people=40, median_sentences=30)


@pytest.fixture(scope='module')
def typed():
  return dialects.generate(SMALL, 0)


def words_of(text: str) -> list[str]:
  return re.findall(r'\w+', text)


def by_person(typed) -> dict[str, list[str]]:
  texts = collections.defaultdict(list)
  for text, client in zip(typed.texts, typed.clients, strict=True):
    texts[client].append(text)
  return texts


def in_everyones_words(typed) -> list[str]:
  """The texts with each dialect's word put back into the grammar's."""
  back = {
    own: words[0]
    for words in dialects._SYNONYMS
    for own in words
    # Words that also are the grammar's own, for something else.
    if own not in ('so', 'very', 'break')
  }
  return [' '.join(back.get(w, w) for w in words_of(t)) for t in typed.texts]


def test_a_world_is_a_pure_function_of_its_knobs_and_the_seed(typed):
  again = dialects.generate(dialects.DialectWorld(40, 30), 0)
  assert again == typed
  assert dialects.generate(SMALL, 1).texts != typed.texts


# Whoever changes this changes every result on generated typing: those in the
# README among them.
def test_known_typing(typed):
  assert typed.texts[0] == (
    'both the notebook from alex and the pen are so great.'
  )
  assert typed.provenance['sha256_of_texts'] == (
    '1f7d2ca6357bc5efa03a945957796d884d00aa2cbd8e5193d56d0c23887ffd21'
  )


def test_the_digest_is_that_of_the_texts():
  world = dataclasses.replace(SMALL, num_people=1)
  typed = dialects.generate(world, 0)
  assert typed.provenance == {
    'source': 'dialects (generated)',
    **dataclasses.asdict(world),
    'sha256_of_texts': hashlib.sha256(
      '\n'.join(typed.texts).encode()
    ).hexdigest(),
  }


def test_a_person_does_not_depend_on_how_many_others_there_are(typed):
  few = dialects.generate(dataclasses.replace(SMALL, num_people=3), 0)
  assert typed.texts[: len(few.texts)] == few.texts


def test_everyone_writes_sentences_of_4_to_14_words(typed):
  sizes = [len(texts) for texts in by_person(typed).values()]
  assert list(by_person(typed)) == [f'person_{k:03d}' for k in range(40)]
  assert min(sizes) >= 4
  lengths = {len(words_of(text)) for text in typed.texts}
  assert lengths == set(range(4, 15))


def test_sizes_are_log_normal_around_the_median():
  world = dialects.DialectWorld(num_people=400, median_sentences=10, spread=0.5)
  sizes = [len(t) for t in by_person(dialects.generate(world, 0)).values()]
  # The median of 400 is off by more than 1.96 * 1.25 * 0.5 / 20 = 6 % of it
  # once in twenty seeds.
  assert 9 <= np.median(sizes) <= 11
  assert np.std(np.log(sizes)) == pytest.approx(0.5, rel=0.15)


def test_the_default_world_has_a_few_hundred_words():
  typed = dialects.generate(dialects.DialectWorld(num_people=100), 0)
  words = {word for text in typed.texts for word in words_of(text)}
  assert 300 <= len(words) <= 600
  assert all(re.fullmatch('[a-z]+', word) for word in words)


def test_nobody_writes_about_every_topic(typed):
  places = {p: t.name for t in dialects._TOPICS for p in t.places}
  # A dialect's word for the market is no place of this list: no matter.
  for texts in by_person(typed).values():
    topics = {places[w] for t in texts for w in words_of(t) if w in places}
    assert len(topics) <= 3
  everyone = {
    places[w] for t in typed.texts for w in words_of(t) if w in places
  }
  assert len(everyone) == 10


def test_who_brings_one_thing_leaves_its_partner(typed):
  partners = {}
  for topic in dialects._TOPICS:
    for a, b in topic.pairs:
      partners |= {a: b, b: a}
  found = [
    match
    for text in typed.texts
    if (match := re.search(r'bring the (\w+) .* bring the (\w+)', text))
  ]
  assert len(found) > 50
  assert all(partners[m[1]] == m[2] for m in found)


def test_nouns_agree_with_verbs_and_adjectives_past_a_clause(typed):
  nouns = {}
  for topic in dialects._TOPICS:
    for singular, plural, *adjectives in topic.nouns:
      nouns[singular] = ('was', adjectives)
      nouns[plural] = ('were', adjectives)
  found = [
    match
    for text in in_everyones_words(typed)
    if (
      match := re.search(
        r'the (\w+) that \w+ told me about (was|were) .*', text
      )
    )
  ]
  assert len(found) > 20
  for match in found:
    verb, adjectives = nouns[match[1]]
    assert match[2] == verb
    assert set(adjectives) & set(words_of(match[0]))


def test_relatives_agree_with_pronouns(typed):
  pronouns = dict(dialects._RELATIVES)
  found = [
    match
    for text in in_everyones_words(typed)
    if (match := re.search(r'my (\w+) .* because (\w+) (was|were)', text))
  ]
  assert len(found) > 20
  for match in found:
    assert match[2] == pronouns[match[1]]
    assert (match[3] == 'were') == (match[2] == 'they')


def test_either_is_followed_by_or_and_nothing_else_is(typed):
  texts = [words_of(text) for text in typed.texts]
  assert sum('either' in t for t in texts) > 20
  for text in texts:
    assert ('either' in text) == ('or' in text)
    assert ('neither' in text) == ('nor' in text)


def test_questions_and_nothing_else_end_in_a_question_mark(typed):
  starts = {t.split()[0] for t in dialects._QUESTIONS}
  share = np.mean([text.endswith('?') for text in typed.texts])
  # 1,500 sentences or so, 0.012 the standard deviation: 5 of them.
  assert share == pytest.approx(0.3, abs=0.06)
  for text in typed.texts:
    words = words_of(text)
    if words[0] in dialects._GREETINGS:
      words = words[1:]
    assert text.endswith('?') == (words[0] in starts)


def test_habit_makes_people_repeat_themselves():
  def share_of_best_friend(habit: float) -> float:
    world = dataclasses.replace(SMALL, habit=habit)
    shares = []
    for texts in by_person(dialects.generate(world, 0)).values():
      names = collections.Counter(
        w for t in texts for w in words_of(t) if w in dialects._FRIENDS
      )
      shares.append(max(names.values()) / names.total())
    return float(np.mean(shares))

  assert share_of_best_friend(1.0) == 1.0
  assert share_of_best_friend(0.5) > share_of_best_friend(0.0) + 0.15


def test_a_dialect_goes_through_all_that_a_person_writes(typed):
  """Who says mom says soccer more often than who says mum."""
  mum, mom = collections.Counter(), collections.Counter()
  for texts in by_person(
    dialects.generate(dataclasses.replace(SMALL, num_people=150), 0)
  ).values():
    words = {w for t in texts for w in words_of(t)}
    for own, counter in (('mum', mum), ('mom', mom)):
      if own in words:
        counter.update(words & {'mate', 'buddy'})
  assert mum['mate'] > 2 * mum['buddy']
  assert mom['buddy'] > 2 * mom['mate']


@pytest.mark.parametrize(
  ('knob', 'value', 'expected'),
  [
    ('num_people', 0, 'num_people of at least 1, found 0'),
    ('median_sentences', 0.5, 'median_sentences of at least 1, found 0.5'),
    ('topics_per_person', 0, 'topics_per_person of at least 1, found 0'),
    ('topics_per_person', 11, 'at most 10, found 11'),
    ('spread', -0.1, 'spread of at least 0, found -0.1'),
    ('habit', 1.5, 'habit from 0 to 1, found 1.5'),
  ],
)
def test_worlds_without_people_or_topics_are_refused(knob, value, expected):
  with pytest.raises(dialects.DialectWorldError, match=expected):
    dialects.DialectWorld(**{knob: value})
  assert issubclass(dialects.DialectWorldError, errors.PipelineError)
