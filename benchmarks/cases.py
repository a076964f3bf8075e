"""Measured cases in a file of JSON lines: each is there as soon as it is done, and never again."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import finite
from fembed import InputError
from fembed.files import atomic


@dataclass(frozen=True, order=True)
class Case:
    """One rival in one dimension on one fold."""

    data: str
    rival: str
    n_components: int
    folds: int
    seed: int
    fold: int


class CaseFile:
    """Lines ``{"case": ..., "scores": ..., "run": ...}``; the last line of a case counts.

    A case that failed has ``{"error": ...}`` in place of scores, and is tried again by the next
    run. Lines ``{"run": ..., "about": ...}`` say once a run what it ran on.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self.scores: dict[Case, dict[str, Any]] = {}
        self.errors: dict[Case, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.run_of: dict[Case, str] = {}
        if path.exists():
            self._read()

    def _read(self) -> None:
        text = self.path.read_text(encoding="utf-8")
        lines = text.splitlines()
        if text and not text.endswith("\n"):  # a run that was killed left half a line
            self._rewrite(lines := lines[:-1])
        for number, line in enumerate(lines, start=1):
            try:
                self._take(json.loads(line))
            except (json.JSONDecodeError, TypeError, KeyError, AttributeError):
                raise InputError(
                    f"Line {number} of {self.path} is not a measured case; remove it, or choose "
                    "another file."
                ) from None

    def _rewrite(self, lines: list[str]) -> None:
        atomic.replace_file(self.path, "".join(line + "\n" for line in lines).encode())

    def _take(self, line: dict[str, Any]) -> None:
        if "about" in line:
            self.runs[line["run"]] = line["about"]
            return
        case = Case(**line["case"])
        self.run_of[case] = line.get("run", "")
        if "error" in line:
            self.errors[case] = line["error"]
            self.scores.pop(case, None)
        else:
            self.scores[case] = line["scores"]
            self.errors.pop(case, None)

    def begin_run(self, run: str, about: dict[str, Any]) -> None:
        """Say what the following cases run on."""
        self._append({"run": run, "about": about})

    def add(self, case: Case, run: str, scores: dict[str, Any]) -> None:
        self._append({"case": asdict(case), "run": run, "scores": scores})

    def fail(self, case: Case, run: str, error: str) -> None:
        self._append({"case": asdict(case), "run": run, "error": error})

    def _append(self, line: dict[str, Any]) -> None:
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(finite(line), allow_nan=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
            self._take(line)

    def forget(self, rivals: Iterable[str]) -> int:
        """Drop all cases of these rivals, to measure them anew; how many lines there were."""
        gone = set(rivals)
        if not self.path.exists():
            return 0
        lines = self.path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if json.loads(line).get("case", {}).get("rival") not in gone]
        self._rewrite(kept)
        for found in (self.scores, self.errors):
            for case in [case for case in found if case.rival in gone]:
                found.pop(case)
        return len(lines) - len(kept)
