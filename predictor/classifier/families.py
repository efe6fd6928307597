"""
The encoder families that the packed forward runs, as data: where each keeps its weights and its few differences.

DistilBERT (Sanh et al. 2019), BERT (Devlin et al. 2018) and RoBERTa / XLM-R (Liu et al. 2019) share one shape: an
encoder of post-norm layers over learnt positions, and a head of one hidden layer on the first token.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """
    One family's names. `{i}` is the layer; a name stands for its `.weight` and `.bias`.

    Attributes:
        embeddings: prefix of `word_embeddings`, `position_embeddings` and `LayerNorm`.
        has_token_types: whether a token-type table is added; every text here is of type 0.
        positions_follow_padding: whether the first token's position is the one behind the padding index, not 0.
        head_activation: between the head's two linears.
        heads, layers, activation: their keys in `config.json`.
    """

    embeddings: str
    query: str
    key: str
    value: str
    attention_out: str
    attention_norm: str
    ffn_in: str
    ffn_out: str
    ffn_norm: str
    head_hidden: str
    head_out: str
    head_activation: str
    has_token_types: bool
    positions_follow_padding: bool
    heads: str = "num_attention_heads"
    layers: str = "num_hidden_layers"
    activation: str = "hidden_act"


def _bert_like(prefix: str, *, head_hidden: str, head_out: str, positions_follow_padding: bool) -> Family:
    layer = f"{prefix}.encoder.layer.{{i}}"
    return Family(
        embeddings=f"{prefix}.embeddings",
        query=f"{layer}.attention.self.query",
        key=f"{layer}.attention.self.key",
        value=f"{layer}.attention.self.value",
        attention_out=f"{layer}.attention.output.dense",
        attention_norm=f"{layer}.attention.output.LayerNorm",
        ffn_in=f"{layer}.intermediate.dense",
        ffn_out=f"{layer}.output.dense",
        ffn_norm=f"{layer}.output.LayerNorm",
        head_hidden=head_hidden,
        head_out=head_out,
        head_activation="tanh",
        has_token_types=True,
        positions_follow_padding=positions_follow_padding,
    )


_DISTILBERT_LAYER = "distilbert.transformer.layer.{i}"
_ROBERTA = _bert_like(
    "roberta", head_hidden="classifier.dense", head_out="classifier.out_proj", positions_follow_padding=True
)

FAMILIES = {
    "DistilBertForSequenceClassification": Family(
        embeddings="distilbert.embeddings",
        query=f"{_DISTILBERT_LAYER}.attention.q_lin",
        key=f"{_DISTILBERT_LAYER}.attention.k_lin",
        value=f"{_DISTILBERT_LAYER}.attention.v_lin",
        attention_out=f"{_DISTILBERT_LAYER}.attention.out_lin",
        attention_norm=f"{_DISTILBERT_LAYER}.sa_layer_norm",
        ffn_in=f"{_DISTILBERT_LAYER}.ffn.lin1",
        ffn_out=f"{_DISTILBERT_LAYER}.ffn.lin2",
        ffn_norm=f"{_DISTILBERT_LAYER}.output_layer_norm",
        head_hidden="pre_classifier",
        head_out="classifier",
        head_activation="relu",
        has_token_types=False,
        positions_follow_padding=False,
        heads="n_heads",
        layers="n_layers",
        activation="activation",
    ),
    "BertForSequenceClassification": _bert_like(
        "bert", head_hidden="bert.pooler.dense", head_out="classifier", positions_follow_padding=False
    ),
    "RobertaForSequenceClassification": _ROBERTA,
    "XLMRobertaForSequenceClassification": _ROBERTA,
}
