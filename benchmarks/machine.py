"""What a measurement ran on: processor, versions, memory, and what others took of it meanwhile."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from fembed import engine

LIBRARIES = (
    *("fembed", "numpy", "scipy", "scikit-learn", "anndata"),
    *("torch", "umap-learn", "openTSNE", "pacmap", "numba", "matplotlib"),
)
#: Settings of the environment that change what is measured.
VARIABLES = (
    *("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "GOMP_SPINCOUNT"),
    *("OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "MKL_NUM_THREADS"),
)


def facts() -> dict[str, Any]:
    """All of it, for a result file."""
    return {
        "hardware": hardware(),
        "versions": versions(),
        "thread_pools": thread_pools(),
        "environment": {name: os.environ.get(name) for name in VARIABLES},
        "peak_bytes": peak_bytes(),
    }


def hardware() -> dict[str, Any]:
    """Processor, cores that this process may use, instruction sets and memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        memory = None
    return {
        "cpu": cpu_model(),
        "cores": cores or 1,
        "isa": engine.ISAS[0],
        "isas": list(engine.ISAS),
        "memory_bytes": memory,
        "system": platform.platform(),
    }


def cpu_model() -> str:
    lines = _lines("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Python, the commit (with a plus if files differ from it), and the `LIBRARIES` there are."""
    git = ["git", "-C", str(Path(__file__).parents[1])]
    commit = _said([*git, "rev-parse", "--short=12", "HEAD"]) or "unknown"
    changed = _said([*git, "status", "--porcelain", "--", "src", "benchmarks"])
    found = {"python": platform.python_version(), "commit": commit + "+" * bool(changed)}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def thread_pools() -> list[dict[str, Any]]:
    """Every BLAS and OpenMP in this process, as threadpoolctl sees them."""
    pools: list[dict[str, Any]] = threadpool_info()
    return pools


def _said(call: list[str]) -> str:
    try:
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _lines(path: str) -> list[str]:
    """Of a file that only Linux has."""
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def resident_bytes() -> int | None:
    """Resident memory now; None where the system does not tell."""
    return _status("VmRSS")


def peak_bytes() -> int:
    """Highest resident memory since this process began.

    VmHWM where there is one: ru_maxrss is the same number but, on Linux, begins with the peak of
    the process that started this one.
    """
    return _status("VmHWM") or maxrss_bytes()


def maxrss_bytes() -> int:
    """``getrusage``'s peak."""
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * maxrss_unit()


def maxrss_unit() -> int:
    """Of ``ru_maxrss``, in bytes."""
    return 1 if sys.platform == "darwin" else 1024


def forget_peak() -> bool:
    """Let `peak_bytes` begin anew, at what is resident now; False where the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _status(field: str) -> int | None:
    """A line of Linux' /proc/self/status in bytes."""
    for line in _lines("/proc/self/status"):
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return None


class OtherWork:
    """What other processes took of the processors, from its creation on; Linux only."""

    def __init__(self) -> None:
        self._start = self._now()

    def cores(self) -> float | None:
        """Processors that others kept busy, on average; None where the system does not tell.

        Time that the host took from a virtual machine counts too. Children of this process are
        its own work once they have ended.
        """
        start, stop = self._start, self._now()
        if start is None or stop is None or stop[0] <= start[0]:
            return None
        seconds, busy, own = (late - early for early, late in zip(start, stop, strict=True))
        return max(0.0, busy - own) / seconds

    @staticmethod
    def _now() -> tuple[float, float, float] | None:
        """Seconds: of the clock, of all processors' work, of this process' and its children's."""
        lines = _lines("/proc/stat")
        if not lines:
            return None
        user, nice, system, _idle, _iowait, irq, softirq, stolen = map(int, lines[0].split()[1:9])
        busy = user + nice + system + irq + softirq + stolen
        return time.perf_counter(), busy / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4])
