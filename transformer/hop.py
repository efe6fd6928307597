"""
The hop to the predictor, whichever protocol carries it: what comes back, and the ways in which nothing does.

KServe's own clients drop their retries, keep one singleton for every URL, wait 600 s, and turn each failure into a
500 with the internal URL in it (KSERVE.md 3-9, 21; KServe #4247); ours are a module for each protocol.
"""

import re
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from serving import record
from serving.errors import Unavailable, UpstreamFault, UpstreamRefusal, UpstreamTimeout

# Long enough for a lost SYN to be sent again, short enough to leave most of a request's time.
CONNECT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Reply:
    """
    The predictor's answer as its protocol brought it, unchecked.

    Attributes:
        digest: of the revision that computed it.
        labels: names of the scores' columns, as a JSON array.
        scores: N x L of them, flat.
    """

    digest: str
    labels: str
    scores: list[object]


class Hop(Protocol):
    """
    One protocol, and its connections to the predictor.
    """

    async def ask(self, texts: list[str]) -> Reply:
        """
        Scores of N ≥ 0 texts; a caller that is cancelled cancels the question at the predictor as well.

        It is asked again, once, where no connection could be made: nothing was sent then. After anything was sent,
        asking again could double the work of a predictor in trouble.

        Raises:
            UpstreamRefusal: the predictor's own 4xx, 429 among them.
            UpstreamFault: 502, the answer is no answer, or not the predictor's.
            Unavailable: 503, the predictor says that it is not ready, or a gateway that it does not reach it.
            Unreachable: 503, nobody answered.
            UpstreamTimeout: 504, the predictor says that it was too slow, or a gateway does.
        """

    async def close(self) -> None:
        """
        Disconnect.
        """


class Unreachable(Unavailable):
    """
    503: nobody answered.
    """

    def __init__(self) -> None:
        super().__init__("the model cannot be reached; texts answered before are still served")


def not_ready() -> Unavailable:
    """
    The predictor answers that it cannot answer, or a gateway before it.
    """
    return Unavailable("the model is not ready; texts answered before are still served")


def too_slow() -> UpstreamTimeout:
    """
    The predictor, or a gateway before it, gave up.
    """
    return UpstreamTimeout("the model did not answer in time; send fewer texts")


def fault() -> UpstreamFault:
    """
    The predictor failed.
    """
    return UpstreamFault("the model failed on this request")


def nonsense() -> UpstreamFault:
    """
    The predictor answered what is no answer.
    """
    return UpstreamFault("the model's answer was not understood")


def between(status: int | str) -> UpstreamFault:
    """
    A gateway or a policy before the predictor answered in its place: it knows nothing of the request or the model.
    """
    return UpstreamFault(
        f"the way to the model answered {status}, and not the model; whoever runs this service should look at the"
        " predictor's address, route and policies, and in the log, under this x-request-id, for who answered"
    )


def new_id() -> str:
    """
    A question's name, which its answer repeats.
    """
    return secrets.token_hex(8)


def check_id(answered: object, asked: str) -> None:
    """
    Check the name in an answer; it may have none, since not every server repeats them.

    Raises:
        UpstreamFault: 502, it is the answer to another question, as one left over on a connection.
    """
    if answered not in (asked, "", None):
        note("Answer", "to another question")
        raise nonsense()


def is_word(error_type: str) -> bool:
    """
    Whether an error's type is like the predictor's: one word of ASCII, since it becomes gRPC metadata.
    """
    return re.fullmatch(r"[a-z_]{1,32}", error_type) is not None


def too_large() -> UpstreamRefusal:
    """
    413, which means the same whoever says it: a gateway, or gRPC itself.
    """
    words = "the texts are larger than the model takes; send fewer or shorter ones a request"
    return UpstreamRefusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, words, "")


def too_many() -> UpstreamRefusal:
    """
    429, likewise.
    """
    return UpstreamRefusal(HTTPStatus.TOO_MANY_REQUESTS, "the model has no room for this now; try again shortly", "")


def note(kind: str, words: object) -> None:
    """
    Keep for the log what went wrong: it may know what the client may not.
    """
    record.current().fields["upstream"] = f"{kind}: {words}"
