"""Time to quality, scale, comparison of two runs, and the page that is written from files."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from benchmarks import compare, results, scale, time_to_quality
from benchmarks.exponents import PowerLaw
from benchmarks.longrun import checkpointed, checkpoints
from benchmarks.published_recipe import EngineRun, Thesis
from benchmarks.report import Bar, Check, Report
from benchmarks.simulate import simulated_expression
from fembed.errors import InputError

SMALL = Thesis(gene_components=3, hidden=(6, 4), iterations=40)


def small_values():
    values = simulated_expression(10, 17, seed=1)
    values[2, 5] = np.nan
    return values


def worth(parameters):
    return {"loss": scale.sampled_loss(parameters, np.nan_to_num(small_values()), 1)}


def test_a_saved_run_ends_as_one_that_was_not_stopped(tmp_path):
    whole, first = (EngineRun(small_values(), SMALL, 1) for _ in range(2))
    losses = whole.advance(40)
    begun = first.advance(15)
    first.save(tmp_path / "run.npz", "a note")
    second = EngineRun(small_values(), SMALL, 1)
    second.resume(tmp_path / "run.npz")
    assert second.iterations == 15 and second.seconds == first.seconds
    np.testing.assert_array_equal(losses, np.concatenate([begun, second.advance(25)]))
    for name, array in whole.parameters().arrays().items():
        np.testing.assert_array_equal(array, second.parameters().arrays()[name])


def test_a_long_run_goes_on_at_its_last_checkpoint(tmp_path):
    said = []
    keep, about = tmp_path / "deep" / "run.npz", {"data": "a"}

    def curve(iterations, about):
        run = EngineRun(small_values(), SMALL, 1)
        return checkpointed(run, worth, iterations, said.append, keep=keep, about=about)

    short = curve(20, about)
    said.clear()
    long = curve(40, about)
    assert said[0] == "taken up at 20 iterations"
    assert long[: len(short)] == short and long[-1]["iterations"] == 40
    said.clear()
    curve(20, {"data": "another"})
    assert not said[0].startswith("taken up")


def test_checkpoints_grow_and_end_at_the_last_iteration():
    marks = checkpoints(100_000)
    assert marks[0] <= 50 and marks[-1] == 100_000 and marks == sorted(set(marks))
    assert np.diff(marks).max() <= 5_000
    assert checkpoints(1) == [1]


def test_the_engine_and_plain_pytorch_have_one_loss_curve():
    pytest.importorskip("torch")
    found = time_to_quality.compare_curves(small_values(), SMALL, 40, 1)
    assert found["largest relative difference"] < 1e-3
    assert len(found["engine"]) == len(found["torch"]) == 20
    assert found["torch"][0] > found["torch"][-1]


def point(seconds, loss, knn=0.5, iterations=1):
    return {"iterations": iterations, "seconds": seconds, "loss": loss, "knn": knn}


def quality_checks(fast, torch_rate=2.0):
    ours = [point(1, 4.0, iterations=20), point(5, 1.5, iterations=100)]
    theirs = [p | {"seconds": p["iterations"] / 2.0} for p in ours]
    curves = {"fast": fast, "published, our engine": ours}
    if torch_rate:
        curves["published, plain PyTorch"] = theirs
    report = Report("time_to_quality", 1, {})
    report.measures["torch seconds are"] = "computed"
    time_to_quality._checks(report, curves, 20.0, torch_rate)
    return {check.what: check for check in report.checks}


RATIO = "time to that loss: plain PyTorch / fast"


def test_time_to_the_published_loss():
    found = quality_checks([point(0.25, 2.0), point(0.5, 1.4), point(3.0, 1.0)])
    assert found["published recipe's final training loss"].value == 1.5
    assert found["time to that loss: fast"].value == 0.5
    assert found[RATIO].value == 50 / 0.5 and found[RATIO].met
    assert not quality_checks([point(0.6, 1.4)])[RATIO].met
    never = quality_checks([point(0.1, 1.6)])
    assert never[RATIO].met is False and "never" in never["time to that loss: fast"].note
    assert quality_checks([point(0.1, 1.0)], torch_rate=None)[RATIO].met is None


def test_fast_is_timed_as_whole_fits():
    fold = time_to_quality.Fold.__new__(time_to_quality.Fold)
    fold.train = simulated_expression(30, 20)
    fold.accuracy = lambda parameters: {"knn": 0.5, "held_out_loss": 1.0}
    options = time_to_quality.QualityTimeOptions(fast_steps=(4, 8), threads=1)
    curve = time_to_quality.fast_curve(options, fold)
    assert [p["default"] for p in curve] == [0, 0, 1]
    assert [p["iterations"] for p in curve][:2] == [4, 8]
    assert all(p["seconds"] > 0 and p["loss"] > 0 for p in curve)


def test_exponents_are_slopes_of_logarithms():
    sizes = np.array([1.0, 2.0, 4.0, 8.0])
    law = PowerLaw.of(sizes, 3 * sizes**1.25)
    assert law is not None and law.exponent == pytest.approx(1.25)
    assert law.factor == pytest.approx(3.0) and law.error == pytest.approx(0.0, abs=1e-9)
    two = PowerLaw.of([1.0, 2.0], [1.0, 2.0])
    assert two is not None and math.isnan(two.error)
    assert PowerLaw.of([2.0, 2.0], [1.0, 2.0]) is None
    assert PowerLaw.of([1.0, 2.0], [0.0, 2.0]) is None


def grown(power):
    def cost(n, m):
        found = {"n_samples": n, "n_genes": m, "n_components": 2, "gene_components": 50}
        seconds = 1e-6 * (n * m) ** power
        return found | {"seconds": seconds, "peak_bytes": 1e8, "x_bytes": 4 * n * m, "passes": 1}

    return {
        "n_samples": [cost(n, 400) for n in (800, 400, 200)],
        "n_genes": [cost(800, m) for m in (400, 200, 100)],
    }


@pytest.mark.parametrize(("power", "met"), [(1.0, True), (1.04, True), (1.1, False)])
def test_growth_has_a_bar(power, met):
    report = Report("scale", 1, {})
    scale.add_growth(report, grown(power))
    barred = [check for check in report.checks if check.bar]
    assert len(barred) == 3 and all(check.met is met for check in barred)
    assert report.measures["exponents"]["entries"]["seconds"]["exponent"] == pytest.approx(power)


def test_a_fit_is_measured_whole():
    found = scale.fit_cost(scale.Fit(40, 30, 2.0, 1, gene_components=4))
    assert found["passes"] == pytest.approx(2.0, rel=0.1) and found["seconds"] > 0
    assert found["x_bytes"] == 4 * 40 * 30 and found["peak_bytes"] > found["x_bytes"]


def document(tmp_path, name, seconds=10.0, accuracy=0.9, benchmark="train"):
    report = Report(benchmark, 2, {})
    report.add("fit", seconds, Bar("<=", 20.0), unit="s")
    report.add("kNN-5", accuracy, better="higher")
    report.add("a size", 5.0)
    report.finish(tmp_path / name)
    return tmp_path / name


@pytest.mark.parametrize(
    ("before", "now", "failed"),
    [
        (10.0, 10.9, False),  # neither: 9 % and 0.9 s
        (0.2, 0.9, False),  # relative only
        (100.0, 109.0, False),  # absolute only
        (10.0, 12.0, True),  # both
        (12.0, 10.0, False),  # better
    ],
)
def test_worse_only_beyond_both_limits(tmp_path, capsys, before, now, failed):
    a, b = (document(tmp_path, f"{k}.json", value) for k, value in enumerate((before, now)))
    assert compare.run(a, b) == failed
    assert ("WORSE" in capsys.readouterr().out) == failed


def test_limits_can_be_chosen_and_accuracy_falls_the_other_way(tmp_path):
    a, b = document(tmp_path, "a.json"), document(tmp_path, "b.json", accuracy=0.85)
    assert compare.run(a, b) == 0
    assert compare.run(a, b, relative=0.01) == 1
    assert compare.run(a, b, relative=0.01, absolute=0.06) == 0
    assert compare.run(b, a, relative=0.01) == 0
    other = document(tmp_path, "c.json", benchmark="kernel")
    with pytest.raises(InputError, match=r"'train'.*'kernel'"):
        compare.run(a, other)
    with pytest.raises(InputError, match="not a result file"):
        compare.run(a, tmp_path / "absent.json")


def test_which_way_is_better():
    assert Check("a", 1.0, bar=Bar(">=", 1)).direction == "higher"
    assert Check("a", 1.0, bar=Bar("<", 1)).direction == "lower"
    assert Check("a", 1.0, unit="it/s").direction == "higher"
    assert Check("a", 1.0, unit="MB").direction == "lower"
    assert Check("a", 1.0).direction is None


def estimate(mean, n=3):
    return {"mean": mean, "error": 0.01, "n": n}


def summary_row(rival, d, knn, n=3):
    less = {} if rival == "fembed" else {"knn": estimate(0.8 - knn, n)}
    measures = {"knn": estimate(knn, n), "fit_seconds": estimate(2.0, n)}
    names = {"data": "a set", "rival": rival, "n_components": d}
    return names | {"measures": measures, "fembed less this": less}


def protocol_report():
    report = Report("protocol", 2, {})
    report.measures |= {
        "folds": 5,
        "summary": [
            summary_row(rival, d, knn, n)
            for d in (2, 8)
            for rival, knn, n in (("fembed", 0.8, 3), ("PCA", 0.5, 3), ("thesis B", 0.3, 2))
        ],
        "defaults": {"PCA": "exact"},
        "not measured": {"UMAP": "umap is not installed"},
        "failed": [],
        "runs": {
            "monday": {"versions": {"commit": "abc"}, "threads": 1, "workers": 2},
            "tuesday": {"versions": {"commit": "abc"}, "threads": 1, "workers": 2},
        },
        "cases of runs": {"monday": 3, "tuesday": 4},
    }
    report.add("a set, 2-D: difference", math.inf, Bar("<", 5.0), note="never | reached")
    return report


def test_the_page_says_what_the_files_say_and_nothing_else(tmp_path):
    folder = tmp_path / "results"
    protocol_report().finish(folder / "protocol.json")
    document(folder, "train.json")
    found = results.read(folder)
    text = results.written(found, {"accuracy.png": ("protocol", "Accuracy.")})
    assert "1 met, 1 missed, 0 not measured." in text
    assert (
        "| protocol | a set, 2-D: difference |  | < 5.00 | **not met** | never \\| reached |"
        in text
    )
    assert "| train | fit | 10.00 s | <= 20.00 s | met |  |" in text
    assert "| PCA | 0.500 ± 0.010 | 0.500 ± 0.010 |" in text
    assert "| thesis B | 0.300 ± 0.010 [2] | 0.300 ± 0.010 [2] |" in text
    assert "| PCA | 0.300 ± 0.010 | 0.300 ± 0.010 |" in text  # the paired differences
    assert "- Not measured: UMAP: umap is not installed." in text
    assert "- commit abc: 7 cases, 2 at a time, with 1 thread(s) each" in text
    assert "![Accuracy.](figures/accuracy.png)" in text
    assert text.count("Not measured yet.") == 8  # the benchmarks without a file
    assert found["train"]["hardware"]["cpu"] in text


def test_parts_of_scale_are_one_section_and_the_newest_counts(tmp_path):
    import os

    for k, (name, value) in enumerate((("scale-growth", 1.0), ("scale-rates", 2.0))):
        report = Report(name, 2, {})
        report.measures[name] = value
        report.add("shared", value)
        report.add(name, value)
        report.finish(tmp_path / f"{name}.json")
        os.utime(tmp_path / f"{name}.json", (k, k))
    found = results.read(tmp_path)
    assert list(found) == ["scale"]
    values = {check["what"]: check["value"] for check in found["scale"]["checks"]}
    assert values == {"scale-growth": 1.0, "shared": 2.0, "scale-rates": 2.0}
    assert set(found["scale"]["measures"]) == {"scale-growth", "scale-rates"}
    starts = [line[:8] for line in results.written(found, {}).splitlines()]
    assert starts.count("growth: ") == starts.count("rates: 2") == 1  # each with its own versions
    (tmp_path / "wrong.json").write_text("[1]")
    with pytest.raises(InputError, match=r"wrong\.json is not a result file"):
        results.read(tmp_path)


def test_figures_are_drawn_from_what_there_is(tmp_path):
    pytest.importorskip("matplotlib")
    from benchmarks import figures

    quality = Report("time_to_quality", 2, {})
    quality.measures |= {
        "curves": {"fast": [point(1, 2.0), point(2, 1.0)], "published, our engine": [point(9, 1)]},
        "target loss": 1.0,
    }
    grow = Report("scale", 2, {})
    scale.add_growth(grow, grown(1.0))
    grow.measures["growth"] = grown(1.0)
    reports = (protocol_report(), quality, grow)
    documents = {report.benchmark: json.loads(json.dumps(report.to_dict())) for report in reports}
    drawn = figures.draw(documents, tmp_path)
    assert set(drawn) == {"accuracy.png", "costs.png", "time-to-quality.png", "growth.png"}
    assert all((tmp_path / name).stat().st_size > 5_000 for name in drawn)
    assert figures.look("thesis (9 iterations) B", []) == figures.LOOKS["thesis B"]
    variants = ["fembed (a)", "fembed (b)"]
    assert figures.look(variants[0], variants) != figures.look(variants[1], variants)
