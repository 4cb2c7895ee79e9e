import pytest

from tff_pipelines.core import client_kinds, errors


def test_kinds_have_fixed_numbers_and_names():
  # They are written to files and travel with examples.
  assert {kind.text: int(kind) for kind in client_kinds.ClientKind} == {
    'honest': 0,
    'outlier': 1,
    'label_flipper': 2,
    'random_update': 3,
    'boosted_backdoor': 4,
    'sign_flipper': 5,
  }
  assert client_kinds.KINDS == tuple(k.text for k in client_kinds.ClientKind)


@pytest.mark.parametrize('kind', client_kinds.ClientKind)
def test_a_name_is_read_as_it_is_written(kind):
  assert client_kinds.ClientKind.from_text(kind.text) is kind


def test_an_unknown_name_is_refused():
  with pytest.raises(client_kinds.UnknownClientKindError) as raised:
    client_kinds.ClientKind.from_text('Honest')
  assert isinstance(raised.value, errors.PipelineError)
  assert str(raised.value) == (
    'Expected a kind of client out of honest, outlier, label_flipper, '
    "random_update, boosted_backdoor, sign_flipper, found 'Honest'."
  )
