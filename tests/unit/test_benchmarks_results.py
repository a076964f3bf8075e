"""Time to quality, scale, and the page that is written from files."""

from __future__ import annotations

import math
import os
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import longrun, protocol, results, scale, time_to_quality, train
from benchmarks.longrun import checkpointed
from benchmarks.published_recipe import EngineRun, Thesis
from benchmarks.report import Bar, Report, finite
from benchmarks.simulate import simulated_expression

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


def test_a_long_run_goes_on_at_its_last_checkpoint(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(longrun, "say", said.append)
    keep, about = tmp_path / "deep" / "run.npz", {"data": "a"}

    def curve(iterations, about):
        run = EngineRun(small_values(), SMALL, 1)
        return checkpointed(run, worth, iterations, keep=keep, about=about)

    short = curve(20, about)
    said.clear()
    long = curve(40, about)
    assert said[0] == "taken up at 20 iterations"
    assert long[: len(short)] == short and long[-1]["iterations"] == 40
    said.clear()
    curve(20, {"data": "another"})
    assert not said[0].startswith("taken up")


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
    report = Report("time_to_quality", time_to_quality.Options())
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


def test_fast_is_timed_as_whole_fits(monkeypatch):
    asked = []

    def timed_fit(values, config):
        asked.append((config.iterations, config.validation_fraction))
        training = {"steps": config.iterations or 9, "mse": 1.5}
        return SimpleNamespace(training=training, parameters=None), SimpleNamespace(seconds=2.0)

    monkeypatch.setattr(time_to_quality, "timed_fit", timed_fit)
    fold = SimpleNamespace(train=None, accuracy=lambda _: {"knn": 0.5, "held_out_loss": 1.0})
    curve = time_to_quality.fast_curve(time_to_quality.Options(fast_steps=(4, 8)), fold)
    assert asked == [(4, 0.0), (8, 0.0), (None, None)]  # the last is the default fit
    assert [(p["iterations"], p["default"]) for p in curve] == [(4, 0), (8, 0), (9, 1)]
    assert all((p["seconds"], p["loss"]) == (2.0, 1.5) for p in curve)


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
    report = Report("scale", scale.Options())
    scale.add_growth(report, grown(power))
    barred = [check for check in report.checks if check.bar]
    assert len(barred) == 3 and all(check.met is met for check in barred)
    assert report.measures["exponents"]["entries"]["seconds"]["exponent"] == pytest.approx(power)


def test_a_fit_is_measured_whole():
    found = scale.fit_cost(scale.Fit(40, 30, 2.0, 1, gene_components=4))
    assert found["passes"] == pytest.approx(2.0, rel=0.1) and found["seconds"] > 0
    assert found["x_bytes"] == 4 * 40 * 30 and found["peak_bytes"] > found["x_bytes"]


def document(folder, name, value=10.0):
    report = Report("train", train.Options(output=folder / name))
    report.add("fit", value, Bar("<=", 20.0), unit="s")
    report.add("rival", None, note="not installed")
    report.finish()


def estimate(mean, n=3):
    return {"mean": mean, "error": 0.01, "n": n}


def summary_row(rival, d, knn, n=3):
    less = {} if rival == "fembed" else {"knn": estimate(0.8 - knn, n)}
    measures = {"knn": estimate(knn, n), "fit_seconds": estimate(2.0, n)}
    names = {"data": "a set", "rival": rival, "n_components": d}
    return names | {"measures": measures, "fembed less this": less}


def protocol_report(output=None):
    report = Report("protocol", protocol.Options(output=output))
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
    protocol_report(folder / "protocol.json").finish()
    document(folder, "train.json")
    found = results.read(folder)
    text = results.written(found, {"accuracy.png": ("protocol", "Accuracy.")})
    assert "| fit | 10.00 s |  |" in text and "| rival | not measured | not installed |" in text
    assert not any(word in text for word in ("<= 20", "met |", "bar |"))  # bars are not for users
    assert "| PCA | 0.500 ± 0.010 | 0.500 ± 0.010 |" in text
    assert "| thesis B | 0.300 ± 0.010 [2] | 0.300 ± 0.010 [2] |" in text
    assert "| PCA | 0.300 ± 0.010 | 0.300 ± 0.010 |" in text  # the paired differences
    assert "- Not measured: UMAP: umap is not installed." in text
    assert "- commit abc: 7 cases, 2 at a time, with 1 thread(s) each" in text
    assert "![Accuracy.](figures/accuracy.png)" in text
    assert text.count("Not measured yet.") == 8  # the benchmarks without a file
    assert found["train"]["hardware"]["cpu"] in text


def test_parts_of_scale_are_one_section_and_the_newest_counts(tmp_path):
    for k, (name, value) in enumerate((("scale-growth", 1.0), ("scale-rates", 2.0))):
        report = Report(name, scale.Options(output=tmp_path / f"{name}.json"))
        report.measures[name] = value
        report.add("shared", value)
        report.add(name, value)
        report.finish()
        os.utime(tmp_path / f"{name}.json", (k, k))
    found = results.read(tmp_path)
    assert list(found) == ["scale"]
    values = {check["what"]: check["value"] for check in found["scale"]["checks"]}
    assert values == {"scale-growth": 1.0, "shared": 2.0, "scale-rates": 2.0}
    assert set(found["scale"]["measures"]) == {"scale-growth", "scale-rates"}
    starts = [line[:8] for line in results.written(found, {}).splitlines()]
    assert starts.count("growth: ") == starts.count("rates: 2") == 1  # each with its own versions


def test_figures_are_drawn_from_what_there_is(tmp_path):
    pytest.importorskip("matplotlib")
    from benchmarks import figures

    quality = Report("time_to_quality", time_to_quality.Options())
    quality.measures |= {
        "curves": {"fast": [point(1, 2.0), point(2, 1.0)], "published, our engine": [point(9, 1)]},
        "target loss": 1.0,
    }
    grow = Report("scale", scale.Options())
    scale.add_growth(grow, grown(1.0))
    grow.measures["growth"] = grown(1.0)
    reports = (protocol_report(), quality, grow)
    documents = {report.benchmark: finite(report.to_dict()) for report in reports}
    drawn = figures.draw(documents, tmp_path)
    assert set(drawn) == {"accuracy.png", "costs.png", "time-to-quality.png", "growth.png"}
    assert all((tmp_path / name).stat().st_size > 5_000 for name in drawn)
    assert figures.look("thesis (9 iterations) B", []) == figures.LOOKS["thesis B"]
    variants = ["fembed (a)", "fembed (b)"]
    assert figures.look(variants[0], variants) != figures.look(variants[1], variants)
