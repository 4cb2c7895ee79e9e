"""Secure aggregation alone: the server learns a sum and nobody's input.

  python -m tasks.secure_sum

Sums the random inputs of 100 clients through the protocol, checks the sum, and
prints what each phase costs a client and the server, in seconds and bytes.
Needs no data; a few seconds. Writes a run directory with manifest.json,
results.json, and report.html to look at.

  --clients=500 --length=100000 --dropout=mask:0.05,unmask:0.05
      a larger sum, from which clients drop out
  --example=three_people
      draws how it works: 5, 4 and 8 are hidden, the server learns 17
  --example=three_devices
      the same with fractions: the mean of 0.1, 0.5 and 0.9
"""

from tff_pipelines.cli import (
  app,
  output_flags,
  protocol_flags,
  protocol_results,
  secagg_flags,
)
from tff_pipelines.programs import files
from tff_pipelines.reports import masking_example
from tff_pipelines.secagg import random_sum, textbook_session

_SUM = protocol_flags.SumFlags()
_PROTOCOL = secagg_flags.SecAggFlags()
_PROTOCOL.define_session(only_with=protocol_flags.NO_EXAMPLE)
_OUTPUT = output_flags.OutputFlags()


def main() -> None:
  """Measures a sum, or draws an example."""
  name = _SUM.example_name
  with _OUTPUT.open_directory(
    APP, seed=_SUM.seed, data={'name': name or 'random integers'}
  ) as directory:
    content = _measure() if name is None else _draw(name)
    files.write_json(directory.results_json, content)
    _OUTPUT.report(directory, content['notes'])
    if name is not None:
      print(f'picture: {directory.path / "figures" / "masking_picture.png"}')


def _measure() -> dict:
  return protocol_results.of_sum(
    random_sum.run(
      _PROTOCOL.parameters(_SUM.num_clients),
      length=_SUM.length,
      bits=_SUM.bits,
      rates=_PROTOCOL.dropout_rates,
      seed=_SUM.seed,
    ),
    length=_SUM.length,
    bits=_SUM.bits,
  )


def _draw(name: str) -> dict:
  example = _SUM.example
  content = protocol_results.of_example(
    name, example, textbook_session.run(example)
  )
  print(masking_example.text(masking_example.parse(content['details'])), '\n')
  return content


APP = app.Application('secure_sum', __doc__, [_SUM, _PROTOCOL, _OUTPUT])

if __name__ == '__main__':
  APP.run(main)
