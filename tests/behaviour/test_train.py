"""What a fit promises: the same bits again, better than PCA, honest numbers, clear refusals."""

from __future__ import annotations

import json
import re
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA

from fembed.config import FitConfig
from fembed.data.preprocess import Preprocessing
from fembed.errors import DataWarning, InputError, TrainingError
from fembed.inference.projection import project
from fembed.model import Model
from fembed.solvers.samples import mean_curvature
from fembed.train import Progress, fit
from tests.curved_expression import SMALL, curved, expression, trained


def assert_same_model(one: Model, other: Model) -> None:
    for name, array in one.parameters.arrays().items():
        assert_array_equal(array, other.parameters.arrays()[name], err_msg=name)
    assert_array_equal(one.sample_loss, other.sample_loss)


@pytest.fixture(scope="module")
def model() -> Model:
    return trained(curved(), iterations=1500)


class TestBits:
    """The same seed and data give the same bits; another seed gives others."""

    OPTIONS: tuple[dict[str, Any], ...] = (
        {},
        {"n_components": 3},
        {"validation_entries": True},
        {"recipe": "published"},
    )

    @pytest.mark.parametrize("options", OPTIONS)
    def test_again_and_with_any_number_of_threads(self, options: dict[str, Any]) -> None:
        values = curved(70, 50)
        values[::9, ::7] = np.nan
        first = trained(values, iterations=120, **options)
        for n_threads in (1, 2, 3):
            again = trained(values, iterations=120, **options, n_threads=n_threads)
            assert_same_model(again, first)
            assert again.training["n_threads"] == n_threads

    def test_another_seed_is_another_model(self) -> None:
        values = curved(70, 50)
        one, other = (trained(values, iterations=60, seed=seed) for seed in (0, 1))
        assert not np.array_equal(one.parameters.network, other.parameters.network)
        assert not np.array_equal(one.sample_embedding, other.sample_embedding)


class TestQuality:
    """A curved map beats a plane, whatever the units and with entries missing."""

    def test_more_is_explained_than_by_pca(self, model: Model) -> None:
        values, report = curved(), model.training
        pca = PCA(2, svd_solver="full").fit(values).explained_variance_ratio_.sum()
        assert report["pca_explained_variance"] == pytest.approx(pca, abs=0.01)
        assert pca < 0.7
        assert report["explained_variance"] > 0.97

    @pytest.mark.parametrize("n_components", [1, 5, 16])
    def test_at_least_as_much_in_other_dimensions(self, n_components: int) -> None:
        report = trained(curved(), iterations=400, n_components=n_components).training
        assert report["explained_variance"] > report["pca_explained_variance"]

    def test_units_do_not_matter(self) -> None:
        values = curved(80, 60)
        one = trained(values, iterations=300)
        # A factor of two to a power changes no digit, so the map grows by it to the bit.
        four = trained(4 * values, iterations=300)
        assert_array_equal(four.sample_embedding, 4 * one.sample_embedding)
        decoded = one.decode(one.sample_embedding)
        assert_allclose(four.decode(four.sample_embedding), 4 * decoded, rtol=1e-4, atol=1e-4)
        # log2 instead of log10 changes the last digits, which training spreads (and a neighbour
        # embedding far more, so this starts at principal components).
        few: dict[str, Any] = {"iterations": 40, "validation_fraction": 0.0, "init": "pca"}
        one, log2 = trained(values, **few), trained(np.float32(3.3219) * values, **few)
        size = one.sample_embedding.std()
        back = log2.sample_embedding / 3.3219
        assert np.abs(back - one.sample_embedding).max() < 0.02 * size
        assert log2.training["mse"] == pytest.approx(3.3219**2 * one.training["mse"], rel=0.01)
        explained = one.training["explained_variance"]
        assert log2.training["explained_variance"] == pytest.approx(explained, abs=1e-3)

    def test_removed_entries_are_predicted(self) -> None:
        values = curved()
        removed = np.random.default_rng(0).random(values.shape) < 0.2
        holes = np.where(removed, np.float32(np.nan), values)
        found = trained(holes, iterations=1500)
        assert found.training["missing_share"] == pytest.approx(removed.mean())
        error = np.square(found.decode(found.sample_embedding) - values)[removed].mean()
        by_mean = np.square(np.nanmean(holes, axis=0) - values)[removed].mean()
        assert error < 0.1 * by_mean

    def test_the_gauge_is_fixed(self, model: Model) -> None:
        """A step in the map is as long as the change of the decoded profile, in its units."""
        metric = mean_curvature(model.parameters)
        # The last solve moves the samples a little after the gauge was fixed.
        assert_allclose(metric, np.eye(2), atol=0.1)


