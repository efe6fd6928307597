"""
Have the service answer every text of a file, so that it has them cached.

Through the public route, so that every entry is the service's own; one small request at a time, so that it keeps its
time for those who wait for an answer.
"""

import contextlib
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from caching.progress import Tell, bar
from caching.service import Service, hits, words
from caching.texts import Texts, read
from local.supervisor import Failure

BATCH_TEXTS = 32
BATCH_BYTES = 4096
"""Of a request: a thousand tokens, a tenth of a second or two, which a stranger's request may have to wait for."""

STORE_SECONDS = 1
"""The service stores off the answer's path, and has given up a store by then."""

SHOWN_REFUSALS = 5

PERHAPS_ONE_TEXT = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.GATEWAY_TIMEOUT,
)
"""What fewer texts may not get, or those beside the one that it is for."""


@dataclass
class Outcome:
    """
    What became of the texts so far.

    Attributes:
        answered: texts that the service took.
        hits: how many of them were cached already.
        refused: what the service has against a text.
    """

    answered: list[str] = field(default_factory=list)
    hits: int = 0
    refused: dict[str, str] = field(default_factory=dict)


def warm(file: Path, column: str | None, url: str, model_name: str) -> None:
    """
    Send all texts, and say what became of them.

    Raises:
        Failure: some are not cached.
    """
    texts = read(file, column)
    outcome = Outcome()
    with contextlib.closing(Service(url, model_name)) as service:
        try:
            with bar("warming", "texts", len(texts.first_line)) as tell:
                for batch in batches(texts.first_line):
                    send(service, batch, outcome, tell)
                sampled, kept = check(service, outcome, tell)
        finally:
            report(texts, outcome)
    if kept < sampled:
        raise Failure(
            f"of {sampled} texts only {kept} are still cached: give Redis more memory or a longer CACHE_TTL_SECONDS,"
            " or see the service's log for why it stores nothing"
        )
    if outcome.refused:
        refused, count = len(outcome.refused), len(texts.first_line)
        raise Failure(f"{refused:,} of {count:,} texts are not cached; the service's reasons are above")


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """
    The texts in requests of little work each; a text that is much work alone goes alone.
    """
    batch: list[str] = []
    room = BATCH_BYTES
    for text in texts:
        size = len(text.encode(errors="surrogatepass"))
        if batch and (len(batch) == BATCH_TEXTS or size > room):
            yield batch
            batch, room = [], BATCH_BYTES
        batch.append(text)
        room -= size
    if batch:
        yield batch


def send(service: Service, texts: list[str], outcome: Outcome, tell: Tell) -> None:
    """
    Send texts in one request, or in halves where the service cannot take them so.

    Raises:
        Failure: the service takes none.
    """
    response = service.ask(texts, tell)
    if response.is_success:
        outcome.hits += hits(response)
        outcome.answered += texts
    elif response.status_code not in PERHAPS_ONE_TEXT:
        raise Failure(f"the service says: {words(response)}")
    elif len(texts) == 1:
        outcome.refused[texts[0]] = words(response)
    else:
        middle = len(texts) // 2
        send(service, texts[:middle], outcome, tell)
        send(service, texts[middle:], outcome, tell)
        return
    tell(advance=len(texts))


def check(service: Service, outcome: Outcome, tell: Tell) -> tuple[int, int]:
    """
    Ask for some of the answered texts again: a cache that is too small, or away, has forgotten them.

    Returns:
        how many were asked for, and how many were cached.
    """
    time.sleep(STORE_SECONDS)
    again = Outcome()
    sample = random.sample(outcome.answered, min(BATCH_TEXTS, len(outcome.answered)))
    for batch in batches(sample):
        send(service, batch, again, tell)
    return len(sample), again.hits


def report(texts: Texts, outcome: Outcome) -> None:
    """
    Print what became of the texts, and the first reasons of refusals; never a text.
    """
    answered, refused = len(outcome.answered), len(outcome.refused)
    rows = {
        "repeats left out": texts.repeated,
        "texts": len(texts.first_line),
        "already cached": outcome.hits,
        "newly computed": answered - outcome.hits,
        "refused": refused,
        "not sent": len(texts.first_line) - answered - refused,
    }
    for name, count in rows.items():
        print(f"{name:<18}{count:>12,}")
    for text, reason in list(outcome.refused.items())[:SHOWN_REFUSALS]:
        print(f"line {texts.first_line[text]}: {reason}")
