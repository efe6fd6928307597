"""
Requests over REST that nobody should send, and some that are right, drawn by hypothesis.
"""

import gzip
from typing import Any

from hypothesis import strategies as st

from fuzzing.case import Case, Headers
from fuzzing.json import EXTRAS, ODD, TEXT, V1, infer, mostly, mutated, rarely, written

_BINARY_HEADER = "inference-header-content-length"
_V1_ROUTES = ["/v1/models/sentiment:predict", "/predict", "/project/bulk-predict"]
_V2_ROUTES = ["/v2/models/sentiment/infer", "/v2/models/sentiment/versions/0/infer"]
_NO_ROUTES = [
    "/v1/models/other:predict",
    "/v2/models/%00/infer",
    "/v2/models//infer",
    "/v2/models/sentiment/versions/%ff%fe/infer",
    "/v1/models/%E4%B8%AD:predict?text=a&text=%zz",
    "/v1/models/sentiment:explain",
    "/v2/repository/models/sentiment/unload",
    "/v2/models/sentiment/../../..",
]
CHUNKED: Headers = (("transfer-encoding", b"chunked"),)
_METHODS = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"]

_VISIBLE = [*range(0x21, 0x7F), *range(0x80, 0x100)]
_ODD_VALUE = st.lists(st.sampled_from(_VISIBLE), max_size=30).map(bytes)
_HEADERS = {
    "content-type": st.sampled_from(
        [
            b"",
            b"application/cloudevents+json",
            b"application/json",
            b"application/json; charset=latin-1",
            b"application/octet-stream",
            b"application/x-www-form-urlencoded",
            b"multipart/form-data; boundary=a",
            b"text/plain",
        ]
    ),
    "cache-control": st.sampled_from([b"no-cache", b"NO-CACHE, max-age=0", b"no-store", b","]),
    "accept-encoding": st.sampled_from([b"gzip", b"br;q=1, *;q=0"]),
    "accept": st.sampled_from([b"text/html", b"*/*"]),
    "expect": st.sampled_from([b"100-continue", b"100-Continue"]),
    "connection": st.sampled_from([b"close", b"keep-alive, x"]),
    "ce-specversion": st.sampled_from([b"1.0", b"9"]),
    "ce-id": st.just(b"1"),
    "ce-type": st.just(b"a"),
    "ce-source": st.just(b"b"),
    "x-forwarded-for": st.sampled_from([b"10.0.0.9", b"::1, x"]),
    "x-request-id": st.just(b"mine"),
}


@st.composite
def _headers(draw: st.DrawFn) -> Headers:
    names = draw(st.lists(st.sampled_from(sorted(_HEADERS)), max_size=3))
    return tuple((name, draw(mostly(_HEADERS[name], _ODD_VALUE))) for name in names)


@st.composite
def _json(draw: st.DrawFn) -> tuple[bytes, Headers, list[str]]:
    """
    A question all in JSON, or any JSON: its body, headers and routes.
    """
    question, routes = draw(st.sampled_from([(V1, _V1_ROUTES), (infer(), _V2_ROUTES)]))
    content = draw(written(draw(mostly(mutated(question), ODD))))
    if draw(rarely(12)):
        size = draw(st.sampled_from([b"", b"-1", b"x", b"+5", b"5, 5", b"9" * 30, b"%d" % len(content), b"3"]))
        return content, ((_BINARY_HEADER, size),), routes
    return content, (), routes


@st.composite
def _binary(draw: st.DrawFn) -> tuple[bytes, Headers, list[str]]:
    """
    A question whose texts stand behind its JSON, with some of its sizes wrong.
    """
    more = mostly(st.just(0), st.sampled_from([1, 7, 2**31]), 16)
    texts = [text.encode("utf-8", "surrogatepass") for text in draw(st.lists(TEXT, max_size=4))]
    tail = b"".join((len(text) + draw(more)).to_bytes(4, "little") + text for text in texts)
    tensor: dict[str, Any] = {"name": "text", "shape": [len(texts)], "datatype": "BYTES"}
    tensor["parameters"] = {"binary_data_size": len(tail) + draw(more)}
    head = draw(written(draw(mutated(st.just({"inputs": [tensor], **draw(EXTRAS)})))))
    return head + tail, ((_BINARY_HEADER, b"%d" % (len(head) + draw(more))),), _V2_ROUTES


_NOISE: st.SearchStrategy[tuple[bytes, Headers, list[str]]] = st.tuples(
    st.binary(), st.just(()), st.just([*_V1_ROUTES, *_V2_ROUTES])
)


@st.composite
def broken(draw: st.DrawFn, content: bytes) -> bytes:
    """
    Bytes as they are, cut, with something put in, changed, or with more behind them.
    """
    place = draw(st.integers(0, 2**16)) % (len(content) + 1)
    odd = draw(st.binary(min_size=1, max_size=8))
    match draw(mostly(st.just("whole"), st.sampled_from(["cut", "in", "changed", "behind"]), 5)):
        case "cut":
            return content[:place]
        case "in":
            return content[:place] + odd + content[place:]
        case "changed":
            return content[:place] + odd + content[place + len(odd) :]
        case "behind":
            return content + odd
    return content


@st.composite
def _encoded(draw: st.DrawFn, content: bytes) -> tuple[bytes, Headers]:
    """
    A body in an encoding, or one that only says so.
    """
    odd = st.sampled_from(["x-gzip", "GZIP", "br", "deflate", "identity", "gzip, gzip", ""])
    name = draw(mostly(st.just("gzip"), odd, 3))
    if not draw(rarely(5)):
        content += b" " * draw(mostly(st.just(0), st.just(2**23), 100))
        content = draw(broken(gzip.compress(content, 1, mtime=0)))
    return content, (("content-encoding", name.encode()),)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """
    A request over REST.
    """
    body, headers, routes = draw(mostly(_json(), _binary() | _NOISE, 3))
    body = draw(broken(body))
    if draw(rarely(5)):
        body, more = draw(_encoded(body))
        headers += more
    if draw(rarely(10)):
        headers += CHUNKED
    method = draw(mostly(st.just("POST"), st.sampled_from(_METHODS)))
    anywhere = st.sampled_from([*_V1_ROUTES, *_V2_ROUTES, *_NO_ROUTES])
    return Case(method, draw(mostly(st.sampled_from(routes), anywhere, 4)), headers + draw(_headers()), body)
