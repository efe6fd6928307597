"""
What people write at the command line, read with a word on what would be right.
"""

from argparse import ArgumentTypeError

MAX_PORT = 65535


def port_of(argument: str) -> int:
    """
    A port that can be asked for.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not argument.isdecimal() or not 0 < int(argument) <= MAX_PORT:
        raise ArgumentTypeError(f"{argument} is no port; give one from 1 to {MAX_PORT}")
    return int(argument)


def seconds_of(argument: str) -> float:
    """
    A time that is longer than none.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        seconds = float(argument)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ArgumentTypeError(f"{argument} is no number of seconds above 0")
    return seconds