class TestReport:
    """The numbers of a fit are those of the model it returns."""

    def test_sample_loss_is_the_decoded_error(self) -> None:
        values = curved(60, 50)
        values[np.random.default_rng(1).random(values.shape) < 0.15] = np.nan
        for options in ({}, {"validation_entries": True}, {"recipe": "published"}):
            found = trained(values, iterations=80, **options)
            squares = np.square(found.decode(found.sample_embedding).astype(float) - values)
            assert_allclose(found.sample_loss, np.nanmean(squares, axis=1), rtol=1e-4)
            mse = float(np.nanmean(squares))
            assert found.training["mse"] == pytest.approx(mse, rel=1e-4)
            around_mean = np.nanmean(np.square(values - np.nanmean(values, axis=0)))
            share = 1 - mse / around_mean
            assert found.training["explained_variance"] == pytest.approx(share, abs=1e-3)

    def test_the_training_curve(self, model: Model) -> None:
        report = model.training
        json.dumps(report, allow_nan=False)
        steps = [point["step"] for point in report["history"]]
        assert steps == sorted(steps) and steps[-1] == report["steps"] == 1500
        losses = np.array([point["loss"] for point in report["history"]])
        assert np.isfinite(losses).all()
        assert losses[-1] < 0.2 * losses[0]
        # In the units of the data: the last blocks' loss is about the whole model's.
        assert losses[-1] == pytest.approx(report["mse"], rel=0.5)
        assert report["passes"] == pytest.approx(1500 / 5, rel=0.1)  # 5 x 1 blocks a pass

    def test_progress_goes_up_to_the_end(self) -> None:
        told: list[Progress] = []
        config = FitConfig(**SMALL, iterations=200)
        fit(expression(curved(60, 40)), config, transform="none", callback=told.append)
        assert {"training", "placing samples"} <= {one.stage for one in told}
        assert [one.step for one in told] == sorted(one.step for one in told)
        assert (told[-1].step, told[-1].n_steps) == (200, 200)
        assert all(np.isfinite(one.loss) and one.pairs_per_second > 0 for one in told)
        held_out = [one.held_out_loss for one in told]
        assert held_out[0] is None and held_out[-1] is not None

    def test_the_given_names_settings_and_transform_are_kept(self) -> None:
        data = expression(np.exp(curved(30, 20)) - 0.1)
        data.values[data.values < 0] = 0
        names = data.sample_names.copy(), data.gene_names.copy()
        log_values = Preprocessing("log10").apply(data.values.copy())
        config = FitConfig(**SMALL, iterations=30)
        found = fit(data, config)
        assert found.preprocessing == Preprocessing("log10")
        assert found.config == config
        assert_array_equal(found.sample_names, names[0])
        assert_array_equal(found.gene_names, names[1])
        squares = np.square(found.decode(found.sample_embedding) - log_values)
        assert_allclose(found.sample_loss, squares.mean(axis=1), rtol=1e-4)


