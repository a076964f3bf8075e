"""Fits and projections by the hundred in one process: ``python -m tests.hostile.soak``.

Memory, open files, threads and child processes must be as flat in the last third as in the first.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fembed
from fembed.commands import app
from tests.hostile.processes import QUICK, prepare

#: Before what libraries load late, and what the allocator keeps, has come together.
WARM_UP = 10
#: Growth of the resident memory, from the first third to the last, that is not yet a leak.
MAX_GROWTH = 8e6


@dataclass(frozen=True)
class Level:
    """What the process holds after a round.

    Attributes
    ----------
    memory : int
        Resident, in bytes.
    files, threads, children : int
    """

    memory: int
    files: int
    threads: int
    children: int


def level() -> Level:
    """What this process holds now."""
    gc.collect()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    task = Path(f"/proc/self/task/{os.getpid()}/children")
    return Level(
        memory=int(status["VmRSS"].split()[0]) * 1024,
        files=len(os.listdir("/proc/self/fd")),
        threads=int(status["Threads"]),
        children=len(task.read_text().split()) if task.exists() else 0,
    )


def rounds(folder: Path, count: int) -> Iterator[Level]:
    """Fit, save, load, project, decode and read files of several kinds, ``count`` times."""
    prepare(folder / "inputs")
    inputs = folder / "inputs"
    options = fembed.FitConfig(gene_components=4, hidden=(8,), epochs=3.0, n_threads=1)
    for number in range(count):
        data = fembed.read(inputs / ("data.csv" if number % 2 else "data.h5ad"))
        model = fembed.fit(data, options)
        model.save(folder / "model", overwrite=True)
        new = fembed.read(inputs / "new.csv")
        placed = fembed.project(fembed.load(folder / "model"), new, n_threads=1)
        assert np.isfinite(model.decode(placed.sample_embedding, n_threads=1)).all()
        table = str(folder / ("map.csv" if number % 2 else "map.h5ad"))
        command = ["project", str(inputs / "model"), str(inputs / "new.csv"), "-o", table, "-q"]
        assert app.run([*command, "--overwrite", *QUICK[-2:]]) == 0
        with contextlib.redirect_stderr(io.StringIO()):
            assert app.run(["info", str(inputs / "nothing.csv")]) == 2
        yield level()


def faults(levels: list[Level]) -> list[str]:
    """What has grown from the first third to the last; empty if nothing."""
    third = max(1, len(levels) // 3)
    found = []
    for name in ("memory", "files", "threads", "children"):
        begin, end = (
            float(np.median([getattr(one, name) for one in part]))
            for part in (levels[:third], levels[-third:])
        )
        if end - begin > (MAX_GROWTH if name == "memory" else 0):
            found.append(f"{name}: {begin:.0f} in the first third, {end:.0f} in the last")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.soak", description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    options = parser.parse_args()
    levels = []
    with tempfile.TemporaryDirectory(prefix="fembed_soak_") as folder:
        for number, one in enumerate(rounds(Path(folder) / "soak", options.count)):
            levels.append(one)
            if number % max(1, options.count // 20) == 0 or number == options.count - 1:
                print(
                    f"{number}: {one.memory / 1e6:.1f} MB, {one.files} files, {one.threads} "
                    f"threads, {one.children} children",
                    flush=True,
                )
    found = faults(levels[WARM_UP:])
    print("\n".join(found) or "flat")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
