"""
The services that are watched.
"""

import httpx

from local.supervisor import Failure

_ANSWER_SECONDS = 5


def check(url: str, name: str) -> None:
    """
    Refuse an address at which that service has no metrics.

    Args:
        name: transformer or predictor.

    Raises:
        Failure: with what is there instead.
    """
    again = f"start scripts/serve, or name it with --{name}"
    try:
        answer = httpx.get(f"{url.rstrip('/')}/metrics", timeout=_ANSWER_SECONDS)
    except (httpx.TransportError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise Failure(f"no {name} at {url}: {error}; {again}") from None
    if f"sentiment_{name}_requests_total" not in answer.text:
        raise Failure(f"what answers at {url} is no {name} of ours; {again}")
