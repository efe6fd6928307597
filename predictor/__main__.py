"""
The predictor's composition root: settings → parts → server.
"""

import sys

from predictor.settings import PredictorSettings
from serving import lean_kserve, logs
from serving.settings import flag_parser


def main() -> None:
    """
    Run the predictor until it is told to stop.
    """
    flags = flag_parser("predictor", http_port=8090, grpc_port=8091).parse_args()
    settings = PredictorSettings.from_environment()
    logs.configure(settings.log_format, settings.log_level)
    lean_kserve.import_kserve()

    from predictor import engine, openapi  # noqa: PLC0415
    from predictor.artifact import ArtifactError, open_artifact  # noqa: PLC0415
    from predictor.batcher import Batcher  # noqa: PLC0415
    from predictor.metrics import MODEL_INFO  # noqa: PLC0415
    from predictor.model import SentimentPredictor  # noqa: PLC0415
    from predictor.tokenizer import TextTokenizer  # noqa: PLC0415
    from serving.server import Server  # noqa: PLC0415

    server = Server("sentiment_predictor", settings, http_port=flags.http_port, grpc_port=flags.grpc_port)
    try:
        artifact = open_artifact(settings.model_dir, numeric_mode=settings.numeric_mode)
        MODEL_INFO.info({"revision": artifact.revision, "numeric_mode": settings.numeric_mode})
        with engine.running(settings, artifact) as running:
            batcher = Batcher(
                running.classify,
                threads=running.threads,
                max_batch_tokens=settings.max_batch_tokens,
                max_queue_tokens=settings.max_queue_tokens,
                max_wait_seconds=settings.max_wait_ms / 1000,
            )
            tokenizer = TextTokenizer(artifact, threads=settings.compute_threads)
            model = SentimentPredictor(
                flags.model_name,
                artifact,
                tokenizer,
                batcher,
                max_texts=settings.max_texts,
                available=running.available,
            )
            server.start([model], document=openapi.build(flags.model_name))
    except ArtifactError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
