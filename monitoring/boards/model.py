"""
The model's board: are its answers what they were. Of the texts answered, so of what clients send.
"""

from monitoring.board import Board, Panel, Query, Row
from monitoring.promql import PREDICTOR, TRANSFORMER, mean, rate, series

_SCORE = f"{TRANSFORMER}_score"
_ANSWERED = rate(f"{_SCORE}_count")
_NOW = "sentiment:label_share:ratio_rate1h"
_REFERENCE = "sentiment:label_share:ratio_rate1w"
_UNSURE = 'le="0.7"'
_CUT = f"{rate(f'{PREDICTOR}_truncated_texts_total')} / {rate(f'{PREDICTOR}_batch_texts_sum')}"
_UNSURE_WEEK = f"sum(rate({series(f'{_SCORE}_bucket', _UNSURE)}[1w])) / sum(rate({series(f'{_SCORE}_count')}[1w]))"
_DRIFT = f"abs({series(_NOW)} - {series(_REFERENCE)})"

_LABELS = Row(
    "Labels",
    (
        Panel(
            "Label shares",
            "percentunit",
            (
                Query(
                    f"{rate(f'{_SCORE}_count', by='label')} / ignoring (label) group_left () {_ANSWERED}", "{{label}}"
                ),
            ),
            "Share of texts by their best label.",
            stacked=True,
        ),
        Panel(
            "An hour against a week",
            "percentunit",
            (Query(series(_NOW), "{{label}}, last hour"), Query(series(_REFERENCE), "{{label}}, last week")),
        ),
        Panel(
            "Drift of the label shares",
            "percentunit",
            (Query(f"max({_DRIFT})", "largest difference"),),
            "How far a label's share of the last hour is from its share of the last week.",
            limit=0.2,
        ),
    ),
)
_SCORES = Row(
    "Scores",
    (
        Panel(
            "Score of the best label",
            "short",
            (Query(rate(f"{_SCORE}_bucket", by="le"), "{{le}}"),),
            "A model that was trained for this traffic is mostly sure.",
            kind="distribution",
        ),
        Panel("Mean score by label", "percentunit", (Query(mean(_SCORE, by="label"), "{{label}}"),)),
        Panel(
            "Unsure answers",
            "percentunit",
            (
                Query(f"{rate(f'{_SCORE}_bucket', _UNSURE)} / {_ANSWERED}", "now"),
                Query(_UNSURE_WEEK, "last week"),
            ),
            "Share of texts whose best label scores at most 0.7. More than before: other texts than it learnt from.",
        ),
    ),
)
_TEXTS = Row(
    "Texts",
    (
        Panel(
            "Truncated texts",
            "percentunit",
            (Query(_CUT, "cut at their end"),),
            "Share of computed texts with more tokens than the model takes.",
        ),
        Panel(
            "Tokens a text",
            "short",
            (Query(f"{rate(f'{PREDICTOR}_batch_tokens_sum')} / {rate(f'{PREDICTOR}_batch_texts_sum')}", "mean"),),
            "Of the texts computed.",
        ),
        Panel(
            "Revisions",
            "short",
            (
                Query(
                    f"count by (revision, numeric_mode) ({series(f'{PREDICTOR}_model_info')})",
                    "{{revision}} {{numeric_mode}}",
                ),
            ),
            "Predictors by the model they have.",
        ),
    ),
)

BOARD = Board(
    "Sentiment: model",
    "sentiment-model",
    "Are the answers what they were? Of the texts answered, cached or not.",
    (_LABELS, _SCORES, _TEXTS),
)
