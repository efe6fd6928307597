"""
The least that KServe can do: a model that answers a constant, as the baseline of what our services add.
"""

import logging

from kserve import Model, ModelServer

ROW = [{"label": "POSITIVE", "score": 0.9}, {"label": "NEGATIVE", "score": 0.1}]


class Echo(Model):
    """
    Answers each text with the same row.
    """

    def __init__(self) -> None:
        super().__init__("sentiment")
        self.ready = True

    async def predict(self, payload: dict[str, list[str]], *_: object) -> dict[str, object]:
        """
        A row for each text.
        """
        return {"predictions": [ROW] * len(payload["text"])}


if __name__ == "__main__":
    logging.disable(logging.INFO)  # its two lines a request would flatter us
    ModelServer(enable_latency_logging=False, access_log_format=None).start([Echo()])
