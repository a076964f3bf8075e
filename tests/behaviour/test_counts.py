"""Models of counts: what depth, missing genes and other samples may and may not change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import fembed
from fembed import store
from fembed.commands.app import run
from fembed.errors import InputError
from fembed.files import arrayfile
from fembed.inference.counts import quantile_residuals
from fembed.model import Model
from fembed.solvers.count_criterion import CountCriterion
from fembed.solvers.count_model import CountModel, sizes_of
from fembed.train import checkpoint, early_stopping, fit, trainer
from tests.counted_expression import QUICK, counted, expression, kinds, rates


@pytest.fixture(scope="module")
def model() -> Model:
    return fit(expression(counted()[0]), **QUICK)


NEW, NEW_SIZE = counted(60, seed=2)


def explained(target: Any, coordinates: Any) -> float:
    """R squared of a linear regression on coordinates."""
    design = np.column_stack([np.ones(len(coordinates)), coordinates])
    left = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return 1.0 - float(np.var(left) / np.var(target))


def test_a_map_of_counts_has_the_kinds_and_not_the_depth(model: Model) -> None:
    places, known = model.sample_embedding, kinds()
    centres = np.stack([places[known == kind].mean(axis=0) for kind in range(3)])
    placed = fembed.project(model, expression(NEW, "new"))
    distances = np.linalg.norm(placed.sample_embedding[:, None] - centres, axis=2)
    assert (distances.argmin(axis=1) == kinds(60, 2)).mean() > 0.98
    for kind in range(3):
        of_kind = kinds(60, 2) == kind
        log_size = np.log(NEW_SIZE[of_kind])
        assert explained(log_size, placed.sample_embedding[of_kind]) < 0.5
    assert explained(np.log(NEW_SIZE), placed.sample_embedding) < 0.2


def test_a_place_depends_on_no_other_sample(model: Model) -> None:
    together = fembed.project(model, expression(NEW, "new"))
    alone = fembed.project(model, expression(NEW[7:8], "one"))
    assert_array_equal(alone.sample_embedding[0], together.sample_embedding[7])
    assert_array_equal(alone.covariance[0], together.covariance[7])
    assert alone.loss[0] == together.loss[7]


def test_a_thinned_sample_stays_within_its_ellipse(model: Model) -> None:
    """Half of the counts, drawn at random, are a draw of the same sample at half its size."""
    half = np.random.default_rng(3).binomial(NEW.astype(int), 0.5).astype(np.float32)
    one, other = (fembed.project(model, expression(v, "new")) for v in (NEW, half))
    gap = (one.sample_embedding - other.sample_embedding).astype(float)
    distance = np.einsum("ka,kab,kb->k", gap, np.linalg.inv(other.covariance), gap)
    assert np.median(distance) < stats.chi2(2).ppf(0.5)
    assert abs(np.median(other.loss) / np.median(one.loss) - 1.0) < 0.1  # it knows no depth


def test_sizes_have_no_unit(model: Model) -> None:
    """Rates twice as large make sizes half as large, and nothing else."""
    assert model.count_model is not None
    twice = model.parameters.copy()
    assert twice.gene_bias is not None
    twice.gene_bias += np.float32(np.log(2.0))
    known = CountModel(2 * model.count_model.rate, model.count_model.dispersion)
    criteria = [
        (CountCriterion.of_counts(of, model.sample_embedding), p)
        for of, p in ((model.count_model, model.parameters), (known, twice))
    ]
    one, other = (criterion.place(p, NEW).u for criterion, p in criteria)
    assert_allclose(one, other, atol=2e-3)
    assert_allclose(known.sizes(NEW) * 2, model.count_model.sizes(NEW), rtol=1e-6)


def test_a_panel_has_the_size_that_fits_its_genes(model: Model) -> None:
    """Genes that only one kind has much of would otherwise make it look deep."""
    ratio = rates()[0] / rates()[1:].mean(axis=0)
    genes = np.sort(np.argsort(-ratio)[:120])
    names = [f"G{j}" for j in genes]
    panel = fembed.Expression.adopt(
        np.ascontiguousarray(NEW[:, genes]), [f"new{i}" for i in range(60)], names
    )
    whole = fembed.project(model, expression(NEW, "new"))
    part = fembed.project(model, panel)
    spread = model.sample_embedding.std(axis=0)
    gap = (whole.sample_embedding - part.sample_embedding) / spread
    assert np.median(np.abs(gap)) < 0.3
    criterion = model.criterion().take_genes(genes)
    assert isinstance(criterion, CountCriterion)
    some = model.parameters.take_genes(genes)
    size = criterion.sizes(some, np.ascontiguousarray(NEW[:, genes]), part.sample_embedding)
    assert abs(np.median(np.log(size / model.count_model.sizes(NEW)))) < 0.1  # type: ignore[union-attr]


def test_expected_counts_add_up_to_the_depth(model: Model) -> None:
    points = model.sample_embedding[:9]
    expected = model.expected_counts(points, 5000)
    assert_allclose(expected.sum(axis=1), 5000, rtol=1e-5)
    million = model.expected_counts(points, 1e6, ["G3"])
    assert_allclose(million[:, 0], 200 * expected[:, 3], rtol=1e-5)
    at_size_one = model.preprocessing.invert(model.decode(points))
    assert_allclose(
        at_size_one / at_size_one.sum(axis=1, keepdims=True) * 5000, expected, rtol=1e-4
    )


def test_a_depth_of_nothing_is_refused_by_every_door(model: Model, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="depth is 0"):
        model.expected_counts(model.sample_embedding[:1], 0)
    model.save(tmp_path / "model")
    points = tmp_path / "points.csv"
    points.write_text("sample,fembed_1,fembed_2\na,0,0\n")
    words = ["decode", str(tmp_path / "model"), str(points), "-o", str(tmp_path / "out.csv")]
    assert run([*words, "--depth", "0"]) == 2 and not (tmp_path / "out.csv").exists()


def test_dispersions_are_found(model: Model) -> None:
    assert model.count_model is not None
    assert 0.05 < np.median(model.count_model.dispersion) < 0.16  # 0.1


def test_imputed_counts_are_off_by_their_deviation(model: Model) -> None:
    """Of genes that are hidden, given the others; residuals over deviations have variance one."""
    hidden = np.arange(0, 240, 4)
    panel = NEW.copy()
    panel[:, hidden] = np.nan
    found = fembed.impute(model, expression(panel, "new"), sd=True)
    assert found.sd is not None
    standardised = (NEW[:, hidden] - found.values[:, hidden]) / found.sd[:, hidden]
    assert 0.8 < float(np.mean(np.square(standardised))) < 1.35
    seen = np.setdiff1d(np.arange(240), hidden)
    assert_array_equal(found.values[:, seen], NEW[:, seen])
    assert np.isnan(found.sd[:, seen]).all()


def test_quantile_residuals_are_normal_and_p_values_valid() -> None:
    rng = np.random.default_rng(0)
    mean, dispersion = np.exp(rng.normal(0, 2, 20_000)), np.where(rng.random(20_000) < 0.3, 0, 0.4)
    counts = rng.poisson(mean * np.where(dispersion, rng.gamma(2.5, 0.4, 20_000), 1.0))
    z, p_value = quantile_residuals(counts.astype(np.float32), mean, dispersion, "a")
    assert stats.kstest(z, "norm").pvalue > 1e-3
    for level in (0.05, 0.005):  # no sample of its own: discrete, so at most
        assert np.mean(p_value <= level) < level * 1.3
    far = quantile_residuals(np.float32([400.0]), np.array([4.0]), np.array([0.1]), "a")
    assert far[0][0] > 8 and far[1][0] < 1e-12


def test_a_gene_that_is_changed_is_called(model: Model) -> None:
    changed = NEW.copy()
    common = int(np.argmax(NEW.mean(axis=0)))
    changed[4, common] *= 12
    found = fembed.aberrant_genes(model, expression(changed, "new"))
    table = found.table()
    assert ((table["sample"] == "new4") & (table["gene"] == f"G{common}")).any()
    assert np.median(found.n_aberrant()) <= 1


def test_strangers_have_small_p_values(model: Model) -> None:
    """Of another kind: each gene has the rate of another one. The depth is as before."""
    sure = fembed.calibrate(
        model, expression(np.concatenate([counted()[0], counted(200, 5)[0]]), "cell")
    )
    order = np.random.default_rng(0).permutation(240)
    strangers = np.ascontiguousarray(NEW[:, order])
    own, others = (
        fembed.project(sure, expression(values, "new")).p_value for values in (NEW, strangers)
    )
    assert own is not None and others is not None
    assert (others <= 0.05).mean() > 0.9
    assert (own <= 0.05).mean() < 0.2
    deep = NEW_SIZE > 1.0
    assert abs((own[deep] <= 0.5).mean() - (own[~deep] <= 0.5).mean()) < 0.4


def test_a_saved_model_places_as_before(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    again = store.load(tmp_path / "m")
    before, after = (fembed.project(m, expression(NEW, "new")) for m in (model, again))
    assert_array_equal(before.sample_embedding, after.sample_embedding)
    assert_array_equal(before.loss, after.loss)


def test_a_killed_fit_ends_as_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    monkeypatch.setattr(trainer, "SECONDS_PER_CALL", 1e-9)
    monkeypatch.setattr(early_stopping, "PATIENCE", 100)  # the first part ends at step 144
    options = {**QUICK, "iterations": 240}
    data, path = expression(counted(60)[0]), tmp_path / "fit"

    def die_at(step: int) -> Any:
        def watch(progress: fembed.Progress) -> None:
            if progress.step >= step:
                raise KeyboardInterrupt

        return watch

    whole = fit(data, **options)
    for step in (60, 200):  # before and after dispersions are estimated
        with pytest.raises(KeyboardInterrupt):
            fit(data, checkpoint=path, callback=die_at(step), **options)
    kept = arrayfile.read_file(path, checkpoint.KIND)[1]
    assert kept["loop"]["step"] > kept["stage"]["cooldown_begin"] > 0
    again = fit(data, checkpoint=path, **options)
    for name, array in whole.parameters.arrays().items():
        assert_array_equal(array, again.parameters.arrays()[name], err_msg=name)
    assert whole.count_model is not None and again.count_model is not None
    assert_array_equal(whole.count_model.dispersion, again.count_model.dispersion)


def test_the_estimator_scores_the_deviance_explained() -> None:
    values = counted()[0]
    estimator = fembed.FactorizedEmbedding(
        likelihood="counts", hidden=(16,), gene_components=4, iterations=1500, random_state=0
    ).fit(values)
    of_training = estimator.model_.training["explained_variance"]
    assert 0.1 < of_training < 0.6
    assert abs(estimator.score(NEW) - of_training) < 0.06
    shuffled = np.random.default_rng(0).permuted(NEW, axis=1)
    assert estimator.score(np.ascontiguousarray(shuffled)) < 0.1


def test_missing_counts_change_no_size() -> None:
    values, size = counted()
    values[np.random.default_rng(0).random(values.shape) < 0.3] = np.nan
    found = sizes_of(values)
    assert np.corrcoef(np.log(found), np.log(size))[0, 1] > 0.97


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ((3, 5, -2.0), "are negative, such as -2 for sample 'cell3' and gene 'G5'"),
        ((3, 5, 2.5), "are no whole numbers, such as 2.5 for sample 'cell3' and gene 'G5'"),
        ((3, 5, 2.0**32), "are above 2.15e"),
        ((4, slice(None), 0.0), "The sample 'cell4' in .* has no counts"),
    ],
)
def test_what_is_no_count_is_refused(change: tuple[int, Any, float], sentence: str) -> None:
    values = counted(40)[0]
    row, column, value = change
    values[row, column] = value
    with pytest.raises(InputError, match=sentence):
        fit(expression(values), **QUICK)


def test_values_of_another_kind_are_refused(model: Model) -> None:
    logs = expression(np.log1p(NEW), "new")
    with pytest.raises(InputError, match="no whole numbers"):
        fembed.project(model, logs)
    with pytest.raises(InputError, match="nothing to convert to"):
        fembed.project(model, logs, transform="match")
    with pytest.raises(InputError, match="leave the transform out"):
        fit(expression(NEW), transform="cpm", **QUICK)
    with pytest.raises(InputError, match="likelihood counts"):
        fit(expression(NEW), transform="counts", iterations=10)


def test_what_counts_do_not_have_yet_is_said(model: Model) -> None:
    data = expression(NEW, "new")
    with pytest.raises(InputError, match="cannot be extended yet"):
        fembed.extend(model, data, expression(counted()[0]))
    with pytest.raises(InputError, match="No genes can be added"):
        fembed.add_genes(model, data)
    with pytest.raises(InputError, match="does not have the likelihood counts yet"):
        fembed.sweep(NEW, {"likelihood": ["counts"]}, kinds(60, 2))
    with pytest.raises(InputError, match="not of counts"):
        replace(model, count_model=None).expected_counts([[0.0, 0.0]], 100)
