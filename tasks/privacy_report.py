"""Privacy report: what a run has spent, computed again from its ledger.

  python -m tasks.privacy_report RUN_DIR

Reads privacy.json of a run, and of the systems in it, tells what ran, computes
epsilon anew by every method that applies, and says on what it rests. Writes
nothing.

  --delta=1e-5,1e-6
      at other deltas too
  --epsilon=8
      how many rounds like the last one still fit
"""

from tff_pipelines.cli import app, privacy_summary

_REPORT = privacy_summary.PrivacyReportFlags()


def main() -> None:
  """Prints a report on every ledger."""
  for stored in privacy_summary.read(_REPORT.run_dir):
    for line in privacy_summary.lines(stored, _REPORT.deltas, _REPORT.epsilon):
      print(line)


APP = app.Application(
  'privacy_report', __doc__, [_REPORT], positional='run_dir'
)

if __name__ == '__main__':
  APP.run(main)
