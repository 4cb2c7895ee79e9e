"""The audit's parts: what is read, drawn and said."""

import math

import numpy as np
import pytest

from tff_pipelines.reports import (
  attack_curves,
  audit_record,
  audit_section,
  canary_picture,
  outlier_picture,
  page,
  run_reader,
)

pytestmark = pytest.mark.filterwarnings('error')


def _read(write_run, audit, **files):
  return run_reader.read(write_run(audit=audit, **files))


def test_the_page_has_a_part_for_each_attack(text_of_everything):
  text = text_of_everything
  assert '<h2>Privacy under attack</h2>\n<p class="mark">Only a sim' in text
  for title in ('Canaries', 'Who took part?', 'One unusual client'):
    assert f'<h3>{title}</h3>' in text


@pytest.mark.parametrize('part', ['one_shot', 'membership', 'outlier'])
def test_every_part_may_be_missing(write_run, part):
  audit = write_run.audit_of() | {part: None}
  text = page.write(write_run(audit=audit), dpi=20).read_text()
  titles = {
    'one_shot': 'Canaries',
    'membership': 'Who took part?',
    'outlier': 'One unusual client',
  }
  for name, title in titles.items():
    assert (f'<h3>{title}</h3>' in text) == (name != part)


def test_none_is_nothing(write_run):
  run = run_reader.read(write_run())
  assert run.audit is None
  for draw in (
    canary_picture.canary_picture,
    attack_curves.attack_curves,
    outlier_picture.outlier_picture,
  ):
    assert draw(run) is None
    assert draw(_read(write_run, {})) is None


def _broken(write_run, part, **changes):
  content = write_run.audit_of()
  owner = {
    'one_shot': content['one_shot'],
    'cosines': content['one_shot']['cosines'],
    'attack': content['membership'][0],
    'roc': content['membership'][0]['roc'],
    'outlier': content['outlier']['systems'][0],
  }[part]
  owner.update(changes)
  return content


@pytest.mark.parametrize(
  ('part', 'changes'),
  [
    ('one_shot', {'canaries': None}),
    ('one_shot', {'estimate': float('nan')}),
    ('one_shot', {'lower_bound': -1.0}),
    ('one_shot', {'lower_bound': float('inf')}),
    ('one_shot', {'cosines': 3}),
    ('cosines', {'observed': []}),
    ('cosines', {'observed': [float('nan')]}),
    ('cosines', {'null_stddev': 0.0}),
    ('attack', {'roc': None}),
    ('attack', {'tpr_at': [{'fpr': 0.1}]}),
    ('roc', {'fpr': [0.0, 1.0]}),
    ('roc', {'fpr': [0.0], 'tpr': [0.0]}),
    ('roc', {'fpr': [0.5, 0.1], 'tpr': [0.0, 1.0]}),
    ('roc', {'fpr': [0.0, 1.1], 'tpr': [0.0, 1.0]}),
    ('outlier', {'with': []}),
    ('outlier', {'without': ['x']}),
    ('outlier', {'told_apart': 1.1}),
    ('attack', {'promise': {'epsilon': 1.0}}),
  ],
)
def test_another_form_is_a_broken_file(write_run, part, changes):
  with pytest.raises(
    run_reader.BrokenRunFileError,
    match=r'privacy_audit\.json: Expected an audit with one_shot, membership '
    'and outlier as the audit writes them, found a mistake: .*; run the audit',
  ):
    _read(write_run, _broken(write_run, part, **changes))


class TestCanaries:
  def _one_shot(self, write_run, **changes):
    return audit_record.parse(
      _broken(write_run, 'one_shot', **changes)
    ).one_shot

  def test_the_estimate_stands_beside_the_accountant(self, write_run):
    text = audit_section.canaries_html(self._one_shot(write_run))
    assert 'an epsilon of 1.5 at delta 10⁻⁵' in text
    assert 'with 95 % confidence, to at least 0.5' in text
    assert 'at most 2: nothing here contradicts it' in text

  def test_a_broken_promise_is_called_so(self, write_run):
    found = self._one_shot(write_run, estimate=4.0, lower_bound=2.01)
    assert 'the promise is broken' in audit_section.canaries_html(found)

  @pytest.mark.parametrize('accountant', [None, float('inf')])
  def test_without_noise_nothing_is_promised(self, write_run, accountant):
    found = self._one_shot(
      write_run, estimate=float('inf'), accountant=accountant
    )
    text = audit_section.canaries_html(found)
    assert 'no finite epsilon explains it' in text
    assert 'promises nothing' in text

  def test_every_canary_is_in_the_histogram(self, write_run):
    run = _read(write_run, write_run.audit_of())
    cosines, epsilons, rounds = canary_picture.canary_picture(run).axes
    assert sum(bar.get_height() for bar in cosines.patches) == 4
    null = cosines.get_lines()[0]
    # The curve holds as many canaries as the bars.
    width = cosines.patches[0].get_width()
    area = np.trapz(null.get_ydata(), null.get_xdata())
    assert area / width == pytest.approx(4, rel=1e-3)
    # The line is at their mean.
    assert cosines.get_lines()[1].get_xdata()[0] == pytest.approx(0.25)
    labels = [label.get_text() for label in epsilons.get_yticklabels()]
    assert labels == [
      'measured: 1.5\nat least 0.5 (95 %)',
      'computed:\nat most 2',
    ]
    assert list(rounds.get_lines()[0].get_xdata()) == [1, 3]

  @pytest.mark.parametrize('shift', [-40.0, -2.0, 0.0, 2.0, 40.0])
  @pytest.mark.parametrize('estimate', [0.0, 5.0, float('inf')])
  def test_nothing_leaves_the_picture(self, write_run, shift, estimate):
    observed = (0.1 * (shift + np.linspace(-2, 2, 500))).tolist()
    content = _broken(write_run, 'cosines', observed=observed)
    content['one_shot'].update(
      estimate=estimate, lower_bound=0.0, by_round=None, accountant=None
    )
    figure = canary_picture.canary_picture(_read(write_run, content))
    figure.draw_without_rendering()
    used = figure.get_tightbbox()
    width = figure.get_figwidth()
    assert used.x0 >= -0.01
    assert used.x1 <= width + 0.01
    first, second = figure.axes[0].texts
    assert not first.get_window_extent().overlaps(second.get_window_extent())
    for text in (first, second):
      box, axes = text.get_window_extent(), figure.axes[0].get_window_extent()
      assert axes.x0 <= box.x0
      assert box.x1 <= axes.x1


