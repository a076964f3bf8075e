"""The benchmarks' own logic: what a step is counted as, the folds, the bars. Nothing is timed."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__, adapters, agreement, gpu, kernel, report
from benchmarks.blockstep import Shape, pair_flops, product_flops
from benchmarks.estimates import Estimate, PowerLaw, means
from benchmarks.options import FOLDER, RESULTS, Common, option, parsed
from benchmarks.process import Worker, alone
from benchmarks.simulate import simulated_expression
from benchmarks.timing import interleaved, ratio_of_medians
from fembed import InputError, engine


def test_a_pair_is_counted_as_the_design_counts_it_and_without_the_first_layer():
    assert pair_flops((100, 50, 50)) == 6 * (100 * 50 + 50 * 50 + 50) == 45_300
    assert product_flops(3072) == 2 * 3072**3
    small, large = Shape(64, 256, gene_components=2), Shape(64, 256, gene_components=1000)
    assert small.flops == large.flops == 64 * 256 * 45_300
    assert large.flops_with_genes - large.flops == 6 * 100 * (256 * 1000 + 64 * 2)


@dataclass(frozen=True, kw_only=True)
class Asked(Common):
    dims: tuple[int, ...] = option((2, 8), "dimensions")
    pair: tuple[int, int] = option((1, 2), "two")
    parts: tuple[str, ...] = option(("a", "b"), "some", among=("a", "b", "c"))
    variant: tuple[str, ...] = option(None, "more", repeated=True)
    most_folds: int | None = option(None, "at most")
    epochs: float = option(1.0, "passes", least=0)
    in_engine: bool = option(False, "quickly")


def test_an_option_is_said_once_and_read_by_its_type():
    words = "--dims 4 --pair 5,6 --parts c,a --variant x:a=1,b=2 --variant y:c=3 --most-folds 2"
    found = parsed(Asked, [*words.split(), "--epochs", "0.5", "--in-engine", "-o", "x"], "c", "")
    assert (found.dims, found.pair, found.parts) == ((4,), (5, 6), ("c", "a"))
    assert list(found.variant) == ["x:a=1,b=2", "y:c=3"] and found.most_folds == 2
    assert (found.epochs, found.in_engine, found.output) == (0.5, True, Path("x"))
    assert parsed(Asked, [], "c", "") == Asked() and Asked().folder == FOLDER
    assert "output" not in found.shown() and found.shown()["threads"] == 2


@pytest.mark.parametrize(
    "words", ["--dims 0", "--dims two", "--pair 5", "--parts d", "--threads 0", "--thread 2"]
)
def test_a_wrong_option_is_refused(words, capsys):
    with pytest.raises(SystemExit):
        parsed(Asked, words.split(), "c", "")
    assert words.split()[0] in capsys.readouterr().err


@pytest.mark.parametrize("command", __main__.COMMANDS)
def test_every_command_tells_its_options(command, capsys):
    with pytest.raises(SystemExit) as end:
        __main__.main([command, "--help"])
    assert end.value.code == 0 and "--output" in capsys.readouterr().out


def test_without_a_command_all_are_told(capsys):
    assert (__main__.main([]), __main__.main(["quality"])) == (0, 2)
    told = capsys.readouterr().out
    assert all(told.count(f"  {command} ") == 2 for command in __main__.COMMANDS)


@pytest.mark.parametrize(
    ("relation", "below", "equal", "above"),
    [(">=", False, True, True), (">", False, False, True), ("<=", True, True, False)],
)
def test_bars(relation, below, equal, above):
    bar = report.Bar(relation, 0.7)
    assert (bar.met(0.69999), bar.met(0.7), bar.met(0.70001)) == (below, equal, above)
    assert not bar.met(math.nan) and not bar.met(math.inf) and not bar.met(-math.inf)
    assert not report.Bar(relation, math.nan).met(1.0)


def test_a_value_is_not_rounded_to_its_bar():
    check = report.Check("ratio", 0.6996, bar=report.Bar(">=", 0.7))
    assert check.shown(check.value) == "0.70"
    assert check.met is False and check.verdict == "NOT MET"


def test_what_was_not_measured_is_neither_met_nor_silent():
    check = report.Check("ratio", None, bar=report.Bar(">=", 10), note="no PyTorch")
    assert check.met is None and check.verdict == "SKIPPED" and "no PyTorch" in check.row()
    assert report.Check("speed", 3.0).verdict == ""


SCHEMA = {
    *("benchmark", "started", "seconds", "options", "threads", "cores_used_by_others", "hardware"),
    *("versions", "thread_pools", "environment", "peak_bytes", "checks", "measures"),
}
SCHEMA_OF_A_CHECK = {"what", "value", "unit", "relation", "bar", "met", "digits", "note"}


def test_a_missed_bar_is_the_exit_status_and_the_file_says_all(tmp_path, capsys):
    made = report.Report("demo", Asked(output=tmp_path / "a.json"))
    made.add("good", 1.0, report.Bar(">=", 1.0))
    made.add("rival absent", None, report.Bar(">", math.nan), note="install it")
    assert made.finish() == 0
    made.add("bad", math.nan, report.Bar("<=", 1.0))
    made.measures["loss"] = [np.float64(0.5), math.inf]
    made.options = Asked(output=tmp_path / "deep" / "b.json")
    assert made.finish() == 1
    printed = capsys.readouterr().out
    assert "NOT MET" in printed and "SKIPPED" in printed and "1 of 2 bars met" in printed
    found = report.read(tmp_path / "deep" / "b.json")
    assert found["options"]["dims"] == [2, 8] and found["options"]["folder"] == str(FOLDER)
    assert [check["met"] for check in found["checks"]] == [True, None, False]
    assert found["measures"]["loss"] == [0.5, None]
    assert set(found["checks"][0]) == SCHEMA_OF_A_CHECK and set(found) == SCHEMA
    expected = {"cpu", "cores", "isa"}
    assert expected <= set(found["hardware"]) and found["peak_bytes"] > 0
    assert {"python", "numpy", "commit"} <= set(found["versions"]) and found["threads"] == 2


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "wrong.json").write_text("[1]")
    for name in ("wrong.json", "absent.json"):
        with pytest.raises(InputError, match=rf"{name} is not a result file"):
            report.read(tmp_path / name)


def test_means_have_the_error_of_independent_values_and_leave_out_what_is_not_there():
    found = Estimate.of([0.9, None, 0.8, 0.7])
    assert (found.mean, found.error, found.n) == (
        pytest.approx(0.8),
        pytest.approx(0.1 / math.sqrt(3)),
        3,
    )
    assert math.isnan(Estimate.of([]).mean) and math.isnan(Estimate.of([1.0]).error)
    records = [("b", 1.0), ("a", 2.0), ("b", 3.0), ("c", None)]
    assert means(records, lambda r: r[0], lambda r: r[1]) == {"b": 2.0, "a": 2.0}


def test_exponents_are_slopes_of_logarithms():
    sizes = np.array([1.0, 2.0, 4.0, 8.0])
    law = PowerLaw.of(sizes, 3 * sizes**1.25)
    assert law is not None and law.exponent == pytest.approx(1.25)
    assert law.factor == pytest.approx(3.0) and law.error == pytest.approx(0.0, abs=1e-9)
    two = PowerLaw.of([1.0, 2.0], [1.0, 2.0])
    assert two is not None and math.isnan(two.error)
    assert PowerLaw.of([2.0, 2.0], [1.0, 2.0]) is None
    assert PowerLaw.of([1.0, 2.0], [0.0, 2.0]) is None


def test_a_ratio_is_of_medians_of_one_run():
    assert ratio_of_medians([4.0, 100.0, 2.0], [2.0, 1.0, 50.0]) == 2.0
    made = report.Report("kernel", kernel.Options())
    made.measures["openblas"] = {"version": "1", "architecture": "x"}
    shape, product = Shape(64, 256), product_flops(kernel.PRODUCT_SIZE)
    kernel._report_step(made, "s", shape, {"step": [9.0, 1.0, 1.0], "product": [2.0, 7.0, 2.0]})
    assert made.checks[-1].value == pytest.approx(shape.flops / (product / 2.0))


def test_filling_and_principal_components_learn_from_the_training_part_only():
    from benchmarks.adapters.libraries import Pca

    rng = np.random.default_rng(0)
    learning = (rng.normal(size=(40, 1)) @ rng.normal(size=(1, 7))).astype(np.float32) + 5
    learning[3, 2] = np.nan
    test = learning[:5] * 2
    test[:, 2] = np.nan
    filled = adapters.MeanFilling(learning)
    np.testing.assert_allclose(filled(test)[:, 2], np.nanmean(learning[:, 2]), rtol=1e-6)
    rival = Pca(2, 0, 1)
    trained = rival.fit(learning)
    alone_placed, together = rival.place(test[:1]), rival.place(test)
    np.testing.assert_allclose(alone_placed.embedding[0], together.embedding[0], rtol=1e-4)
    assert trained.mse is not None and trained.mse < 0.05


def test_sides_take_turns(monkeypatch):
    monkeypatch.setattr("benchmarks.timing.PAUSE_SECONDS", 0)
    order = []
    sides = {name: lambda name=name: float(order.append(name) or len(order)) for name in "ab"}
    assert interleaved(sides, 2) == {"a": [1.0, 3.0], "b": [2.0, 4.0]}
    assert order == ["a", "b", "a", "b"]


def test_a_measured_process_answers_or_says_what_failed():
    with Worker(partial, pow, 3) as worker:
        assert [worker(2), worker(3)] == [9, 27]
    with pytest.raises(ValueError, match="invalid literal"):
        alone(int, "no")
    with pytest.raises(RuntimeError):
        alone(os._exit, 3)


def test_a_measured_process_does_not_outlive_a_killed_benchmark():
    code = (
        "from functools import partial\nfrom benchmarks.process import Worker\n"
        "if __name__ == '__main__':\n"
        "    worker = Worker(partial, eval)\n"
        "    worker('print(1, flush=True)')\n"
        "    worker('__import__(\"time\").sleep(600)')\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().strip() == b"1"
        parent.kill()
        # The measured process writes to the same pipe, which ends when both are gone.
        assert parent.communicate(timeout=30) == (b"", None)


def test_plain_torch_takes_the_same_step_as_the_engine():
    torch = pytest.importorskip("torch")
    from benchmarks.adapters.torch_plain import PlainTorch
    from fembed import engine

    values = simulated_expression(6, 13)
    hidden = (5, 4)
    model = PlainTorch(values, n_components=2, gene_components=3, hidden=hidden, n_threads=1)

    ours, rows = model.parameters(), np.array([1, 4])
    state = engine.AdamState.zeros(ours)
    blocks, rates = engine.Blocks.of([(rows, np.arange(13))]), np.full((1, 3), 5e-3, np.float32)
    for _ in range(3):
        loss, _ = engine.train(ours, state, values, blocks, rates, lazy=False, n_threads=1)
        assert float(model.step(torch.from_numpy(rows))) == pytest.approx(loss[0], rel=1e-4)
    for name, array in model.parameters().arrays().items():
        np.testing.assert_allclose(ours.arrays()[name], array, atol=2e-4, err_msg=name)


@pytest.mark.parametrize("name", ["native", "torch"])
def test_both_engines_agree_with_the_oracle_as_the_benchmark_asks(name: str):
    if name == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed")
    made = report.Report("gpu", gpu.Options(small=True).resized())
    with engine.using(name, "cpu"):
        agreement.with_the_oracle(made, seed=0)
    assert len(made.checks) == 5 and all(check.met for check in made.checks)


def test_a_small_run_leaves_the_results_alone():
    assert gpu.Options().resized().output is None
    small = gpu.Options(small=True).resized()
    assert small.output is not None and small.output.parent != RESULTS
    assert small.samples * small.genes < 1e6
