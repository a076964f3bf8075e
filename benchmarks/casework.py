"""The two processes that a case goes through: one fits and places, the other scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.adapters import MeanFilling, Placed
from benchmarks.adapters.registry import Entry
from benchmarks.cases import Case
from benchmarks.cohorts import Fold
from benchmarks.machine import forget_peak, peak_bytes
from benchmarks.timing import timed

Answer = tuple[NDArray[Any], NDArray[Any], dict[str, Any]]  # training and test places, facts

WARM_UP_SAMPLES, WARM_UP_GENES = 128, 120


@dataclass(frozen=True)
class Task:
    """What one fold asks of a rival; ``case`` is that of a rival without a name."""

    entry: Entry
    case: Case
    seed: int  # of the rival
    matrix: Path  # the data's values, for processes to map
    rows: Fold
    labels: tuple[NDArray[Any], NDArray[Any]]  # of the training part, and of the other

    @property
    def cases(self) -> dict[Case, str]:
        """A case for each way to place samples, and the way."""
        ways = zip(self.entry.rows, self.entry.ways, strict=True)
        return {replace(self.case, rival=row): way for row, way in ways}

    def to_score(self) -> dict[str, Any]:
        """What the scoring process needs beside the places."""
        return {name: getattr(self, name) for name in ("matrix", "rows", "labels", "seed")}


class Fitting:
    """One rival in a process of its own: seconds, peak memory, places."""

    def __init__(self, entry: Entry, matrix: Path, n_threads: int) -> None:
        self.entry, self.n_threads = entry, n_threads
        self._values = np.load(matrix, mmap_mode="r")
        if entry.compiles:
            self._warm_up()

    def _warm_up(self) -> None:
        """Have libraries compile before the clock starts."""
        random = np.random.default_rng(0)
        some = random.standard_normal((WARM_UP_SAMPLES, WARM_UP_GENES)).astype(np.float32)
        rival = self.entry.make(2, 0, self.n_threads)
        rival.fit(some)
        rival.place(some[:8])

    def __call__(
        self, n_components: int, seed: int, train: NDArray[np.int64], test: NDArray[np.int64]
    ) -> dict[str, Answer]:
        learning, new = np.array(self._values[train]), np.array(self._values[test])
        rival = self.entry.make(n_components, seed, self.n_threads)
        own_peak = forget_peak()
        with timed() as clock:
            trained = rival.fit(learning)
        facts = {
            "fit_seconds": clock.seconds,
            "fit_cpu_seconds": clock.cpu_seconds,
            "training_mse": trained.mse,
            "n_threads": self.n_threads,
            "own_peak": own_peak,  # else that of the process since it began
        }
        answers = {}
        for name, method in self.entry.ways.items():
            with timed() as clock:
                placed = getattr(rival, method)(new)
            answers[name] = self._answer(trained, placed, facts, clock.seconds)
        for _, _, found in answers.values():
            found["peak_bytes"] = peak_bytes()
        return answers

    def _answer(
        self, trained: Placed, placed: Placed, facts: dict[str, Any], seconds: float
    ) -> Answer:
        found = facts | {
            "held_out_mse": placed.mse,
            "place_seconds": seconds,
            "seconds_per_sample": seconds / len(placed.embedding),
        }
        if trained.mse and placed.mse is not None:
            found["gap"] = placed.mse / trained.mse - 1.0
        return np.asarray(trained.embedding), np.asarray(placed.embedding), found


class Scoring:
    """Measures of one placement after the other."""

    def __call__(
        self, task: dict[str, Any], train: NDArray[Any], test: NDArray[Any], facts: dict[str, Any]
    ) -> dict[str, Any]:
        from benchmarks import measures

        for what, places in (("training", train), ("held-out", test)):
            if not np.isfinite(places).all():
                raise ValueError(f"the places of {what} samples are not finite")
        values = np.load(task["matrix"], mmap_mode="r")
        rows, (train_labels, test_labels) = task["rows"], task["labels"]
        filled = MeanFilling(np.array(values[rows[0]]))(np.array(values[rows[1]]))
        parts = (train, train_labels, test, test_labels)
        return {
            "knn": measures.knn_accuracy(*parts),
            "logistic": measures.logistic_accuracy(*parts),
            "network": measures.network_accuracy(*parts, seed=task["seed"]),
            **measures.preservation(filled, test),
            **facts,
        }
