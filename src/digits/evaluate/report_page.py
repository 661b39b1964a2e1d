"""The Jinja template of the report: a module and not a file, so that it counts among evaluate's imports."""

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ metrics.accuracy | percent }} on {{ metrics.dataset }},
  {{- " passed" if verdict.passed else " refused" }}</title>
<link rel="icon" href="data:,">
<style>
:root {
  --ink: #1d2330; --paper: #fff; --soft: #f3f5f8; --line: #dde1e8; --dim: #5c6575;
  --good: #11723c; --good-paper: #e5f5eb; --bad: #b3261e; --bad-paper: #fdecea;
  --warn: #8a5a00; --warn-paper: #fff3d6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e4e7ed; --paper: #14171d; --soft: #1e232c; --line: #343b47; --dim: #9aa4b5;
    --good: #6fd598; --good-paper: #12301f; --bad: #ff9b93; --bad-paper: #3b1715;
    --warn: #ffcf70; --warn-paper: #3a2a08;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 60rem; padding: 1rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; }
p { margin: .4rem 0; }
.dim { color: var(--dim); }
.box { border-radius: .5rem; padding: 1rem 1.2rem; margin: 0 0 1rem; }
.passed { background: var(--good-paper); border-left: .4rem solid var(--good); }
.refused { background: var(--bad-paper); border-left: .4rem solid var(--bad); }
.sample { background: var(--warn-paper); border-left: .4rem solid var(--warn); }
.facts {
  display: grid; gap: .6rem; margin-top: 1rem; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr));
}
.facts div { background: var(--soft); border-radius: .5rem; padding: .6rem .8rem; }
.facts b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
.facts span { color: var(--dim); font-size: .85rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { color: var(--dim); font-weight: 600; white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
.good { color: var(--good); font-weight: 600; white-space: nowrap; }
.bad { color: var(--bad); font-weight: 600; white-space: nowrap; }
.columns {
  display: grid; gap: 0 2rem; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr));
}
.columns section { min-width: 0; }
figure { margin: 0; }
img { display: block; max-width: 100%; height: auto; margin: 0 auto; border-radius: .5rem; background: #fff; }
figcaption { color: var(--dim); font-size: .9rem; margin: .4rem 0 0; }
@media (max-width: 40rem) {
  .rules thead { display: none; }
  .rules tr { display: grid; grid-template-columns: 1fr auto; border-bottom: 1px solid var(--line); }
  .rules td { border: 0; padding: .15rem .2rem; }
  .rules .number { display: none; }
  .rules td:last-child { grid-column: 1 / -1; color: var(--dim); padding-bottom: .5rem; }
}
</style>
</head>
<body>

<header class="box {{ "passed" if verdict.passed else "refused" }}">
  <h1>{{ "✓ Passed: this model may be exported" if verdict.passed
      else "✗ Refused: this model must not be exported" }}</h1>
  <p>{% if failed %}{{ failed | length }} of {{ verdict.rules | length }} rules failed:
    {{ failed | map(attribute="reason") | join("; ") }}.
    {%- else %}All {{ verdict.rules | length }} rules hold.{% endif %}</p>
</header>

{% if metrics.sample -%}
<div class="box sample"><strong>Made on a sample, not on full MNIST.</strong> No data source answered, so
  <code>{{ metrics.dataset }}</code> was used, with {{ metrics.n_test | count }} test images. These
  figures do not compare with those of the full data set.</div>
{% endif -%}

<p><strong>{{ metrics.accuracy | percent }}</strong> of {{ metrics.n_test | count }} test images of
  <strong>{{ metrics.dataset }}</strong> are read right; the true rate lies between
  {{ metrics.accuracy_interval[0] | percent }} and {{ metrics.accuracy_interval[1] | percent }} with 95%
  confidence (Wilson).</p>

<div class="facts">
{%- for name, value in facts %}
  <div><b>{{ value }}</b><span>{{ name }}</span></div>
{%- endfor %}
</div>

<h2>Rules</h2>
<table class="rules">
<thead><tr><th>rule</th><th>outcome</th><th class="number">value</th><th class="number">threshold</th>
  <th>meaning</th></tr></thead>
<tbody>
{%- for rule in verdict.rules %}
<tr><td>{{ rule.rule | words }}</td>
  <td class="{{ "good" if rule.passed else "bad" }}">{{ "✓ holds" if rule.passed else "✗ fails" }}</td>
  <td class="number">{{ rule.value | number }}</td><td class="number">{{ rule.threshold | number }}</td>
  <td>{{ rule.reason }}</td></tr>
{%- endfor %}
</tbody></table>

{% for picture in pictures %}
<h2>{{ picture.title }}</h2>
<figure><img src="data:image/png;base64,{{ picture.base64 }}" alt="{{ picture.alt }}">
<figcaption>{{ picture.caption }}</figcaption></figure>
{% endfor %}

{% set held = metrics.abstention -%}
<h2>Answered and refused</h2>
<p>With at least {{ "%.4f" | format(held.threshold) }} confidence an answer is accepted, fitted for
  {{ held.target | percent }} right on validation. On the test {{ held.answered | count }} of
  {{ held.n | count }} images are answered ({{ held.coverage_interval[0] | percent }} –
  {{ held.coverage_interval[1] | percent }}), and {{ held.precision | percent }} of the answers are right
  ({{ held.precision_interval[0] | percent }} – {{ held.precision_interval[1] | percent }}, Wilson).
  With 95% confidence at least
  {{ "%.2f" | format((held.precision_guaranteed * 10000 + 1e-3) | int / 100) }}% are, of images like these
  (Clopper-Pearson).</p>
<div class="wide"><table>
<thead><tr><th>no digit</th><th class="number">pictures</th><th class="number">refused</th>
  <th class="number">95% interval</th></tr></thead>
<tbody>
{%- for kind, row in metrics.non_digits.items() %}
<tr><td>{{ kind | words }}</td><td class="number">{{ row.n | count }}</td>
  <td class="number">{{ row.share | percent }}</td>
  <td class="number">{{ row.interval[0] | percent }} – {{ row.interval[1] | percent }}</td></tr>
{%- endfor %}
</tbody></table></div>

<h2>Digit by digit</h2>
<div class="wide"><table>
<thead><tr><th>digit</th><th class="number">images</th><th class="number">wrong</th>
  <th class="number">precision</th><th class="number">recall</th><th class="number">F1</th></tr></thead>
<tbody>
{%- for digit, row in metrics.digits.items() %}
<tr><td>{{ digit }}</td><td class="number">{{ row.n | count }}</td>
  <td class="number">{{ (row.n - row.correct) | count }}</td>
  <td class="number">{{ row.precision | percent }}</td>
  <td class="number">{{ row.recall | percent }}</td><td class="number">{{ row.f1 | percent }}</td></tr>
{%- endfor %}
</tbody></table></div>

<div class="columns">
<section><h2>Most confused</h2>
{% if metrics.confused -%}
<table><thead><tr><th>truth</th><th>read as</th><th class="number">times</th></tr></thead>
<tbody>
{%- for pair in metrics.confused %}
<tr><td>{{ pair.truth }}</td><td>{{ pair.predicted }}</td><td class="number">{{ pair.n }}</td></tr>
{%- endfor %}
</tbody></table>
{%- else %}<p class="dim">No mistakes.</p>{% endif %}</section>

<section><h2>Training</h2>
<div class="wide"><table><tbody>
{%- for name, value in training %}
<tr><th>{{ name | words }}</th><td>{{ value }}</td></tr>
{%- endfor %}
</tbody></table></div></section>
</div>

<h2>Incoming batches</h2>
{% if metrics.slices -%}
<div class="wide"><table>
<thead><tr><th>batch</th><th class="number">held out</th><th class="number">right</th>
  <th class="number">95% interval</th></tr></thead>
<tbody>
{%- for name, row in metrics.slices.items() %}
<tr><td>{{ name }}</td><td class="number">{{ row.n | count }}</td>
  <td class="number">{{ row.accuracy | percent }}</td>
  <td class="number">{{ row.interval[0] | percent }} – {{ row.interval[1] | percent }}</td></tr>
{%- endfor %}
</tbody></table></div>
{%- else %}<p class="dim">No incoming batch has held-out images.</p>{% endif %}

</body>
</html>
"""
