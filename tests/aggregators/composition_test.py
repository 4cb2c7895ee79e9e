"""Every rule of composition, broken once and kept once."""

import dataclasses

import pytest

from tff_pipelines.aggregators import composition as c
from tff_pipelines.aggregators import registry
from tff_pipelines.core import errors

MEDIAN = c.robust_statistic('the median')
SECURE = (c.QUANTIZE, c.SECURE_SUM)
PLAIN = (c.PLAIN_SUM,)

# For each rule, in the order of RULES: a stack that breaks it and no other,
# and one with the same layers or their repair, that is right.
CASES = {
  'robust statistic with secure sum': (None, (MEDIAN,)),
  'compression with secure sum': (
    (c.COMPRESS, *SECURE),
    (c.COMPRESS, *PLAIN),
  ),
  'secure sum without rounding': ((c.SECURE_SUM,), SECURE),
  'coordinate clip outside of rotation': (
    (c.CLIP_COORDINATES, c.ROTATE, *SECURE),
    (c.ROTATE, c.CLIP_COORDINATES, *SECURE),
  ),
  'coordinate clip outside of sketch': (
    (c.CLIP_COORDINATES, c.SKETCH, *SECURE),
    (c.SKETCH, c.CLIP_COORDINATES, *SECURE),
  ),
  'norm clip outside of sketch': (
    (c.CLIP_NORM, c.SKETCH, *PLAIN),
    (c.SKETCH, c.CLIP_NORM, *PLAIN),
  ),
  'rounding outside of rotation': (
    (c.QUANTIZE, c.ROTATE, c.SECURE_SUM),
    (c.ROTATE, *SECURE),
  ),
  'rounding outside of norm clip': (
    (c.QUANTIZE, c.CLIP_NORM, c.SECURE_SUM),
    (c.CLIP_NORM, *SECURE),
  ),
  'sketch outside of robust statistic': (
    (c.SKETCH, MEDIAN),
    (c.SKETCH, *PLAIN),
  ),
  'noise without clip': (
    (c.SERVER_NOISE, *PLAIN),
    (c.CLIP_NORM, c.SERVER_NOISE, *PLAIN),
  ),
  'noise outside of clip': (
    (c.CLIP_NORM, c.SERVER_NOISE, c.CLIP_NORM, *PLAIN),
    (c.CLIP_NORM, c.CLIP_NORM, c.SERVER_NOISE, *PLAIN),
  ),
  'noise with weights': (
    (c.WEIGHT, c.CLIP_NORM, c.SERVER_NOISE, *PLAIN),
    (c.WEIGHT, c.CLIP_NORM, *PLAIN),
  ),
  'noise on robust statistic': (
    (c.CLIP_NORM, c.SERVER_NOISE, MEDIAN),
    (c.CLIP_NORM, MEDIAN),
  ),
  'distributed noise before rounding': (
    (c.CLIP_NORM, c.DISTRIBUTED_NOISE, *SECURE),
    (c.CLIP_NORM, c.QUANTIZE, c.DISTRIBUTED_NOISE, c.SECURE_SUM),
  ),
  'distributed noise in the clear': (
    (c.CLIP_NORM, c.QUANTIZE, c.DISTRIBUTED_NOISE, *PLAIN),
    (c.CLIP_NORM, c.QUANTIZE, c.DISTRIBUTED_NOISE, c.SECURE_SUM),
  ),
  'distributed noise without a clip': (
    (c.QUANTIZE, c.DISTRIBUTED_NOISE, c.SECURE_SUM),
    (c.CLIP_NORM, c.QUANTIZE, c.DISTRIBUTED_NOISE, c.SECURE_SUM),
  ),
  'weights under distributed noise': (
    (c.WEIGHT, c.CLIP_NORM, c.QUANTIZE, c.DISTRIBUTED_NOISE, c.SECURE_SUM),
    (c.CLIP_NORM, c.QUANTIZE, c.DISTRIBUTED_NOISE, c.SECURE_SUM),
  ),
  'local noise without clip': (
    (c.LOCAL_NOISE, *PLAIN),
    (c.CLIP_NORM, c.LOCAL_NOISE, *PLAIN),
  ),
  'local noise after rounding': (
    (c.CLIP_COORDINATES, c.QUANTIZE, c.LOCAL_NOISE, c.SECURE_SUM),
    (c.CLIP_COORDINATES, c.LOCAL_NOISE, *SECURE),
  ),
  'local noise with weights': (
    (c.WEIGHT, c.CLIP_NORM, c.LOCAL_NOISE, *PLAIN),
    (c.CLIP_NORM, c.LOCAL_NOISE, *PLAIN),
  ),
}


def problems(stack, **options) -> tuple[str, ...]:
  with pytest.raises(c.CompositionError) as raised:
    c.check(stack, **options)
  assert str(raised.value) == '\n'.join(raised.value.problems)
  return raised.value.problems


def test_every_rule_has_a_case():
  assert len(CASES) == len(c.RULES)


@pytest.mark.parametrize(
  ('rule', 'case'),
  list(zip(c.RULES, CASES.values(), strict=True)),
  ids=list(CASES),
)
def test_a_rule_is_told_where_it_is_broken_and_only_there(rule, case):
  broken, kept = case
  if broken is not None:  # The rest cannot be broken without another one.
    (found,) = problems(broken)
    assert rule.reason in found
    assert found.startswith('Expected ') and found.endswith('.')
    assert '\n' not in found
  c.check(kept)
  assert not rule.problems(kept)


