"""
The transformer, which counts nothing from SIGUSR2 to SIGUSR1: what counting costs shows within one process.
"""

import signal

from serving import lean_kserve

lean_kserve.import_kserve()

import prometheus_client  # noqa: E402  # KServe's import, which brings it, is ours to make

import transformer.model  # noqa: E402
from serving.metrics import RequestMetrics  # noqa: E402
from transformer.__main__ import main  # noqa: E402

# A request's, its texts' scores, and the rest: texts by source, calls of Redis.
_COUNTING = ((RequestMetrics, "count"), (transformer.model, "_count_scores"), (prometheus_client.Counter, "inc"))
_COUNTED = [getattr(owner, name) for owner, name in _COUNTING]


def _switch(signum: int, _frame: object) -> None:
    for (owner, name), counted in zip(_COUNTING, _COUNTED, strict=True):
        setattr(owner, name, counted if signum == signal.SIGUSR1 else _nothing)


def _nothing(*_: object) -> None:
    pass


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _switch)
    signal.signal(signal.SIGUSR2, _switch)
    main()
