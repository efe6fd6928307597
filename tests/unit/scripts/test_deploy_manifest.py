from typing import Any

import pytest

import deploy
from deployment.canary import former, shares, with_canary
from deployment.difference import lines_of
from deployment.manifest import asked_for, in_order, render, service_of
from local.supervisor import Failure

Object = dict[str, Any]
KNATIVE = {"serving.kserve.io/deploymentMode": "Knative"}


def thing(kind: str, api_version: str = "v1", **more: Any) -> Object:
    """
    An object.
    """
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, **more}


def test_order() -> None:
    """
    What is needed is applied before what needs it: the namespace first, custom resources last, the service behind them.
    """
    things = [
        thing("InferenceService", "serving.kserve.io/v1beta1"),
        thing("ServingRuntime", "serving.kserve.io/v1alpha1"),
        thing("PodMonitor", "monitoring.coreos.com/v1"),
        thing("HTTPRoute", "gateway.networking.k8s.io/v1"),
        thing("Deployment", "apps/v1"),
        thing("NetworkPolicy", "networking.k8s.io/v1"),
        thing("Secret"),
        thing("ServiceAccount"),
        thing("Namespace"),
    ]
    kinds = [each["kind"] for each in in_order(things)]
    assert kinds[:4] == ["Namespace", "ServiceAccount", "Secret", "NetworkPolicy"]
    assert set(kinds[4:6]) == {"HTTPRoute", "Deployment"}
    assert kinds[6:] == ["ServingRuntime", "PodMonitor", "InferenceService"]


def test_render() -> None:
    """
    An overlay is found by its name, and has one service; a name that is none tells those that are.
    """
    assert service_of(render("kind"))["metadata"]["name"] == "sentiment"
    with pytest.raises(Failure, match="no overlay is called kid; there are aks, eks, kind"):
        render("kid")
    with pytest.raises(Failure, match="one InferenceService, this one has 0"):
        service_of([thing("Service")])


def images_of(objects: list[Object]) -> set[str]:
    """
    The images that an overlay's service runs.
    """
    parts = service_of(objects)["spec"].values()
    return {container["image"] for part in parts for container in part["containers"]}


def test_other_images() -> None:
    """
    An image takes the place of the overlay's of the same name, whatever registry, tag and digest either has.
    """
    digest = "host:5000/team/sentiment-predictor@sha256:abc"
    assert images_of(render("kind", [digest])) == {digest, *(i for i in images_of(render("kind")) if "transf" in i)}
    tags = ["sentiment-predictor:1", "sentiment-transformer:2"]
    assert images_of(render("eks", tags)) == set(tags)
    with pytest.raises(Failure, match="kind has no image sentiment-predictr"):
        render("kind", ["dev.local/sentiment-predictr:1"])


def test_kustomize_refuses(tmp_path: Any) -> None:
    """
    What kustomize says of an overlay is said on.
    """
    (tmp_path / "kustomization.yaml").write_text("resources: [nowhere.yaml]")
    with pytest.raises(Failure, match=r"kustomize refuses .*nowhere\.yaml"):
        render(str(tmp_path))


def test_difference() -> None:
    """
    The difference is that of what was asked for, not of what the cluster says of it; there is none between equals.
    """
    live = thing("Service", spec={"a": 1, "b": 2}, status={"seen": 1})
    live["metadata"] |= {"uid": "1", "resourceVersion": "7", "managedFields": [{}], "labels": {"l": "1"}}
    wanted = thing("Service", spec={"a": 1, "b": 3})
    wanted["metadata"]["labels"] = {"l": "1"}
    assert [line for line in lines_of(live, wanted)[3:] if line[0] in "+-"] == ["-  b: 2", "+  b: 3"]
    assert lines_of(live, asked_for(live)) == []
    assert lines_of(None, wanted) == ["+ Service x"]


def test_secrets_are_not_shown() -> None:
    """
    The values of a Secret are in no difference.
    """
    secret = thing("Secret", stringData={"password": "hunter2"}, data={"url": "aHVudGVyMg=="})
    shown = "\n".join(lines_of(thing("Secret"), secret))
    assert "password" in shown
    assert "hunter2" not in shown
    assert "aHVudGVyMg" not in shown


def test_canary_needs_what_takes_the_rest() -> None:
    """
    A canary is refused where nothing would split the requests, and where nothing is live to take the other ones.
    """
    service = thing("InferenceService", spec={"predictor": {}})
    service["metadata"]["annotations"] = KNATIVE
    assert with_canary(service, service, 10)["spec"]["predictor"] == {"canaryTrafficPercent": 10}
    assert service["spec"]["predictor"] == {}
    with pytest.raises(Failure, match="nothing is live"):
        with_canary(service, None, 10)
    with pytest.raises(Failure, match="needs Knative"):
        with_canary(thing("InferenceService", spec={"predictor": {}}), service, 10)


def revisions(**predictor: Any) -> Object:
    """
    A service with these revisions.
    """
    return thing("InferenceService", status={"components": {"predictor": predictor}})


@pytest.mark.parametrize(
    ("created", "ready", "rolled_out", "previous", "to"),
    [
        ("r-2", "r-2", "r-1", "", "r-1"),  # a canary
        ("r-2", "r-1", "r-1", "r-0", "r-1"),  # the newest never became ready
        ("r-2", "r-2", "r-2", "r-1", "r-1"),  # all is rolled out
        ("r-1", "r-1", "r-1", "", ""),  # the first
    ],
)
def test_where_a_roll_back_leads(created: str, ready: str, rolled_out: str, previous: str, to: str) -> None:
    """
    A roll-back leads to the revision that had all requests before the newest one.
    """
    names = {"latestCreatedRevision": created, "latestReadyRevision": ready, "latestRolledoutRevision": rolled_out}
    assert former(revisions(**names, **({"previousRolledoutRevision": previous} if previous else {}))) == to


def test_shares() -> None:
    """
    A revision's share is the sum of all that it gets by name and as the newest.
    """
    latest = {"revisionName": "r-2", "latestRevision": True, "percent": 10}
    named = {"revisionName": "r-1", "tag": "prev", "percent": 90}
    again = {"revisionName": "r-2", "tag": "latest"}
    assert shares(revisions(traffic=[latest, named, again])) == {"r-2": 10, "r-1": 90}
    assert shares(thing("InferenceService")) == {}


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["kind"], "apply"),
        (["apply", "kind"], "apply"),
        (["kind", "--canary", "10"], "apply"),
        (["diff", "kind"], "diff"),
    ],
)
def test_apply_need_not_be_said(words: list[str], command: str) -> None:
    """
    An overlay alone means to apply it.
    """
    options = deploy.parse_options(words)
    assert (options.command, options.overlay) == (command, "kind")


@pytest.mark.parametrize("percent", ["0", "100", "-1", "ten", ""])
def test_canary_is_a_part(percent: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A canary gets some of the requests and not all.
    """
    with pytest.raises(SystemExit):
        deploy.parse_options(["kind", f"--canary={percent}"])
    assert "--canary" in capsys.readouterr().err
