"""From cases to means with standard errors, and to differences that are paired fold by fold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from benchmarks.cases import Case
from benchmarks.cohorts import COHORTS
from benchmarks.estimates import Estimate
from benchmarks.report import Bar, Report, table

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

OURS = "fembed"
ACCURACIES = ("knn", "logistic")
GAP_BAR = Bar("<", 5.0)
OVER_B_BAR = Bar(">=", 1.3)
STRICT_DIMENSIONS = (2, 8)
MAIN_RIVALS = ("PCA", "UMAP")
#: What fembed is not to fall below, whatever its rivals do, by dimension and measure.
FLOORS = {
    COHORTS: {(2, "knn"): 0.82, (8, "knn"): 0.86, (8, "logistic"): 0.89},
}

Fold = tuple[int, int]  # seed, fold


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
        return Estimate.of(
            found.get(measure) for found in self.of(data, rival, n_components).values()
        )

    def pairs(
        self, data: str, rival: str, n_components: int, measure: str
    ) -> list[tuple[float, float]]:
        """Fembed's value and the rival's, on the folds that both have."""
        mine, other = (self.of(data, name, n_components) for name in (OURS, rival))
        both = [
            (mine[fold].get(measure), other[fold].get(measure))
            for fold in sorted(mine.keys() & other.keys())
        ]
        return [(a, b) for a, b in both if a is not None and b is not None]

    def less(self, data: str, rival: str, n_components: int, measure: str) -> Estimate:
        """Fembed less the rival, paired."""
        return Estimate.of(a - b for a, b in self.pairs(data, rival, n_components, measure))

    def to_dict(self) -> list[dict[str, Any]]:
        """A row for every data set, rival and dimension, with what fembed has more than it."""
        rows = []
        for data, rival, d in sorted(self._by, key=lambda key: (key[0], key[2])):
            at = data, rival, d
            measures = {name: self.estimate(*at, name) for name in MEASURES}
            less = {name: self.less(*at, name) for name in MEASURES if rival != OURS}
            rows.append(
                {
                    "data": data,
                    "rival": rival,
                    "n_components": d,
                    "measures": {k: vars(one) for k, one in measures.items() if one.n},
                    "fembed less this": {name: vars(one) for name, one in less.items() if one.n},
                }
            )
        return rows


def shown(scores: Scores, data: str) -> Table:
    """The means of a data set on the screen."""
    rows = []
    for d in scores.dims(data):
        for rival in scores.rivals(data):
            if scores.of(data, rival, d):
                cells = []
                for name, (_, digits) in MEASURES.items():
                    found = scores.estimate(data, rival, d, name)
                    value = found.mean * SHOWN_SCALE.get(name, 1.0)
                    cells.append(f"{value:,.{digits}f}" if found.n else "-")
                rows.append((str(d), rival, *cells))
    headings = ("d", "rival", *(title for title, _ in MEASURES.values()))
    return table(f"{data}: held-out samples, means", headings, rows, left=("rival",))


def add_checks(report: Report, scores: Scores) -> None:
    """The bars of every data set and dimension that fembed was measured in."""
    for data in scores.data:
        for d in scores.dims(data):
            if not scores.of(data, OURS, d):
                continue
            for measure in ACCURACIES:
                _floor(report, scores, (data, d), measure)
                _against_the_best(report, scores, (data, d), measure)
            if d in STRICT_DIMENSIONS:
                _above_both(report, scores, (data, d))
            if d == 2:
                _two_dimensions(report, scores, data)


def _what(at: tuple[str, int], measure: str) -> str:
    return f"{at[0]}, {at[1]}-D: {MEASURES[measure][0]}"


def _floor(report: Report, scores: Scores, at: tuple[str, int], measure: str) -> None:
    data, d = at
    floor = FLOORS.get(data.split(",")[0], {}).get((d, measure))
    if floor is not None:
        own = scores.estimate(data, OURS, d, measure)
        report.add(_what(at, measure), own.mean, Bar(">=", floor), digits=4)


def _against_the_best(report: Report, scores: Scores, at: tuple[str, int], measure: str) -> None:
    """Not below the better of PCA and UMAP by more than one standard error of the difference."""
    data, d = at
    what = f"{_what(at, measure)} less the best of PCA and UMAP"
    means = {
        rival: scores.estimate(data, rival, d, measure).mean
        for rival in MAIN_RIVALS
        if scores.less(data, rival, d, measure).n
    }
    if len(means) < len(MAIN_RIVALS):
        absent = " and ".join(rival for rival in MAIN_RIVALS if rival not in means)
        report.add(what, None, Bar(">=", math.nan), note=f"{absent} not measured")
        return
    best = max(means, key=lambda rival: means[rival])
    found = scores.less(data, best, d, measure)
    own = scores.estimate(data, OURS, d, measure).mean
    note = f"{own:.4f} against {best}'s {means[best]:.4f}; the bar is less one "
    note += f"standard error of the {found.n} paired differences"
    report.add(what, found.mean, Bar(">=", -found.error), digits=4, note=note)


def _above_both(report: Report, scores: Scores, at: tuple[str, int]) -> None:
    for measure in ACCURACIES:
        for rival in MAIN_RIVALS:
            found = scores.less(at[0], rival, at[1], measure)
            what = f"{_what(at, measure)} less {rival}'s"
            value = found.mean if found.n else None
            note = f"± {found.error:.4f} ({found.n} paired)" if found.n else f"{rival} not measured"
            report.add(what, value, Bar(">", 0.0), digits=4, note=note)


def _two_dimensions(report: Report, scores: Scores, data: str) -> None:
    """The gap to new samples, and the published inferences."""
    gap = scores.estimate(data, OURS, 2, "gap")
    report.add(
        f"{data}, 2-D: held-out over training MSE, less one",
        100 * gap.mean if gap.n else None,
        GAP_BAR,
        unit="%",
        note=f"± {100 * gap.error:.2f}" if gap.n > 1 else "",
    )
    for way in ("1.0", "B"):
        bar = OVER_B_BAR if way == "B" else None
        rivals = [
            name
            for name in scores.rivals(data)
            if name.startswith("thesis") and name.endswith(f" {way}")
        ]
        for measure in ("knn", "network"):
            over = f"{_what((data, 2), measure)} over"
            if not rivals:
                note = "not measured (the rival thesis)"
                report.add(f"{over} published inference {way}'s", None, bar, note=note)
            for rival in rivals:
                _over(report, f"{over} {rival}'s", scores.pairs(data, rival, 2, measure), bar)


def _over(report: Report, what: str, both: list[tuple[float, float]], bar: Bar | None) -> None:
    """The ratio of the means, on the folds that both have."""
    if not both:
        report.add(what, None, bar, note="no fold in common")
        return
    ours, theirs = (Estimate.of(side).mean for side in zip(*both, strict=True))
    note = f"{ours:.4f} against {theirs:.4f}, {len(both)} folds"
    ratio = ours / theirs if theirs else math.nan
    report.add(what, ratio, bar, note=note)
