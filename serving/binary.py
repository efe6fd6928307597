"""
The binary tensor data of the Open Inference Protocol: tensors' bytes behind the JSON of a request.
"""

from serving.body import BINARY_HEADER
from serving.errors import InvalidRequest

_MAX_DIGITS = 20


def split(body: bytes, json_length: str | None) -> tuple[bytes, "Tail"]:
    """
    The JSON, and what stands behind it.

    Args:
        json_length: the extension's header; None where the whole body is JSON.

    Raises:
        InvalidRequest: 400, the header is no number of bytes within the body.
    """
    if json_length is None:
        return body, Tail(b"")
    is_number = json_length.isascii() and json_length.isdecimal() and len(json_length) < _MAX_DIGITS
    if not is_number or int(json_length) > len(body):
        raise InvalidRequest(f"{BINARY_HEADER} must be the number of bytes of JSON at the body's start")
    return body[: int(json_length)], Tail(body[int(json_length) :])


class Tail:
    """
    Bytes that the tensors take one after another, all of them.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._taken = 0

    def take(self, size: int) -> bytes:
        """
        The next tensor's bytes.

        Raises:
            InvalidRequest: 400, there are fewer.
        """
        end = self._taken + size
        if end > len(self._content):
            raise InvalidRequest(
                "'binary_data_size' promises more bytes than stand behind the JSON", location=("inputs",)
            )
        taken = self._content[self._taken : end]
        self._taken = end
        return taken

    def end(self) -> None:
        """
        Refuse what no tensor took.

        Raises:
            InvalidRequest: 400, there is some.
        """
        rest = len(self._content) - self._taken
        if rest:
            raise InvalidRequest(
                f"{rest} bytes behind the JSON belong to no input; 'binary_data_size' must cover them",
                location=("inputs",),
            )
