"""The protocol of the benchmarks: cases kept, rivals, measures, paired differences, bars."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from benchmarks import casework, cohorts, measures, protocol, summary
from benchmarks.adapters import libraries, registry
from benchmarks.cases import Case, CaseFile
from benchmarks.report import Report
from benchmarks.simulate import simulated_expression
from fembed.errors import InputError


def case(rival="fembed", d=2, fold=0, seed=0, data="set"):
    return Case(data, rival, d, 5, seed, fold)


def test_a_case_is_in_the_file_as_soon_as_it_is_done(tmp_path):
    path = tmp_path / "deep" / "cases.jsonl"
    found = CaseFile(path)
    found.begin_run("now", {"threads": 1})
    found.add(case(fold=0), "now", {"knn": np.float64(0.5), "gap": math.nan})
    found.fail(case(fold=1), "now", "broke")
    again = CaseFile(path)
    assert again.scores == {case(fold=0): {"knn": 0.5, "gap": None}}
    assert again.errors == {case(fold=1): "broke"} and again.runs == {"now": {"threads": 1}}
    again.add(case(fold=1), "now", {"knn": 0.75})  # the last line of a case counts
    last = CaseFile(path)
    assert last.scores[case(fold=1)] == {"knn": 0.75} and not last.errors


def test_half_a_line_of_a_killed_run_is_dropped_and_anything_else_refused(tmp_path):
    path = tmp_path / "cases.jsonl"
    CaseFile(path).add(case(), "r", {"knn": 0.5})
    with path.open("a") as file:
        file.write('{"case": {"data": "s')
    found = CaseFile(path)
    assert list(found.scores) == [case()]
    found.add(case(fold=1), "r", {"knn": 0.25})
    assert len(CaseFile(path).scores) == 2
    path.write_text("nonsense\n" + path.read_text())
    with pytest.raises(InputError, match=r"Line 1 of .* is not a measured case"):
        CaseFile(path)


def test_cases_can_be_measured_anew(tmp_path):
    found = CaseFile(tmp_path / "cases.jsonl")
    found.begin_run("r", {})
    found.add(case("PCA"), "r", {"knn": 0.5})
    found.add(case("fembed"), "r", {"knn": 0.6})
    assert found.forget(["fembed"]) == 1
    assert list(found.scores) == [case("PCA")] == list(CaseFile(found.path).scores)
    assert CaseFile(found.path).runs == {"r": {}}


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize("grouped", [True, False])
def test_folds_keep_groups_or_classes_and_are_those_of_their_seed(seed, grouped):
    labels = np.repeat(np.array(["a", "b", "c"], dtype=object), 20)
    patients = np.array([f"P{i // 2}" for i in np.random.default_rng(0).permutation(60)])
    data = cohorts.Labelled("set", np.zeros((60, 2)), labels, patients if grouped else None)
    folds, same, other = data.folds(5, seed), data.folds(5, seed), data.folds(5, 1)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(60))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(folds, same, strict=True))
    assert not all(np.array_equal(a[1], b[1]) for a, b in zip(folds, other, strict=True))
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(60))
        if grouped:
            assert not set(patients[train]) & set(patients[test])
        else:
            assert [(labels[test] == name).sum() for name in "abc"] == [4, 4, 4]


def test_an_absent_package_and_an_unfit_dimension_have_a_reason():
    entry = registry.RIVALS["opentsne"]
    assert "two dimensions" in entry.why_not(4)
    absent = registry.Entry("x", "X", "x:X", "no_such_package", "pip install it", "")
    assert absent.why_not() == "no_such_package is not installed: pip install it"
    with pytest.raises(InputError, match="no rival 'tsne'"):
        registry.chosen(["pca", "tsne"])


def test_other_settings_show_in_the_name():
    thesis = registry.otherwise(registry.RIVALS["thesis"], 2_000, 10.0)
    assert thesis.rows == ("thesis (2,000 iterations) 1.0", "thesis (2,000 iterations) B")
    assert thesis.options == {"iterations": 2_000}
    default = registry.otherwise(registry.RIVALS["thesis"], 100_000, 10.0)
    assert default.rows == ("thesis 1.0", "thesis B")
    trofimov = registry.otherwise(registry.RIVALS["trofimov"], 100_000, 2.0)
    assert trofimov.rows == ("Trofimov 2020 (2 epochs)",) and trofimov.options["epochs"] == 2.0


def test_a_variant_is_fembed_with_checked_options():
    found = registry.variant("wide:hidden=200-100,weight_decay=1e-6,block_samples=16")
    assert found.shown == "fembed (wide)"
    assert found.options == {"hidden": (200, 100), "weight_decay": 1e-6, "block_samples": 16}
    assert found.defaults == (
        "the default fit but for hidden=200-100, weight_decay=1e-6, block_samples=16"
    )
    assert registry.RIVALS["fembed"].options == {}
    for wrong in ("wide", "wide:hidden", "wide:no_such=1", "wide:block_samples=0"):
        with pytest.raises(InputError):
            registry.variant(wrong)


TINY = {
    "fembed": {"iterations": 20},
    "autoencoder": {"epochs": 3},
    "trofimov": {"epochs": 0.5, "batch_pairs": 200},
}


@pytest.mark.parametrize("key", ["fembed", "pca", "opentsne", "nmf", "autoencoder", "trofimov"])
def test_a_rival_learns_on_the_training_part_and_places_the_rest(key):
    entry = registry.RIVALS[key].with_options("", **TINY.get(key, {}))
    if entry.why_not():
        pytest.skip(entry.why_not())
    values = simulated_expression(70, 25, seed=3) - 1  # some below zero
    values[4, 7] = values[65, 2] = np.nan
    train, test = values[:60], values[60:]
    before = train.copy()
    placed = []
    for _ in range(2):
        rival = entry.make(2, 1, 1)
        trained = rival.fit(train)
        placed.append(rival.place(test))
        assert trained.embedding.shape == (60, 2) and placed[-1].embedding.shape == (10, 2)
        assert np.isfinite(trained.embedding).all() and np.isfinite(placed[-1].embedding).all()
        assert (trained.mse is None) == (placed[-1].mse is None)
    np.testing.assert_array_equal(train, before)
    np.testing.assert_allclose(placed[0].embedding, placed[1].embedding, rtol=1e-4, atol=1e-5)
    if placed[0].mse is not None:
        assert placed[0].mse > 0


def test_both_inferences_place_in_one_trained_model():
    values = simulated_expression(40, 30, seed=2)
    values[35, 3] = np.nan
    entry = registry.otherwise(registry.RIVALS["thesis"], 60, 10.0)
    rival = entry.make(2, 0, 1)
    trained = rival.fit(values[:32])
    placed = {k: getattr(rival, way)(values[32:]) for k, way in entry.ways.items()}
    np.testing.assert_array_equal(rival.place(values[32:]).embedding, placed["B"].embedding)
    # Six iterations of Adam at 5e-3 move a place by at most about 6 x 5e-3 a coordinate.
    for name, found in placed.items():
        moved = np.abs(found.embedding[:, None] - trained.embedding[None]).max(axis=2)
        assert (moved.min(axis=1) < 0.04).all() and found.mse is not None, name
    assert placed["B"].mse < placed["1.0"].mse


def test_the_measures_of_a_perfect_map_and_of_none():
    random = np.random.default_rng(0)
    expression = random.normal(size=(30, 8))
    kept = measures.preservation(expression, expression * 3)
    assert all(value == pytest.approx(1.0) for value in kept.values())
    lost = measures.preservation(expression, np.zeros((30, 2)))
    assert lost["pearson"] is None and lost["spearman"] is None
    shuffled = measures.preservation(expression, random.normal(size=(30, 2)))
    assert shuffled["trustworthiness"] < 0.7 and abs(shuffled["pearson"]) < 0.4


def test_the_published_network_learns_what_a_line_cannot_tell():
    random = np.random.default_rng(0)
    places = random.uniform(-50, 50, size=(200, 2))
    labels = np.where((places**2).sum(axis=1) < 1500, "in", "out")
    parts = places[:150], labels[:150], places[150:], labels[150:]
    assert measures.network_accuracy(*parts) > 0.9
    assert measures.logistic_accuracy(*parts) < 0.75
    assert measures.knn_accuracy(*parts) > 0.85


def scores(**by_rival):
    """Of each rival a list of values, one per fold, as kNN-5 and as logistic regression."""
    return summary.Scores(
        {
            case(rival, 2, fold): {"knn": value, "logistic": value, "gap": 0.01}
            for rival, values in by_rival.items()
            for fold, value in enumerate(values)
            if value is not None
        },
        folds=5,
    )


def test_differences_are_paired_on_the_folds_that_both_have():
    found = scores(fembed=[0.9, 0.8, 0.7], PCA=[0.8, 0.7, None])
    assert found.estimate("set", "fembed", 2, "knn").n == 3
    less = found.less("set", "PCA", 2, "knn")
    assert (less.mean, less.n) == (pytest.approx(0.1), 2)
    assert less.error == pytest.approx(0.0, abs=1e-12)  # though the folds differ
    assert math.isnan(found.less("set", "UMAP", 2, "knn").mean)


def verdicts(found):
    report = Report("protocol", protocol.Options())
    summary.add_checks(report, found)
    return {check.what.removeprefix("set, 2-D: "): check.met for check in report.checks}


def test_the_best_rival_is_what_counts_and_one_standard_error_is_allowed():
    # 0.02 below UMAP on average, with a standard error of the differences of 0.02.
    met = verdicts(scores(fembed=[0.80, 0.76], UMAP=[0.80, 0.80], PCA=[0.1, 0.1]))
    assert met["kNN-5 less the best of PCA and UMAP"]
    assert not met["kNN-5 less UMAP's"] and met["kNN-5 less PCA's"]
    missed = verdicts(scores(fembed=[0.79, 0.77], UMAP=[0.80, 0.80], PCA=[0.1, 0.1]))
    assert not missed["kNN-5 less the best of PCA and UMAP"]
    alone = verdicts(scores(fembed=[0.8, 0.8], PCA=[0.1, 0.1]))
    assert alone["kNN-5 less the best of PCA and UMAP"] is None
    assert alone["kNN-5 less UMAP's"] is None


def test_the_gap_and_the_ratio_to_inference_b_have_bars():
    rivals = {"thesis 1.0": [0.2, 0.3], "thesis B": [0.6, 0.6], "PCA": [0.1] * 2, "UMAP": [0.1] * 2}
    met = verdicts(scores(fembed=[0.78, 0.79], **rivals))
    assert met["held-out over training MSE, less one"]
    assert met["kNN-5 over thesis B's"] and met["kNN-5 over thesis 1.0's"] is None
    assert not verdicts(scores(fembed=[0.77, 0.77], **rivals))["kNN-5 over thesis B's"]
    absent = verdicts(scores(fembed=[0.77, 0.77]))
    assert absent["kNN-5 over published inference B's"] is None


def test_the_default_data_have_floors():
    def floors(data, value):
        found = {case("fembed", 2, data=data): {"knn": value, "logistic": 0.5}}
        report = Report("protocol", protocol.Options())
        summary.add_checks(report, summary.Scores(found, 5))
        return [check.met for check in report.checks if check.what.endswith("-D: kNN-5")]

    assert floors("tcga_11_cohorts", 0.82) == floors("tcga_11_cohorts, unshuffled", 0.82) == [True]
    assert floors("tcga_11_cohorts", 0.81) == [False] and floors("another", 0.81) == []


class InProcess:
    """A worker without a process of its own."""

    made: ClassVar[list[type]] = []

    def __init__(self, make, *arguments):
        self.made.append(make)
        self._called = make(*arguments)

    def __call__(self, *arguments):
        return self._called(*arguments)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Options of a protocol over sixty samples, in this process."""
    labels = np.array([f"type {i % 3}" for i in range(60)], dtype=object)
    centre = np.random.default_rng(0).normal(size=(3, 12)) * 3
    values = simulated_expression(60, 12) + np.array([centre[i % 3] for i in range(60)])
    data = cohorts.Labelled("tiny set", values.astype(np.float32), labels, None)
    monkeypatch.setattr(cohorts, "labelled", lambda *_: data)
    monkeypatch.setattr(protocol, "Worker", InProcess)
    monkeypatch.setattr(InProcess, "made", [])
    monkeypatch.setattr(measures, "network_accuracy", lambda *_, **__: None)
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        monkeypatch.setenv(f"{name}_NUM_THREADS", "1")
    return protocol.Options(
        rivals=("pca", "nmf"),
        data=("tcga_7_types_counts",),
        dims=(2, 3),
        folds=3,
        seeds=(0,),
        workers=1,  # `catch_warnings` is not for threads of one process
        threads=1,
        cases=tmp_path / "cases.jsonl",
        output=tmp_path / "a.json",
    )


