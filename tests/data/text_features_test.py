import itertools
import json
import math
import unicodedata

import numpy as np
import pytest
import tensorflow as tf

from tests import slow_cases
from tff_pipelines.core import errors
from tff_pipelines.data import text_features

HASHED = text_features.TextFeatures()
# Chosen to run into everything that treats texts of one kind apart.
TEXTS = (
  '',
  'free',
  'WIN £500 now!! Call 0800 123456 or WWW.prize.com',
  "Don't  be\tLATE\nfor  tea ;-)",
  'ÉTÉ été 5€ 🍵🍵 СРОЧНО ١٢٣',
  'tea ' * 300,
)


def features_of(texts, features=HASHED) -> tuple[np.ndarray, np.ndarray]:
  found = features(tf.constant(texts, tf.string))
  return found['ids'].numpy(), found['weights'].numpy()


def ids_of(text: str, features=HASHED) -> set[int]:
  ids, _ = features_of([text], features)
  return set(ids[0].tolist()) - {0}


def hashes(*names: str, num_buckets: int = 2**14) -> set[int]:
  found = tf.strings.to_hash_bucket_fast(list(names), num_buckets)
  return set((1 + found.numpy()).tolist())


# Whoever changes these breaks every model that was ever exported.
@pytest.mark.parametrize(
  ('feature', 'expected'),
  [
    ('free', 9483),
    ('win', 15087),
    ('prize', 7102),
    ('call', 424),
    ('<capitals>', 13053),
    ('<length 0>', 8441),
  ],
)
def test_known_ids(feature, expected):
  text = {'<capitals>': 'XX', '<length 0>': ''}.get(feature, feature)
  assert expected in ids_of(text)
  assert hashes(feature) == {expected}


def test_all_features_of_a_text_by_hand():
  # '<length 0>' for below 20 characters, then as the docstring lists them.
  assert ids_of('WIN 500 now!!') == hashes(
    '<length 0>', '<number 3>', '<capitals>', 'win', '500', 'now', '!!',
    'win <number 3>', '<number 3> now', 'now !!',
  )  # fmt: skip


def test_without_pairs_there_are_none():
  features = text_features.TextFeatures(pairs=False)
  assert ids_of('win 5', features) == hashes(
    '<length 0>', '<number 1>', 'win', '5'
  )


@pytest.mark.parametrize(
  ('number', 'mark'),
  [
    ('7', '<number 1>'),
    ('12345678901', '<number 11>'),
    ('123456789012', '<number 12>'),
    ('1234567890123', '<number 12>'),
    ('١٢٣', '<number 3>'),
  ],
)
def test_a_number_is_marked_with_its_number_of_digits(number, mark):
  assert ids_of(number) == hashes('<length 0>', mark, number)


def test_numbers_of_the_same_length_make_the_same_pairs():
  assert hashes('call <number 3>') <= ids_of('call 123') & ids_of('call 987')


@pytest.mark.parametrize(
  ('text', 'count'),
  [
    ('WIN a PRIZE NOW', 3),
    ('I win', 0),
    ('Win', 0),
    ('iPHONE PHONEs', 0),
    ('WIN!!PRIZE', 2),
    ("DON'T I'LL", 2),
    ('WIN2 A_B', 0),
    ('СРОЧНО ÄÖ ΣΩΣ', 3),
    ('FREEé éFREE', 0),
  ],
)
def test_each_word_in_capitals_is_marked(text, count):
  ids, weights = features_of(
    [text], text_features.TextFeatures(weighting='count')
  )
  (mark,) = hashes('<capitals>')
  (once,) = hashes('<length 0>')  # Every text has one length.
  found = weights[0][ids[0] == mark].sum() / weights[0][ids[0] == once].sum()
  assert found == pytest.approx(count)


@pytest.mark.parametrize(
  ('text', 'mark'),
  [
    ('x' * 19, '<length 0>'),
    ('x' * 20, '<length 1>'),
    ('é' * 19, '<length 0>'),  # 38 bytes.
    ('x' * 100, '<length 5>'),
  ],
)
def test_the_length_is_marked_in_twenties_of_characters(text, mark):
  assert ids_of(text) == hashes(mark, text)


def test_case_is_no_feature_of_a_word():
  assert hashes('été', 'срочно') <= ids_of('ÉTÉ') | ids_of('Срочно')


def token_kind(character: str) -> str:
  kind = unicodedata.category(character)[0]
  if character.isspace():
    return 'space'
  if kind == 'L' or character == "'":
    return 'letter'
  return {'N': 'number'}.get(kind, 'mark' if character in '!?' else 'sign')


def test_tokens_by_brute_force():
  alphabet = list("aBé'ЖΩ日0٣½!?.,£_-🍵\u0301 \t\n")
  rng = np.random.default_rng(0)
  texts = [''.join(rng.choice(alphabet, 40)) for _ in range(200)]
  expected = []
  for text in texts:
    tokens = []
    for kind, run in itertools.groupby(text.lower(), token_kind):
      if kind == 'sign':
        tokens += run
      elif kind != 'space':
        tokens.append(''.join(run))
    expected.append(tokens)
  found = text_features.tokenize(tf.constant(texts)).to_list()
  assert [[t.decode() for t in tokens] for tokens in found] == expected


