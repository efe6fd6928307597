"""
Measure the predictor on this machine: its engine, what more cores bring, its start and its memory.

Ratios are to a baseline of the same run, since machines are noisy: transformers' eager forward, the matrix products
alone, one thread, the bare imports. Nothing else should run meanwhile. Takes two to five minutes.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmark import cores, engine, equality, metrics, service, start
from local.machine import processor
from local.supervisor import Failure
from predictor.artifact import ArtifactError, NumericMode, open_artifact
from predictor.cores import granted_cores
from predictor.settings import EMBEDDED_MODEL
from serving import logs

TRUE_SHAPE_MODEL = Path(__file__).resolve().parents[2] / "shared" / "models" / "distilbert-base-cased-sst2"


def main() -> None:
    """
    Measure, print tables, and write the figures where asked.
    """
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    models = [EMBEDDED_MODEL, *([TRUE_SHAPE_MODEL] if TRUE_SHAPE_MODEL.is_dir() else [])]
    parser.add_argument("--model-dir", type=Path, nargs="+", default=models, help="models to measure (default: ours)")
    parser.add_argument("--numeric-mode", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    parser.add_argument("--service", action="store_true", help="measure the whole service instead of the predictor")
    parser.add_argument("--replicas", action="store_true", help="measure replicas on Ray beside the engine in process")
    parser.add_argument("--metrics", action="store_true", help="measure what metrics cost a hit, and a scrape")
    parser.add_argument("--equality", type=int, metavar="TEXTS", help="compare answers instead of measuring speed")
    options = parser.parse_args()
    logs.configure("console", "warning")
    try:
        for model in options.model_dir:
            open_artifact(model, numeric_mode=options.numeric_mode)
    except ArtifactError as error:
        sys.exit(f"error: {error}")
    if options.equality:
        for model in options.model_dir:
            compare(model, options.numeric_mode, options.equality)
        return
    if options.replicas:
        measure_replicas(options.model_dir[0], options.numeric_mode)
        return
    if options.metrics:
        measure_metrics(options.model_dir[0], options.numeric_mode)
        return
    if options.service:
        measure_service(options.model_dir[0], options.numeric_mode)
        return
    figures: dict[str, Any] = {"processor": processor(), "cores": granted_cores(), "numeric_mode": options.numeric_mode}
    print(f"{figures['processor']}, {figures['cores']} cores, {options.numeric_mode}, one thread unless said")
    figures["models"] = [measure(model, options.numeric_mode) for model in options.model_dir]
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def measure(model: Path, numeric_mode: NumericMode) -> dict[str, Any]:
    """
    All figures of one model, printed as they come.
    """
    progress(f"{model.name}: engine")
    alone = engine.measure(model, numeric_mode)
    print(f"\n{model.name}")
    row("texts/s beside transformers' eager", f"{alone.times_eager:.2f}x", f"{alone.texts_per_second:.0f} texts/s")
    row("share of the matrix products' rate", f"{alone.share_of_gemm_rate:.0%}", f"{alone.gemm_gflops:.0f} GFLOP/s")
    one = f"{alone.one_text_ms:.2f} ms, products alone {alone.one_text_gemm_ms:.2f} ms"
    row("one text of 25 tokens beside its products", f"{alone.one_text_ms / alone.one_text_gemm_ms:.2f}x", one)
    best = max(alone.by_batch_size.values())
    for size, rate in alone.by_batch_size.items():
        row(f"batch of {size}", f"{rate / best:.0%}", f"{rate:.0f} texts/s")
    for length, rate in alone.by_text_length.items():
        row(f"4 texts of {length} tokens", "", f"{rate:.1f} texts/s, {rate * length:.0f} tokens/s")
    progress(f"{model.name}: cores")
    ways = cores.measure(model, numeric_mode)
    for way in ways:
        details = f"{way.texts_per_second:.0f} texts/s, loop late by {way.loop_delay_p99_ms:.2f} ms (p99)"
        row(way.how, f"{way.texts_per_second / ways[0].texts_per_second:.2f}x", f"{details}, {way.memory_mib:.0f} MiB")
    progress(f"{model.name}: start")
    began = start.measure(model, numeric_mode)
    over = began.ready_seconds - began.import_kserve_torch_seconds
    row("start → ready", f"{over:+.2f} s", f"{began.ready_seconds:.2f} s; import kserve, torch alone is the baseline")
    row("start → first answer", "", f"{began.first_answer_seconds:.2f} s")
    row("", "", ", ".join(f"{phase} {seconds:.2f}" for phase, seconds in began.phases.items()))
    memory = f"{began.model_memory_mib:.0f} MiB beside {began.weights_mib:.0f} MiB"
    row("memory of the loaded model", f"{began.times_weights:.2f}x", memory)
    row("memory when ready", "", f"{began.memory_mib:.0f} MiB, {began.private_memory_mib:.0f} of them its own")
    return {"engine": asdict(alone), "cores": [asdict(way) for way in ways], "start": asdict(began)}


def measure_service(model: Path, numeric_mode: NumericMode) -> None:
    """
    Print the service's speed beside a KServe model that computes nothing, and beside the predictor alone.
    """
    progress(f"{model.name}: the service, three minutes")
    ratios = service.measure(model, numeric_mode)
    print(f"{processor()}, {granted_cores()} cores, {model.name}, {numeric_mode}")
    row("hits of the process, one core", f"{ratios.local_hits:.2f}x", "requests/s beside a KServe model without work")
    row("one client's hit", "", f"median {ratios.local_hit_median_ms:.2f} ms")
    row("hits of Redis, one core", f"{ratios.redis_hits:.2f}x", "the same")
    row("10 users, 95 % repeats, all cores", f"{ratios.repeats:.2f}x", f"the same; {ratios.repeats_failed} failed")
    row("texts nobody asked before, with the cache", f"{ratios.unseen_with_cache:.2f}x", "texts/s beside no cache")
    refused = f"texts/s beside the predictor's bench; {ratios.unseen_refused} requests refused"
    row("the same, 10 clients of 4 texts", f"{ratios.unseen_of_engine:.2f}x", refused)


def measure_replicas(model: Path, numeric_mode: NumericMode) -> None:
    """
    Print what replicas on Ray cost and bring, beside the engine in process.
    """
    from benchmark import replicas  # noqa: PLC0415  # Ray is there only where it was asked for

    progress(f"{model.name}: replicas on Ray, two minutes")
    figures = replicas.measure(model, numeric_mode)
    print(f"{processor()}, {granted_cores()} cores, {model.name}, {numeric_mode}")
    for what, ours, in_process in figures.batches_ms:
        row(f"{what}, by a replica", f"{ours / in_process - 1:+.1%}", f"{ours:.2f} ms, in process {in_process:.2f} ms")
    for way in figures.ways:
        details = f"{way.texts_per_second:.0f} texts/s, loop late by {way.loop_delay_p99_ms:.2f} ms (p99)"
        row(way.how, f"{way.times:.2f}x", details)
    row("start of all replicas", "", f"{figures.start_seconds:.1f} s")
    row("memory of Ray without replicas", "", f"{figures.ray_mib:.0f} MiB")
    row("memory of a replica", "", f"{figures.replica_mib:.0f} MiB, {figures.private_mib:.0f} of them its own")


def measure_metrics(model: Path, numeric_mode: NumericMode) -> None:
    """
    Print what metrics cost a hit, and what a scrape costs.
    """
    progress(f"{model.name}: metrics, two minutes")
    cost = metrics.measure(model, numeric_mode)
    print(f"{processor()}, {granted_cores()} cores, {model.name}, {numeric_mode}")
    for what, (low, middle, high), figure in (
        ("hits of the process, counted", cost.requests, "requests/s beside the same uncounted, one core"),
        ("processor time of a hit", cost.cpu, f"beside the same; {cost.cpu_us:.0f} µs"),
    ):
        row(what, f"{middle:.3f}x", f"{figure}; half of the rounds {low:.3f} to {high:.3f}")
    for scrape in cost.scrapes:
        row(f"a scrape of the {scrape.service}", f"{scrape.kib:.1f} KiB", f"{scrape.ms:.1f} ms")


def compare(model: Path, numeric_mode: NumericMode, texts: int) -> None:
    """
    Print how far answers in mixed batches are from transformers' eager forward of each text alone.
    """
    progress(f"{model.name}: {texts} texts, each also alone in the eager forward")
    difference = equality.measure(model, numeric_mode, texts, progress)
    print(f"\n{model.name}, {numeric_mode}: {texts} texts of 1 to {equality.LONGEST} tokens in mixed batches")
    row("largest difference of a logit", f"{difference.logit:.1e}", "from transformers' eager forward")
    row("largest difference of a probability", f"{difference.probability:.1e}", "")


def row(what: str, ratio: str, figure: str) -> None:
    """
    Print a line of the table: the ratio first.
    """
    print(f"  {what:<44}{ratio:>9}   {figure}", flush=True)


def progress(what: str) -> None:
    """
    Say what is being measured now, to whoever waits.
    """
    print(f"… {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"scripts/bench: {failure}")
