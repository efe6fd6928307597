"""
The Open Inference Protocol over gRPC, in place of KServe's own servicer.

Upstream forgets versions and response headers, fails over trailing metadata that is set before it runs, repeats names
that were sent in its errors, and copies tensors of any length before anybody counted them (KSERVE.md 8, 15, 16).
"""

from typing import Any

from grpc import aio
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceServicer
from kserve.protocol.infer_type import InferInput, InferRequest, InferResponse, RequestedOutput

from serving.dataplane import ClosedRepository, HonestDataPlane
from serving.errors import InvalidRequest
from serving.infer_body import MAX_TENSORS, input_tensor

Context = aio.ServicerContext[Any, Any]


class InferenceServicer(GRPCInferenceServiceServicer):
    """
    The calls of `inference.GRPCInferenceService`; errors are raised, and their codes are the interceptor's.
    """

    def __init__(self, dataplane: HonestDataPlane, repository: ClosedRepository) -> None:
        self._dataplane = dataplane
        self._repository = repository

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Context) -> pb.ServerLiveResponse:
        """
        Whether this process runs.
        """
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Context) -> pb.ServerReadyResponse:
        """
        Whether this process can take requests now and is not draining.
        """
        return pb.ServerReadyResponse(ready=await self._dataplane.ready())

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Context) -> pb.ModelReadyResponse:
        """
        Whether a model, or a version of it, can answer now.
        """
        await self._dataplane.check_version(request.name, request.version)
        return pb.ModelReadyResponse(ready=await self._dataplane.model_ready(request.name))

    async def ServerMetadata(self, request: pb.ServerMetadataRequest, context: Context) -> pb.ServerMetadataResponse:
        """
        Name, version and extensions of the server.
        """
        return pb.ServerMetadataResponse(**self._dataplane.metadata())

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Context) -> pb.ModelMetadataResponse:
        """
        Versions and tensors of a model.
        """
        await self._dataplane.check_version(request.name, request.version)
        return pb.ModelMetadataResponse(**await self._dataplane.model_metadata(request.name))

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:
        """
        Inference; what REST answers as headers comes as trailing metadata.
        """
        await self._dataplane.check_version(request.model_name, request.model_version)
        headers = {name: str(value) for name, value in context.invocation_metadata() or ()}
        answer, response_headers = await self._dataplane.infer(request.model_name, _question(request), headers)
        context.set_trailing_metadata((*context.trailing_metadata(), *response_headers.items()))
        return _message(answer, raw=bool(request.raw_input_contents))

    async def RepositoryModelLoad(self, request: pb.RepositoryModelLoadRequest, context: Context) -> None:
        """
        Refused.
        """
        await self._repository.load(request.model_name)

    async def RepositoryModelUnload(self, request: pb.RepositoryModelUnloadRequest, context: Context) -> None:
        """
        Refused.
        """
        await self._repository.unload(request.model_name)


def _question(message: pb.ModelInferRequest) -> InferRequest:
    inputs, raw = message.inputs, message.raw_input_contents
    if max(len(inputs), len(message.outputs)) > MAX_TENSORS:
        raise InvalidRequest(f"at most {MAX_TENSORS} inputs and {MAX_TENSORS} outputs can be sent")
    if raw and (len(raw) != len(inputs) or any(tensor.HasField("contents") for tensor in inputs)):
        raise InvalidRequest(
            "'raw_input_contents' must have one entry for each input, and then no input has 'contents'"
        )
    return InferRequest(
        message.model_name,
        [_tensor(sent) for sent in inputs],
        request_id=message.id,
        raw_inputs=raw,
        from_grpc=True,
        request_outputs=[RequestedOutput(sent.name) for sent in message.outputs] or None,
        model_version=message.model_version,
    )


def _tensor(sent: pb.ModelInferRequest.InferInputTensor) -> InferInput:
    # shape and contents as they are, uncopied: whoever reads them knows how many there may be
    shape: Any = sent.shape
    contents: Any = sent.contents.bytes_contents
    return input_tensor(sent.name, shape, sent.datatype, contents)


def _message(answer: InferResponse, *, raw: bool) -> pb.ModelInferResponse:
    # the answer has the form of the question; upstream's to_grpc fails on an array that it has to make raw itself
    for output in answer.outputs:
        output.set_data_from_numpy(output.as_numpy(), binary_data=raw)
    return answer.to_grpc()
