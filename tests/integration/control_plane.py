"""
A real Kubernetes API server for tests, and what stands in for a kubelet beside it.

The binaries are those that Kubernetes' own tests of controllers take: etcd and kube-apiserver in KUBEBUILDER_ASSETS,
the folder that `setup-envtest use -p path` prints.
"""

import asyncio
import contextlib
import os
import ssl
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import trustme
import uvicorn
import yaml

from processes import ROOT, Process, free_port, until

ASSETS = Path(os.environ.get("KUBEBUILDER_ASSETS", "/usr/local/kubebuilder/bin"))
DEFINITIONS = ROOT.parent / "shared" / "crds" / "raw"
MISSING = [str(path) for path in (ASSETS / "etcd", ASSETS / "kube-apiserver", DEFINITIONS) if not path.exists()]
# kubeconfig's user → token, group
USERS = {"admin": ("admins", "system:masters"), "stranger": ("strangers", "nobodies"), "unknown": ("wrong", "")}


@dataclass(frozen=True)
class ControlPlane:
    """
    An API server that runs.

    Attributes:
        kubeconfig: a file with a context for each user.
    """

    url: str
    kubeconfig: Path
    http: httpx.Client

    def post(self, path: str, thing: dict[str, Any]) -> None:
        """
        Create an object.
        """
        self.http.post(path, json=thing).raise_for_status()


@contextlib.contextmanager
def control_plane() -> Iterator[ControlPlane]:
    """
    Start etcd and the API server, install the definitions of our custom resources, and stop them in the end.
    """
    with tempfile.TemporaryDirectory(prefix="control-plane-") as name:
        folder, port, store, peers = Path(name), free_port(), _url(), _url()
        authority = _certificates(folder)
        etcd = [f"--data-dir={folder}/etcd", f"--listen-client-urls={store}", f"--advertise-client-urls={store}"]
        server = [
            f"--etcd-servers={store}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={folder}",
            f"--tls-cert-file={folder}/server.pem",
            f"--tls-private-key-file={folder}/server.key",
            f"--token-auth-file={_tokens(folder)}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://localhost",
            f"--service-account-key-file={folder}/server.key",
            f"--service-account-signing-key-file={folder}/server.key",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount",  # no controller makes the default accounts
        ]
        with (
            Process([str(ASSETS / "etcd"), *etcd, f"--listen-peer-urls={peers}", "--unsafe-no-fsync"]),
            Process([str(ASSETS / "kube-apiserver"), *server]),
            httpx.Client(
                base_url=f"https://127.0.0.1:{port}",
                headers={"Authorization": f"Bearer {USERS['admin'][0]}"},
                verify=ssl.create_default_context(cafile=str(authority)),
                timeout=30,
            ) as http,
        ):
            until(lambda: _ready(http))
            plane = ControlPlane(str(http.base_url), _kubeconfig(folder, port, authority), http)
            _define(plane)
            yield plane


def _url() -> str:
    return f"http://127.0.0.1:{free_port()}"


def _certificates(folder: Path) -> Path:
    """
    Write a server's certificate and key; the file of their authority.
    """
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    server.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
    server.private_key_pem.write_to_path(str(folder / "server.key"))
    return folder / "authority.pem"


def _tokens(folder: Path) -> Path:
    lines = [f'{token},{user},{user},"{group}"' for user, (token, group) in USERS.items() if user != "unknown"]
    (folder / "tokens.csv").write_text("\n".join(lines))
    return folder / "tokens.csv"


def _kubeconfig(folder: Path, port: int, authority: Path) -> Path:
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(authority)}
    elsewhere = {**cluster, "server": f"https://127.0.0.1:{free_port()}"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": cluster}, {"name": "nowhere", "cluster": elsewhere}],
        "users": [{"name": user, "user": {"token": token}} for user, (token, _) in USERS.items()],
        "contexts": [
            *({"name": user, "context": {"cluster": "here", "user": user}} for user in USERS),
            {"name": "nowhere", "context": {"cluster": "nowhere", "user": "admin"}},
        ],
        "current-context": "admin",
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    return folder / "kubeconfig"


def _ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").is_success
    except httpx.TransportError:
        return False


def _define(plane: ControlPlane) -> None:
    for file in DEFINITIONS.glob("*.yaml"):
        plane.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", yaml.safe_load(file.read_text()))
    until(lambda: plane.http.get("/apis/serving.kserve.io/v1beta1/inferenceservices").is_success)
    until(lambda: plane.http.get("/apis/monitoring.coreos.com/v1/podmonitors").is_success)
    until(lambda: plane.http.get("/apis/serving.knative.dev/v1/services").is_success)


class Kubelet:
    """
    Answers the API server for a node: logs, and connections to the ports of its pods, all of which are this machine's.

    Args:
        logs: what a container has said.
        forward: from the port of a pod to one of this machine.
    """

    def __init__(self, logs: str, forward: dict[int, int]) -> None:
        self.logs, self.forward = logs, forward
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="kubelet-")

    def __enter__(self) -> Self:
        folder = Path(self._folder.name)
        _certificates(folder)
        config = uvicorn.Config(
            self._answer,
            port=self.port,
            log_level="error",
            lifespan="off",
            interface="asgi3",
            ssl_certfile=folder / "server.pem",
            ssl_keyfile=str(folder / "server.key"),
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        until(lambda: self._server.started)
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._folder.cleanup()

    def node(self) -> dict[str, Any]:
        """
        The status of its node.
        """
        return {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
        }

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": self.logs.encode()})
        else:
            await self._forward(scope, receive, send)

    async def _forward(self, scope: Any, receive: Any, send: Any) -> None:
        """
        Speak Kubernetes' protocol of port-forwarding over a WebSocket.

        A byte for the channel precedes all that is sent, and the first on each channel is the port.
        """
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "v4.channel.k8s.io"})
        port = int(scope["query_string"].partition(b"port")[2].rpartition(b"=")[2])
        for channel in (b"\0", b"\1"):
            await send({"type": "websocket.send", "bytes": channel + port.to_bytes(2, "little")})
        reader, writer = await asyncio.open_connection("127.0.0.1", self.forward[port])

        async def back() -> None:
            while data := await reader.read(65536):
                await send({"type": "websocket.send", "bytes": b"\0" + data})
            await send({"type": "websocket.close"})

        returning = asyncio.create_task(back())
        while (message := await receive())["type"] == "websocket.receive":
            writer.write(message["bytes"][1:])
        writer.close()
        returning.cancel()
