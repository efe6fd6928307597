"""
The hop's messages in OIP v2 over gRPC.
"""

import struct

import numpy as np
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from transformer import hop
from transformer.hop import Reply

_FLOAT_BYTES = 4


def question_of(texts: list[str], model_name: str, question_id: str) -> pb.ModelInferRequest:
    """
    The request: each text as its length, little-endian, and its UTF-8.
    """
    encoded = [text.encode() for text in texts]
    raw = b"".join(part for text in encoded for part in (struct.pack("<I", len(text)), text))
    return pb.ModelInferRequest(
        id=question_id,
        model_name=model_name,
        inputs=[pb.ModelInferRequest.InferInputTensor(name="text", shape=[len(texts)], datatype="BYTES")],
        outputs=[pb.ModelInferRequest.InferRequestedOutputTensor(name="scores")],
        raw_input_contents=[raw],
    )


def reply_from(response: pb.ModelInferResponse | None, question_id: str) -> Reply:
    """
    What the response says, its scores raw or not.

    Args:
        response: None where its bytes are no message, as `grpc.aio` gives them.

    Raises:
        UpstreamFault: 502, it is no answer, or another question's.
    """
    if response is None or [(output.name, output.datatype) for output in response.outputs] != [("scores", "FP32")]:
        raise hop.nonsense()
    hop.check_id(response.id, question_id)
    digest, labels = (response.parameters[name].string_param for name in ("revision", "labels"))
    return Reply(digest, labels, _scores(response))


def _scores(response: pb.ModelInferResponse) -> list[object]:
    match list(response.raw_output_contents):
        case []:
            return list(response.outputs[0].contents.fp32_contents)
        case [raw] if len(raw) % _FLOAT_BYTES == 0:
            return list(np.frombuffer(raw, "<f4").tolist())
        case _:
            raise hop.nonsense()
