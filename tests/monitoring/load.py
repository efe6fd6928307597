"""
All kinds of requests, so that whatever can be counted is.
"""

import itertools
import random
from time import monotonic

import grpc
import httpx
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from processes import Service

SECONDS = 8
_KNOWN = ["I love this phone.", "The delivery was late.", "It does what it says."]


def ask_for_a_while(public: Service, lonely: Service) -> None:
    """
    Ask for hits and misses over REST and gRPC, and for what is refused; and a transformer that has no predictor.
    """
    end = monotonic() + SECONDS
    with (
        httpx.Client(base_url=public.url) as client,
        httpx.Client(base_url=lonely.url) as in_vain,
        grpc.insecure_channel(f"127.0.0.1:{public.grpc_port}") as channel,
    ):
        over_grpc = GRPCInferenceServiceStub(channel)
        for turn in itertools.takewhile(lambda _: monotonic() < end, itertools.count()):
            unseen = [f"{random.choice(['awful', 'lovely', 'long ' * 600])} {random.random()}" for _ in range(3)]
            client.post("/v1/models/sentiment:predict", json={"text": _KNOWN})
            client.post("/v1/models/sentiment:predict", json={"text": [*_KNOWN, *unseen]})
            client.post("/predict", json={"text": 3})
            client.get("/nothing")
            in_vain.post("/predict", json={"text": f"{turn}"})
            over_grpc.ModelInfer(question(*unseen))


def question(*texts: str) -> pb.ModelInferRequest:
    """
    The texts as gRPC asks them.
    """
    tensor = pb.ModelInferRequest.InferInputTensor(name="text", shape=[len(texts)], datatype="BYTES")
    tensor.contents.bytes_contents.extend(text.encode() for text in texts)
    return pb.ModelInferRequest(model_name="sentiment", inputs=[tensor])
