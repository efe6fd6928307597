"""
Ray in our images, as KubeRay runs it: the predictor's replicas (components/ray), and the job that scores a corpus.
"""

import contextlib
import csv
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from processes import until
from test_predict import PREDICT
from tests.manifests.rendered import Form, Object

from .containers import Container, build, missing, podman, restrictions

TOKEN = "0" * 64
CLIENTS_PORT, JOBS_PORT = 10001, 8265


@pytest.fixture(scope="module", autouse=True)
def _needs_podman() -> None:
    if lack := missing():
        pytest.skip(lack)


@contextlib.contextmanager
def ray_node(image: str, group: Object, start: str, *options: str) -> Iterator[str]:
    """
    A pod of Ray's, as KubeRay starts it of a group; its name.

    Args:
        start: of `ray start`, what comes before the group's own parameters.
        options: more of podman's.
    """
    [container] = group["template"]["spec"]["containers"]
    parameters = " ".join(f"--{name}={value}" for name, value in group["rayStartParams"].items())
    # what KubeRay adds
    added = {"RAY_PORT": "6379", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    env = {each["name"]: each["value"] for each in container["env"]} | added
    given = [f"--env={name}={value}" for name, value in env.items()]
    name = f"ray-{uuid4()}"
    command = ["--entrypoint=/bin/bash", image, "-c", f"ray start {start} {parameters} --block"]
    podman(
        "run", "--detach", f"--name={name}", *restrictions(container), *folders(container), *given, *options, *command
    )
    try:
        yield name
    finally:
        podman("rm", "--force", "--time=0", "--ignore", name)


def folders(container: Object) -> list[str]:
    """
    Podman's options for the folders that a container may write to.
    """
    return [f"--tmpfs={each['mountPath']}:mode=0777" for each in container.get("volumeMounts", [])]


@contextlib.contextmanager
def ray_cluster(image: str, cluster: Any, port: int, *options: str) -> Iterator[tuple[str, str]]:
    """
    A head, and a worker of two cores; the head's name and address, once it listens on a port.
    """
    [group] = cluster["workerGroupSpecs"]
    workers = {**group, "rayStartParams": {**group["rayStartParams"], "num-cpus": "2"}}
    with ray_node(image, cluster["headGroupSpec"], "--head --dashboard-host=0.0.0.0", *options) as head:
        address = podman("inspect", head, "--format={{.NetworkSettings.IPAddress}}")
        probe = f"import socket; print(socket.socket().connect_ex(('127.0.0.1', {port})))"
        until(lambda: podman("exec", head, "python", "-c", probe) == "0")
        with ray_node(image, workers, f"--address={address}:6379", *options):
            yield head, address


def test_replicas() -> None:
    """
    The predictor computes on replicas of a Ray cluster, all of it hardened as in the manifests, and stops in its time.
    """
    form = Form("base", ("ray",))
    [cluster] = form.of("RayCluster")
    image = build("--only=predictor", "--extras=ray")["predictor"]
    host = f"{cluster['metadata']['name']}-head-svc"
    [client] = form.service["spec"]["predictor"]["containers"]
    env = {"PREDICTOR_REPLICAS": f"ray:2@ray://{host}:{CLIENTS_PORT}", "RAY_AUTH_MODE": "token"}
    with (
        ray_cluster(image, cluster["spec"], CLIENTS_PORT) as (_, address),
        Container(
            "predictor", image, f"--add-host={host}:{address}", *folders(client), RAY_AUTH_TOKEN=TOKEN, **env
        ) as service,
    ):
        answer = httpx.post(service.url + PREDICT, json={"text": ["I love you.", "This is awful."]}, timeout=60)
        assert answer.status_code == httpx.codes.OK, answer.text
        best = [max(pairs, key=lambda pair: pair["score"])["label"] for pairs in answer.json()["predictions"]]
        assert best == ["POSITIVE", "NEGATIVE"]
        assert service.stop() == 0


def test_job(tmp_path: Path) -> None:
    """
    The job scores a corpus on the cluster that is made for it, hardened as in the manifests, by its own command.
    """
    [job] = Form("score").of("RayJob")
    image = build("--only=score")["score"]
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o777)
    (data / "reviews").mkdir()
    (data / "reviews" / "rows.csv").write_text("text\nI love you.\nThis is awful.\n")
    command = [
        f"/data/{word.rpartition('/')[2]}" if "://" in word else word for word in shlex.split(job["spec"]["entrypoint"])
    ]
    with ray_cluster(image, job["spec"]["rayClusterSpec"], JOBS_PORT, f"--volume={data}:/data") as (head, _):
        podman("exec", head, "ray", "job", "submit", f"--address=http://127.0.0.1:{JOBS_PORT}", "--", *command)
    [scored] = (data / "scored" / "rows").iterdir()
    assert [row["label"] for row in csv.DictReader(scored.read_text().splitlines())] == ["POSITIVE", "NEGATIVE"]
