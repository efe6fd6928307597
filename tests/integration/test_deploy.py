"""
`scripts/deploy` at a real API server, with what KServe, Kubernetes' controllers and a kubelet would do stood in for.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from control_plane import MISSING, ControlPlane, Kubelet, control_plane
from processes import ROOT, Service, until
from stand_in import ABSENT, DEPLOYMENTS, KNATIVE, NAMESPACE, SERVICES, Controllers

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"no API server without {', '.join(MISSING)}")
SERVICE = f"{SERVICES}/sentiment"


@pytest.fixture(scope="module")
def plane(transformer_service: Service) -> Iterator[ControlPlane]:
    """
    A cluster, whose pods of the transformer are the one that runs here.
    """
    with (
        control_plane() as plane,
        Kubelet("wrong setting\n", {8080: transformer_service.port}) as kubelet,
        Controllers(plane.http, kubelet.node()),
    ):
        yield plane


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    """
    A copy of the overlay `kind`, to change.
    """
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    return tmp_path / "manifests" / "overlays" / "kind"


def command(plane: ControlPlane, *words: str | Path, context: str = "admin") -> dict[str, Any]:
    """
    The command, for subprocess.
    """
    args = [sys.executable, str(ROOT / "scripts" / "deploy.py"), *map(str, words), "--context", context]
    env = {**os.environ, "KUBECONFIG": str(plane.kubeconfig)}
    return {"args": args, "env": env, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


def deploy(plane: ControlPlane, *words: str | Path, context: str = "admin") -> subprocess.CompletedProcess[str]:
    """
    Run the command.
    """
    return subprocess.run(**command(plane, *words, context=context), check=False, timeout=180)


def predictor(tag: str) -> str:
    """
    The option for another image of the predictor.
    """
    return f"--image=dev.local/sentiment-predictor:{tag}"


def live(plane: ControlPlane) -> Any:
    """
    The InferenceService as it is.
    """
    return plane.http.get(SERVICE).raise_for_status().json()


def versions(plane: ControlPlane) -> dict[str, str]:
    """
    The version of each object's specification.
    """
    found = {}
    for path in (SERVICES, DEPLOYMENTS, f"{NAMESPACE}/secrets", f"{NAMESPACE}/services"):
        for each in plane.http.get(path).json()["items"]:
            spec = (each.get("spec"), each.get("data"), each["metadata"].get("labels"))
            found[path + each["metadata"]["name"]] = str(spec)
    return found


def test_first_time_and_again(plane: ControlPlane) -> None:
    """
    From an empty cluster to an answer in one command, the Secret included; said again, nothing changes.
    """
    result = deploy(plane, "kind")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "POSITIVE" in result.stdout
    before = versions(plane)
    again = deploy(plane, "kind")
    assert again.returncode == 0, again.stdout + again.stderr
    assert re.search(r"\b0 of \d+ objects change", again.stdout)
    assert versions(plane) == before


@pytest.fixture
def deployed(plane: ControlPlane) -> ControlPlane:
    """
    A cluster on which the overlay `kind` is live.
    """
    result = deploy(plane, "kind", "--force")
    assert result.returncode == 0, result.stdout + result.stderr
    return plane


def set_by_another(plane: ControlPlane, predictor: dict[str, Any]) -> None:
    """
    Apply fields of the predictor as `kubectl apply --server-side --force-conflicts` does.
    """
    service = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "spec": {"predictor": predictor}}
    plane.http.patch(
        SERVICE,
        params={"fieldManager": "kubectl", "force": "true"},
        headers={"content-type": "application/apply-patch+yaml"},
        json={**service, "metadata": {"name": "sentiment", "namespace": "sentiment"}},
    ).raise_for_status()


def test_conflict(deployed: ControlPlane) -> None:
    """
    A field that another tool has set since is not overwritten, but named with that tool; --force takes it over.
    """
    set_by_another(deployed, {"maxReplicas": 7})
    result = deploy(deployed, "kind")
    assert result.returncode == 1
    assert re.search(r"another tool has set the same fields.*kubectl.*maxReplicas", result.stderr)
    assert "--force" in result.stderr
    assert live(deployed)["spec"]["predictor"]["maxReplicas"] == 7
    assert deploy(deployed, "kind", "--force").returncode == 0
    assert live(deployed)["spec"]["predictor"]["maxReplicas"] == 2


def test_fields_of_others_stay(deployed: ControlPlane) -> None:
    """
    What the overlay does not name stays as another tool has set it.
    """
    set_by_another(deployed, {"minReplicas": 1, "logger": {"mode": "all"}})
    assert deploy(deployed, "kind").returncode == 0
    assert live(deployed)["spec"]["predictor"]["logger"] == {"mode": "all"}


def test_failure_is_explained_and_rolled_back(deployed: ControlPlane) -> None:
    """
    An image that no registry has: the cause and its next step are said, and what was live before is live again.
    """
    before = versions(deployed)
    result = deploy(deployed, "kind", predictor(ABSENT), "--timeout", "4")
    assert result.returncode == 1
    assert re.search(r"^- .*image: dev.local/sentiment-predictor:0.1.0$", result.stdout, re.MULTILINE)
    assert "the image cannot be pulled" in result.stdout
    assert "scripts/build --push" in result.stdout
    assert "rolled back: what was live before is live and ready again" in result.stderr
    assert versions(deployed) == before


def test_next_deployment_after_a_roll_back(deployed: ControlPlane, overlay: Path) -> None:
    """
    A roll-back leaves nothing behind that the next deployment would not take away.
    """
    before = live(deployed)["spec"]
    with (overlay / "kustomization.yaml").open("a") as file:
        patch = "{op: add, path: /spec/predictor/containers/0/env/-, value: {name: MAX_WAIT_MS, value: '100'}}"
        file.write(
            f"\npatches: [{{target: {{kind: InferenceService}}, patch: '[{patch.replace(chr(39), chr(34))}]'}}]\n"
        )
    assert deploy(deployed, overlay, predictor(ABSENT), "--timeout", "4").returncode == 1
    assert deploy(deployed, "kind").returncode == 0
    assert live(deployed)["spec"] == before


def test_newer_release_is_not_rolled_back(deployed: ControlPlane) -> None:
    """
    A release that fails takes back what it has changed, but not what somebody has released since.
    """
    image = "/spec/predictor/containers/0/image"
    newer = [{"op": "replace", "path": image, "value": "dev.local/sentiment-predictor:0.9.0"}]
    with subprocess.Popen(**command(deployed, "kind", predictor(ABSENT), "--timeout", "15")) as failing:
        until(lambda: live(deployed)["spec"]["predictor"]["containers"][0]["image"].endswith(ABSENT))
        headers = {"content-type": "application/json-patch+json"}
        deployed.http.patch(SERVICE, headers=headers, json=newer).raise_for_status()
        _, told = failing.communicate(timeout=180)
    assert failing.returncode == 1
    assert "not rolled back, since somebody has changed it meanwhile: InferenceService sentiment" in told
    assert live(deployed)["spec"]["predictor"]["containers"][0]["image"].endswith("0.9.0")


def test_canary(deployed: ControlPlane) -> None:
    """
    A canary has its share until it is promoted, and then all, though the overlay names the image of before.
    """
    result = deploy(deployed, "kind", predictor("0.2.0"), "--canary", "10")
    assert result.returncode == 0, result.stdout + result.stderr
    assert live(deployed)["spec"]["predictor"]["canaryTrafficPercent"] == 10
    assert re.search(
        r"sentiment-predictor-\d+ 10 %, sentiment-predictor-\d+ 90 %", deploy(deployed, "status", "kind").stdout
    )
    assert deploy(deployed, "promote", "kind").returncode == 0
    spec = live(deployed)["spec"]["predictor"]
    assert "canaryTrafficPercent" not in spec
    assert spec["containers"][0]["image"].endswith("0.2.0")


def test_promote_takes_the_field_from_whoever_set_it(deployed: ControlPlane) -> None:
    """
    A canary by kubectl can be promoted as well.
    """
    set_by_another(deployed, {"canaryTrafficPercent": 20})
    assert deploy(deployed, "promote", "kind").returncode == 0
    assert "canaryTrafficPercent" not in live(deployed)["spec"]["predictor"]


def test_roll_back_of_a_canary(deployed: ControlPlane) -> None:
    """
    After a roll-back the revision before has all requests; the next deployment's has them all again.
    """
    assert deploy(deployed, "kind", predictor("0.3.0"), "--canary", "10").returncode == 0
    result = deploy(deployed, "rollback", "kind")
    assert result.returncode == 0, result.stdout + result.stderr
    assert live(deployed)["spec"]["predictor"]["canaryTrafficPercent"] == 0
    assert deploy(deployed, "kind").returncode == 0
    assert "canaryTrafficPercent" not in live(deployed)["spec"]["predictor"]


def test_misspelt_field(deployed: ControlPlane, overlay: Path) -> None:
    """
    A field that the cluster does not know is refused before anything is changed.
    """
    before = versions(deployed)
    with (overlay / "kustomization.yaml").open("a") as file:
        patch = '[{"op": "add", "path": "/spec/predictor/maxReplica", "value": 3}]'
        file.write(f"\npatches: [{{target: {{kind: InferenceService}}, patch: '{patch}'}}]\n")
    result = deploy(deployed, overlay)
    assert result.returncode == 1
    assert re.search(r"invalid.*maxReplica", result.stderr)
    assert versions(deployed) == before


@pytest.mark.parametrize(
    ("context", "line", "step"),
    [
        ("nowhere", "no cluster answers at https://127.0.0.1", "scripts/cluster up"),
        ("unknown", "the cluster does not know you", "log in again"),
        ("stranger", 'you lack the right: .*User "stranger" cannot get', "kubectl auth can-i"),
        ("misspelt", "no cluster: .*misspelt", "scripts/cluster up"),
    ],
)
def test_refusals(plane: ControlPlane, context: str, line: str, step: str) -> None:
    """
    Whatever keeps a person from the cluster is one line, and the next step another.
    """
    result = deploy(plane, "kind", context=context)
    assert result.returncode == 1
    first, second = result.stderr.splitlines()
    assert re.search(line, first)
    assert step in second


def test_unknown_kind(plane: ControlPlane, overlay: Path) -> None:
    """
    A kind that the cluster lacks is named, with what brings it, before anything is changed.
    """
    (overlay / "rule.yaml").write_text("{apiVersion: example.com/v1, kind: Rule, metadata: {name: r}}")
    text = (overlay / "kustomization.yaml").read_text()
    (overlay / "kustomization.yaml").write_text(text.replace("  - ../../base\n", "  - ../../base\n  - rule.yaml\n"))
    result = deploy(plane, overlay)
    assert "the cluster has no Rule, its definition is missing" in result.stderr


def test_deletion_that_hangs(deployed: ControlPlane) -> None:
    """
    A deletion ends once the objects are gone; one that a finalizer holds up says which, and goes on when it is freed.
    """
    hold = {"metadata": {"finalizers": ["example.com/hold"]}}
    merge = {"content-type": "application/merge-patch+json"}
    deployed.http.patch(SERVICE, headers=merge, json=hold).raise_for_status()
    hanging = deploy(deployed, "delete", "kind", "--yes", "--timeout", "2")
    assert hanging.returncode == 1
    assert re.search(r"InferenceService sentiment is still there after .*: example\.com/hold\n  next: ", hanging.stderr)
    deployed.http.patch(SERVICE, headers=merge, json={"metadata": {"finalizers": None}}).raise_for_status()
    assert deploy(deployed, "delete", "kind", "--yes").returncode == 0
    assert deployed.http.get(SERVICE).status_code == httpx.codes.NOT_FOUND


def test_delete_and_a_first_deployment_that_fails(deployed: ControlPlane) -> None:
    """
    What is deleted is gone but for the namespace and its Secret; a first deployment that fails leaves no more.
    """
    assert deploy(deployed, "delete", "kind").returncode == 1  # nobody to ask
    result = deploy(deployed, "delete", "kind", "--yes")
    assert result.returncode == 0, result.stderr
    left = versions(deployed)
    assert list(left) == [f"{NAMESPACE}/secretssentiment-redis"]
    failed = deploy(deployed, "kind", predictor(ABSENT), "--timeout", "4")
    assert "what was not there before is gone again" in failed.stderr
    assert versions(deployed) == left


@pytest.fixture
def standard(plane: ControlPlane) -> Iterator[ControlPlane]:
    """
    A cluster on which the overlay `standard` is live, in place of any other.
    """
    deploy(plane, "delete", "kind", "--yes")
    until(lambda: not plane.http.get(KNATIVE).json()["items"])
    result = deploy(plane, "standard")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "POSITIVE" in result.stdout
    yield plane
    assert deploy(plane, "delete", "standard", "--yes").returncode == 0


def test_standard(standard: ControlPlane) -> None:
    """
    Without Knative an update is done when the Deployments run it, and not while pods of before still answer.

    If the new ones cannot start, the cause is said, and what was live before is live again, Deployments included.
    """
    assert deploy(standard, "standard", "--image=host/team/sentiment-transformer:0.2.0").returncode == 0
    [made] = standard.http.get(f"{DEPLOYMENTS}/sentiment-transformer").json()["spec"]["template"]["spec"]["containers"]
    assert made["image"] == "host/team/sentiment-transformer:0.2.0"
    before = versions(standard)
    failed = deploy(standard, "standard", f"--image=host/team/sentiment-transformer:{ABSENT}", "--timeout", "4")
    assert failed.returncode == 1
    assert "the image cannot be pulled" in failed.stderr
    assert "rolled back: what was live before is live and ready again" in failed.stderr
    assert versions(standard) == before
    status = deploy(standard, "status", "standard")
    assert "Deployment sentiment-predictor: ready" in status.stdout
    assert "needs Knative" in deploy(standard, "standard", "--canary", "10").stderr