def test_tokens_of_nothing():
  found = text_features.tokenize(tf.constant([], tf.string))
  assert found.to_list() == []
  found = text_features.tokenize(tf.constant(['', ' \n']))
  assert found.to_list() == [[], []]


def test_the_empty_text_has_only_a_length():
  ids, weights = features_of([''])
  assert set(ids[0].tolist()) == {0} | hashes('<length 0>')
  assert weights.sum() == 1


def test_a_text_of_unknown_words_is_all_zero():
  features = text_features.TextFeatures(vocabulary=('tea',), max_features=3)
  ids, weights = features_of(['', 'soda pie'], features)
  np.testing.assert_array_equal(ids, np.zeros([2, 3]))
  np.testing.assert_array_equal(weights, np.zeros([2, 3]))


def words(**choices) -> text_features.TextFeatures:
  """Features of the words a, b and c, whose ids are 1, 2 and 3."""
  return text_features.TextFeatures(
    vocabulary=('b', 'a', 'c'), **({'max_features': 6} | choices)
  )


def bags(texts, features) -> list[dict[int, float]]:
  """For each text its ids and weights, padding left out."""
  ids, weights = features_of(texts, features)
  assert np.all((ids > 0) == (weights > 0))
  return [
    {int(i): float(w) for i, w in zip(*row, strict=True) if i}
    for row in zip(ids, weights, strict=True)
  ]


def test_a_known_word_is_its_position_in_the_sorted_vocabulary():
  assert [set(b) for b in bags(['a', 'B', 'c', 'c x a'], words())] == [
    {1},
    {2},
    {3},
    {1, 3},
  ]
  assert words().num_ids == 4


def test_the_order_of_the_vocabulary_does_not_matter():
  vocabulary = [f'word{"x" * i}' for i in range(50)]
  texts = [' '.join(vocabulary[i::7]) for i in range(7)]
  one = text_features.TextFeatures(vocabulary=tuple(vocabulary))
  other = text_features.TextFeatures(vocabulary=tuple(vocabulary[::-1]))
  assert bags(texts, one) == bags(texts, other)
  assert sum(len(bag) for bag in bags(texts, one)) == 50


@pytest.mark.parametrize(
  ('weighting', 'weights'),
  [
    ('binary', (1, 1)),
    ('count', (3, 1)),
    ('log', (1 + math.log(3), 1)),
  ],
)
def test_weights_by_hand(weighting, weights):
  (bag,) = bags(['a b a a'], words(weighting=weighting))
  norm = math.hypot(*weights)
  assert bag == {
    1: pytest.approx(weights[0] / norm, rel=1e-6),
    2: pytest.approx(weights[1] / norm, rel=1e-6),
  }


