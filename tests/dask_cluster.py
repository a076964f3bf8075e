"""A real scheduler and worker processes on loopback, for tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass
class Cluster:
    address: str
    folder: Path
    scheduler: subprocess.Popen
    workers: list[subprocess.Popen] = field(default_factory=list)

    def add_worker(self, threads: int = 1) -> subprocess.Popen:
        """A worker process without a nanny, so that a killed one stays dead."""
        options = [
            "--no-nanny",
            "--nthreads",
            str(threads),
            "--no-dashboard",
            "--host",
            "127.0.0.1",
        ]
        worker = _start("worker", self.address, *options, folder=self.folder)
        self.workers.append(worker)
        return worker

    def kill_worker(self, number: int) -> None:
        self.workers[number].send_signal(signal.SIGKILL)
        self.workers[number].wait()


@contextmanager
def cluster(folder: Path, n_workers: int) -> Iterator[Cluster]:
    """A scheduler with ``n_workers`` workers of one thread each."""
    file = folder / "scheduler.json"
    options = [
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
        "--scheduler-file",
        str(file),
    ]
    scheduler = _start("scheduler", *options, folder=folder)
    started = Cluster("", folder, scheduler)
    try:
        started.address = _address(file, scheduler)
        for _ in range(n_workers):
            started.add_worker()
        yield started
    finally:
        for process in [*started.workers, scheduler]:
            process.kill()  # a stopped one, too
            process.wait()


def _start(what: str, *arguments: str, folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "distributed.cli.dask_" + what, *arguments]
    # `tests` must be importable by the workers, as a user's module would have to be.
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / f"{what}.log").open("ab") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def _address(file: Path, scheduler: subprocess.Popen) -> str:
    import json

    for _ in range(300):
        if file.exists() and file.read_text():
            return str(json.loads(file.read_text())["address"])
        assert scheduler.poll() is None, "the scheduler ended"
        time.sleep(0.1)
    raise AssertionError("the scheduler has not started in 30 s")
