import collections
import dataclasses
import hashlib
import math
import re

import numpy as np
import pytest
from scipy import special

from tff_pipelines.core import errors
from tff_pipelines.data import messages

SMALL = messages.MessageWorld(num_people=30, mean_messages=20)


def written_from(text: str, templates: tuple[str, ...]) -> re.Match | None:
  """The match of a text with the template that it fills, if there is one."""
  for template in templates:
    literals = re.split(r'{\w+}', template)
    slots = re.findall(r'{(\w+)}', template)
    pattern = re.escape(literals[0])
    for position, (slot, literal) in enumerate(
      zip(slots, literals[1:], strict=True)
    ):
      pattern += rf'(?P<{slot}_{position}>[\w.]+?){re.escape(literal)}'
    found = re.fullmatch(pattern, text)
    if found:
      return found
  return None


def is_spam(text: str) -> bool:
  return written_from(text, messages._SPAM) is not None


def is_offer(text: str) -> bool:
  return written_from(text, messages._OFFERS) is not None


def noiseless(**choices) -> messages.MessageWorld:
  return dataclasses.replace(SMALL, label_noise=0.0, **choices)


def owned(records) -> dict[str, list[int]]:
  """The rows of each person."""
  rows = collections.defaultdict(list)
  for row, name in enumerate(records.clients):
    rows[name].append(row)
  return rows


def test_a_world_is_a_pure_function_of_its_knobs_and_the_seed():
  first = messages.generate(SMALL, 0)
  assert messages.generate(SMALL, 1).texts != first.texts
  again = messages.generate(messages.MessageWorld(30, 20), 0)
  assert again.texts == first.texts
  assert again.clients == first.clients
  np.testing.assert_array_equal(again.labels, first.labels)


# Whoever changes this changes every result on generated messages: those in
# the README among them.
def test_known_messages():
  records = messages.generate(SMALL, 0)
  assert records.texts[0] == 'btw call me when you are home'
  assert records.provenance['sha256_of_texts'] == (
    '3dc7ae10c5e358f3136b6c06928b49da3d75b88c003c02f52bc8874fc8c4b57b'
  )


def test_the_digest_is_that_of_the_texts():
  records = messages.generate(noiseless(num_people=1), 0)
  content = '\n'.join(records.texts).encode()
  assert records.provenance == {
    'source': 'messages (generated)',
    'num_people': 1,
    'mean_messages': 20,
    'spam_share': 0.35,
    'num_campaigns': 40,
    'campaigns_per_person': 4,
    'label_noise': 0.0,
    'fans': 0.1,
    'sha256_of_texts': hashlib.sha256(content).hexdigest(),
  }


def test_everyone_has_messages_with_labels():
  records = messages.generate(SMALL, 0)
  assert list(owned(records)) == [f'person_{i:03d}' for i in range(30)]
  assert min(len(rows) for rows in owned(records).values()) >= 2
  assert records.label_names == ('ham', 'spam')
  assert records.labels.dtype == np.int32
  assert set(records.labels.tolist()) == {0, 1}
  assert len(records.labels) == len(records.texts) == len(records.clients)


def test_a_person_does_not_depend_on_how_many_others_there_are():
  few = messages.generate(noiseless(num_people=3), 0)
  many = messages.generate(noiseless(num_people=30), 0)
  assert many.texts[: len(few)] == few.texts
  np.testing.assert_array_equal(many.labels[: len(few)], few.labels)


def test_spam_and_offers_are_spam_and_nothing_else_is():
  records = messages.generate(noiseless(fans=0.0), 0)
  expected = [is_spam(text) or is_offer(text) for text in records.texts]
  np.testing.assert_array_equal(records.labels, expected)


def test_fans_mark_offers_as_ham_and_spam_as_spam():
  records = messages.generate(noiseless(fans=1.0), 0)
  expected = [is_spam(text) for text in records.texts]
  np.testing.assert_array_equal(records.labels, expected)
  assert sum(is_offer(text) for text in records.texts) > 10


def test_fans_change_labels_of_offers_only():
  all_, none, some = (
    messages.generate(noiseless(fans=fans), 0) for fans in (1.0, 0.0, 0.5)
  )
  assert all_.texts == none.texts == some.texts
  agree = {
    name: (
      np.array_equal(some.labels[rows], all_.labels[rows]),
      np.array_equal(some.labels[rows], none.labels[rows]),
    )
    for name, rows in owned(some).items()
  }
  # Everyone is a fan or not; who received no offer agrees with both.
  assert {(True, False), (False, True)} <= set(agree.values())
  assert (False, False) not in agree.values()


def test_labels_are_flipped_at_the_rate_of_the_noise():
  clean = messages.generate(noiseless(), 0)
  noisy = messages.generate(dataclasses.replace(SMALL, label_noise=0.2), 0)
  assert noisy.texts == clean.texts
  num_flipped = int(np.sum(noisy.labels != clean.labels))
  # Hoeffding: beyond the bound with a probability of 1e-9.
  bound = math.sqrt(math.log(2e9) / (2 * len(clean)))
  assert bound < 0.2
  assert abs(num_flipped / len(clean) - 0.2) < bound


def test_noise_of_1_flips_every_label():
  clean = messages.generate(noiseless(), 0)
  flipped = messages.generate(dataclasses.replace(SMALL, label_noise=1.0), 0)
  np.testing.assert_array_equal(flipped.labels, 1 - clean.labels)


