"""
What is in the cache, by revision.
"""

import json
import random
import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

from caching.redis import address, current_revision, nodes, walk
from caching.service import texts_by_source
from transformer.redis_url import Client

SAMPLE = 100
"""Entries of a revision whose size and time left are asked: the mean is then good to a few per cent."""


@dataclass
class Tally:
    """
    Entries counted, and some of them, each as likely as any other.
    """

    entries: int = 0
    sample: list[bytes] = field(default_factory=list)

    def add(self, key: bytes) -> None:
        """
        Count an entry.
        """
        self.entries += 1
        if len(self.sample) < SAMPLE:
            self.sample.append(key)
        elif (at := random.randrange(self.entries)) < SAMPLE:  # noqa: S311  # a sample, no secret
            self.sample[at] = key


@dataclass(frozen=True)
class Revision:
    """
    What is known of a revision; all but the entries is estimated from a sample.
    """

    revision: str
    current: bool
    entries: int
    estimated_bytes: int
    share_with_ttl: float | None
    median_ttl_seconds: float | None


def show(redis: Client, model_name: str, url: str | None, *, as_json: bool) -> None:
    """
    Print revisions and Redis' own figures, and those of a transformer where one is named.
    """
    sources = texts_by_source(url) if url else {}
    totals = read_totals(redis)  # first, since what follows counts as lookups in some versions
    found = read_revisions(redis, model_name)
    if as_json:
        revisions = [asdict(revision) for revision in found]
        figures = {"redis": address(redis), "model_name": model_name, "revisions": revisions, **totals}
        print(json.dumps(figures | ({"texts_by_source": sources} if sources else {})))
    else:
        print_tables(redis, model_name, found, totals)
        print_sources(sources)


def read_revisions(redis: Client, model_name: str) -> list[Revision]:
    """
    Every revision with entries, and the current one; the largest first.
    """
    current = current_revision(redis, model_name)
    tallies = {current: Tally()} if current else {}
    for keys in walk(redis, model_name, doing="counting"):
        for key, revision in keys:
            tallies.setdefault(revision, Tally()).add(key)
    revisions = [_estimate(redis, name, tally, current=name == current) for name, tally in tallies.items()]
    return sorted(revisions, key=lambda revision: -revision.entries)


def read_totals(redis: Client) -> dict[str, Any]:
    """
    Redis' own figures, of everything that it holds and everybody who asks it.
    """
    infos = [node.info() for node in nodes(redis)]

    def total(name: str) -> int:
        return sum(info[name] for info in infos)

    hits, misses = total("keyspace_hits"), total("keyspace_misses")
    totals = {name: total(name) for name in ("used_memory", "maxmemory", "evicted_keys")}
    totals |= {"maxmemory_policy": infos[0]["maxmemory_policy"]}
    ratio = hits / (hits + misses) if hits + misses else None
    return totals | {
        "keys": sum(node.dbsize() for node in nodes(redis)),
        "keyspace_hits": hits,
        "keyspace_misses": misses,
        "hit_ratio": ratio,
    }


def print_tables(redis: Client, model_name: str, revisions: list[Revision], totals: dict[str, Any]) -> None:
    """
    Print what `show` found, for a person.
    """
    print(f"{model_name} in {address(redis)}; bytes and times are estimated from {SAMPLE} entries of each revision\n")
    width = max([len(revision.revision) for revision in revisions], default=0) + 9
    print(f"{'revision':<{width}}{'entries':>12}{'about':>12}{'with TTL':>10}{'median left':>13}")
    for one in revisions:
        name = f"{one.revision} (now)" if one.current else one.revision
        share = "-" if one.share_with_ttl is None else f"{one.share_with_ttl:.0%}"
        left = "-" if one.median_ttl_seconds is None else f"{one.median_ttl_seconds:,.0f} s"
        print(f"{name:<{width}}{one.entries:>12,}{_mib(one.estimated_bytes):>12}{share:>10}{left:>13}")
    if not revisions:
        print("none")
    limit = f"of {_mib(totals['maxmemory'])}, {totals['maxmemory_policy']}" if totals["maxmemory"] else "without limit"
    lookups = totals["keyspace_hits"] + totals["keyspace_misses"]
    ratio = f"{totals['hit_ratio']:.1%} of {lookups:,} lookups" if lookups else "no lookups yet"
    print(f"\nall of this Redis: {totals['keys']:,} keys in the database")
    print(f"  memory     {_mib(totals['used_memory'])} {limit}; {totals['evicted_keys']:,} keys evicted")
    print(f"  hit ratio  {ratio}, of all its clients since its start; transformers' own memory answers before it")


def print_sources(sources: dict[str, int]) -> None:
    """
    Print where a transformer's answers came from.
    """
    if texts := sum(sources.values()):
        shares = ", ".join(f"{source} {count / texts:.1%}" for source, count in sources.items())
        print(f"\nthis transformer's {texts:,} texts since its start\n  from       {shares}")


def _estimate(redis: Client, revision: str, tally: Tally, *, current: bool) -> Revision:
    with redis.pipeline(transaction=False) as pipeline:
        for key in tally.sample:
            pipeline.memory_usage(key)
            pipeline.pttl(key)
        answers = pipeline.execute()
    sizes = [size for size in answers[::2] if size is not None]
    times = [left for left in answers[1::2] if left != -2]  # noqa: PLR2004  # gone since
    kept = [left / 1000 for left in times if left >= 0]
    return Revision(
        revision,
        current,
        tally.entries,
        round(statistics.mean(sizes) * tally.entries) if sizes else 0,
        len(kept) / len(times) if times else None,
        statistics.median(kept) if kept else None,
    )


def _mib(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"
