"""From cases to means with standard errors, and to differences that are paired fold by fold."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.cases import Case
from benchmarks.report import Bar, Report

#: Measures by name: what tables call them, and digits.
MEASURES: dict[str, tuple[str, int]] = {
    "knn": ("kNN-5", 3),
    "logistic": ("logistic", 3),
    "network": ("published network", 3),
    "training_mse": ("training MSE", 4),
    "held_out_mse": ("held-out MSE", 4),
    "gap": ("gap %", 1),
    "pearson": ("Pearson", 3),
    "spearman": ("Spearman", 3),
    "trustworthiness": ("trustworthiness", 3),
    "continuity": ("continuity", 3),
    "fit_seconds": ("fit s", 1),
    "seconds_per_sample": ("ms a new sample", 2),
    "peak_bytes": ("peak MB", 0),
}
#: What a stored value is multiplied by to be shown.
SHOWN_SCALE = {"gap": 100.0, "seconds_per_sample": 1e3, "peak_bytes": 1e-6}

ACCURACIES = ("knn", "logistic")
GAP_BAR = Bar("<", 5.0)
OVER_B_BAR = Bar(">=", 1.3)
STRICT_DIMENSIONS = (2, 8)
MAIN_RIVALS = ("PCA", "UMAP")

Fold = tuple[int, int]  # seed, fold


@dataclass(frozen=True)
class Estimate:
    """Mean over folds and seeds, with the standard error that n independent ones would have.

    Folds share training samples, so they are not independent: the error is what the field
    reports, and too small.
    """

    mean: float
    error: float
    n: int

    @classmethod
    def of(cls, values: list[float]) -> Estimate:
        n = len(values)
        mean = statistics.fmean(values) if n else math.nan
        error = statistics.stdev(values) / math.sqrt(n) if n > 1 else math.nan
        return cls(mean, error, n)

    def to_dict(self) -> dict[str, float | int]:
        return {"mean": self.mean, "error": self.error, "n": self.n}


class Scores:
    """All scores of one number of folds, by data set, rival and dimension."""

    def __init__(self, scores: Mapping[Case, dict[str, Any]], folds: int) -> None:
        self._by: dict[tuple[str, str, int], dict[Fold, dict[str, Any]]] = {}
        for case, found in scores.items():
            if case.folds == folds:
                place = self._by.setdefault((case.data, case.rival, case.n_components), {})
                place[case.seed, case.fold] = found

    @property
    def data(self) -> list[str]:
        return sorted({data for data, _, _ in self._by})

    def rivals(self, data: str) -> list[str]:
        """In the order in which they were measured first."""
        return list(dict.fromkeys(rival for found, rival, _ in self._by if found == data))

    def dims(self, data: str) -> list[int]:
        return sorted({d for found, _, d in self._by if found == data})

    def of(self, data: str, rival: str, n_components: int) -> dict[Fold, dict[str, Any]]:
        return self._by.get((data, rival, n_components), {})

    def estimate(self, data: str, rival: str, n_components: int, measure: str) -> Estimate:
        found = self.of(data, rival, n_components).values()
        return Estimate.of([s[measure] for s in found if s.get(measure) is not None])

    def difference(
        self, data: str, ours: str, theirs: str, n_components: int, measure: str
    ) -> Estimate:
        """``ours`` less ``theirs``, on the folds that both have."""
        mine = self.of(data, ours, n_components)
        other = self.of(data, theirs, n_components)
        return Estimate.of(
            [
                mine[fold][measure] - other[fold][measure]
                for fold in sorted(mine.keys() & other.keys())
                if mine[fold].get(measure) is not None and other[fold].get(measure) is not None
            ]
        )

    def to_dict(self, ours: str = "fembed") -> list[dict[str, Any]]:
        """A row for every data set, rival and dimension, with what fembed has more than it."""
        rows = []
        for data, rival, d in sorted(self._by, key=lambda key: (key[0], key[2])):
            measures = {
                name: self.estimate(data, rival, d, name).to_dict()
                for name in MEASURES
                if self.estimate(data, rival, d, name).n
            }
            less = {
                name: self.difference(data, ours, rival, d, name).to_dict()
                for name in MEASURES
                if rival != ours and self.difference(data, ours, rival, d, name).n
            }
            rows.append(
                {
                    "data": data,
                    "rival": rival,
                    "n_components": d,
                    "measures": measures,
                    "fembed less this": less,
                }
            )
        return rows


def add_checks(report: Report, scores: Scores, ours: str = "fembed") -> None:
    """The bars of every data set and dimension that fembed was measured in."""
    for data in scores.data:
        for d in scores.dims(data):
            if not scores.of(data, ours, d):
                continue
            where = f"{data}, {d}-D"
            for measure in ACCURACIES:
                _against_the_best(report, scores, (data, d), where, measure, ours)
            if d in STRICT_DIMENSIONS:
                _above_both(report, scores, (data, d), where, ours)
            if d == 2:
                _two_dimensions(report, scores, data, where, ours)


def _against_the_best(
    report: Report, scores: Scores, at: tuple[str, int], where: str, measure: str, ours: str
) -> None:
    """Not below the better of PCA and UMAP by more than one standard error of the difference."""
    data, d = at
    what = f"{where}: {MEASURES[measure][0]} less the best of PCA and UMAP"
    means = {
        rival: scores.estimate(data, rival, d, measure)
        for rival in MAIN_RIVALS
        if scores.difference(data, ours, rival, d, measure).n
    }
    if len(means) < len(MAIN_RIVALS):
        absent = " and ".join(rival for rival in MAIN_RIVALS if rival not in means)
        report.add(what, None, Bar(">=", math.nan), note=f"{absent} not measured")
        return
    best = max(means, key=lambda rival: means[rival].mean)
    found = scores.difference(data, ours, best, d, measure)
    own = scores.estimate(data, ours, d, measure)
    report.add(
        what,
        found.mean,
        Bar(">=", -found.error),
        digits=4,
        note=f"{own.mean:.4f} against {best}'s {means[best].mean:.4f}; the bar is less one "
        f"standard error of the {found.n} paired differences",
    )


def _above_both(report: Report, scores: Scores, at: tuple[str, int], where: str, ours: str) -> None:
    data, d = at
    for measure in ACCURACIES:
        for rival in MAIN_RIVALS:
            found = scores.difference(data, ours, rival, d, measure)
            what = f"{where}: {MEASURES[measure][0]} less {rival}'s"
            if not found.n:
                report.add(what, None, Bar(">", 0.0), note=f"{rival} not measured")
                continue
            note = f"± {found.error:.4f} ({found.n} paired)"
            report.add(what, found.mean, Bar(">", 0.0), digits=4, note=note)


def _two_dimensions(report: Report, scores: Scores, data: str, where: str, ours: str) -> None:
    gap = scores.estimate(data, ours, 2, "gap")
    report.add(
        f"{where}: held-out over training MSE, less one",
        None if not gap.n else 100 * gap.mean,
        GAP_BAR,
        unit="%",
        note=f"± {100 * gap.error:.2f}" if gap.n > 1 else "",
    )
    for way in ("1.0", "B"):
        rivals = [name for name in scores.rivals(data) if _is_inference(name, way)]
        for measure in ("knn", "network"):
            shown = MEASURES[measure][0]
            if not rivals:
                bar = OVER_B_BAR if way == "B" else None
                what = f"{where}: {shown} over published inference {way}'s"
                report.add(what, None, bar, note="not measured (the rival thesis)")
            for rival in rivals:
                _over(report, scores, (data, rival, measure), where, way, ours)


def _is_inference(rival: str, way: str) -> bool:
    return rival.startswith("thesis") and rival.endswith(f" {way}")


def _over(
    report: Report, scores: Scores, at: tuple[str, str, str], where: str, way: str, ours: str
) -> None:
    """The ratio of the means, on the folds that both have."""
    data, rival, measure = at
    mine, other = scores.of(data, ours, 2), scores.of(data, rival, 2)
    both = [
        (mine[fold][measure], other[fold][measure])
        for fold in mine.keys() & other.keys()
        if mine[fold].get(measure) is not None and other[fold].get(measure) is not None
    ]
    what = f"{where}: {MEASURES[measure][0]} over {rival}'s"
    bar = OVER_B_BAR if way == "B" else None
    if not both:
        report.add(what, None, bar, note="no fold in common")
        return
    means = [statistics.fmean(side) for side in zip(*both, strict=True)]
    ratio = means[0] / means[1] if means[1] else math.nan
    note = f"{means[0]:.4f} against {means[1]:.4f}, {len(both)} folds"
    report.add(what, ratio, bar, note=note, better="higher")