@pytest.mark.parametrize('weighting', ['binary', 'log', 'count'])
def test_weights_have_norm_1(weighting):
  _, weights = features_of(
    TEXTS, text_features.TextFeatures(weighting=weighting)
  )
  np.testing.assert_allclose(np.linalg.norm(weights, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize('weighting', ['binary', 'log', 'count'])
def test_ids_are_distinct_and_zero_with_their_weights(weighting):
  ids, weights = features_of(
    TEXTS, text_features.TextFeatures(weighting=weighting)
  )
  assert ids.shape == weights.shape == (6, 160)
  assert (ids.dtype, weights.dtype) == (np.int32, np.float32)
  np.testing.assert_array_equal(ids == 0, weights == 0)
  for row in ids:
    present = row[row > 0].tolist()
    assert len(present) == len(set(present))


def test_ids_stay_within_the_buckets():
  features = text_features.TextFeatures(num_buckets=2)
  ids, _ = features_of(TEXTS, features)
  assert set(ids.ravel().tolist()) == {0, 1, 2}
  assert features.num_ids == 3


def test_later_features_are_cut_off():
  assert [set(b) for b in bags(['a b c', 'c b a'], words(max_features=2))] == [
    {1, 2},
    {2, 3},
  ]


def test_a_repeated_word_takes_room_again():
  assert [set(b) for b in bags(['a a b'], words(max_features=2))] == [{1}]


def test_unknown_words_take_no_room():
  assert [set(b) for b in bags(['x y z a b'], words(max_features=2))] == [
    {1, 2}
  ]


def test_pairs_are_cut_first():
  # A length, two words, one pair.
  features = text_features.TextFeatures(max_features=3)
  assert ids_of('see you', features) == hashes('<length 0>', 'see', 'you')


@pytest.mark.parametrize(('max_features', 'num_cut'), [(1, 3), (2, 1), (3, 0)])
def test_count_cut_by_hand(max_features, num_cut):
  texts = ['a x x x', 'a b', 'c c', 'a b c', 'x y z']
  assert words(max_features=max_features).count_cut(texts) == num_cut


def test_count_cut_is_the_number_of_texts_that_more_room_would_change():
  texts = [' '.join('abcx'[: i % 5] * (i % 3)) for i in range(600)]
  features = words(max_features=4, weighting='count')
  roomy = words(max_features=8, weighting='count')
  changed = [
    one != other
    for one, other in zip(
      bags(texts, features), bags(texts, roomy), strict=True
    )
  ]
  assert 0 < sum(changed) < 600
  assert features.count_cut(texts) == sum(changed)


@pytest.mark.parametrize(
  'features',
  [
    slow_cases.slow(HASHED),
    slow_cases.slow(text_features.TextFeatures(pairs=False, weighting='count')),
    words(weighting='log'),
  ],
  ids=['hashed', 'hashed counts', 'vocabulary'],
)
def test_eager_graph_and_portions_compute_the_same(features):
  texts = (TEXTS * 90)[:520]  # More than one portion.
  portions = features.compute(texts)
  eager = features_of(texts, features)
  traced = tf.function(features)(tf.constant(texts))
  for other in (eager, (traced['ids'], traced['weights'])):
    np.testing.assert_array_equal(portions['ids'], other[0])
    np.testing.assert_allclose(portions['weights'], other[1], rtol=1e-6)
  assert list(portions) == ['ids', 'weights']


def test_features_depend_on_one_text_alone():
  together, _ = features_of(TEXTS)
  for text, row in zip(TEXTS, together, strict=True):
    np.testing.assert_array_equal(features_of([text])[0][0], row)


def test_no_texts_have_no_rows():
  ids, weights = features_of([])
  assert ids.shape == weights.shape == (0, 160)


@pytest.mark.parametrize(
  'features', [HASHED, words(weighting='log', pairs=False)]
)
def test_a_config_comes_back_from_json(features):
  config = json.loads(json.dumps(features.config()))
  assert text_features.TextFeatures.from_config(config) == features


@pytest.mark.parametrize(
  ('choices', 'message'),
  [
    (
      {'num_buckets': 1},
      'Expected at least 2 buckets and 1 feature a text, found 1 buckets and '
      '160 features.',
    ),
    (
      {'max_features': 0},
      'Expected at least 2 buckets and 1 feature a text, found 16384 buckets '
      'and 0 features.',
    ),
    (
      {'weighting': 'idf'},
      "Expected a weighting out of binary, log, count, found 'idf'.",
    ),
    (
      {'vocabulary': ()},
      'Expected a vocabulary of at least one word, found none.',
    ),
  ],
)
def test_what_makes_no_features_is_refused(choices, message):
  with pytest.raises(text_features.TextFeaturesError) as raised:
    text_features.TextFeatures(**choices)
  assert str(raised.value) == message
  assert isinstance(raised.value, errors.PipelineError)


CLIENTS = (
  ('Tea! tea, tea', 'pie'),
  ('tea pie', 'cake'),
  (),
  ('TEA', 'soda soda soda'),
)


@pytest.mark.parametrize(
  ('size', 'min_clients', 'expected'),
  [
    (10, 2, ('tea', 'pie')),
    (1, 2, ('tea',)),
    (10, 3, ('tea',)),
    # One client each: alphabetical, signs before letters.
    (10, 1, ('tea', 'pie', '!', ',', 'cake', 'soda')),
    (4, 1, ('tea', 'pie', '!', ',')),
  ],
)
def test_a_vocabulary_by_hand(size, min_clients, expected):
  assert text_features.count_vocabulary(CLIENTS, size, min_clients) == expected


def test_a_vocabulary_of_nothing_is_refused():
  with pytest.raises(text_features.TextFeaturesError) as raised:
    text_features.count_vocabulary([('tea',), ('pie',)], 10)
  assert str(raised.value) == (
    'Expected words that at least 2 clients use, found none; choose hashed '
    'features or fewer clients.'
  )


class TestNames:
  def test_of_hashed_features_lead_back_to_their_ids(self):
    texts = ('tea now', 'tea tea', 'free prize 42')
    names = HASHED.names(texts)
    for word in ('tea', 'now', 'free', 'prize', 'tea now', '<number 2>'):
      (feature,) = [i for i, known in names.items() if word in known]
      assert 0 < feature < HASHED.num_ids
    used = set(HASHED.compute(texts)['ids'].ravel().tolist()) - {0}
    assert set(names) == used

  def test_that_share_an_id_come_in_the_order_of_their_frequency(self):
    features = text_features.TextFeatures(num_buckets=2, pairs=False)
    names = features.names(['tea'] * 3 + ['tea now'] * 2 + ['free'])
    order = [w for w in ('tea', 'now', 'free') if w in names.get(1, ())]
    assert [w for w in names[1] if w in order] == order
    assert sum(len(known) for known in names.values()) == 4  # And a length.

  def test_of_a_vocabulary_are_its_words(self):
    features = text_features.TextFeatures(vocabulary=('tea', 'free'))
    names = features.names(['anything'])
    assert names == {1: ('free',), 2: ('tea',)}
    for feature, (word,) in names.items():
      assert features.compute([word])['ids'][0, 0] == feature
