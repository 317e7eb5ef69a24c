"""Load a fast BLAS on Linux; must be imported before mlx.core.

MLX's CPU wheel for Linux links the reference BLAS. An OpenBLAS with plain symbol names, loaded
globally first, takes its place: the same numbers to float32 rounding, some 30 times faster.
"""

import ctypes
import os
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from pxtools.console import warn

_openblas: ctypes.CDLL | None = None


def _load() -> None:
    global _openblas
    if sys.platform != "linux":
        return  # macOS: MLX uses Accelerate
    if "mlx.core" in sys.modules:
        warn("mlx was imported before pxtools: matrix products on the CPU will be slow")
        return
    try:
        _load_libgfortran()
        _openblas = _load_file("cmeel-openblas", "libopenblas.so.0")
        _keep_freed_memory()
    except (OSError, PackageNotFoundError) as error:
        warn(f"no OpenBLAS ({error}): matrix products on the CPU will be some 30 times slower")


def _installed(package: str, start: str) -> Path:
    for file in distribution(package).files or []:
        if file.name.startswith(start):
            return Path(str(file.locate()))
    raise OSError(f"{package} has no {start}")


def _load_file(package: str, start: str) -> ctypes.CDLL:
    return ctypes.CDLL(str(_installed(package, start)), mode=ctypes.RTLD_GLOBAL)


def _load_libgfortran() -> None:
    """OpenBLAS asks for the system's libgfortran.so.5, which many machines do not have.

    MLX's wheel carries one under a name of its own, as all wheels do; a copy in memory
    that bears the plain name again satisfies OpenBLAS.
    """
    try:
        ctypes.CDLL("libgfortran.so.5", mode=ctypes.RTLD_GLOBAL)
        return
    except OSError:
        _load_file("mlx-cpu", "libquadmath")
    path = _installed("mlx-cpu", "libgfortran")
    renamed = path.name.encode() + b"\0"
    plain = b"libgfortran.so.5".ljust(len(renamed), b"\0")
    memory = os.memfd_create("libgfortran.so.5")
    try:
        with os.fdopen(os.dup(memory), "wb") as file:
            file.write(path.read_bytes().replace(renamed, plain))
        ctypes.CDLL(f"/proc/self/fd/{memory}", mode=ctypes.RTLD_GLOBAL)
    finally:
        os.close(memory)


def _keep_freed_memory() -> None:
    """Tell glibc to reuse large blocks instead of returning each to the kernel after use."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        m_trim_threshold, m_mmap_max = -1, -4
        libc.mallopt(m_mmap_max, 0)
        libc.mallopt(m_trim_threshold, 2**31 - 1)


def set_threads(n: int) -> None:
    """Let the BLAS use `n` threads (no effect where MLX brings its own)."""
    if _openblas is not None:
        _openblas.openblas_set_num_threads(n)


_load()
