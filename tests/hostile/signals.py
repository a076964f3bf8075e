"""Commands that are asked to stop at random moments: ``python -m tests.hostile.signals``.

After SIGINT, SIGTERM or SIGHUP, to the process or to its whole group as a terminal does, a command
ends within five seconds, leaves no process, and every file is whole or absent.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.hostile.processes import COMMANDS, Run, fresh, outputs, prepare

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WITHIN = 5.0


class Signalling:
    """Trials in one folder; see `tests.hostile.kills.Killing`."""

    def __init__(self, folder: Path, commands: tuple[str, ...], seed: int = 0) -> None:
        self._folder, self._seed = folder, seed
        prepare(folder / "inputs")
        self.seconds: dict[str, float] = {}
        self._whole: dict[str, dict[str, int]] = {}
        for command in commands:
            place, begun = self._fresh(), time.monotonic()
            run = Run(command, place)
            assert run.end(300) == 0, run.told()
            self.seconds[command] = time.monotonic() - begun
            self._whole[command] = {n: p.stat().st_size for n, p in outputs(place).items()}
        self.statuses: Counter[str] = Counter()

    def _fresh(self) -> Path:
        return fresh(self._folder / "run", self._folder / "inputs")

    def trial(self, command: str, number: int, kind: signal.Signals) -> list[str]:
        """What is wrong after one signal; empty if nothing."""
        place = self._fresh()
        rng = Random(f"{command}/{self._seed}/{number}/{kind}")
        moment, everyone = rng.uniform(0.0, self.seconds[command]), rng.random() < 0.5
        run = Run(command, place)
        time.sleep(moment)
        if run.process.poll() is None:
            send = os.killpg if everyone else os.kill
            send(run.process.pid, kind)
        begun, faults = time.monotonic(), []
        status = run.end(20.0)
        if (took := time.monotonic() - begun) > WITHIN:
            faults.append("does not end" if status is None else f"ends after {took:.1f} s")
        if stayed := run.left(max(0.5, WITHIN - took)):
            faults.append(f"{len(stayed)} process(es) stay: {stayed[0]}")
            run.sweep_up()
        told = run.told()
        self.statuses[f"{command} {kind.name} {status}"] += 1
        if status not in (None, 0, 128 + kind, -kind):
            faults.append(f"status {status}: {told[-300:]}")
        # Python was still starting, before any line of ours: it says so itself, and dies of SIGINT.
        starting = status == -kind and "fembed" not in told
        if "Traceback" in told and not starting:
            faults.append(f"traceback: {' '.join(told.splitlines()[-3:])[:300]}")
        faults += self._files(command, place)
        to = "group" if everyone else "process"
        return [f"{command} {number} {kind.name} to {to} at {moment:.2f} s: {it}" for it in faults]

    def _files(self, command: str, place: Path) -> list[str]:
        """Files that no undisturbed run makes, or that are much shorter than its."""
        whole, faults = self._whole[command], []
        for name, path in outputs(place).items():
            if name in whole:
                if path.stat().st_size < 0.9 * whole[name]:
                    faults.append(f"{name} has {path.stat().st_size} of {whole[name]} bytes")
            elif not name.endswith(".checkpoint"):
                faults.append(f"left over: {name}")
        return faults


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.signals", description=__doc__)
    parser.add_argument("--count", type=int, default=50, help="moments of every command, in turn")
    parser.add_argument("--command", action="append", choices=[*COMMANDS], help="repeatable")
    parser.add_argument("--every", action="store_true", help="every signal at every moment")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    n_wrong = 0
    with tempfile.TemporaryDirectory(prefix="fembed_signals_") as folder:
        commands = tuple(options.command or COMMANDS)
        signalling = Signalling(Path(folder) / "trials", commands, options.seed)
        for command in commands:
            wrong = tried = 0
            for number in range(options.count):
                for kind in SIGNALS if options.every else (SIGNALS[number % len(SIGNALS)],):
                    faults = signalling.trial(command, number, kind)
                    wrong, tried = wrong + bool(faults), tried + 1
                    for fault in faults:
                        print(fault, flush=True)
            seconds = signalling.seconds[command]
            print(f"{command} ({seconds:.1f} s): {tried} signals, {wrong} wrong", flush=True)
            n_wrong += wrong
        print(dict(signalling.statuses))
    return int(n_wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
