"""
Figures as a person reads them.
"""

_LARGE, _SMALL = 100, 0.1


def number(value: float) -> str:
    """
    A number with as many digits as say something.
    """
    if value >= _LARGE:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= _SMALL else f"{value:.2g}"


def percent(share: float) -> str:
    """
    A share; hardly any is not none.
    """
    return f"{100 * share:.3g} %"


def ms(value: float) -> str:
    """
    Milliseconds.
    """
    return f"{number(value)} ms"
