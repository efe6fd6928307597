"""
What `scripts/cache` tells, fills and drops, on a live Redis and a live service.
"""

import contextlib
import http.server
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import sample
from time import monotonic
from typing import Any

import httpx
import pytest
import redis

from processes import ROOT, Redis, Service, free_port, redis_binary, transformer, until
from test_predict import PREDICT
from test_serve import Stack
from transformer import entry

SCRIPT = [sys.executable, str(ROOT / "scripts" / "cache.py")]
ODD = "a*[1]?\\:b}"
FOREIGN = "z" * 32  # as long as a digest
FORBIDDEN = {"keys", "flushdb", "flushall", "del", "eval"}


def environment(**env: str) -> dict[str, str]:
    """
    The environment of the tests, without a Redis of its own.
    """
    return {name: value for name, value in os.environ.items() if name != "REDIS_URL"} | env


def run(*arguments: str | Path, **env: str) -> "subprocess.CompletedProcess[str]":
    """
    Run the script where nobody can be asked.
    """
    return subprocess.run(
        [*SCRIPT, *map(str, arguments)],
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def refusal(*arguments: str | Path, **env: str) -> str:
    """
    The one line of a run that fails before it has anything to tell.
    """
    result = run(*arguments, **env)
    assert (result.returncode, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    return line


def shown(url: str, *arguments: str) -> Any:
    """
    What `show` tells a program.
    """
    result = run("show", "--json", "--redis-url", url, *arguments)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def fill(
    client: "redis.Redis | redis.RedisCluster",
    revision: str,
    count: int,
    *,
    model: str = "sentiment",
    ttl: int | None = 600,
) -> None:
    """
    Store answers as a transformer does.
    """
    pipeline = client.pipeline(transaction=False)
    for number in range(count):
        key = entry.key_of(model, revision, f"text {number}")
        pipeline.set(key, entry.pack(key, (0.25, 0.75)), ex=ttl)
    pipeline.execute()


def summary(result: "subprocess.CompletedProcess[str]") -> dict[str, int]:
    """
    The counts that `warm` ends with.
    """
    rows = [line.rsplit(maxsplit=1) for line in result.stdout.splitlines() if not line.startswith("line ")]
    return {name: int(count.replace(",", "")) for name, count in rows}


@pytest.fixture
def server() -> Iterator[Redis]:
    """
    A Redis for one test.
    """
    with Redis() as process:
        yield process


@pytest.fixture
def client(server: Redis) -> Iterator["redis.Redis"]:
    """
    A client of that Redis.
    """
    with redis.Redis.from_url(server.url) as connected:
        yield connected


@dataclass
class Recorder:
    """
    A service that remembers what it was asked, and gives prepared refusals first.
    """

    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    asked: list[list[str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    url: str = ""

    def answer(self, texts: list[str]) -> tuple[int, dict[str, str], dict[str, object]]:
        """
        Status, headers and body for a question.
        """
        self.times.append(monotonic())
        if self.refusals:
            return *self.refusals.pop(0), {"error": "busy", "error_type": "overloaded"}
        known = {text for batch in self.asked for text in batch}
        self.asked.append(texts)
        return 200, {"x-cache-hits": f"{sum(text in known for text in texts)}/{len(texts)}"}, {"predictions": []}


@contextlib.contextmanager
def recorder(*refusals: tuple[int, dict[str, str]]) -> Iterator[Recorder]:
    """
    Run such a service.
    """
    service, lock = Recorder(list(refusals)), threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(200, {}, {})

        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                service.at_once += 1
                service.most_at_once = max(service.most_at_once, service.at_once)
            with lock:
                answer = service.answer(question["text"])
                service.at_once -= 1
            self.reply(*answer)

        def reply(self, status: int, headers: dict[str, str], content: dict[str, object]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        service.url = f"http://127.0.0.1:{listening.server_port}"
        try:
            yield service
        finally:
            listening.shutdown()


def test_show_counts_each_revision_and_nothing_else(server: Redis, client: "redis.Redis") -> None:
    """
    `show` counts every entry of every revision of its model exactly, says which answers now, and changes no key.
    """
    fill(client, "old", 700)
    fill(client, "now", 1100, ttl=None)
    fill(client, ODD, 3)
    fill(client, "old", 5, model="other")
    client.mset({f"sentiment:{{sentiment:old}}:{FOREIGN}": "x", "sentiment:{sentiment}:rate": "x", "mine": "x"})
    client.set(entry.remembered_key("sentiment"), '{"revision": "now", "labels": ["NEGATIVE", "POSITIVE"]}')
    before = client.dbsize()
    told = shown(server.url)
    revisions = {one.pop("revision"): one for one in told["revisions"]}
    assert {name: (one["entries"], one["current"]) for name, one in revisions.items()} == {
        "old": (700, False),
        "now": (1100, True),
        ODD: (3, False),
    }
    assert (revisions["old"]["share_with_ttl"], revisions["now"]["share_with_ttl"]) == (1, 0)
    assert 0 < revisions["old"]["median_ttl_seconds"] <= 600
    assert revisions["now"]["median_ttl_seconds"] is None
    size = client.memory_usage(entry.key_of("sentiment", "old", "text 0"))
    assert size * 700 / 2 < revisions["old"]["estimated_bytes"] < size * 700 * 2
    assert (told["keys"], client.dbsize()) == (before, before)


def test_show_prints_whole_names(server: Redis, client: "redis.Redis") -> None:
    """
    The table has every revision whole, as `drop` wants it, on however narrow a terminal.
    """
    fill(client, "r" * 200, 1)
    result = run("show", "--redis-url", server.url, COLUMNS="40")
    assert f"\n{'r' * 200} " in result.stdout


def test_show_of_an_empty_redis(server: Redis) -> None:
    """
    A Redis without entries is no fault.
    """
    told = shown(server.url)
    assert (told["revisions"], told["hit_ratio"]) == ([], None)
    assert run("show", "--redis-url", server.url).returncode == 0


def test_hit_ratio_is_redis_own(server: Redis, client: "redis.Redis") -> None:
    """
    `show`'s hit ratio is that of Redis' lookups before it.
    """
    fill(client, "now", 50)
    client.mget([entry.key_of("sentiment", "now", f"text {number}") for number in range(200)])
    told = shown(server.url)
    assert (told["keyspace_hits"], told["keyspace_misses"], told["hit_ratio"]) == (50, 150, 0.25)


def test_show_tells_of_a_transformer(server: Redis, predictor_service: Service) -> None:
    """
    `show --url` tells how many of a transformer's texts each level of its cache knew.
    """
    with transformer(predictor_service.port, server) as service:
        for texts in (["one", "two"], ["one", "two", "three"]):
            httpx.post(service.url + PREDICT, json={"text": texts})
        sources = shown(server.url, "--url", service.url)["texts_by_source"]
        table = run("show", "--redis-url", server.url, "--url", service.url).stdout
    assert (sources["local"], sources["predictor"], sum(sources.values())) == (2, 3, 5)
    assert "local 40.0%" in table
    assert "--url" in refusal("show", "--redis-url", server.url, "--url", f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize("revision", ["old", ODD, "*"])
def test_drop_removes_a_revision_and_nothing_else(server: Redis, client: "redis.Redis", revision: str) -> None:
    """
    `drop` removes all entries of the revision that it names, however odd its name, and no other key.
    """
    for other in ("other", "old2", "a", ODD, "old"):
        fill(client, other, 400)
    fill(client, revision, 900, model="other")
    client.mset({f"sentiment:{{sentiment:{revision}}}:{FOREIGN}": "x", "mine": "x"})
    untouched = set(client.scan_iter(count=1000))
    fill(client, revision, 900)
    gone = {entry.key_of("sentiment", revision, f"text {number}").encode() for number in range(900)}
    result = run("drop", revision, "--yes", "--redis-url", server.url)
    assert (result.returncode, result.stdout) == (0, f"dropped 900 entries of revision {revision}\n")
    assert set(client.scan_iter(count=1000)) == untouched - gone


def test_redis_is_never_blocked(server: Redis, client: "redis.Redis") -> None:
    """
    Neither `show` nor `drop` uses a command whose time grows with the keys; both walk in steps.
    """
    fill(client, "old", 5000)
    client.config_resetstat()
    shown(server.url)
    run("drop", "old", "--yes", "--redis-url", server.url)
    commands = {name.removeprefix("cmdstat_"): calls["calls"] for name, calls in client.info("commandstats").items()}
    assert not FORBIDDEN & {name.partition("|")[0] for name in commands}
    assert commands["scan"] >= 3 * 10
    assert commands["unlink"] >= 10


def test_drop_spares_the_current_revision(server: Redis, client: "redis.Redis") -> None:
    """
    The revision that answers now is dropped with --force only.
    """
    fill(client, "now", 10)
    client.set(entry.remembered_key("sentiment"), '{"revision": "now", "labels": ["NEGATIVE", "POSITIVE"]}')
    assert "--force" in refusal("drop", "now", "--yes", "--redis-url", server.url)
    assert client.dbsize() == 11
    assert run("drop", "now", "--yes", "--force", "--redis-url", server.url).returncode == 0
    assert client.dbsize() == 1


def test_drop_of_an_unknown_revision(server: Redis, client: "redis.Redis") -> None:
    """
    A revision without entries is refused in one line that says where to find those that there are.
    """
    fill(client, "old", 1)
    assert "scripts/cache show" in refusal("drop", "ol", "--yes", "--redis-url", server.url)


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 10), ("\n", 10), ("\x04", 10)])
def test_drop_asks(server: Redis, client: "redis.Redis", answer: str, left: int) -> None:
    """
    On a terminal `drop` asks, and removes nothing without a yes.
    """
    fill(client, "old", 10)
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode())
        command = [*SCRIPT, "drop", "old", "--redis-url", server.url]
        result = subprocess.run(command, env=environment(), stdin=theirs, capture_output=True, text=True, check=False)
    finally:
        os.close(ours)
        os.close(theirs)
    assert "Drop 10 entries of revision old" in result.stdout
    assert (result.returncode == 0) == (client.dbsize() == 0) == (left == 0)
    assert client.dbsize() == left


def test_drop_asks_nobody_blindly(server: Redis, client: "redis.Redis") -> None:
    """
    Without a terminal and without --yes nothing is dropped.
    """
    fill(client, "old", 10)
    assert "--yes" in refusal("drop", "old", "--redis-url", server.url)
    assert client.dbsize() == 10


@pytest.mark.parametrize("command", [["show"], ["drop", "old", "--yes"]])
@pytest.mark.parametrize("url", ["redis://127.0.0.1:{closed}/0", "localhost", "redis://127.0.0.1:{port}/0?timeot=1"])
def test_unreachable_redis_is_one_line(server: Redis, command: list[str], url: str) -> None:
    """
    A Redis that is not there, or an address that is none, is one line that names the flag.
    """
    line = refusal(*command, "--redis-url", url.format(closed=free_port(), port=server.port))
    assert "--redis-url" in line


@pytest.mark.parametrize("user", ["", ":a-wrong-one@"])
def test_wrong_password_is_one_line(server: Redis, client: "redis.Redis", user: str) -> None:
    """
    A missing or wrong password is one line that says how to give it, and never repeats it.
    """
    client.config_set("requirepass", "the-right-one")
    line = refusal("show", "--redis-url", server.url.replace("//", f"//{user}"))
    assert "REDIS_URL" in line
    assert "a-wrong-one" not in line
    assert shown(server.url.replace("//", "//:the-right-one@"))["keys"] == 0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[list[Redis]]:
    """
    A cluster of two nodes, each with half of the slots.
    """
    nodes = [Redis(port) for port in sample(range(10_000, 22_000), 2)]  # with 10,000 more, where nodes talk
    halves = (range(8192), range(8192, 16384))
    with contextlib.ExitStack() as running:
        clients = []
        for node in nodes:
            (folder := tmp_path / str(node.port)).mkdir()
            node.command += ["--cluster-enabled", "yes", "--dir", str(folder)]
            running.enter_context(node)
            clients.append(running.enter_context(redis.Redis(port=node.port)))
        for client, slots in zip(clients, halves, strict=True):
            client.execute_command("CLUSTER", "ADDSLOTS", *slots)
        clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[1].port)
        until(lambda: all(b"cluster_state:ok" in each.execute_command("CLUSTER", "INFO") for each in clients))
        yield nodes


def test_a_cluster_is_told_as_a_whole(cluster: list[Redis]) -> None:
    """
    Entries of all nodes are counted and dropped, whichever node the URL names.
    """
    url = f"redis+cluster://127.0.0.1:{cluster[1].port}"
    with redis.RedisCluster(host="127.0.0.1", port=cluster[0].port) as client:
        for revision, count in {"old": 300, "new": 20, "newer": 10}.items():
            fill(client, revision, count)
        assert min(client.dbsize(target_nodes=node) for node in client.get_primaries()) > 0
    figures = shown(url)
    assert {each["revision"]: each["entries"] for each in figures["revisions"]} == {"old": 300, "new": 20, "newer": 10}
    assert figures["keys"] == 330
    assert run("drop", "old", "--yes", "--redis-url", url).stdout == "dropped 300 entries of revision old\n"
    assert [each["revision"] for each in shown(url)["revisions"]] == ["new", "newer"]


def test_sentinels_name_the_redis(server: Redis, tmp_path: Path) -> None:
    """
    Where the URL names sentinels, the primary that they know is looked into.
    """
    config = tmp_path / "sentinel.conf"
    config.write_text(f"sentinel monitor answers 127.0.0.1 {server.port} 1\n")
    sentinel = Redis()
    sentinel.command = [redis_binary(), str(config), "--sentinel", "--port", str(sentinel.port)]
    with sentinel, redis.Redis(port=server.port) as client:
        fill(client, "r", 3)
        assert shown(f"redis+sentinel://127.0.0.1:{sentinel.port}/answers")["keys"] == 3


def test_a_node_of_a_cluster_is_refused(cluster: list[Redis]) -> None:
    """
    One node's share of a cluster is never told as the whole.
    """
    assert "redis+cluster://" in refusal("show", "--redis-url", cluster[0].url)


def test_a_cluster_that_is_away_is_one_line() -> None:
    """
    A cluster or sentinels that nobody can reach end the command with one line.
    """
    for form in ("redis+cluster://127.0.0.1:{}", "redis+sentinel://127.0.0.1:{}/answers"):
        assert "--redis-url" in refusal("show", "--redis-url", form.format(free_port()))


def test_redis_of_the_running_stack_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without a URL the Redis of the stack that runs is taken.
    """
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with contextlib.closing(Stack()) as stack:
        stack.await_line("try")
        stack.ask()

        def stored() -> bool:
            revisions = json.loads(run("show", "--json").stdout)["revisions"]
            return [(one["entries"], one["current"]) for one in revisions] == [(2, True)]

        until(stored)


def test_several_stacks_are_told_apart(server: Redis, redis_server: Redis, tmp_path: Path) -> None:
    """
    Where several stacks run the choice is left to the person; one that runs no more is none of them.
    """
    for name, port in {"a": server.port, "b": free_port()}.items():
        (tmp_path / f"sentiment-redis-{name}").mkdir()
        (tmp_path / f"sentiment-redis-{name}" / "url").write_text(f"redis://127.0.0.1:{port}/0")
    assert "which Redis?" in refusal("show", TMPDIR=str(tmp_path / "nobody's"))
    assert json.loads(run("show", "--json", TMPDIR=str(tmp_path)).stdout)["redis"] == f"127.0.0.1:{server.port}/0"
    (tmp_path / "sentiment-redis-b" / "url").write_text(redis_server.url)
    assert server.url in refusal("show", TMPDIR=str(tmp_path))


def test_warm_caches_every_text(transformer_service: Service, redis_server: Redis, tmp_path: Path) -> None:
    """
    After `warm` every text of the file is cached, each asked for once; the next run finds them all.
    """
    texts = [f"warm {os.urandom(4).hex()} {number}" for number in range(70)]
    file = tmp_path / "texts.txt"
    file.write_text("\n".join([*texts, "", "  ", *texts[:5]]))
    first, second = (run("warm", file, "--url", transformer_service.url) for _ in range(2))
    assert [first.returncode, second.returncode] == [0, 0]
    expected = {"repeats left out": 5, "texts": 70, "refused": 0, "not sent": 0}
    assert summary(first) == expected | {"already cached": 0, "newly computed": 70}
    assert summary(second) == expected | {"already cached": 70, "newly computed": 0}
    revision = httpx.post(transformer_service.url + PREDICT, json={"text": texts}).headers["x-model-revision"]
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.exists(*(entry.key_of("sentiment", revision, text) for text in texts)) == 70


def test_warm_stays_within_limits(predictor_service: Service, tmp_path: Path) -> None:
    """
    Batches over the service's limits are cut until they fit; a text that never fits is told by line, the only loss.
    """
    file = tmp_path / "texts.txt"
    long = "a secret " * 3000
    file.write_text("\n".join([f"text {number}" for number in range(40)] + [long]))
    with transformer(predictor_service.port, MAX_TEXTS="5", MAX_BODY_BYTES="20000") as service:
        result = run("warm", file, "--url", service.url)
    assert result.returncode == 1
    assert summary(result) == {
        "repeats left out": 0,
        "texts": 41,
        "already cached": 0,
        "newly computed": 40,
        "refused": 1,
        "not sent": 0,
    }
    assert "\nline 41: " in result.stdout
    assert "secret" not in result.stdout + result.stderr


def test_warm_notices_a_service_that_keeps_nothing(predictor_service: Service, tmp_path: Path) -> None:
    """
    Where answers do not stay in the cache, `warm` fails and says so.
    """
    file = tmp_path / "texts.txt"
    file.write_text("one\ntwo\nthree\n")
    with transformer(predictor_service.port, LOCAL_CACHE_BYTES="0") as service:
        result = run("warm", file, "--url", service.url)
    assert result.returncode == 1
    assert "of 3 texts only 0 are still cached" in result.stderr


def test_warm_is_no_crowd(tmp_path: Path) -> None:
    """
    `warm` has one small request under way at a time.
    """
    file = tmp_path / "texts.txt"
    file.write_text("\n".join("x" * number for number in [*range(1, 400), 9000]))
    with recorder() as service:
        assert run("warm", file, "--url", service.url).returncode == 0
    assert service.most_at_once == 1
    assert all(len(texts) == 1 or (len(texts) <= 32 and len("".join(texts)) <= 4096) for texts in service.asked)


def test_warm_waits_as_it_is_told(tmp_path: Path) -> None:
    """
    A busy service is asked again no sooner than it says, and no text is lost.
    """
    file = tmp_path / "texts.txt"
    file.write_text("one\ntwo")
    with recorder((429, {"retry-after": "2"}), (503, {})) as service:
        result = run("warm", file, "--url", service.url)
    assert result.returncode == 0
    assert summary(result)["newly computed"] == 2
    assert service.times[1] - service.times[0] >= 2
    assert service.times[2] - service.times[1] >= 1


def test_warm_gives_up_in_the_end(tmp_path: Path) -> None:
    """
    A service that is busy for longer than anyone waits ends `warm` with one line, and what was not sent is counted.
    """
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(map(str, range(100))))
    with recorder((429, {"retry-after": "100000"})) as service:
        result = run("warm", file, "--url", service.url)
    assert result.returncode == 1
    assert summary(result)["not sent"] == 100
    assert "busy" in result.stderr
    assert len(result.stderr.splitlines()) == len(service.times) == 1


def test_warm_reads_a_column(tmp_path: Path) -> None:
    """
    `--column` takes the texts from a column of a table.
    """
    file = tmp_path / "texts.csv"
    file.write_text('text,label\n"one, two",1\nthree,0\n')
    with recorder() as service:
        assert run("warm", file, "--column", "text", "--url", service.url).returncode == 0
    assert service.asked[0] == ["one, two", "three"]


def test_unreadable_file_is_one_line(tmp_path: Path) -> None:
    """
    A file that holds no texts is refused in one line that names it, before the service is asked.
    """
    assert str(tmp_path) in refusal("warm", tmp_path, "--url", "http://127.0.0.1:1")


@pytest.mark.parametrize("url", ["http://127.0.0.1:{closed}", "localhost:8080", "http://[", "http://127.0.0.1:{redis}"])
def test_missing_service_is_one_line(redis_server: Redis, tmp_path: Path, url: str) -> None:
    """
    A service that is not there, or an address that is none, is one line that names the flag.
    """
    (tmp_path / "texts.txt").write_text("one")
    address = url.format(closed=free_port(), redis=redis_server.port)
    assert "--url" in refusal("warm", tmp_path / "texts.txt", "--url", address)


def test_warming_a_predictor_is_refused(predictor_service: Service, tmp_path: Path) -> None:
    """
    A service without a cache is refused at the first answer.
    """
    (tmp_path / "texts.txt").write_text("one")
    result = run("warm", tmp_path / "texts.txt", "--url", predictor_service.url)
    assert result.returncode == 1
    assert "must name a transformer" in result.stderr
