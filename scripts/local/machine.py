"""
The machine that a measurement is of.
"""

import platform
from pathlib import Path


def processor() -> str:
    """
    The processor's name, as the kernel has it.
    """
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