@pytest.mark.parametrize('position', [0, 1])
def test_a_median_under_a_secure_sum_is_refused_by_its_name(position):
  stack = [c.QUANTIZE, c.SECURE_SUM]
  stack.insert(position, MEDIAN)
  found = problems(tuple(stack))
  assert len(found) == 2  # Two ends, and the conflict.
  assert found[1] == (
    'Expected the median without a secure sum: it compares single updates, and '
    'the server learns their sum only; take the sum in the clear, or a mean '
    'with zeroing and clipping.'
  )


def test_a_rotation_keeps_euclidean_norms():
  c.check((c.CLIP_NORM, c.ROTATE, *SECURE))
  c.check((c.ROTATE, c.CLIP_NORM, *SECURE))


def test_every_problem_is_told():
  found = problems((c.CLIP_NORM, c.CLIP_COORDINATES, c.SKETCH, c.SECURE_SUM))
  assert len(found) == 3


def test_what_is_done_to_noisy_reports_is_free():
  # Each is private by itself, so they can be compared, summed securely, and
  # be noised once more at the server.
  c.check((c.CLIP_NORM, c.LOCAL_NOISE, MEDIAN))
  c.check((c.CLIP_NORM, c.ROTATE, c.LOCAL_NOISE, *SECURE))
  c.check((c.CLIP_NORM, c.LOCAL_NOISE, c.CLIP_NORM, *PLAIN))
  c.check((c.CLIP_NORM, c.LOCAL_NOISE, c.SERVER_NOISE, *PLAIN))


@pytest.mark.parametrize(
  ('stack', 'found'),
  [
    ((), 'no layer'),
    ((c.CLIP_NORM,), 'a clip of the Euclidean norm'),
    ((c.PLAIN_SUM, c.WEIGHT), 'a sum in the clear, weighting by examples'),
    (PLAIN * 2, 'a sum in the clear, a sum in the clear'),
  ],
)
def test_a_stack_ends_with_what_adds_up(stack, found):
  (problem,) = problems(stack)
  assert f'as the innermost layer, found {found}:' in problem


# Inputs of 0 to 255 and a modulus of 1021: 4 * 255 < 1021 <= 5 * 255.
EIGHT_BITS = (c.QUANTIZE, c.secure_sum(input_span=255, modulus=1021))


@pytest.mark.parametrize('num_clients', [2, 4, None])
def test_a_cohort_whose_sum_fits_is_accepted(num_clients):
  c.check(EIGHT_BITS, num_clients)


def test_too_few_bits_for_the_cohort_are_refused():
  assert problems(EIGHT_BITS, num_clients=5) == (
    'Expected at most 4 clients under a secure sum with modulus 1021, found 5: '
    'larger sums wrap around; take more bits for the sum, fewer for the '
    'update, or smaller cohorts.',
  )
  c.check(SECURE, 5)  # Nothing is said of its bits.
  c.check(PLAIN, 5)


def test_the_largest_cohort_is_exact():
  layer = EIGHT_BITS[1]
  assert layer.max_clients == 4
  assert dataclasses.replace(layer, modulus=1020).max_clients == 3
  assert c.SECURE_SUM.max_clients is None


@pytest.mark.parametrize('num_clients', [0, 1])
def test_a_secure_sum_of_nobody_or_one_is_refused(num_clients):
  (found,) = problems(EIGHT_BITS, num_clients=num_clients)
  assert f'at least 2 clients under a secure sum, found {num_clients}' in found
  c.check(PLAIN, num_clients)


def test_metrics_of_single_clients_are_refused_under_a_secure_sum():
  (found,) = problems(SECURE, metrics_released_per_client=True)
  assert 'found metrics of single clients' in found
  c.check(SECURE, metrics_released_per_client=False)
  c.check(PLAIN, metrics_released_per_client=True)


def test_the_numbers_of_a_secure_sum_belong_to_secure_sums():
  with pytest.raises(ValueError, match='for a secure sum only, found them'):
    c.Layer(c.Kind.ROTATE, input_span=1, modulus=8)
  with pytest.raises(ValueError, match='or neither, found 1 and None'):
    c.Layer(c.Kind.SECURE_SUM, input_span=1)
  with pytest.raises(ValueError, match='take the place of the span'):
    c.Layer(
      c.Kind.SECURE_SUM,
      input_span=1,
      modulus=8,
      planned_clients=2,
      wrap_around_probability=0.1,
    )
  with pytest.raises(ValueError, match='both planned clients and a wrap'):
    c.Layer(c.Kind.SECURE_SUM, modulus=8, planned_clients=2)


def test_a_sum_that_fits_by_chance_is_for_the_planned_cohort():
  stack = (
    c.CLIP_NORM,
    c.QUANTIZE,
    c.DISTRIBUTED_NOISE,
    c.secure_sum_by_chance(256, 10, 1e-6),
  )
  c.check(stack, 10)
  (problem,) = problems(stack, num_clients=11)
  assert 'at most 10 clients under a secure sum with modulus 256' in problem
  assert 'found 11' in problem and 'above the planned 1e-06' in problem


def test_problems_are_told_without_a_stack_trace():
  assert issubclass(c.CompositionError, errors.PipelineError)


@pytest.mark.parametrize('name', registry.AGGREGATORS)
def test_every_aggregator_of_the_registry_fits_together(name):
  c.check(registry.AGGREGATORS[name].stack, num_clients=100)
