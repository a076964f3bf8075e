"""Maps of new samples by every rival: the same folds, the same measures, in pieces if need be."""

from __future__ import annotations

import contextlib
import os
import queue
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks import cohorts, hardware, summary
from benchmarks.adapters import registry
from benchmarks.adapters.registry import Entry
from benchmarks.cases import Case, CaseFile
from benchmarks.casework import Fitting, Scoring, Task
from benchmarks.process import Worker
from benchmarks.report import RESULTS, Report

DIMENSIONS = (2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class ProtocolOptions:
    """What is measured; the defaults are those of the bars."""

    rivals: tuple[Entry, ...]
    data: tuple[str, ...] = tuple(cohorts.DATA_SETS)
    folder: Path = cohorts.FOLDER
    dims: tuple[int, ...] = DIMENSIONS
    folds: int = 5
    most_folds: int | None = None  # measure only the first so many of them
    seeds: tuple[int, ...] = (0, 1, 2)
    workers: int = 1
    threads: int = 2
    most_genes: int | None = None
    cases: Path = field(default_factory=lambda: RESULTS / "protocol.jsonl")
    redo: bool = False
    only_report: bool = False

    def to_dict(self) -> dict[str, Any]:
        shown = {**vars(self), "folder": str(self.folder), "cases": self.cases.name}
        shown["rivals"] = {entry.shown: entry.options for entry in self.rivals}
        return shown


def run(options: ProtocolOptions, output: Path | None = None) -> int:
    """Measure what is not in the file yet, then print and write the summary; the exit status."""
    report = Report("protocol", options.threads, options.to_dict())
    found = CaseFile(options.cases)
    if options.redo:
        rows = [row for entry in options.rivals for row in entry.rows]
        print(f"{found.forget(rows)} lines of {', '.join(rows)} dropped", flush=True)
    if not options.only_report:
        with tempfile.TemporaryDirectory(prefix="fembed-protocol-") as folder:
            _measure(options, found, Path(folder))
    return _finish(options, found, report, output)


def _measure(options: ProtocolOptions, found: CaseFile, folder: Path) -> None:
    # The processes that are started inherit these; NumPy's BLAS reads them when it is imported.
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = str(options.threads)
    groups, n_cases = _todo(options, found, folder)
    if not groups:
        print("every case is there already", flush=True)
        return
    run_name = datetime.now(UTC).isoformat(timespec="milliseconds")
    found.begin_run(
        run_name,
        {
            "hardware": hardware.hardware(),
            "versions": hardware.versions(),
            "threads": options.threads,
            "workers": options.workers,
            "rivals": {
                row: {"defaults": entry.defaults, "options": entry.options}
                for entry in options.rivals
                for row in entry.rows
            },
        },
    )
    print(f"{n_cases} cases to do in {len(groups)} groups", flush=True)
    Crew(options, found, run_name, n_cases).work(groups)


def _todo(options: ProtocolOptions, found: CaseFile, folder: Path) -> tuple[list[list[Task]], int]:
    """Groups of tasks that differ in their fold only: one process does a group."""
    groups: list[list[Task]] = []
    sets = [
        cohorts.labelled(cohorts.DATA_SETS[name], options.folder, options.most_genes)
        for name in options.data
    ]
    for data in sets:
        np.save(folder / f"{data.name}.npy", data.values)
    for seed in options.seeds:
        for data in sets:
            folds = data.folds(options.folds, seed)[: options.most_folds]
            for d in options.dims:
                for entry in options.rivals:
                    if entry.why_not(d):
                        continue
                    group = [
                        Task(entry, data, folder / f"{data.name}.npy", d, seed, number, fold)
                        for number, fold in enumerate(folds)
                    ]
                    left = [
                        task
                        for task in group
                        if any(case not in found.scores for case in task.cases(options.folds))
                    ]
                    if left:
                        groups.append(left)
    return groups, sum(map(len, groups))


class Crew:
    """Workers that take groups from one queue, each with a fitting and a scoring process."""

    def __init__(
        self, options: ProtocolOptions, found: CaseFile, run_name: str, n_cases: int
    ) -> None:
        self.options, self.found, self.run_name = options, found, run_name
        self._n_cases, self._n_done, self._begin = n_cases, 0, time.perf_counter()
        self._groups: queue.SimpleQueue[list[Task]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._broken: list[BaseException] = []
        self._lock = threading.Lock()

    def work(self, groups: list[list[Task]]) -> None:
        """Until nothing is left; Ctrl-C ends it, and what is done is in the file."""
        for group in groups:
            self._groups.put(group)
        threads = [
            threading.Thread(target=self._one, daemon=True) for _ in range(self.options.workers)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(timeout=0.5)
        except KeyboardInterrupt:
            self._stop.set()
            print("stopped; the same command goes on from here", flush=True)
            raise
        if self._broken:
            raise self._broken[0]

    def _one(self) -> None:
        try:
            with Worker(Scoring) as scoring:
                while not self._stop.is_set():
                    try:
                        group = self._groups.get_nowait()
                    except queue.Empty:
                        return
                    self._group(group, scoring)
        except BaseException as error:
            self._broken.append(error)
            self._stop.set()

    def _group(self, group: list[Task], scoring: Worker) -> None:
        with contextlib.ExitStack() as stack:
            fitting: Worker | None = None
            for task in group:
                if self._stop.is_set():
                    return
                if fitting is None:
                    first = task.entry, task.matrix, self.options.threads
                    fitting = stack.enter_context(Worker(Fitting, *first))
                try:
                    placed = fitting(task.n_components, task.seed, *task.rows)
                    rows = {way: scoring(task.to_score(), *placed[way]) for way in placed}
                except RuntimeError as error:
                    fitting = None  # it may be gone, killed for its memory for instance
                    self._failed(task, str(error))
                    continue
                self._done(task, rows)

    def _done(self, task: Task, rows: dict[str, dict[str, Any]]) -> None:
        for case in task.cases(self.options.folds):
            scores = rows[task.way(case)]
            self.found.add(case, self.run_name, scores)
            self._tell(
                case,
                f"kNN-5 {scores['knn']:.4f} logistic {scores['logistic']:.4f} "
                f"fit {scores['fit_seconds']:.1f} s",
            )
        self._count()

    def _failed(self, task: Task, error: str) -> None:
        if self._stop.wait(1.0):
            return  # Ctrl-C reaches the processes too: a case that was stopped has not failed
        for case in task.cases(self.options.folds):
            self.found.fail(case, self.run_name, error)
            self._tell(case, f"FAILED: {error}")
        self._count()

    def _count(self) -> None:
        with self._lock:
            self._n_done += 1

    def _tell(self, case: Case, text: str) -> None:
        with self._lock:
            done = self._n_done + 1
            seconds = time.perf_counter() - self._begin
            left = seconds / done * (self._n_cases - done)
            print(
                f"[{done}/{self._n_cases}, {seconds / 60:.0f} min, about {left / 60:.0f} min left] "
                f"{case.data} {case.n_components}-D seed {case.seed} fold {case.fold} "
                f"{case.rival}: {text}",
                flush=True,
            )


def _finish(options: ProtocolOptions, found: CaseFile, report: Report, output: Path | None) -> int:
    scores = summary.Scores(found.scores, options.folds)
    settings: dict[str, Any] = {}
    for about in found.runs.values():
        settings |= about["rivals"]
    measured = {case.rival for case in found.scores}
    settings = {row: about for row, about in settings.items() if row in measured}
    report.measures |= {
        "cases": options.cases.name,
        "n_cases": len(found.scores),
        "runs": found.runs,
        "cases of runs": Counter(found.run_of[case] for case in found.scores),
        "folds": options.folds,
        "defaults": {row: about["defaults"] for row, about in settings.items()},
        "options": {row: about["options"] for row, about in settings.items()},
        "not measured": not_measured(options, found),
        "failed": [{"case": vars(case), "error": text} for case, text in found.errors.items()],
        "summary": scores.to_dict(),
    }
    for data in scores.data:
        report.tables.append(_table(scores, data))
    summary.add_checks(report, scores)
    for what, why in report.measures["not measured"].items():
        report.add(what, None, note=why)
    if found.errors:
        report.add("cases that failed", float(len(found.errors)), digits=0, note="see the file")
    return report.finish(output)


def not_measured(options: ProtocolOptions, found: CaseFile) -> dict[str, str]:
    """Rivals without a case, and dimensions that one is not measured in: the reasons."""
    measured = {case.rival for case in found.scores}
    reasons = {}
    for entry in registry.RIVALS.values():
        if not any(rival.startswith(entry.shown) for rival in measured):
            reasons[entry.shown] = entry.why_not() or "it was not asked for"
        elif entry.most_components and max(options.dims) > entry.most_components:
            reasons[f"{entry.shown} above {entry.most_components}-D"] = entry.limit
    return reasons


def _table(scores: summary.Scores, data: str) -> Table:
    table = Table(title=f"{data}: held-out samples, means ± standard errors", title_justify="left")
    table.add_column("d", justify="right")
    table.add_column("rival")
    for shown, _ in summary.MEASURES.values():
        table.add_column(shown, justify="right")
    for d in scores.dims(data):
        for rival in scores.rivals(data):
            if not scores.of(data, rival, d):
                continue
            cells = []
            for name, (_, digits) in summary.MEASURES.items():
                found = scores.estimate(data, rival, d, name)
                scale = summary.SHOWN_SCALE.get(name, 1.0)
                cells.append(f"{found.mean * scale:,.{digits}f}" if found.n else "-")
            table.add_row(str(d), rival, *cells)
    return table
