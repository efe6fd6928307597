"""
The service as a patient client sees it: asked again when it is busy or away, for as long as patience lasts.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import quote

import httpx
from prometheus_client.parser import text_string_to_metric_families

from caching.progress import Tell
from local.supervisor import Failure

PATIENCE_SECONDS = 120
"""How long a request is tried again while the service is busy or away."""

ANSWER_SECONDS = 60
DEFAULT_PAUSE_SECONDS = 1
TEXTS_METRIC = "sentiment_transformer_texts_total"
BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class Service:
    """
    A transformer.

    Args:
        url: where it is.
        model_name: whose answers it is asked for.

    Raises:
        Failure: nobody there, or not ready.
    """

    def __init__(self, url: str, model_name: str) -> None:
        with _reachable(url):
            self._client = httpx.Client(base_url=url, timeout=ANSWER_SECONDS)
            response = self._client.get("/v2/health/ready")
        if not response.is_success:
            raise Failure(f"the service at {url} is not ready: {words(response)}; wait until it is")
        self._path = f"/v1/models/{quote(model_name, safe='')}:predict"

    def close(self) -> None:
        """
        Disconnect.
        """
        self._client.close()

    def ask(self, texts: list[str], tell: Tell) -> httpx.Response:
        """
        What the service answers once it has time.

        Raises:
            Failure: it stayed busy, or away.
        """
        # a JSON file can hold half of a surrogate pair: the service shall say what it thinks of it
        body = json.dumps({"text": texts}, ensure_ascii=False).encode(errors="surrogatepass")
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            pause: float = DEFAULT_PAUSE_SECONDS
            try:
                response = self._client.post(self._path, content=body)
                if response.status_code not in BUSY:
                    return response
                reason, pause = words(response), _pause(response)
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
            if time.monotonic() + pause > end:
                raise Failure(f"no answer within {PATIENCE_SECONDS} s ({reason}); what is cached stays, go on later")
            tell(description="waiting")
            time.sleep(pause)
            tell(description="warming")


def texts_by_source(url: str) -> dict[str, int]:
    """
    How many texts a transformer has answered from each level of its cache, and from elsewhere; {} if it does not tell.

    Raises:
        Failure: nobody there.
    """
    with _reachable(url):
        metrics = httpx.get(f"{url}/metrics", timeout=ANSWER_SECONDS).text
    try:
        samples = [sample for family in text_string_to_metric_families(metrics) for sample in family.samples]
    except ValueError:  # no metrics but a page
        return {}
    return {sample.labels["source"]: int(sample.value) for sample in samples if sample.name == TEXTS_METRIC}


def words(response: httpx.Response) -> str:
    """
    What an error's body says, or its status.
    """
    try:
        return str(response.json()["error"])
    except (ValueError, LookupError, TypeError):
        return f"HTTP status {response.status_code}"


def hits(response: httpx.Response) -> int:
    """
    How many texts of an answer were cached.

    Raises:
        Failure: a service that has no cache.
    """
    header = response.headers.get("x-cache-hits")
    if header is None:
        raise Failure("the answer has no x-cache-hits: --url must name a transformer, and this is something else")
    return int(header.partition("/")[0])


@contextlib.contextmanager
def _reachable(url: str) -> Iterator[None]:
    try:
        yield
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise Failure(f"no service at {url}: {error}; start scripts/serve, or name it with --url") from None


def _pause(response: httpx.Response) -> float:
    seconds = response.headers.get("retry-after", "")
    return max(DEFAULT_PAUSE_SECONDS, int(seconds)) if seconds.isdecimal() else DEFAULT_PAUSE_SECONDS
