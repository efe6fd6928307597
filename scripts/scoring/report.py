"""
The summary as a page of HTML that loads nothing: its facts, and three plots.
"""

from html import escape

from scoring.bars import bars, legend
from scoring.summary import Summary
from scoring.tally import CONFIDENCE_BINS, LENGTH_STEPS

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; color: #1a202c }}
h1 {{ font-size: 1.4rem }} h2 {{ font-size: 1.1rem; margin-top: 2rem }}
td {{ padding: 0 1rem .2rem 0; vertical-align: top }} td.number {{ text-align: right }}
svg {{ width: 100%; font-size: 12px; text-anchor: middle; fill: #4a5568 }}
code {{ word-break: break-all }}
</style>
<h1>{title}</h1>
<p>Column <code>{column}</code>, revision <code>{revision}</code>.</p>
<table>{facts}</table>
{plots}
</html>
"""


def page(summary: Summary) -> str:
    """
    Render the page.
    """
    job = summary.job
    names = [source.place.path for source in job.sources]
    title = f"Scores of {names[0]}" + (f" and {len(names) - 1:,} more" if names[1:] else "")
    facts = "".join(
        f'<tr><td>{escape(name)}<td class="number">{number}<td>{escape(note)}' for name, number, note in summary.facts()
    )
    plots = {
        "Labels": _labels(summary),
        "How sure: rows by the score of their label": _confidence(summary),
        "How long: rows by their tokens": _lengths(summary),
    }
    return _PAGE.format(
        title=escape(title),
        column=escape(job.column),
        revision=job.revision,
        facts=facts,
        plots="\n".join(f"<h2>{name}</h2>\n{chart}" for name, chart in plots.items()),
    )


def _labels(summary: Summary) -> str:
    shares = summary.shares()
    names = [f"{label} {share:.1%}" for label, _, share in shares]
    # each label has a column of its own
    return bars(
        names, {label: [count if other == label else 0 for other, _, _ in shares] for label, count, _ in shares}
    )


def _confidence(summary: Summary) -> str:
    labels = [label for label, _, _ in summary.shares()]
    # the best of L scores is at least 1 / L
    bins = range(CONFIDENCE_BINS // len(labels), CONFIDENCE_BINS)
    counts = {label: [summary.tally.confidence[f"{label}/{step}"] for step in bins] for label in labels}
    return bars([f"{step / CONFIDENCE_BINS:.2f}" for step in bins], counts) + legend(labels)


def _lengths(summary: Summary) -> str:
    names = [f"to {step}" for step in LENGTH_STEPS]
    return bars(names, {"rows": [summary.tally.lengths[str(step)] for step in LENGTH_STEPS]})
