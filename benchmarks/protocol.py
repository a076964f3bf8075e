"""Maps of new samples by every rival: the same folds, the same measures, in pieces if need be."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import cohorts, machine, summary
from benchmarks.adapters import registry
from benchmarks.adapters.registry import Entry
from benchmarks.cases import Case, CaseFile
from benchmarks.casework import Fitting, Scoring, Task
from benchmarks.options import RESULTS, option
from benchmarks.process import Worker
from benchmarks.published_recipe import Thesis
from benchmarks.report import Report, say


@dataclass(frozen=True, kw_only=True)
class Options(cohorts.OnData):
    """What is measured; the defaults are those of the bars."""

    rivals: tuple[str, ...] = option(
        ("fembed", "pca", "umap", "opentsne", "pacmap", "nmf", "autoencoder"),
        "names with commas; see --list-rivals",
    )
    variant: tuple[str, ...] = option(
        None, "fembed otherwise, NAME:option=value,... (again for more of them)", repeated=True
    )
    data: tuple[str, ...] = option(
        tuple(cohorts.DATA_SETS), "data sets by name, or .h5ad files of the same columns"
    )
    dims: tuple[int, ...] = option((2, 4, 8, 16, 32, 64), "dimensions of the map")
    folds: int = option(cohorts.N_FOLDS, "parts that the samples are cut into", least=2)
    most_folds: int | None = option(None, "measure only the first so many of them")
    seeds: tuple[int, ...] = option((0, 1, 2), "of folds and rivals", least=0)
    unshuffled: bool = option(
        False, "the cut that no seed changes, and a seed a fold for the rivals; kept apart"
    )
    workers: int = option(1, "cases at a time")
    iterations: int = option(Thesis.iterations, "of the thesis recipe's training", least=10)
    epochs: float = option(10.0, "of the published Python model", least=0)
    cases: Path = option(
        RESULTS / "protocol.jsonl", "where every case is kept as soon as it is done"
    )
    redo: bool = option(False, "drop these rivals' cases first, on all data")
    only_report: bool = option(False, "measure nothing; sum up what is there")
    list_rivals: bool = option(False, "show the rivals and leave")

    def entries(self) -> list[Entry]:
        """The rivals, at the settings that were asked for."""
        found = [
            registry.otherwise(entry, self.iterations, self.epochs)
            for entry in registry.chosen(list(self.rivals))
        ]
        return found + [registry.variant(text) for text in self.variant or ()]


def run(options: Options) -> int:
    """Measure what is not in the file yet, then print and write the summary; the exit status."""
    if options.list_rivals:
        for entry in registry.RIVALS.values():
            why = entry.why_not()
            print(f"{entry.key:12s} {entry.defaults}" + (f" ({why})" if why else ""))
        return 0
    entries = options.entries()
    report = Report("protocol", options)
    found = CaseFile(options.cases)
    if options.redo:
        rows = [row for entry in entries for row in entry.rows]
        say(f"{found.forget(rows)} lines of {', '.join(rows)} dropped")
    if not options.only_report:
        with tempfile.TemporaryDirectory(prefix="fembed-protocol-") as folder:
            _measure(options, entries, found, Path(folder))
    return _finish(options, found, report)


def _measure(options: Options, entries: list[Entry], found: CaseFile, folder: Path) -> None:
    # The processes that are started inherit these; NumPy's BLAS reads them when it is imported.
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        os.environ[f"{name}_NUM_THREADS"] = str(options.threads)
    groups = list(_todo(options, entries, found, folder))
    if not groups:
        say("every case is there already")
        return
    run_name = datetime.now(UTC).isoformat(timespec="milliseconds")
    about = {row: entry.about() for entry in entries for row in entry.rows}
    found.begin_run(
        run_name,
        {
            "hardware": machine.hardware(),
            "versions": machine.versions(),
            "threads": options.threads,
            "workers": options.workers,
            "rivals": about,
        },
    )
    n_cases = sum(len(task.cases) for group in groups for task in group)
    crew = Crew(options, found, run_name, n_cases)
    say(f"{crew.n_cases} cases to do in {len(groups)} groups")
    crew.work(groups)


def _todo(options: Options, entries: list[Entry], found: CaseFile, folder: Path) -> Any:
    """Groups of tasks that differ in their fold only: one process does a group."""
    sets = [cohorts.labelled(path) for path in options.files]
    for data in sets:
        np.save(folder / f"{data.name}.npy", data.values)
    for seed in options.seeds:
        for data in sets:
            name = data.name + ", unshuffled" * options.unshuffled
            folds = data.folds(options.folds, None if options.unshuffled else seed)
            for d in options.dims:
                for entry in entries:
                    group = [
                        Task(
                            entry,
                            Case(name, "", d, options.folds, seed, number),
                            seed * options.folds + number if options.unshuffled else seed,
                            folder / f"{data.name}.npy",
                            rows,
                            (data.labels[rows[0]], data.labels[rows[1]]),
                        )
                        for number, rows in enumerate(folds[: options.most_folds])
                        if not entry.why_not(d)
                    ]
                    left = [task for task in group if not set(task.cases) <= found.scores.keys()]
                    if left:
                        yield left


class Crew:
    """Threads that take groups, each with a fitting and a scoring process."""

    def __init__(self, options: Options, found: CaseFile, run_name: str, n_cases: int) -> None:
        self.options, self.found, self.run_name = options, found, run_name
        self.n_cases, self._n_done, self._begin = n_cases, 0, time.perf_counter()
        self._stop, self._lock = threading.Event(), threading.Lock()

    def work(self, groups: list[list[Task]]) -> None:
        """Until nothing is left; Ctrl-C ends it, and what is done is in the file."""
        with ThreadPoolExecutor(self.options.workers) as pool:
            futures = [pool.submit(self._group, group) for group in groups]
            try:
                for future in futures:
                    future.result()
            except BaseException as error:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                if isinstance(error, KeyboardInterrupt):
                    say("stopped; the same command goes on from here")
                raise

    def _group(self, group: list[Task]) -> None:
        with Worker(Scoring) as scoring, contextlib.ExitStack() as stack:
            fitting: Worker | None = None
            for task in group:
                if self._stop.is_set():
                    return
                if fitting is None:
                    first = task.entry, task.matrix, self.options.threads
                    fitting = stack.enter_context(Worker(Fitting, *first))
                try:
                    placed = fitting(task.case.n_components, task.seed, *task.rows)
                    rows = {way: scoring(task.to_score(), *placed[way]) for way in placed}
                except Exception as error:
                    fitting = None  # it may be gone, killed for its memory for instance
                    self.failed(task, f"{type(error).__name__}: {error}")
                    continue
                for case, way in task.cases.items():
                    self.found.add(case, self.run_name, rows[way])
                    self._tell(
                        case,
                        f"kNN-5 {rows[way]['knn']:.4f} logistic {rows[way]['logistic']:.4f} "
                        f"fit {rows[way]['fit_seconds']:.1f} s",
                    )

    def failed(self, task: Task, error: str) -> None:
        """Keep why, unless the case was stopped."""
        if self._stop.wait(1.0):
            return  # Ctrl-C reaches the processes too: a case that was stopped has not failed
        for case in task.cases:
            self.found.fail(case, self.run_name, error)
            self._tell(case, f"FAILED: {error}")

    def _tell(self, case: Case, text: str) -> None:
        with self._lock:
            self._n_done += 1
            minutes = (time.perf_counter() - self._begin) / 60
            left = minutes / self._n_done * (self.n_cases - self._n_done)
            say(
                f"[{self._n_done}/{self.n_cases}, {minutes:.0f} min, about {left:.0f} min left] "
                f"{case.data} {case.n_components}-D seed {case.seed} fold {case.fold} "
                f"{case.rival}: {text}"
            )


def _finish(options: Options, found: CaseFile, report: Report) -> int:
    scores = summary.Scores(found.scores, options.folds)
    measured = {case.rival for case in found.scores}
    settings: dict[str, Any] = {}
    for about in found.runs.values():
        settings |= {row: of for row, of in about["rivals"].items() if row in measured}
    report.measures |= {
        "cases": options.cases.name,
        "n_cases": len(found.scores),
        "runs": found.runs,
        "cases of runs": Counter(found.run_of[case] for case in found.scores),
        "folds": options.folds,
        "defaults": {row: about["defaults"] for row, about in settings.items()},
        "options": {row: about["options"] for row, about in settings.items()},
        "not measured": not_measured(options, measured),
        "failed": [{"case": vars(case), "error": text} for case, text in found.errors.items()],
        "summary": scores.to_dict(),
    }
    report.tables += [summary.shown(scores, data) for data in scores.data]
    summary.add_checks(report, scores)
    for what, why in report.measures["not measured"].items():
        report.add(what, None, note=why)
    if found.errors:
        report.add("cases that failed", float(len(found.errors)), digits=0, note="see the file")
    return report.finish()


def not_measured(options: Options, measured: set[str]) -> dict[str, str]:
    """Rivals without a case, and dimensions that one is not measured in: the reasons."""
    reasons = {}
    for entry in registry.RIVALS.values():
        if not any(rival.startswith(entry.shown) for rival in measured):
            reasons[entry.shown] = entry.why_not() or "it was not asked for"
        elif entry.most_components and max(options.dims) > entry.most_components:
            reasons[f"{entry.shown} above {entry.most_components}-D"] = entry.limit
    return reasons
