"""
The right answers, as a predictor gives them alone, asked directly and before any fault.
"""

import orjson

from fault.client import Client, post
from fault.process import Process
from fault.texts import Texts, sentences

_INFER = "/v2/models/sentiment/infer"
_TEXTS_A_REQUEST = 25
_ANSWER_SECONDS = 60.0


async def learn(texts: Texts, predictor: Process) -> str:
    """
    Learn a predictor's answers to every sentence.

    Returns:
        its revision.
    """
    client, asked = Client(predictor.port), sentences()
    rows: dict[str, tuple[float, ...]] = {}
    revision, labels = "", ()
    for at in range(0, len(asked), _TEXTS_A_REQUEST):
        some = asked[at : at + _TEXTS_A_REQUEST]
        tensor = {"name": "text", "shape": [len(some)], "datatype": "BYTES", "data": some}
        question = post(_INFER, {"inputs": [tensor], "outputs": [{"name": "scores"}]})
        answer = orjson.loads((await client.ask(question, timeout_seconds=_ANSWER_SECONDS)).body)
        revision, labels = answer["parameters"]["revision"], tuple(orjson.loads(answer["parameters"]["labels"]))
        columns = [iter(answer["outputs"][0]["data"])] * len(labels)
        rows |= dict(zip(some, zip(*columns, strict=True), strict=True))
    client.close()
    texts.learn(revision, labels, rows)
    return revision
