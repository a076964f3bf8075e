"""What a measurement ran on."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from fembed import engine

LIBRARIES = (
    *("fembed", "numpy", "scipy", "scikit-learn", "anndata"),
    *("torch", "umap-learn", "openTSNE", "pacmap", "numba", "matplotlib"),
)


def hardware() -> dict[str, Any]:
    """Processor, cores, instruction sets and memory."""
    return {
        "cpu": cpu_model(),
        "cores": _cores(),
        "isa": engine.ISAS[0],
        "isas": list(engine.ISAS),
        "memory_bytes": _memory_bytes(),
        "system": platform.platform(),
    }


def _cores() -> int:
    """Processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def versions() -> dict[str, str]:
    """Python, the commit, and every library that is installed of `LIBRARIES`."""
    found = {"python": platform.python_version(), "commit": _commit()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    """The checkout's commit, with a plus when the package's sources differ from it."""
    root = Path(__file__).parents[1]
    try:
        described = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
        )
        changes = subprocess.run(
            ["git", "-C", str(root), "status", "--porcelain", "--", "src", "benchmarks"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip() + ("+" if changes.stdout.strip() else "")


def thread_pools() -> list[dict[str, Any]]:
    """Every BLAS and OpenMP in this process, as threadpoolctl sees them."""
    pools: list[dict[str, Any]] = threadpool_info()
    return pools
