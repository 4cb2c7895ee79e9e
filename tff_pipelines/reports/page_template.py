"""The frame of report.html: one file that opens offline and prints well."""

import string

# Nothing can be loaded or run, whatever a run directory put into the page.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_STYLE = """
:root {
  color-scheme: light;
  --ink: #222; --soft: #666; --line: #ddd; --ground: #fff; --apart: #f2f2f2;
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 52rem;
  color: var(--ink); background: var(--ground);
  font: 1rem/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif;
  overflow-wrap: break-word;
}
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 {
  font-size: 1.25rem; margin: 2.75rem 0 .75rem; padding-top: .9rem;
  border-top: 1px solid var(--line);
}
h3 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
p { margin: .5rem 0; }
.result { font-size: 1.15rem; margin: .75rem 0 1.5rem; }
.context, .notes, figcaption, small { color: var(--soft); }
.notes { padding-left: 1.2rem; font-size: .9rem; }
.scroll { overflow-x: auto; }
table {
  border-collapse: collapse; font-variant-numeric: tabular-nums;
  font-size: .92rem; min-width: 100%;
}
th, td {
  padding: .4rem .5rem; text-align: right; vertical-align: baseline;
  border-bottom: 1px solid var(--line);
}
th:first-child, td:first-child { text-align: left; padding-left: 0; }
thead th { vertical-align: bottom; }
tbody th { font-weight: 500; }
td { white-space: nowrap; }
.scroll th:first-child { position: sticky; left: 0; background: var(--ground); }
.apart .scroll th:first-child { background: var(--apart); }
small { display: block; font-size: .78rem; font-weight: 400; }
.settings td {
  text-align: left; overflow-wrap: anywhere; white-space: normal;
}
.settings th {
  text-align: left; width: 34%; font-weight: 500; overflow-wrap: anywhere;
}
.wrap td, .wrap th { white-space: normal; padding: .4rem .3rem; }
.wrap table { font-size: .84rem; }
.settings table { table-layout: fixed; width: 100%; }
figure { margin: 1.25rem auto; max-width: 46rem; }
img { display: block; width: 100%; height: auto; }
figcaption { font-size: .88rem; margin-top: .3rem; }
.apart {
  background: var(--apart); border: 1px solid var(--line);
  border-radius: .4rem; padding: 0 1rem 1rem; margin-top: 2.75rem;
}
.apart h2 { border: 0; margin-top: .5rem; margin-bottom: .25rem; }
.mark {
  display: table; font-size: .82rem; font-style: italic;
  color: #444; border: 1px solid #bbb; border-radius: 1rem; padding: 0 .7rem;
}
pre {
  background: #f6f6f6; padding: .7rem .8rem; border-radius: .3rem;
  white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem;
}
code span { display: inline-block; max-width: 100%; }
.keyboards {
  display: grid; gap: 1rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 23rem), 1fr));
}
.keyboard {
  border: 1px solid #ccc; border-radius: .6rem; overflow: hidden;
  break-inside: avoid;
}
.keyboard .typed { margin: 0; padding: .6rem .8rem; font-size: 1.05rem; }
.cursor {
  display: inline-block; width: 0; height: 1.15em; vertical-align: -.2em;
  border-inline-start: 2px solid #0072b2;
}
.suggestions {
  display: grid; grid-template-columns: 5.6rem 1fr; align-items: center;
  border-top: 1px solid var(--line); background: #f6f6f6;
}
.suggestions .system {
  padding: .2rem .3rem .2rem .6rem; font-size: .78rem; line-height: 1.2;
  color: #444; border-left: .3rem solid var(--look); align-self: stretch;
  display: flex; align-items: center;
}
.suggestions ol {
  display: grid; grid-template-columns: repeat(3, 1fr); gap: .3rem;
  list-style: none; margin: 0; padding: .3rem .35rem .3rem 0;
}
/* As on a phone: the likeliest in the middle. */
.suggestions li {
  order: 2; text-align: center; background: #fff; border: 1px solid #d8d8d8;
  border-radius: .45rem; padding: .15rem 0 0; line-height: 1.25;
  font-size: .95rem; overflow: hidden; overflow-wrap: anywhere;
  display: flex; flex-direction: column;
}
.suggestions li:first-child { font-weight: 650; border-color: #aaa; }
.suggestions li:nth-child(2) { order: 1; }
.suggestions li:nth-child(3) { order: 3; }
.suggestions li:only-child { grid-column: 2; }
.suggestions li small { font-size: .7rem; margin-bottom: .1rem; }
.suggestions li i {
  display: block; height: .2rem; min-width: 1px; background: var(--look);
  margin-top: auto; print-color-adjust: exact;
  -webkit-print-color-adjust: exact;
}
summary { cursor: pointer; font-weight: 600; padding: .3rem 0; }
details { margin: .5rem 0; }
@media (max-width: 40rem) {
  .apart { padding: 0 .6rem .8rem; margin-left: -.6rem; margin-right: -.6rem; }
  table { font-size: .84rem; }
  th, td { padding: .4rem .35rem; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  .scroll { overflow: visible; }
  table { font-size: 8.5pt; }
  th, td { padding: .25rem .4rem; }
  h2, h3, .mark { break-after: avoid; }
  figure, tr { break-inside: avoid; }
  figure img {
    width: auto; max-width: min(100%, 13.5cm); max-height: 14cm;
    margin: 0 auto;
  }
  /* Paper cannot be unfolded. */
  details::details-content { content-visibility: visible; block-size: auto; }
}
"""

_PAGE = string.Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
</head>
<body>
<header>
<h1>$title</h1>
<p class="result">$result</p>
</header>
<main>
$sections
</main>
</body>
</html>
""")


def fill(*, title: str, result: str, sections: str) -> str:
  """Builds the page from parts that are HTML already, so escaped."""
  return _PAGE.substitute(
    policy=_POLICY,
    style=_STYLE,
    title=title,
    result=result,
    sections=sections,
  )