def test_a_run_goes_on_where_it_was_stopped(tiny, capsys):
    protocol.run(tiny)
    first = CaseFile(tiny.cases)
    assert len(first.scores) == 2 * 2 * 3 and not first.errors
    assert InProcess.made.count(casework.Fitting) == 4  # a process for all folds of a case
    assert all(found["knn"] >= 0.6 for found in first.scores.values())
    lines = tiny.cases.read_text().splitlines()
    tiny.cases.write_text("\n".join(lines[:-1]) + "\n")
    InProcess.made.clear()
    protocol.run(tiny)
    assert InProcess.made.count(casework.Fitting) == 1
    assert len(CaseFile(tiny.cases).scores) == 12
    assert len(tiny.cases.read_text().splitlines()) == len(lines) + 1  # and a run's own line
    protocol.run(tiny)
    printed = capsys.readouterr().out
    assert "every case is there already" in printed
    assert "1 cases to do" in printed


def test_the_unshuffled_cut_is_kept_apart_and_has_a_seed_a_fold(tiny, tmp_path):
    data = cohorts.labelled(tmp_path)
    tasks = {}
    for options in (replace(tiny, seeds=(2,)), replace(tiny, seeds=(2,), unshuffled=True)):
        groups = protocol._todo(options, options.entries()[:1], CaseFile(tiny.cases), tmp_path)
        tasks[options.unshuffled] = next(groups)
    assert [task.seed for task in tasks[False]] == [2, 2, 2]
    assert [task.seed for task in tasks[True]] == [6, 7, 8]
    assert {task.case.data for task in tasks[True]} == {"tiny set, unshuffled"}
    for unshuffled, seed in ((False, 2), (True, None)):
        for task, (train, test) in zip(tasks[unshuffled], data.folds(3, seed), strict=True):
            assert np.array_equal(task.rows[0], train) and np.array_equal(task.rows[1], test)
            assert task.labels[1].tolist() == data.labels[test].tolist()


def test_what_is_stopped_has_not_failed(tiny):
    found = CaseFile(tiny.cases)
    crew = protocol.Crew(tiny, found, "r", 1)
    crew._stop.set()
    rows = (np.array([0]), np.array([1]))
    crew.failed(casework.Task(tiny.entries()[0], case(), 0, tiny.cases, rows, rows), "killed")
    assert not found.errors and not tiny.cases.exists()


def test_what_fails_is_told_and_tried_again(tiny, monkeypatch, capsys):
    def broken(self, train):
        raise ValueError("no luck")

    with monkeypatch.context() as patch:
        patch.setattr(libraries.Nmf, "fit", broken)
        protocol.run(tiny)
    found = CaseFile(tiny.cases)
    assert len(found.errors) == 6 and len(found.scores) == 6
    assert "FAILED: ValueError: no luck" in capsys.readouterr().out
    protocol.run(tiny)
    assert not CaseFile(tiny.cases).errors and len(CaseFile(tiny.cases).scores) == 12
