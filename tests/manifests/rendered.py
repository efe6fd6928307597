"""
The manifests as kustomize renders them: every overlay, and every combination of components that makes sense.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "manifests"
COMPONENTS = sorted(path.name for path in (MANIFESTS / "components").iterdir())
OVERLAYS = sorted(path.name for path in (MANIFESTS / "overlays").iterdir())
KUBECTL = Path(sys.executable).with_name("kubectl")

# In the order that manifests/README.md asks for: the mode, what changes a part, the shape.
_ANY_MODE = ["local", "external-redis", "image-pull-secret", "bf16", "tracing"]
_KNATIVE = [*_ANY_MODE, "canary"]
_STANDARD = [*_ANY_MODE, "keda", "older-paths", "cpu-nodes"]
_SHAPES = ["collocated", "serving-runtime", "grpc"]


@dataclass(frozen=True)
class Form:
    """
    One way to deploy the service: a base or an overlay, and components on top.
    """

    base: str
    components: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "+".join([Path(self.base).name, *self.components])

    @property
    def objects(self) -> list[Object]:
        """
        All objects of this form.
        """
        return render(self)

    def of(self, kind: str) -> list[Object]:
        """
        The objects of a kind.
        """
        return [thing for thing in self.objects if thing["kind"] == kind]

    @property
    def service(self) -> Object:
        """
        The InferenceService, of which there is one.
        """
        [service] = self.of("InferenceService")
        return service

    @property
    def mode(self) -> str:
        """
        KServe's deployment mode.
        """
        mode: str = self.service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"]
        return mode


def _combinations() -> list[Form]:
    """
    Each mode with each of its components alone, and each shape, with none of them and with all at once.
    """
    forms = []
    for mode, parts in (((), _KNATIVE), (("standard",), _STANDARD)):
        together = [part for part in parts if part != "local"]  # it takes the monitors away
        forms += [Form("base", (*mode, part)) for part in parts]
        for shape in ((), *((name,) for name in _SHAPES)):
            forms += [Form("base", (*mode, *chosen, *shape)) for chosen in ((), ("local",), together)]
    forms += [Form("base", ("ray", "local")), *(Form("base", (*mode, "ray")) for mode in ((), ("standard",)))]
    return list(dict.fromkeys(forms))


FORMS = [*(Form(f"overlays/{name}") for name in OVERLAYS), *_combinations()]


def kustomize(form: Form, **overlay: Any) -> subprocess.CompletedProcess[str]:
    """
    Run `kubectl kustomize` on a form.

    Args:
        form: base and components.
        overlay: what else stands in the kustomization.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = [form.base, *(f"components/{name}" for name in form.components)]
        # kustomize takes no absolute paths
        base, *components = [os.path.relpath(MANIFESTS / path, Path(folder).resolve()) for path in paths]
        kustomization = {"resources": [base], "components": components, **overlay}
        Path(folder, "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False)


@cache
def render(form: Form) -> list[Object]:
    """
    The objects that kustomize makes of a form.
    """
    result = kustomize(form)
    assert result.returncode == 0, result.stderr
    return list(yaml.safe_load_all(result.stdout))
