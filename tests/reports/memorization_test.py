"""What memorization.json says, as sentences, a table and a picture."""

import math

import numpy as np
import pytest

from tff_pipelines.reports import (
  memorization_picture,
  memorization_record,
  memorization_section,
  page,
  run_reader,
)

pytestmark = pytest.mark.filterwarnings('error')


def _parsed(write_run):
  return memorization_record.parse(write_run.memorization_of())


def _system(**changes):
  secret = memorization_record.Secret('s', 1, 1, 3, 8.4)
  values = {
    'system': 'x', 'inserted': (secret,), 'controls': (),
    'p_value_inserted': 1e-4, 'p_value_control': None, 'epsilon': None,
    'delta': None,
  }  # fmt: skip
  return memorization_record.System(**(values | changes))


class TestRecord:
  def test_controls_are_those_that_nobody_typed(self, write_run):
    found = _parsed(write_run)
    assert found.most == 10.0
    open_model, private = found.systems
    assert [secret.rank for secret in open_model.inserted] == [16, 1]
    assert [secret.rank for secret in open_model.controls] == [512]
    assert [secret.times for secret in open_model.inserted] == [1, 20]
    assert (open_model.first, private.first) == (1, 0)
    assert memorization_record.median(open_model.inserted) == 8.0
    assert memorization_record.median(()) is None
    assert (open_model.epsilon, private.epsilon) == (None, 4.0)

  @pytest.mark.parametrize(
    ('change', 'message'),
    [
      ({'candidates': 1}, 'candidates 1, no whole number of at least 2'),
      ({'candidates': True}, 'candidates True, no whole number'),
      ({'candidates': 512}, 'rank 1024 of 512 candidates|exposure'),
      ({'systems': []}, 'ValueError no systems'),
      ({'systems': None}, 'TypeError'),
      ({'systems': [{'system': 'x'}]}, "KeyError 'secrets'"),
      ({'systems': [{'system': 'x', 'secrets': []}]}, "no secrets of 'x'"),
    ],
  )
  def test_what_is_malformed_is_said_in_a_sentence(
    self, write_run, change, message
  ):
    run_dir = write_run(memorization=write_run.memorization_of() | change)
    with pytest.raises(
      run_reader.BrokenRunFileError,
      match=rf'memorization\.json: Expected the number of .*({message})',
    ):
      run_reader.read(run_dir)

  @pytest.mark.parametrize(
    ('change', 'message'),
    [
      ({'rank': 0}, 'rank 0, no whole number of at least 1'),
      ({'rank': 1.5}, r'rank 1\.5, no whole number'),
      ({'clients': 0}, '0 clients with 1 copies each'),
      ({'clients': -1}, 'clients -1'),
      ({'exposure': math.nan}, 'exposure nan of rank 16 of 1024'),
      ({'exposure': 9.0}, r'exposure 9\.0 of rank 16 of 1024'),
    ],
  )
  def test_a_malformed_secret(self, write_run, change, message):
    content = write_run.memorization_of()
    content['systems'][0]['secrets'][0] |= change
    with pytest.raises(
      memorization_record.MalformedMemorizationError, match=message
    ):
      memorization_record.parse(content)

  @pytest.mark.parametrize(
    ('change', 'message'),
    [
      ({'p_value_inserted': 1.5}, r'p_value_inserted 1\.5'),
      ({'p_value_control': math.nan}, 'p_value_control nan'),
      ({'epsilon': {'epsilon': -1, 'delta': 0}}, r'epsilon -1\.0, delta 0'),
      ({'epsilon': {'epsilon': 1, 'delta': 1}}, r'epsilon 1\.0, delta 1'),
      ({'epsilon': 4.0}, 'TypeError'),
    ],
  )
  def test_a_malformed_system(self, write_run, change, message):
    content = write_run.memorization_of()
    content['systems'][0] |= change
    with pytest.raises(
      memorization_record.MalformedMemorizationError, match=message
    ):
      memorization_record.parse(content)

  def test_an_exposure_may_be_rounded_and_a_p_value_missing(self, write_run):
    content = write_run.memorization_of()
    content['systems'][0]['p_value_control'] = None
    content['systems'][0]['secrets'][0] |= {'rank': 3, 'exposure': 8.42}
    found = memorization_record.parse(content)
    assert found.systems[0].p_value_control is None


