"""What other processes took of the processors during a measurement."""

from __future__ import annotations

import os
import time
from pathlib import Path


class OtherWork:
    """Counts from its creation; Linux only."""

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
        try:
            fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        except OSError:
            return None
        user, nice, system, _idle, _iowait, irq, softirq, stolen = map(int, fields)
        busy = user + nice + system + irq + softirq + stolen
        return time.perf_counter(), busy / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4])
