"""
Whether this process still wants new work: the one fact behind readiness and the orderly stop (DESIGN law 8).
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Drain:
    """
    `draining` turns true once, at SIGTERM: readiness fails from then on while requests are still served.
    """

    draining: bool = False
