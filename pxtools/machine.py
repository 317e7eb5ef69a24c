"""What this machine gives the process."""

import os
import resource
from pathlib import Path

from pxtools.errors import InputError

# address space: MLX, numpy, gemmi, and a worker. With less they abort while they are loaded
MB_OF_LIBRARIES = 180


def cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def refuse_without_room(needed: int, what: str, instead: str) -> None:
    """InputError where a limit leaves less address space than the `needed` MB."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    taken = Path("/proc/self/statm")  # in pages
    if limit == resource.RLIM_INFINITY or not taken.exists():
        return
    pages = int(taken.read_text("ascii").split()[0])
    left = max(0, limit - pages * resource.getpagesize()) >> 20
    if left < needed:
        raise InputError(
            f"the memory limit of {limit >> 20} MB (ulimit -v) leaves {left} MB; {what} need "
            f"{needed} MB: {instead}"
        )
