"""
The predictor's OpenAPI document: the protocol's routes alone.
"""

from serving.openapi import document, protocol
from serving.openapi.refusals import Json


def build(model_name: str) -> Json:
    """
    The document of a predictor that has a model of this name.
    """
    return document.build(
        title="Sentiment predictor",
        description="Texts in, the score of each label out; the transformer asks it what its cache does not know.",
        model_name=model_name,
        operations=protocol.operations(protocol.prediction()),
    )
