"""
Linear layers prepared once, by the implementation that is fastest on this processor.

oneDNN's prepacked weights run at 2.3 times the rate of `F.linear` on AMD Zen 5 and below it on Zen 3, and its fused
GELU helps on some processors and hurts on others: so the choice is measured at load, on the model's own widest layer.
oneDNN's operators are private to torch: where one is missing, or differs from `F.linear`, the next is taken.
"""

from collections.abc import Callable, Mapping
from time import perf_counter
from types import MappingProxyType
from typing import Any

import structlog
import torch
from torch import Tensor
from torch.nn import functional

Linear = Callable[[Tensor], Tensor]
Activation = Callable[[Tensor], Tensor]
Prepare = Callable[[Tensor, Tensor, Activation | None], Linear]

_log = structlog.get_logger("linear")
_PROBE_TOKENS = 256
_PROBE_REPEATS = 7
# Relative to the largest output: the rounding of another order of summation, in each type.
_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


def plain(weight: Tensor, bias: Tensor, activation: Activation | None) -> Linear:
    """
    `F.linear`, which every processor has; it takes no bias of another type.
    """
    bias = bias.to(weight.dtype)
    if activation is None:
        return lambda x: functional.linear(x, weight, bias)
    return lambda x: activation(functional.linear(x, weight, bias))


def onednn(weight: Tensor, bias: Tensor, activation: Activation | None) -> Linear:
    """
    Weights in oneDNN's blocked layout.
    """
    linear = _onednn_pointwise(weight, bias, "none", "")
    return linear if activation is None else lambda x: activation(linear(x))


def onednn_fused(weight: Tensor, bias: Tensor, activation: Activation | None) -> Linear:
    """
    The same, with GELU computed while the result is in the cache.
    """
    if activation is not functional.gelu:
        return onednn(weight, bias, activation)
    return _onednn_pointwise(weight, bias, "gelu", "none")


def _onednn_pointwise(weight: Tensor, bias: Tensor, attribute: str, algorithm: str) -> Linear:
    operators: Any = torch.ops.mkldnn
    packed = operators._reorder_linear_weight(weight)  # noqa: SLF001
    pointwise = operators._linear_pointwise  # noqa: SLF001
    return lambda x: pointwise(x, packed, bias, attribute, [], algorithm)


IMPLEMENTATIONS: Mapping[str, Prepare] = MappingProxyType(
    {"plain": plain, "onednn": onednn, "onednn_fused": onednn_fused}
)


@torch.inference_mode()
def fastest(weight: Tensor, bias: Tensor, activation: Activation) -> Prepare:
    """
    The implementation that runs this layer fastest here, among those that agree with `F.linear`.

    Args:
        weight: (N, K), of the type that is computed in.
        bias: (N,), float32.
        activation: after the linear.
    """
    probe = torch.randn(_PROBE_TOKENS, weight.shape[1], generator=torch.Generator().manual_seed(0)).to(weight.dtype)
    expected = plain(weight, bias, activation)(probe)
    candidates: dict[str, Linear] = {}
    for name, prepare in IMPLEMENTATIONS.items():
        try:
            linear = prepare(weight, bias, activation)
            if _agree(linear(probe), expected):
                candidates[name] = linear
        except (RuntimeError, AttributeError):  # torch has no such operator, or not for this processor
            continue
    # in turn, so that a noisy moment falls on all of them
    rounds = [{name: _time(linear, probe) for name, linear in candidates.items()} for _ in range(_PROBE_REPEATS)]
    seconds = {name: min(each[name] for each in rounds) for name in candidates}
    name = min(seconds, key=seconds.__getitem__)
    _log.info("chosen", implementation=name, ms={name: round(value * 1e3, 2) for name, value in seconds.items()})
    return IMPLEMENTATIONS[name]


def _agree(actual: Tensor, expected: Tensor) -> bool:
    difference = (actual.float() - expected.float()).abs().max()
    return bool(difference <= _TOLERANCE[expected.dtype] * expected.float().abs().max())


def _time(linear: Linear, probe: Tensor) -> float:
    start = perf_counter()
    linear(probe)
    return perf_counter() - start
