"""
Numbers as a person reads them, by Grafana's words for units.
"""

from math import floor, log10

_PREFIXES = {-3: "n", -2: "µ", -1: "m", 0: "", 1: "k", 2: "M", 3: "G"}
_SUFFIXES = {"reqps": " req/s", "cps": " /s", "ops": " calls/s", "short": ""}
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB")
_MINUTE = 60


def told(value: float, unit: str) -> str:
    """
    The value in three digits, with its unit.
    """
    match unit:
        case "percentunit":
            return f"{_digits(value * 100)} %"
        case "s" if abs(value) >= _MINUTE:
            return f"{_digits(value / _MINUTE)} min"
        case "s":
            return _scaled(value, "s")
        case "bytes":
            power = min(max(0, floor(log10(abs(value) or 1) / log10(1024))), len(_BINARY) - 1)
            return f"{_digits(value / 1024**power)} {_BINARY[power]}"
        case _:
            return _counted(value) + _SUFFIXES[unit]


def _counted(value: float) -> str:
    """
    A number of things, which has thousands but no thousandths.
    """
    return _digits(value) if abs(value) < 1000 else _scaled(value, "").replace(" ", "")  # noqa: PLR2004


def _scaled(value: float, unit: str) -> str:
    power = floor(log10(abs(value)) / 3 + 1e-9) if value else 0
    power = min(max(power, min(_PREFIXES)), max(_PREFIXES))
    return f"{_digits(value / 1000**power)} {_PREFIXES[power]}{unit}"


def _digits(value: float) -> str:
    """
    Three digits, all of a whole number's.
    """
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.3g}"  # noqa: PLR2004  # what has three before its point
