import re

import pytest
import yaml

from transformer.settings import TransformerSettings

from .pods import containers_of
from .rendered import COMPONENTS, FORMS, MANIFESTS, OVERLAYS, Form, kustomize
from .strict import faults

README = (MANIFESTS / "README.md").read_text()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_is_listed(overlay: str) -> None:
    """
    The README says which cluster each overlay is for.
    """
    assert re.search(rf"^\|.*`{overlay}`.*\|.*\|.*\|$", README, re.MULTILINE)


@pytest.mark.parametrize("component", COMPONENTS)
def test_component_is_listed(component: str) -> None:
    """
    Each component has a line in the README, a README of its own, and a form that is rendered here.
    """
    assert f"| [{component}](components/{component}/README.md) |" in README
    assert (MANIFESTS / "components" / component / "README.md").read_text().startswith(f"# {component}\n")
    assert any(component in form.components for form in FORMS)


def test_secret_command() -> None:
    """
    The README's command makes the Secret with the keys that are read, and a URL that reaches the Redis.
    """
    keys = dict(re.findall(r"--from-literal=(\w+)=\"(\S+)\"", README))
    references = [each["valueFrom"]["secretKeyRef"] for one in containers_of(Form("base")) for each in one.spec["env"]]
    assert {(reference["name"], reference["key"]) for reference in references} == {
        ("sentiment-redis", key) for key in keys
    }
    [service] = Form("base").of("Service")
    url = TransformerSettings(redis_url=keys["url"].replace("$password", "p")).redis_url
    assert url == f"redis://:p@{service['metadata']['name']}:{service['spec']['ports'][0]['port']}/0"


def test_external_redis_command() -> None:
    """
    A managed Redis's URL, as its README makes it, is one that the transformer takes, over TLS.
    """
    readme = (MANIFESTS / "components" / "external-redis" / "README.md").read_text()
    [url] = re.findall(r"--from-literal=url=\"(\S+)\"", readme)
    for name, value in {"$quoted": "a%2Fb%3D", "$host": "cache.example.com", "$port": "6380"}.items():
        url = url.replace(name, value)
    assert TransformerSettings(redis_url=url).redis_url == "rediss://:a%2Fb%3D@cache.example.com:6380/0"


def test_runbook_lines() -> None:
    """
    The lines that monitoring's README gives an overlay lead every alert to its section at the address that they name.
    """
    readme = (MANIFESTS.parent / "monitoring" / "README.md").read_text()
    [lines] = re.findall(r"```yaml\n(replacements:.*?)```", readme, re.DOTALL)
    overlay = yaml.safe_load(lines)
    rendered = kustomize(Form("overlays/eks"), **overlay).stdout
    [rules] = [thing for thing in yaml.safe_load_all(rendered) if thing["kind"] == "PrometheusRule"]
    alerts = [rule for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    assert alerts
    for alert in alerts:
        address = f"{overlay['replacements'][0]['sourceValue']}#{alert['alert'].lower()}"
        assert alert["annotations"]["runbook_url"] == address


def test_twelve_lines() -> None:
    """
    The example of an InferenceService that a runtime makes possible is valid, short, and one that the runtime supports.
    """
    readme = (MANIFESTS / "components" / "serving-runtime" / "README.md").read_text()
    [example] = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    service = yaml.safe_load(example)
    assert len(example.splitlines()) <= 12
    assert faults(service) == []
    form = Form("base", ("serving-runtime",))
    [runtime] = form.of("ServingRuntime")
    predictor = service["spec"]["predictor"]
    formats = [each["name"] for each in runtime["spec"]["supportedModelFormats"] if each["autoSelect"]]
    assert predictor["model"]["modelFormat"]["name"] in formats
    assert predictor["serviceAccountName"] in [account["metadata"]["name"] for account in form.of("ServiceAccount")]
    assert service["metadata"]["namespace"] == runtime["metadata"]["namespace"]


def test_links() -> None:
    """
    Every file that a README links to or names in a command is there.
    """
    for readme in MANIFESTS.rglob("README.md"):
        text = readme.read_text()
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            assert (readme.parent / link).exists(), link
        for path in re.findall(r"manifests/[\w./-]+\w", text):
            assert path == "manifests/" or (MANIFESTS.parent / path).exists(), path
