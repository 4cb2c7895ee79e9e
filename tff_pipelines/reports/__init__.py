"""Reads a run directory and draws it: tables, figures, a self-contained page.

`run_reader.read` gives everything a run wrote, `tables.console_table` the final
table for a terminal, `figures.draw_all` the pictures, `page.write` all of it in
one file, report.html. `python -m tff_pipelines.reports RUN_DIR` redraws a run.

What only a simulation can see (a single client's data or model) is drawn apart
from what a production server sees: in grey, and marked 'simulation only'.
"""
