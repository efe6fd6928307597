"""
What people read: tables in the terminal.
"""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from sizing.comparison import Comparison, Row
from sizing.figures import Figures
from sizing.outcome import Outcome
from sizing.plan import Plan
from sizing.traffic import Traffic

_LENGTHS = (8, 25, 128, 512)
_console = Console(highlight=False)


def show_figures(figures: Figures) -> None:
    """
    Print what was measured, and where.
    """
    where = f"{figures.processor}, {figures.cores} cores, {figures.date}"
    rates = [f"{figures.texts_per_second(length):,.0f} of {length}" for length in _LENGTHS]
    hit, lookup, miss = figures.hit_ms, figures.lookup_ms, figures.miss_ms
    _console.print(f"measured on {where}; {figures.numeric_mode}")
    _console.print(f"  texts/s of a predictor's core, by tokens: {', '.join(rates)}")
    _console.print(f"  a transformer's core: {hit.of(1):.2f} ms a hit of one text, {hit.each:.3f} ms a further text")
    _console.print(f"    found in Redis: {lookup.of(1):.2f} ms more; not found: another {miss.of(1):.2f} ms")


def show_plans(traffic: Traffic, plans: Sequence[Plan], replicas: Sequence[Outcome]) -> None:
    """
    Print what each scale needs, and what gives way first.
    """
    _console.print(f"\n{traffic.texts_per_request} texts a request, {traffic.mean_tokens:.0f} tokens each on average;")
    law = f"Zipf's exponent {traffic.zipf_exponent:g}, kept for {traffic.ttl_seconds} s"
    _console.print(f"{traffic.vocabulary:,} texts, {law}")
    table = _table("requests/s", *(f"{plan.requests_per_second:,.0f}" for plan in plans))
    for name, cells in (_needs(plans) | _simulated(traffic, replicas) | _costs(traffic, plans)).items():
        table.add_row(name, *cells)
    table.add_section()
    table.add_row("breaks first", *(plan.breaks_first for plan in plans), style="bold")
    for name in plans[0].used:
        table.add_row(f"  {name}", *(_share(plan.used[name]) for plan in plans))
    _console.print(table)


def show_comparison(comparison: Comparison) -> None:
    """
    Print a load as it was predicted and as it was.
    """
    _console.print(f"\n{comparison.name}")
    table = _table("", "on paper", "simulated", "measured", "beside it", "held")
    for row in comparison.rows:
        table.add_row(row.name, *_compared(row))
    _console.print(table)


def _table(first: str, *columns: str) -> Table:
    table = Table(first, box=SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _needs(plans: Sequence[Plan]) -> dict[str, list[str]]:
    sources = [plan.demand.sources for plan in plans]
    return {
        "hit ratio": [f"{each.hits:.1%}" for each in sources],
        "  own cache, Redis": [f"{each.local:.1%}, {each.redis:.1%}" for each in sources],
        "transformers": [f"{plan.transformers:,} ({plan.transformer_cores:,.1f} busy)" for plan in plans],
        "  network": [f"{plan.network_gbit:,.3f} Gbit/s" for plan in plans],
        "predictors": [f"{plan.predictors:,} ({plan.predictor_cores:,.1f} busy)" for plan in plans],
        "Redis servers": [f"{plan.redis_servers:,} ({plan.redis_cores:,.2f} busy)" for plan in plans],
        "  memory": [f"{plan.redis_mib:,.0f} MiB" for plan in plans],
        "all cores, memory": [f"{plan.cores:,.0f}, {plan.memory_gib:,.0f} GiB" for plan in plans],
    }


def _simulated(traffic: Traffic, replicas: Sequence[Outcome]) -> dict[str, list[str]]:
    cores = traffic.limits.predictor_cores
    return {
        "a predictor, simulated": [f"{each.cores:.2f} of {cores} busy" for each in replicas],
        "  p50, p99": [f"{each.latency_ms(0.5):.0f}, {each.latency_ms(0.99):.0f} ms" for each in replicas],
        "  refused": [f"{each.refused:.1%}" for each in replicas],
    }


def _costs(traffic: Traffic, plans: Sequence[Plan]) -> dict[str, list[str]]:
    is_priced = traffic.prices.core_hour or traffic.prices.gib_hour
    return {"cost an hour": [f"{plan.cost_hour:,.2f}" for plan in plans]} if is_priced else {}


def _compared(row: Row) -> Sequence[str]:
    form = "{:.1%}" if row.share else "{:.2f}"
    paper = "" if row.paper is None else form.format(row.paper)
    off = f"{row.off:+.1f} pt" if row.share else f"{row.off:.2f} x"
    wanted = ("yes" if row.held else "NO") if row.wanted else ""
    return paper, form.format(row.simulated), form.format(row.measured), off, wanted


def _share(used: float) -> str:
    return f"{used:,.1f} x" if used > 1 else f"{used:.1%}"
