"""
The cluster as it is asked: every answer is a plain object, every refusal a Failure with a next step.
"""

import logging
import os
import tempfile
from typing import Self

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient, Resource
from kubernetes.dynamic.exceptions import NotFoundError

from deployment.manifest import Object, name_of
from deployment.refusal import failure, in_words

MANAGER = "sentiment-deploy"
"""The owner of the fields that are applied here, in the cluster's books."""

TIMEOUT_SECONDS = (5, 60)


class Cluster:
    """
    A connection; a context manager.

    Args:
        context: of the kubeconfig; None is its current one.

    Raises:
        Failure: no kubeconfig, no such context, nobody there, a stranger.
    """

    def __init__(self, context: str | None) -> None:
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # it warns of every retry, and the last error is said
        settings = client.Configuration()
        try:
            config.load_kube_config(context=context, client_configuration=settings)
        except (config.ConfigException, OSError) as error:
            file = os.environ.get("KUBECONFIG", "~/.kube/config")
            step = "scripts/cluster up makes a cluster on this machine; a cloud's CLI brings the kubeconfig of its own"
            raise failure(f"no cluster: {file}: {error}", step) from None
        self.address: str = settings.host
        self._client = client.ApiClient(settings)
        self.core = client.CoreV1Api(self._client)

    def __enter__(self) -> Self:
        # the client keeps what a cluster knows in a file that outlives it; the next cluster may have the same address
        self._folder = tempfile.TemporaryDirectory(prefix="sentiment-deploy-")
        with in_words("connect to the cluster", self.address):
            self._dynamic = DynamicClient(self._client, cache_file=f"{self._folder.name}/known.json")
        return self

    def __exit__(self, *exc: object) -> None:
        self._folder.cleanup()
        self._client.close()

    def read(self, thing: Object) -> Object | None:
        """
        The live object of the same name; None if there is none.
        """
        with in_words(f"read {name_of(thing)}", self.address):
            try:
                return self._ask("get", thing)
            except NotFoundError:
                return None

    def apply(self, thing: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        """
        Make the object as it is here, by server-side apply; fields that others set stay theirs.

        Args:
            force: take over fields that others have set to another value.
            dry_run: only tell what would come out.
        """
        doing = f"{'try' if dry_run else 'apply'} {name_of(thing)}"
        with in_words(doing, self.address):
            return self._ask(
                "server_side_apply",
                thing,
                body=thing,
                field_manager=MANAGER,
                force_conflicts=force or None,
                dry_run="All" if dry_run else None,
                query_params=[("fieldValidation", "Strict")],
            )

    def patch(self, thing: Object, operations: list[Object]) -> Object:
        """
        Change the live object by JSON patch, whoever owns the fields.
        """
        with in_words(f"patch {name_of(thing)}", self.address):
            kind = "application/json-patch+json"
            return self._ask("patch", thing, body=operations, content_type=kind, field_manager=MANAGER)

    def delete(self, thing: Object) -> bool:
        """
        Delete the object, of its name the one with its uid if it says one; whether there was one.
        """
        uid = thing["metadata"].get("uid")
        with in_words(f"delete {name_of(thing)}", self.address):
            try:
                self._ask("delete", thing, body={"preconditions": {"uid": uid}} if uid else None)
            except NotFoundError:
                return False
            return True

    def items(self, kind: str, namespace: str, selector: str | None = None) -> list[Object]:
        """
        The objects of a kind of Kubernetes' own, in a namespace.
        """
        with in_words(f"list {kind}s", self.address):
            resource = self._dynamic.resources.get(api_version="v1", kind=kind)
            found = resource.get(namespace=namespace, label_selector=selector, _request_timeout=TIMEOUT_SECONDS)
            items: list[Object] = found.to_dict()["items"]
            return items

    def log(self, pod: Object, container: str, lines: int) -> list[str]:
        """
        The last lines of a container's log, of its former life if that one has ended; none if there is no log.
        """
        where = (pod["metadata"]["name"], pod["metadata"]["namespace"])
        for previous in (True, False):
            try:
                text: str = self.core.read_namespaced_pod_log(
                    *where, container=container, tail_lines=lines, previous=previous, _request_timeout=TIMEOUT_SECONDS
                )
            except ApiException:
                continue
            return text.splitlines()
        return []

    def _ask(self, verb: str, thing: Object, **how: object) -> Object:
        metadata = thing["metadata"]
        where = {"name": metadata["name"], "namespace": metadata.get("namespace")}
        answer = getattr(self._kind(thing), verb)(**where, **how, _request_timeout=TIMEOUT_SECONDS)
        live: Object = answer.to_dict()
        return live

    def _kind(self, thing: Object) -> Resource:
        kind: Resource = self._dynamic.resources.get(api_version=thing["apiVersion"], kind=thing["kind"])
        return kind
