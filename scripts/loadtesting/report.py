"""
A run's report: the page, a picture and all figures in a folder, and a few lines for who waited.
"""

from pathlib import Path

from loadtesting import page, plots
from loadtesting.figures import Figures
from loadtesting.run import Run
from loadtesting.verdict import judge


def write(run: Run, earlier: Run | None, out: Path) -> bool:
    """
    Write it, and say the most important of it.

    Returns:
        whether the run held every threshold.
    """
    figures, verdict = Figures(run), judge(run)
    out.mkdir(parents=True, exist_ok=True)
    (out / "run.json").write_text(run.model_dump_json(indent=1))
    (out / "report.html").write_text(page.page(run, earlier))
    judged = "✓ passed" if verdict.held else "✗ failed"
    where = f"{run.url} · k6 on {run.processor}" if run.url else run.processor
    title = f"{page.title(run)}\n{judged} · {where}, {run.cores} cores · {run.began}\n{figures.disturbance}"
    (out / "report.png").write_bytes(plots.glance(run, figures, verdict, title.strip()))
    print(page.title(run))
    for threshold in verdict.thresholds:
        print(f"  {'held  ' if threshold.held else 'BROKEN'}  {threshold.demanded}: {threshold.measured}")
    if figures.disturbance:
        print(f"  {figures.disturbance}")
    print(f"{out / 'report.html'}, report.png, run.json")
    return verdict.held
