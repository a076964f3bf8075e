"""Child processes that are watched: lost ones are replaced, those that hang are ended."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.hostile.fuzz import seeds
from tests.hostile.fuzz.child import PLACE

ROOT = Path(__file__).parents[3]
PER_TASK = 20
#: A mutation hangs that has used so much processor time, or waited so long.
HANG_PROCESSOR, HANG_WALL = 10.0, 60.0
Task = tuple[str, int, int, int]  # kind, seed, first, beyond the last
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass
class Found:
    """What the mutations of one kind came to."""

    tried: int = 0
    accepted: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)

    def add(self, more: dict[str, Any]) -> None:
        self.tried += more["tried"]
        self.accepted += more["accepted"]
        self.failures += more["failures"]

    def groups(self) -> list[list[dict[str, Any]]]:
        """Failures of one cause together, the most frequent cause first."""
        grouped: dict[Any, list[dict[str, Any]]] = {}
        for failure in sorted(self.failures, key=lambda failure: failure["index"]):
            grouped.setdefault((failure["what"], failure["where"]), []).append(failure)
        return sorted(grouped.values(), key=len, reverse=True)


def sentence(group: Sequence[dict[str, Any]]) -> str:
    """One line about failures of one cause, with the first of them to repeat."""
    first = group[0]
    again = f"--kind {first['kind']} --seed {first['seed']} --index {first['index']}"
    return (
        f"{len(group)} x {first['what']} at {first['where'] or '?'}: {first['says'][:160]} "
        f"[{again}; {first.get('mutation', '')[:120]}]"
    )


def run(
    kinds: Sequence[str], n_mutations: int, *, seed: int = 0, start: int = 0, n_jobs: int = 2
) -> dict[str, Found]:
    """Try ``n_mutations`` of every kind, from number ``start`` on, in ``n_jobs`` processes."""
    stop = start + n_mutations
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    for kind in kinds:
        for first in range(start, stop, PER_TASK):
            tasks.put((kind, seed, first, min(first + PER_TASK, stop)))
    results = {kind: Found() for kind in kinds}
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="fembed_fuzz_", dir=shared) as name:
        folder = Path(name)
        (folder / "seeds").mkdir()
        seeds.make(folder / "seeds")
        watchers = [
            threading.Thread(target=_watch, args=(folder / str(k), tasks, results))
            for k in range(n_jobs)
        ]
        for watcher in watchers:
            watcher.start()
        for watcher in watchers:
            watcher.join()
    return results


def _watch(folder: Path, tasks: queue.SimpleQueue[Task], results: dict[str, Found]) -> None:
    folder.mkdir()
    child = Child(folder)
    with contextlib.closing(child), contextlib.suppress(queue.Empty):
        while True:
            task = tasks.get_nowait()
            for found in child.work(task):
                results[task[0]].add(found)


class Child:
    """One process, started anew whenever it is lost."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "place").write_bytes(bytes(PLACE.size))
        with open(folder / "place", "r+b") as file:
            self._place = mmap.mmap(file.fileno(), PLACE.size)
        self._start()

    def _start(self) -> None:
        self._hung = False
        with open(self._folder / "log", "w") as log:
            self._process = self._opened(log)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            self.close()
            raise RuntimeError(f"A child does not start: {self._said}")

    def _opened(self, log: IO[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.fuzz.child", str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **dict.fromkeys(THREADS, "1"), "PYTHONPATH": _path()},
            cwd=ROOT,
            start_new_session=True,
            text=True,
        )

    def close(self) -> None:
        """End the process and all that it has started."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0 if self._hung else 5)  # its own end tells more than ours
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]
        self._said = (self._folder / "log").read_text(errors="replace")[-4000:]

    def work(self, task: Task) -> Iterable[dict[str, Any]]:
        """The results of a task, in pieces if the process is lost on the way."""
        kind, seed, start, stop = task
        while start < stop:
            PLACE.pack_into(self._place, 0, start, time.monotonic())
            assert self._process.stdin is not None and self._process.stdout is not None
            self._process.stdin.write(json.dumps([kind, seed, start, stop]) + "\n")
            self._process.stdin.flush()
            answer = self._answer()
            if answer is not None:
                yield answer
                return
            at = PLACE.unpack_from(self._place, 0)[0]
            lost = self._lost() | {"kind": kind, "seed": seed, "index": at}
            # The failures before it in this piece died with the process: try them again.
            if at > start:
                yield from self.work((kind, seed, start, at))
            yield {"tried": 1, "accepted": 0, "failures": [lost]}
            start = at + 1

    def _answer(self) -> dict[str, Any] | None:
        """What the process answers; None if it was lost, or hung and was ended."""
        used, seen = _processor_time(self._process.pid), None
        assert self._process.stdout is not None
        while True:
            ready, _, _ = select.select([self._process.stdout], [], [], 0.5)
            if ready:
                line = self._process.stdout.readline()
                return json.loads(line) if line else None
            index, begun = PLACE.unpack_from(self._place, 0)
            if index != seen:
                seen, used = index, _processor_time(self._process.pid)
            spent = _processor_time(self._process.pid) - used
            if spent > HANG_PROCESSOR or time.monotonic() - begun > HANG_WALL:
                self._hung = True
                os.kill(self._process.pid, signal.SIGUSR1)  # it writes where it is
                time.sleep(0.5)
                os.killpg(self._process.pid, signal.SIGKILL)

    def _lost(self) -> dict[str, Any]:
        self.close()
        said = self._said
        what = "hang" if self._hung else f"crash {self._process.returncode}"
        stack = [line.strip() for line in said.splitlines() if line.strip().startswith("File ")]
        self._start()
        where = " < ".join(line.split("/")[-1] for line in stack[:3])
        return {"what": what, "where": where, "says": " ".join(said.split())[:300]}


def _path() -> str:
    return os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)


def _processor_time(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
