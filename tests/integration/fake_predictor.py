"""
A predictor that is a function, over REST and gRPC; and a proxy before any: it counts, cuts, and repeats itself.
"""

import contextlib
import http.server
import itertools
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import grpc
import trustme
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)

LABELS = '["NEGATIVE", "POSITIVE"]'
Answer = Callable[[list[str]], tuple[str, list[tuple[float, float]]]]


def halves(texts: list[str]) -> tuple[str, list[tuple[float, float]]]:
    """
    The same for every text.
    """
    return "fake", [(0.25, 0.75)] * len(texts)


class FakePredictor:
    """
    Answers each question with what `answer` makes of its texts: a revision and rows.

    Args:
        answer: texts → revision and rows.
        certificate: to speak TLS with.

    Attributes:
        ports: by the transformer's name for the protocol.
        asked: the texts of each question but those without any, which ask for the revision.
    """

    def __init__(self, answer: Answer = halves, certificate: trustme.LeafCert | None = None) -> None:
        self.answer = answer
        self._certificate = certificate
        self.asked: list[list[str]] = []
        self.ports: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        for protocol, serve in (("v2", self._serve_rest), ("grpc-v2", self._serve_grpc)):
            self.ports[protocol] = self._stack.enter_context(serve())
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _ask(self, texts: list[str]) -> tuple[str, list[tuple[float, float]]]:
        if texts:
            self.asked.append(texts)
        return self.answer(texts)

    @contextlib.contextmanager
    def _serve_rest(self) -> Iterator[int]:
        ask = self._ask

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # a response in one packet, or the network waits for its second half

            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["content-length"])))
                revision, rows = ask(question["inputs"][0]["data"])
                scores = {"name": "scores", "data": [score for row in rows for score in row]}
                parameters = {"revision": revision, "labels": LABELS}
                body = json.dumps({"id": question["id"], "outputs": [scores], "parameters": parameters})
                with contextlib.suppress(OSError):
                    self.send_response(200)
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body.encode())

            def log_message(self, *args: object) -> None:
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            if self._certificate:
                context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                self._certificate.configure_cert(context)
                server.socket = context.wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield server.server_port
            server.shutdown()

    @contextlib.contextmanager
    def _serve_grpc(self) -> Iterator[int]:
        ask = self._ask

        class Servicer(GRPCInferenceServiceServicer):
            def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
                revision, rows = ask(_texts(request.raw_input_contents[0]))
                response = pb.ModelInferResponse(id=request.id)
                output = response.outputs.add(name="scores", datatype="FP32", shape=[len(rows), 2])
                output.contents.fp32_contents.extend(score for row in rows for score in row)
                response.parameters["revision"].string_param = revision
                response.parameters["labels"].string_param = LABELS
                return response

        server = grpc.server(ThreadPoolExecutor(8))
        add_GRPCInferenceServiceServicer_to_server(Servicer(), server)
        if self._certificate:
            key = self._certificate.private_key_pem.bytes()
            chain = b"".join(pem.bytes() for pem in self._certificate.cert_chain_pems)
            port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, chain)]))
        else:
            port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield port
        server.stop(None).wait()


def _texts(raw: bytes) -> list[str]:
    texts = []
    while raw:
        end = 4 + int.from_bytes(raw[:4], "little")
        texts.append(raw[4:end].decode())
        raw = raw[end:]
    return texts


class Proxy:
    """
    A port that leads to another one; where nobody listens there, connections are accepted and closed.

    Attributes:
        accepted: how many connections came.
    """

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self.accepted = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self.cut()
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *itertools.chain(*self._pairs)):
            each.close()

    def cut(self) -> None:
        """
        End every connection.
        """
        for pair in self._pairs:
            _end(*pair)

    def repeat(self) -> None:
        """
        Send the last bytes of the upstream once more.
        """
        client, chunk = self._last
        client.sendall(chunk)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the end
            while True:
                client, _ = self._listener.accept()
                self.accepted += 1
                try:
                    server = socket.create_connection(("127.0.0.1", self._upstream_port))
                except ConnectionRefusedError:
                    client.close()
                    continue
                self._pairs.append((client, server))
                self._start(self._pump, client, server)
                self._start(self._pump, server, client)

    def _start(self, run: Callable[..., None], *arguments: socket.socket) -> None:
        self._threads.append(threading.Thread(target=run, args=arguments))
        self._threads[-1].start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                self._last = sink, chunk
                sink.sendall(chunk)
        _end(source, sink)


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
