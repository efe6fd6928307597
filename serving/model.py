"""
The base of our KServe models: hooks off KServe's traps, and a life cycle that the server awaits.
"""

from abc import abstractmethod
from typing import Any

from kserve.model import InferenceVerb, Model

from serving import record


class ServedModel(Model):
    """
    A `kserve.Model` whose hooks are coroutines and may set response headers.

    KServe runs synchronous hooks on the event loop (KServe #3950, #5019): every hook here is `async def`.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, return_response_headers=True)

    @property
    @abstractmethod
    def versions(self) -> list[str]:
        """
        The versions that `GET /v2/models/<m>` lists: the revisions this process can answer with now.
        """

    async def current_versions(self) -> list[str]:
        """
        The same, asked for where it may have changed; empty while nobody can tell.
        """
        return self.versions

    async def open(self) -> None:
        """
        Make ready to answer; the listeners open after it returns.
        """
        self.ready = True

    async def close(self) -> None:
        """
        Let go of everything; called once, after the last answer is out.
        """
        self.ready = False

    def validate(self, payload: Any) -> Any:
        """
        Pass on what `preprocess` made: upstream's check crashes on anything but a dict (KSERVE.md 25).
        """
        return payload

    async def __call__(
        self, body: Any, headers: dict[str, str] | None = None, verb: Any = InferenceVerb.PREDICT
    ) -> Any:
        """
        Run the hooks, and report their phases as `Server-Timing`.
        """
        # annotated as the response alone, returned with its headers
        answered: Any = await super().__call__(body, headers, verb)
        response, response_headers = answered
        current = record.current()
        current.end_phase("render")
        response_headers["server-timing"] = current.server_timing()
        return response, response_headers
