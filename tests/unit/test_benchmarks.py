"""The benchmarks' own logic: what a step is counted as, the folds, the bars. Nothing is timed."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks import adapters, cohorts, project, quality, report, train
from benchmarks.blockstep import BlockStep, Shape
from benchmarks.flops import gene_part_flops, pair_flops, product_flops
from benchmarks.process import Worker, alone
from benchmarks.simulate import CHUNK_ROWS, simulated_expression
from benchmarks.timing import interleaved


def test_a_pair_is_counted_as_the_design_counts_it():
    assert pair_flops((100, 50, 50)) == 6 * (100 * 50 + 50 * 50 + 50) == 45_300
    assert pair_flops((7,)) == 6 * 7
    assert product_flops(3072) == 2 * 3072**3


def test_the_pairs_do_not_contain_the_first_layer():
    small, large = Shape(64, 256, gene_components=2), Shape(64, 256, gene_components=1000)
    assert small.flops == large.flops == 64 * 256 * 45_300
    assert large.flops_with_genes - large.flops == 6 * 100 * (256 * 1000 + 64 * 2)
    assert gene_part_flops(1, 1, 0, 1, (100, 50, 50)) == 600


def test_no_patient_is_in_both_parts_and_every_sample_is_tested_once():
    rng = np.random.default_rng(0)
    patients = np.array([f"P{i}" for i in rng.integers(60, size=150)], dtype=object)
    folds = cohorts.grouped_folds(patients, 5)
    assert len(folds) == 5
    for learning, test in folds:
        assert not set(patients[learning]) & set(patients[test])
        assert sorted([*learning, *test]) == list(range(150))
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(150))


def test_real_cohorts_share_no_patient_between_parts():
    if not cohorts.COHORTS.exists():
        pytest.skip(f"the data {cohorts.COHORTS} are not there")
    anndata = pytest.importorskip("anndata")
    obs = anndata.read_h5ad(cohorts.COHORTS, backed="r").obs
    patients = obs["patient"].to_numpy().astype(str)
    for learning, test in cohorts.grouped_folds(patients, quality.N_FOLDS):
        assert not set(patients[learning]) & set(patients[test])
        assert set(obs["label"].iloc[test]) <= set(obs["label"].iloc[learning])


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


def test_a_missed_bar_is_the_exit_status_and_the_file_says_all(tmp_path, capsys):
    made = report.Report("demo", threads=2, options={"dims": (2, 8)})
    made.add("good", 1.0, report.Bar(">=", 1.0))
    made.add("rival absent", None, report.Bar(">", math.nan), note="install it")
    assert made.finish(tmp_path / "a.json") == 0
    made.add("bad", math.nan, report.Bar("<=", 1.0))
    made.measures["loss"] = [np.float64(0.5), math.inf]
    assert made.finish(tmp_path / "deep" / "b.json") == 1
    printed = capsys.readouterr().out
    assert "NOT MET" in printed and "SKIPPED" in printed and "1 of 2 bars met" in printed
    found = json.loads((tmp_path / "deep" / "b.json").read_text())
    assert [check["met"] for check in found["checks"]] == [True, None, False]
    assert found["measures"]["loss"] == [0.5, None]
    expected = {"cpu", "cores", "isa"}
    assert expected <= set(found["hardware"]) and found["peak_bytes"] > 0
    assert {"python", "numpy", "commit"} <= set(found["versions"]) and found["threads"] == 2


def summary(knn, logistic, held_out=1.0):
    return quality.Summary(knn, logistic, 1.0, held_out, 1.0, 1.0)


def checks(summaries, n_components, absolute=True):
    made = report.Report("quality", threads=2, options={})
    quality.add_checks(made, summaries, n_components, absolute=absolute)
    return {check.what: check.met for check in made.checks}


def test_two_dimensions_are_held_to_umap_and_to_the_gap():
    summaries = {("fembed", 2): summary(0.83, 0.7, 1.081), ("UMAP", 2): summary(0.83, 0.9)}
    found = checks(summaries, 2)
    assert list(found.values()) == [True, False, True]
    assert list(checks(summaries, 2, absolute=False).values()) == [True]
    summaries["fembed", 2] = summary(0.8199, 0.7, 1.079)
    assert list(checks(summaries, 2).values()) == [False, True, False]


def test_eight_dimensions_must_be_above_both_rivals():
    summaries = {
        ("fembed", 8): summary(0.86, 0.89),
        ("PCA", 8): summary(0.86, 0.88),
        ("UMAP", 8): summary(0.85, 0.89),
    }
    found = checks(summaries, 8)
    assert found["8-D: logistic"] and found["8-D: kNN-5"]
    assert found["8-D: logistic against PCA"] and not found["8-D: kNN-5 against PCA"]
    assert not found["8-D: logistic against UMAP"] and found["8-D: kNN-5 against UMAP"]


def test_an_absent_umap_is_shown_as_skipped():
    found = checks({("fembed", 2): summary(0.83, 0.7)}, 2)
    assert found["2-D: kNN-5 against UMAP"] is None


def test_means_over_folds_and_the_gap_of_the_means():
    def score(fold, training, held_out):
        return quality.Score("PCA", 2, fold, 0, 0.5 + fold, 0.5, training, held_out, 1.0, 1.0)

    found = quality.summarised([score(0, 1.0, 1.0), score(1, 3.0, 3.8)])["PCA", 2]
    assert found.knn == 1.0
    assert found.gap == pytest.approx(0.2)
    assert math.isnan(quality.Summary.of([score(0, None, None)]).gap)


def test_filling_and_principal_components_learn_from_the_training_part_only():
    from benchmarks.adapters.pca import Pca

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


def test_new_samples_are_drawn_around_the_held_out_ones():
    values = np.arange(12, dtype=np.float32).reshape(4, 3) * 100
    new = project.unseen(values, 1000, seed=0)
    assert new.shape == (1000, 3) and new.dtype == np.float32
    assert (np.abs(new.mean(axis=0) - values.mean(axis=0)) < 45).all()


def test_simulated_expression_is_reproducible_with_any_tail():
    values = simulated_expression(CHUNK_ROWS + 3, 11, seed=1)
    assert values.shape == (CHUNK_ROWS + 3, 11) and values.dtype == np.float32
    assert np.isfinite(values).all() and (values.std(axis=0) > 0.1).all()
    np.testing.assert_array_equal(values, simulated_expression(CHUNK_ROWS + 3, 11, seed=1))


def test_sides_take_turns(monkeypatch):
    monkeypatch.setattr("benchmarks.timing.PAUSE_SECONDS", 0)
    order = []
    sides = {name: lambda name=name: float(order.append(name) or len(order)) for name in "ab"}
    assert interleaved(sides, 2) == {"a": [1.0, 3.0], "b": [2.0, 4.0]}
    assert order == ["a", "b", "a", "b"]


def test_a_block_step_trains_every_kind_of_block():
    values = simulated_expression(9, 20)
    for shape in (Shape(4, 20, linear=False, lazy=False), Shape(3, 7)):
        step = BlockStep(values, shape, n_threads=1)
        assert step.seconds_per_step(2) > 0 and math.isfinite(step.loss)


def test_pairs_of_a_fit_are_its_passes_over_the_entries():
    assert train.pairs_trained({"passes": 1.5, "steps": 3}, 100) == 150


def test_a_measured_process_answers_or_says_what_failed():
    with Worker(partial, pow, 3) as worker:
        assert [worker(2), worker(3)] == [9, 27]
    with pytest.raises(RuntimeError, match="ValueError: invalid literal"):
        alone(int, "no")


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
    from fembed.parameters import Parameters

    values = simulated_expression(6, 13)
    hidden = (5, 4)
    model = PlainTorch(values, n_components=2, gene_components=3, hidden=hidden, n_threads=1)

    def now():
        dense = [p.detach().numpy().ravel() for p in model.network.parameters()]
        return Parameters(
            model.samples.weight.detach().numpy().copy(),
            model.genes.weight.detach().numpy().copy(),
            np.concatenate(dense),
            hidden,
        )

    ours, rows = now(), np.array([1, 4])
    state = engine.AdamState.zeros(ours)
    blocks, rates = engine.Blocks.of([(rows, np.arange(13))]), np.full((1, 3), 5e-3, np.float32)
    for _ in range(3):
        loss, _ = engine.train(ours, state, values, blocks, rates, lazy=False, n_threads=1)
        assert float(model.step(torch.from_numpy(rows))) == pytest.approx(loss[0], rel=1e-4)
    for name, array in now().arrays().items():
        np.testing.assert_allclose(ours.arrays()[name], array, atol=2e-4, err_msg=name)
