"""Commands that are killed at random moments and given again: ``python -m tests.hostile.kills``.

After ``kill -9`` no process may stay, and the same command must end with the bits of one that
nobody disturbed, and with no other files.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from tests.hostile.processes import Run, fresh, outputs, prepare

KILLED = ("fit", "extend", "sweep")
#: Seconds within which a killed command's processes must be gone.
GRACE = 5.0
#: What differs between two runs of the same command (a history has a line every so many seconds).
CLOCK = ("seconds", "pairs_per_second", "history", "document_sha256")


class Killing:
    """Trials in one folder, against what the undisturbed commands gave.

    Parameters
    ----------
    folder : Path
        Empty, or not there yet.
    commands : names of commands
    seed : int
        Of the moments.
    """

    def __init__(self, folder: Path, commands: tuple[str, ...] = KILLED, seed: int = 0) -> None:
        self._folder, self._seed = folder, seed
        prepare(folder / "inputs")
        self.seconds: dict[str, float] = {}
        self._whole: dict[str, dict[str, Any]] = {}
        for command in commands:
            place, begun = self._fresh(), time.monotonic()
            run = Run(command, place)
            assert run.end(300) == 0, run.told()
            self.seconds[command] = time.monotonic() - begun
            self._whole[command] = contents(place)

    def _fresh(self) -> Path:
        return fresh(self._folder / "run", self._folder / "inputs")

    def trial(self, command: str, number: int) -> list[str]:
        """What is wrong after one kill, at a moment that ``number`` chooses; empty if nothing."""
        place = self._fresh()
        moment = Random(f"{command}/{self._seed}/{number}").uniform(0.0, self.seconds[command])
        run = Run(command, place)
        faults = []
        time.sleep(moment)
        run.process.send_signal(signal.SIGKILL)
        run.process.wait()
        if stayed := run.left(GRACE):
            faults.append(f"{len(stayed)} process(es) stay: {stayed[0]}")
            run.sweep_up()
        whole, kept = self._whole[command], contents(place)
        again = Run(command, place)
        status, told = again.end(300), again.told()
        found = contents(place)
        # A killed run that had done all its work is not to be done again, unless it can be.
        if status != 0 and not (status == 2 and kept == whole):
            faults.append(f"again: status {status}: {told[-300:]}")
        if more := sorted(set(found) - set(whole)):
            faults.append(f"left over: {', '.join(more)}")
        if less := sorted(set(whole) - set(found)):
            faults.append(f"lacking: {', '.join(less)}")
        if other := [name for name in whole if name in found and found[name] != whole[name]]:
            faults.append(f"other contents: {', '.join(other)}")
        return [f"{command} {number} at {moment:.2f} s: {fault}" for fault in faults]


def contents(folder: Path) -> dict[str, Any]:
    """Every output, without what a clock says."""
    return {name: _timeless(path) for name, path in outputs(folder).items()}


def _timeless(path: Path) -> Any:
    content = path.read_bytes()
    if path.suffix == ".json":
        return _without_clock(json.loads(content))
    if path.name == "table.csv":  # of a sweep
        import pandas as pd

        return pd.read_csv(path).drop(columns="seconds", errors="ignore").to_csv()
    if path.suffix == ".safetensors" and path.parent.name == "cases":
        stop = 8 + int.from_bytes(content[:8], "little")
        document = json.loads(json.loads(content[8:stop])["__metadata__"]["fembed"])
        return _without_clock(document), content[stop:]
    return content


def _without_clock(document: Any) -> Any:
    if isinstance(document, list):
        return [_without_clock(item) for item in document]
    if isinstance(document, dict):
        return {k: _without_clock(v) for k, v in document.items() if k not in CLOCK}
    return document


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.kills", description=__doc__)
    parser.add_argument("--count", type=int, default=67, help="kills of every command")
    parser.add_argument("--command", action="append", choices=KILLED, help="repeatable")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--number", type=int, help="repeat this one")
    options = parser.parse_args()
    n_faults = 0
    with tempfile.TemporaryDirectory(prefix="fembed_kills_") as folder:
        commands = tuple(options.command or KILLED)
        killing = Killing(Path(folder) / "trials", commands, options.seed)
        numbers = range(options.count) if options.number is None else [options.number]
        for command in commands:
            failed = 0
            for number in numbers:
                faults = killing.trial(command, number)
                failed += bool(faults)
                for fault in faults:
                    print(fault, flush=True)
            seconds = killing.seconds[command]
            print(f"{command} ({seconds:.1f} s): {len(numbers)} kills, {failed} wrong", flush=True)
            n_faults += failed
    return int(n_faults > 0)


if __name__ == "__main__":
    sys.exit(main())
