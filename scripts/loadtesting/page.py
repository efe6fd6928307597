"""
A run as a page of HTML that loads nothing.
"""

import base64
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loadtesting import plots
from loadtesting.comparison import compared
from loadtesting.figures import KINDS, PHASES, STATISTICS, Figures
from loadtesting.run import Run
from loadtesting.verdict import judge
from loadtesting.words import ms, number, percent


def page(run: Run, earlier: Run | None) -> str:
    """
    Render the page.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "percent": percent, "svg": _data_url}
    figures, verdict = Figures(run), judge(run)
    return environment.get_template("page.html").render(
        run=run,
        earlier=earlier,
        figures=figures,
        verdict=verdict,
        rows=compared(Figures(earlier), figures) if earlier else [],
        kinds=KINDS,
        phases=PHASES,
        statistics=STATISTICS,
        plots={
            "time": plots.over_time(run, earlier),
            "resources": plots.resources(run),
            "phases": plots.phases(figures) if figures.latencies[1:] else "",
            "steps": plots.steps(verdict) if verdict.steps else "",
        },
    )


def title(run: Run) -> str:
    """
    A run in one line.
    """
    if knee := judge(run).knee:
        return f"{run.scenario}: {knee.rate:,} requests/s at the knee, p99 {ms(knee.p99)}"
    figures = Figures(run)
    ratio = figures.hit_ratio
    said = [
        f"{figures.of('http_reqs', 'rate'):,.0f} requests/s",
        f"median {ms(figures.of('latency', 'med'))}",
        f"p99 {ms(figures.of('latency', 'p(99)'))}",
        f"{percent(ratio)} of the texts cached" if ratio is not None else "",
        f"{percent(figures.of('http_req_failed', 'value'))} failed",
    ]
    return f"{run.scenario}: {', '.join(filter(None, said))}"


def _data_url(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
