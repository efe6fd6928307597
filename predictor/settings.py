"""
What the predictor is told from outside, and why each default is what it is.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from predictor.artifact import NumericMode
from predictor.cores import granted_cores
from predictor.replicas import plan
from serving.settings import PositiveInt, ServingSettings

# Of 512 tokens, for a core; a model of full shape takes three times as long.
_LONGEST_TEXT_SECONDS = 0.1
EMBEDDED_MODEL = Path(__file__).resolve().parent.parent / "models" / "distilbert-sst2-embedded"


class PredictorSettings(ServingSettings):
    """
    Settings of the predictor; each is the environment variable of the same name in capitals.
    """

    model_dir: Path = EMBEDDED_MODEL
    """
    Model directory of the Hugging Face layout: `config.json`, `model.safetensors`, `tokenizer.json`.
    """

    max_body_bytes: PositiveInt = 25 * 1024 * 1024
    """
    Largest request body. Room for all that a transformer with its 4 MiB can send on: as JSON, a text of control
    characters grows to six times its size.
    """

    numeric_mode: NumericMode = "fp32"
    """
    How the model computes: `fp32` exactly; `bf16` for processors with bfloat16 units, slow on others. It moves a
    probability of SST-2 dev by 1.6e-2 at most (`scripts/evaluate`), so it is a choice. Part of the revision.

    There is no int8: with oneDNN's static kernels, smoothed (SmoothQuant) and per channel, on an Intel Xeon with AMX,
    all linears in int8 ran at 0.8 (embedded model) and 1.0 (full shape) times the speed of bf16 and moved a probability
    by 0.22 and 0.51; only those that bear it best, query-key-value and the FFN's first, at 0.97 and 1.09 times, by 0.07
    and 0.21. A mode must keep within 0.1 and be at least 1.2 times as fast to be worth its risk.
    """

    max_batch_tokens: PositiveInt = 512
    """
    Tokens a batch. More gains little throughput (the GEMMs are saturated at about 200) and costs latency.
    """

    max_queue_tokens: PositiveInt = 100_000
    """
    Tokens waiting at most; a request beyond it is refused whole with 429, at once. The default is what two cores
    compute in about the 10 s that a transformer waits: what waited longer would be answered to nobody. A larger
    request is admitted while nothing else waits.
    """

    max_wait_ms: PositiveInt = 100
    """
    Longest time that other requests' texts may make one wait, milliseconds, by the pace of the last batches; a request
    that would wait longer is refused whole with 429, at once. By default what is admitted under overload takes about
    twice as long as just below it (`scripts/faults overload`). A large request is let in while the others would make it
    wait up to four times as long as it computes.
    """

    compute_threads: Annotated[int, Field(gt=0, le=1024)] = granted_cores()
    """
    Batches computed at once, one torch thread each: threads of one forward would spin beside a busy neighbour.
    The default is the cores that affinity and cgroup grant.
    """

    predictor_replicas: Annotated[plan.Plan | None, NoDecode, BeforeValidator(plan.parse)] = None
    """
    Where batches are computed: in this process, by default; `ray:<n>` by n processes that a Ray of their own starts on
    this machine, `ray:<n>@<address>` by as many on a Ray cluster. It then replaces `compute_threads`. In process is
    the default, for it needs less memory, starts sooner and loses no time between batches.
    """

    @property
    def longest_work_seconds(self) -> float:
        """
        About what one core takes for the largest request, seven minutes; most clients give up long before.
        """
        return self.max_texts * _LONGEST_TEXT_SECONDS
