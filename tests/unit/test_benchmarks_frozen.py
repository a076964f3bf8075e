"""Logic of the benchmarks of panels, masked training and confidence; nothing long is run."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import masked, panels
from benchmarks.report import Report
from tests.curved_expression import curved


def test_panel_sizes_are_the_counts_that_there_are_and_the_percents() -> None:
    options = panels.Options(genes=(1, 5, 5000), percents=(10, 25, 100))
    assert panels.panel_sizes(options, 200) == [1, 5, 20, 50, 200]


def test_a_panel_is_judged_by_the_genes_that_it_does_not_show() -> None:
    values = curved(4, 10)
    panel = panels._Panel(values, np.array([0, 3]))
    wrong = values.copy()
    wrong[:, [0, 3]] += 9.0
    assert panel.error(wrong) == 0.0
    wrong[:, 5] += 2.0
    assert panel.error(wrong) == pytest.approx(4.0 / 8, rel=1e-5)
    assert panels._Panel(values, np.arange(10)).error(values + 1) == pytest.approx(1.0, rel=1e-5)


def test_rivals_of_imputation_know_only_the_training() -> None:
    train, test = curved(60), curved(9, seed=1)
    rivals = panels._Rivals(train, (2, 4))
    found = rivals.errors(panels._Panel(test, np.arange(0, 90, 3)))
    assert set(found) == {("gene mean", 0), ("PCA", 2), ("PCA", 4)} | {
        ("kNN", k) for k in panels.NEIGHBOURS
    }
    gap = (test - train.mean(axis=0))[:, np.setdiff1d(np.arange(90), np.arange(0, 90, 3))]
    assert found["gene mean", 0] == pytest.approx(np.square(gap).mean(), rel=1e-4)
    assert found["PCA", 4] < found["PCA", 2] < found["gene mean", 0]


def _found(way: str, d: int, n_genes: int, error: float, accuracy: float | None) -> panels.Found:
    return panels.Found(way, d, n_genes, 0, 0, error, accuracy)


@pytest.mark.parametrize(("error", "accuracy", "met"), [(0.89, 0.77, True), (0.91, 0.75, False)])
def test_the_bars_of_panels(error: float, accuracy: float, met: bool) -> None:
    found = [
        _found("decoded", 2, 100, 1.0, 0.8),
        _found("decoded", 2, 25, 1.0, accuracy),
        _found("imputed", 8, 10, error, 0.5),
        _found("imputed", 16, 10, error + 1, 0.5),
        _found("kNN", 5, 10, 1.0, None),
        _found("kNN", 20, 10, 2.0, None),
    ]
    report = Report("panels", panels.Options())
    panels.add_checks(report, found, 100)
    assert [check.met for check in report.checks] == [met, met]


def test_entries_taken_away_leave_something_of_everything() -> None:
    values = curved(20, 12)
    values[0, 1:] = np.nan
    judged = masked.taken_away(values, 0.9, 0)
    left = ~judged & ~np.isnan(values)
    assert left.any(axis=0).all() and left.any(axis=1).all()
    assert not judged[np.isnan(values)].any()
    assert masked.taken_away(values, 0.2, 0)[1:].mean() == pytest.approx(0.2, abs=0.08)


def test_without_the_rival_its_bar_is_skipped() -> None:
    options = masked.Options(dims=(2,), percents=(5,))
    found = [masked.Found("fembed", 2, 5, 0, 1.0)]
    found.append(masked.Found("PCA, means in the holes", 2, 5, 0, 2.0))
    report = Report("masked", options)
    masked.add_checks(report, found, options)
    assert [check.met for check in report.checks] == [True, None]
