"""
`scripts/fuzz` by a short form, and again what did harm once.
"""

import contextlib
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from fuzzing.case import read
from fuzzing.client import Client
from processes import ROOT, Redis, Service, predictor, transformer

SCRIPT = [sys.executable, str(ROOT / "scripts" / "fuzz.py")]
SEEDS = sorted(Path(__file__).with_name("fuzz_seeds").glob("*.txt"))
BODIES = 1500
# nobody is to be refused for the load, nor a right answer to be late, on a machine that stalls
PATIENT = {"MAX_WAIT_MS": "60000", "PREDICTOR_TIMEOUT_SECONDS": "60"}
HANG_SECONDS = 30


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, Service]]:
    """
    Both services.
    """
    with contextlib.ExitStack() as running:
        model = running.enter_context(predictor(**PATIENT))
        redis = running.enter_context(Redis())
        yield {"predictor": model, "transformer": running.enter_context(transformer(model.port, redis, **PATIENT))}


def test_new_bodies(services: dict[str, Service], tmp_path: Path) -> None:
    """
    Of bodies that nobody sent before none gets a 5xx, hangs, ends a process, or changes the answer to a right one.
    """
    addresses = [["--url", each.url, "--target", f"127.0.0.1:{each.grpc_port}"] for each in services.values()]
    options = ["--bodies", str(BODIES), "--seed", str(random.randrange(2**32)), "--hang-seconds", str(HANG_SECONDS)]
    files = ["--json", str(tmp_path / "figures.json"), "--keep", str(tmp_path)]
    command = [*SCRIPT, *chain.from_iterable(addresses), *options, "--no-memory", *files]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert sum(sum(service["answers"].values()) for service in figures["services"].values()) > BODIES


@pytest.mark.parametrize("file", SEEDS, ids=lambda file: file.stem)
@pytest.mark.parametrize("name", ["predictor", "transformer"])
async def test_kept_body(services: dict[str, Service], name: str, file: Path) -> None:
    """
    What did harm once does none again.
    """
    service = services[name]
    async with Client(name, service.url, f"127.0.0.1:{service.grpc_port}") as client:
        assert (await client.ask(read(file))).fault is None
        assert (await client.check(fresh=True)).fault is None