class TestLength:
    """How long training takes is what was asked for, or what held-out samples say."""

    @pytest.mark.parametrize("recipe", ["fast", "published"])
    def test_iterations_and_epochs_are_obeyed(self, recipe: str) -> None:
        values = curved(40, 30)
        options: dict[str, Any] = {"recipe": recipe, "validation_fraction": 0.0}
        for steps in (1, 7):
            assert trained(values, iterations=steps, **options).training["steps"] == steps
        blocks = {"block_samples": 10, "block_genes": 15}
        report = trained(values, epochs=2.5, **blocks, **options).training
        assert (report["steps"], report["n_held_out"]) == (20, 0)
        assert report["passes"] == pytest.approx(2.5)
        assert report["stopped"] == "schedule" and report["held_out_mse"] is None

    @pytest.mark.parametrize("by_entries", [False, True])
    def test_a_tiny_noisy_set_stops_early_and_gains(self, by_entries: bool) -> None:
        rng = np.random.default_rng(0)
        signal = rng.normal(size=(120, 3)) @ rng.normal(size=(3, 300))
        values = (signal + 2 * rng.normal(size=signal.shape)).astype(np.float32)
        few, others = values[:40], values[40:]
        options: dict[str, Any] = {"n_components": 8, "iterations": 1000}
        early = trained(few, **options, validation_entries=by_entries)
        whole = trained(few, **options, validation_fraction=0.0)
        what = "entries" if by_entries else "samples"
        assert early.training["stopped"] == f"held-out {what}"
        assert early.training["steps"] < 500 < whole.training["steps"]
        assert early.training["held_out_mse"] > 0
        assert project(early, others).loss.mean() < 0.95 * project(whole, others).loss.mean()

    def test_the_share_held_out_is_the_one_asked_for(self) -> None:
        values = curved(50, 40)
        by_samples = trained(values, iterations=20, validation_fraction=0.2).training
        assert by_samples["n_held_out"] == 10
        by_entries = trained(
            values, iterations=20, validation_fraction=0.2, validation_entries=True
        )
        assert by_entries.training["n_held_out"] == pytest.approx(400, rel=0.2)

    def test_the_held_out_error_is_in_the_units_of_the_data(self, model: Model) -> None:
        fresh = curved(seed=1)
        held_out = model.training["held_out_mse"]
        # Looked at before the last part of the training, so the end is better, but not by far.
        assert 0.3 * held_out < project(model, fresh).loss.mean() < held_out


class TestRefusals:
    """What cannot be trained is said in a sentence."""

    def test_constant_genes_are_named(self) -> None:
        values = curved(40, 30)
        values[:, [4, 20]] = 1.5
        with pytest.warns(DataWarning, match=re.escape("2 gene(s)")) as caught:
            found = trained(values, iterations=200)
        assert "'g4'" in str(caught[0].message)
        decoded = found.decode(found.sample_embedding, genes=["g4", "g20"])
        assert_allclose(decoded, 1.5, atol=0.3)

    def test_only_constant_genes(self) -> None:
        values = np.tile(np.arange(10, dtype=np.float32), (20, 1))
        values[3, 4] = np.nan
        with pytest.raises(InputError, match=r"constant.*give samples that differ"):
            trained(values, iterations=10)

    @pytest.mark.parametrize("n_samples", [3, 8])
    def test_too_few_samples(self, n_samples: int) -> None:
        with pytest.raises(InputError, match=f"{n_samples} samples.*at most {n_samples - 1}"):
            trained(curved(n_samples, 20), iterations=10, n_components=8)
        enough = trained(curved(9, 20), iterations=10, n_components=8)
        assert enough.sample_embedding.shape == (9, 8)

    def test_a_loss_that_is_not_finite(self) -> None:
        values, deep = curved(30, 20), {"hidden": (50,) * 16, "recipe": "published"}
        with pytest.raises(TrainingError, match=r"step \d+; .*learning rate below 1.*log scale"):
            trained(values, iterations=50, learning_rate=1.0, **deep)

    def test_huge_values_are_trained_in_standard_units(self) -> None:
        values = curved(60, 40)
        found = trained(values * np.float32(2.0**36), iterations=200)
        usual = trained(values, iterations=200).sample_embedding
        assert_array_equal(found.sample_embedding, np.float32(2.0**36) * usual)
        assert found.training["explained_variance"] > 0.8

    def test_dead_units_are_told(self) -> None:
        with pytest.warns(DataWarning, match="never active.*lower learning rate"):
            trained(curved(40, 30), iterations=300, learning_rate=1.0, recipe="published")

    def test_the_highest_learning_rate_stays_finite(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            found = trained(curved(40, 30), iterations=300, learning_rate=1.0)
        found.check()
        assert np.isfinite(found.training["mse"])