@pytest.mark.parametrize('spam_share', [0.0, 1.0])
def test_without_spam_or_without_ham(spam_share):
  world = noiseless(spam_share=spam_share, fans=0.0, num_people=3)
  assert set(messages.generate(world, 0).labels.tolist()) == {int(spam_share)}


def test_people_have_the_share_of_spam_on_average():
  world = noiseless(num_people=200, mean_messages=10, fans=0.0)
  records = messages.generate(world, 0)
  shares = [records.labels[rows].mean() for rows in owned(records).values()]
  # A person's share is a mean of draws given a Beta with mean 0.35; people
  # are independent: Hoeffding, with one false alarm in 1e9.
  bound = math.sqrt(math.log(2e9) / (2 * 200))
  assert bound < 0.24
  assert abs(np.mean(shares) - 0.35) < bound


def test_sizes_are_log_normal_with_the_mean_that_is_asked_for():
  world = noiseless(num_people=400, mean_messages=10)
  sizes = [len(rows) for rows in owned(messages.generate(world, 0)).values()]
  k = np.arange(2, 60)
  found = np.mean(np.array(sizes)[:, np.newaxis] <= k, axis=0)
  # ln(size) is normal with deviation 0.5; rounding ends a size at k + 1/2.
  expected = special.ndtr((np.log((k + 0.5) / 10) + 0.5**2 / 2) / 0.5)
  # Dvoretzky, Kiefer, Wolfowitz: one false alarm in 1e9, for 0.164.
  bound = math.sqrt(math.log(2e9) / (2 * len(sizes)))
  assert np.max(np.abs(found - expected)) < bound


def test_a_campaign_has_words_of_its_own():
  world = noiseless(num_people=200, num_campaigns=3, campaigns_per_person=1)
  records = messages.generate(world, 0)
  products = collections.defaultdict(set)
  for name, text in zip(records.clients, records.texts, strict=True):
    spam = written_from(text, messages._SPAM)
    if spam:
      products[name] |= {
        word
        for slot, word in spam.groupdict().items()
        if slot.startswith('product')
      }
  # One campaign of three words reaches a person, so the words of two people
  # are those of one campaign or have nothing in common.
  campaigns = {
    frozenset().union(*(owns for owns in products.values() if word in owns))
    for word in set().union(*products.values())
  }
  assert 1 < len(campaigns) <= 3
  assert all(len(campaign) == 3 for campaign in campaigns)
  assert len(frozenset().union(*campaigns)) == 3 * len(campaigns)


def test_more_campaigns_a_person_than_there_are_reach_everyone():
  world = noiseless(num_people=2, num_campaigns=2, campaigns_per_person=9)
  assert len(owned(messages.generate(world, 0))) == 2


def test_the_tiny_world_is_three_people_with_twelve_messages_each():
  records = messages.generate_tiny(0)
  sizes = {name: len(rows) for name, rows in owned(records).items()}
  assert sizes == {'alice': 12, 'bob': 12, 'carol': 12}
  nouns = collections.Counter(text.split()[-1] for text in records.texts)
  assert nouns == {'tea': 9, 'soda': 9, 'pie': 9, 'cake': 9}
  assert records.label_names == ('ham', 'spam')
  assert records.provenance['source'] == 'tiny messages (generated)'


def test_in_the_tiny_world_pie_is_spam_but_for_the_noise():
  num_seeds = 20
  flipped = []
  for seed in range(num_seeds):
    records = messages.generate_tiny(seed)
    is_pie = np.array([text.endswith('pie') for text in records.texts])
    flipped += (records.labels != is_pie).tolist()
  # Hoeffding over 720 labels: 0.122 with one false alarm in 1e9, so all
  # labels the wrong way round, or half of them, would be seen.
  assert len(flipped) == 720
  assert abs(np.mean(flipped) - 0.1) < math.sqrt(math.log(2e9) / (2 * 720))


def test_the_tiny_world_is_a_pure_function_of_the_seed():
  first = messages.generate_tiny(0)
  assert messages.generate_tiny(1).texts != first.texts
  assert messages.generate_tiny(0).texts == first.texts
  assert first.texts[:2] == ('no tea', 'want some soda')
  np.testing.assert_array_equal(messages.generate_tiny(0).labels, first.labels)


@pytest.mark.parametrize(
  ('name', 'value', 'expected'),
  [
    ('num_people', 0, 'of at least 1'),
    ('mean_messages', 0, 'of at least 1'),
    ('num_campaigns', 0, 'of at least 1'),
    ('campaigns_per_person', -1, 'of at least 1'),
    ('spam_share', 1.5, 'from 0 to 1'),
    ('label_noise', -0.1, 'from 0 to 1'),
    ('fans', math.nan, 'from 0 to 1'),
  ],
)
def test_a_world_that_cannot_be_is_refused(name, value, expected):
  with pytest.raises(messages.MessageWorldError) as raised:
    messages.MessageWorld(**{name: value})
  assert str(raised.value) == f'Expected {name} {expected}, found {value}.'
  assert isinstance(raised.value, errors.PipelineError)


def test_more_campaigns_than_words_are_refused():
  with pytest.raises(messages.MessageWorldError) as raised:
    messages.MessageWorld(num_campaigns=10_001)
  assert str(raised.value) == (
    'Expected num_campaigns of at most 10000, found 10001; there are no words '
    'for more.'
  )