class TestAttacks:
  def test_the_bound_is_that_of_the_attacked_else_of_the_audit_else_the_run(
    self, write_run
  ):
    content = write_run.audit_of()
    private = {'federated': write_run.privacy_of(epsilon=3.0, delta=1e-4)}
    run = _read(write_run, content, privacy=private)
    assert attack_curves.guaranteed(run) == (2.0, 1e-5)
    promised = write_run.audit_of()
    promised['membership'][0]['promise'] = {'epsilon': 1.5, 'delta': 1e-3}
    run = _read(write_run, promised, privacy=private)
    assert attack_curves.guaranteed(run) == (1.5, 1e-3)
    content['one_shot']['accountant'] = None
    run = _read(write_run, content, privacy=private)
    assert attack_curves.guaranteed(run) == (3.0, 1e-4)
    assert attack_curves.guaranteed(_read(write_run, content)) is None
    two = private | {'dp_fixed': write_run.privacy_of()}
    run = _read(write_run, content, privacy=two)
    assert attack_curves.guaranteed(run) is None

  def test_the_bound_by_hand(self):
    epsilon = math.log(2.0)
    found = attack_curves.most_found(
      np.array([0.0, 0.1, 0.5, 1.0]), epsilon, 0.1
    )
    # 0 + 0.1; 0.2 + 0.1; 1 - (0.9 - 0.5) / 2; 1.
    np.testing.assert_allclose(found, [0.1, 0.3, 0.8, 1.0])

  @pytest.mark.parametrize('mu', [0.3, 1.0, 3.0])
  def test_no_gaussian_mechanism_gets_above_its_bound(self, mu):
    def normal(x):
      return 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))

    # Balle, Wang 2018, theorem 8, for sensitivity mu and noise 1.
    for epsilon in (0.1, 1.0, 4.0):
      delta = float(
        normal(mu / 2 - epsilon / mu)
        - math.exp(epsilon) * normal(-mu / 2 - epsilon / mu)
      )
      thresholds = np.linspace(-8, 8, 2001)
      fpr, tpr = normal(-thresholds), normal(mu - thresholds)
      bound = attack_curves.most_found(fpr, epsilon, delta)
      assert np.all(tpr <= bound + 1e-9)
      # And somewhere the best test reaches it.
      assert np.min(bound - tpr) < 1e-5

  def test_a_huge_epsilon_forbids_nothing(self):
    found = attack_curves.most_found(np.array([1e-3]), 1e6, 0.0)
    np.testing.assert_allclose(found, 1.0)

  def test_the_marks_are_those_of_the_audit(self, write_run):
    run = _read(write_run, write_run.audit_of())
    (axes,) = attack_curves.attack_curves(run).axes
    marks = [
      (line.get_xdata()[0], line.get_ydata()[0])
      for line in axes.get_lines()
      if len(line.get_xdata()) == 1
    ]
    assert marks == [(0.001, 0.004), (0.01, 0.05)]
    assert axes.get_xscale() == axes.get_yscale() == 'log'
    assert axes.get_xlim()[0] == pytest.approx(1e-4)

  def test_the_table_and_what_no_attack_can(self, write_run):
    text = audit_section.attacks_html(_read(write_run, write_run.audit_of()))
    assert (
      '<th scope="row">loss</th><td>the final model</td>'
      '<td>0.4 % (0 to 2)</td><td>5 % (3 to 7)</td><td>0.666</td>'
    ) in text
    # 0.001 e^2 + 1e-5 = 0.0074; 0.01 e^2 + 1e-5 = 0.0739.
    assert '0.74 % at 0.1 % wrongly accused and 7.39 % at 1 %' in text


class TestOutlier:
  def test_a_mark_a_model(self, write_run):
    run = _read(write_run, write_run.audit_of())
    (axes,) = outlier_picture.outlier_picture(run).axes
    marks = [
      list(line.get_xdata())
      for line in axes.get_lines()
      if line.get_marker() == 'o'
    ]
    assert marks == [[1.0, 2.0], [3.0, 4.0], [2.0, 3.5], [3.0, 4.0]]
    assert [text.get_text() for text in axes.texts] == [
      'told apart:\n100.0 %',
      'told apart:\n75.0 %',
    ]

  def test_the_sentence_has_both(self, write_run):
    systems = audit_record.parse(write_run.audit_of()).outlier
    text = audit_section.outlier_html(systems)
    assert '2 times each' in text
    assert 'Without loss: 100.0 %; noise: 75.0 %.' in text
