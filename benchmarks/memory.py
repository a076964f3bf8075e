"""Memory of this process, now and at its peak."""

from __future__ import annotations

import sys
from pathlib import Path


def _status(field: str) -> int | None:
    """A line of Linux' /proc/self/status in bytes."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return None


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

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes elsewhere


def forget_peak() -> bool:
    """Let `peak_bytes` begin anew, at what is resident now; False where the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True