class TestSection:
  def test_the_table_has_a_row_a_system(self, write_run):
    content = memorization_section.table_html(_parsed(write_run))
    for cells in (
      ('federated', 'no promise', '8.00', '1.00', '1 of 2', '10⁻⁵', '0.5'),
      (
        *('private federated', '4 (delta 10⁻⁵)'),
        *('1.00', '1.00', '0 of 2', '0.25', '0.5'),
      ),
    ):
      row = f'<th scope="row">{cells[0]}</th>'
      row += ''.join(f'<td>{cell}</td>' for cell in cells[1:])
      assert row in content

  def test_what_is_missing_is_a_dash(self):
    system = _system(inserted=(), p_value_inserted=None)
    found = memorization_record.Memorization(1024, (system,))
    content = memorization_section.table_html(found)
    assert content.count('<td>\N{EN DASH}</td>') == 4

  @pytest.mark.parametrize(
    ('changes', 'expected'),
    [
      (
        {'inserted': (memorization_record.Secret('s', 1, 1, 1, 10.0),)},
        'X: 1 of 1 secrets are found by searching for the likeliest sentence; '
        'chance would find one in 1,024.',
      ),
      (
        {},
        'X: the model takes what people typed for likelier than chance would, '
        'but no secret comes first.',
      ),
      (
        {'p_value_inserted': 0.01, 'epsilon': 4.0, 'delta': 1e-5},
        'X (epsilon 4): as far as this can tell, what people typed is found no '
        'more easily than by chance.',
      ),
      (
        {'inserted': ()},
        'X: nobody typed a secret, so nothing can be said.',
      ),
    ],
  )
  def test_the_verdict(self, changes, expected):
    found = memorization_section.verdict(_system(**changes), 1024)
    assert found == expected

  def test_controls_that_stand_out_void_it(self):
    found = memorization_section.verdict(_system(p_value_control=1e-4), 1024)
    assert found.endswith('this proves nothing.')

  def test_the_page_has_the_section_apart_only_with_secrets(
    self, write_run, text_of_everything
  ):
    title = '<h2>Memorization</h2>'
    assert f'<section class="apart">\n{title}' in text_of_everything
    assert 'Each is one of 1,024 sentences' in text_of_everything
    assert title not in page.write(write_run(), dpi=20).read_text()


class TestPicture:
  def _axes(self, write_run):
    run = run_reader.read(write_run(memorization=write_run.memorization_of()))
    figure = memorization_picture.memorization_picture(run)
    return figure, figure.axes[0]

  def test_every_secret_is_a_dot_at_its_exposure(self, write_run):
    _, axes = self._axes(write_run)
    dots = [line for line in axes.get_lines() if line.get_marker() == 'o']
    # The lanes of each system: controls, typed once, typed 20 times.
    assert [list(line.get_xdata()) for line in dots] == [
      *([1.0], [6.0], [10.0]),
      *([1.0], [2.0], [0.0]),
    ]
    control, once, often = dots[:3]
    assert control.get_markerfacecolor() == 'none'
    assert once.get_markersize() < often.get_markersize()
    heights = [line.get_ydata()[0] for line in dots]
    assert heights[0] > heights[1] > heights[2]
    assert all(abs(height) < 0.5 for height in heights[:3])
    assert all(abs(height - 1) < 0.5 for height in heights[3:])

  def test_it_says_who_typed_what(self, write_run):
    figure, axes = self._axes(write_run)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == [
      'control: typed by nobody',
      'typed once by one person',
      'typed 4 times by each of 5 people',
      'chance: 9 of 10 lie here (dashed: mean)',
    ]
    assert [text.get_text() for text in axes.texts] == [
      '1 of 2\ncome first', '0 of 2\ncome first',
    ]  # fmt: skip
    assert [label.get_text() for label in axes.get_yticklabels()] == [
      'federated\n(no promise)', 'private federated\n(epsilon 4)',
    ]  # fmt: skip

  def test_without_secrets_there_is_no_figure(self, write_run):
    run = run_reader.read(write_run())
    assert memorization_picture.memorization_picture(run) is None

  def test_chance_is_that_of_a_rank_that_is_any(self):
    # Ranks 1 to 4: exposures 2, 1, log2(4/3) and 0.
    low, high, mean = memorization_picture.chance(4)
    assert mean == pytest.approx((3 + math.log2(4 / 3)) / 4)
    # 0.15 of the way from the lowest to the next, and from the highest.
    assert low == pytest.approx(0.15 * math.log2(4 / 3))
    assert high == pytest.approx(2 - 0.15)

  def test_of_many_ranks_chance_is_an_exponential_distribution(self):
    # P(exposure > t) = 2^-t: quantiles -log2(0.95), -log2(0.05), mean log2(e).
    np.testing.assert_allclose(
      memorization_picture.chance(100_000),
      [-math.log2(0.95), -math.log2(0.05), math.log2(math.e)],
      rtol=1e-3,
    )
