"""
How many cores this process may use, which in a container is not how many there are.
"""

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def granted_cores(cgroup: Path = _CGROUP) -> int:
    """
    Whole cores that the affinity mask and the cgroup's CPU quota grant, at least 1; a part of a core counts as one.

    Args:
        cgroup: the cgroup file system as a container sees its own: version 2's `cpu.max`, or version 1's
            `cpu/cpu.cfs_quota_us` and `cpu/cpu.cfs_period_us`; neither where there is no limit.
    """
    present = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return present if quota is None else max(1, min(present, math.ceil(quota)))


def _quota(cgroup: Path) -> float | None:
    unified = _words(cgroup / "cpu.max")
    words = unified or _words(cgroup / "cpu/cpu.cfs_quota_us") + _words(cgroup / "cpu/cpu.cfs_period_us")
    match words:
        case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period) > 0:
            return int(quota) / int(period)
        case _:  # "max", -1, or no cgroup at all
            return None


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
