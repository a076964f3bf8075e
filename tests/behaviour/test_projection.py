"""What a projection promises: every sample alone, by gene names, where it belongs, and how sure."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chi2

from fembed import store
from fembed._reference.placement import cost
from fembed.config import FitConfig
from fembed.data.chunks import even_choice
from fembed.engine import Float32
from fembed.errors import DataWarning, InputError
from fembed.inference.projection import Projection, project
from fembed.model import Model
from fembed.solvers.prior import Prior
from fembed.train import fit
from tests.curved_expression import SMALL, curved, expression, frame, trained

N_GENES = 90


@pytest.fixture(scope="module")
def model() -> Model:
    """It places samples by the likelihood."""
    return trained(curved(), iterations=2000, likelihood="normal")


@pytest.fixture(scope="module")
def squares() -> Model:
    """It places samples by least squares."""
    return trained(curved(), iterations=2000)


@pytest.fixture(scope="module")
def fresh() -> Float32:
    """New samples of the same surface; some entries are missing."""
    values = curved(40, seed=1)
    values[np.random.default_rng(0).random(values.shape) < 0.05] = np.nan
    return values


def assert_same(found: Projection, expected: Projection, rows: Any = slice(None)) -> None:
    """Bit by bit, against some rows of ``expected``."""
    for name in ("sample_embedding", "loss", "covariance", "n_genes", "outlier"):
        assert_array_equal(getattr(found, name), getattr(expected, name)[rows], err_msg=name)


def distances(one: Float32, other: Float32, model: Model) -> np.ndarray:
    """In units of the map's size."""
    size = np.sqrt(model.sample_embedding.var(axis=0).sum())
    return np.linalg.norm(one - other, axis=1) / size


class TestAlone:
    """A sample's place is its own matter, to the last bit."""

    def test_batch_order_and_threads(self, model: Model, fresh: Float32) -> None:
        whole = project(model, fresh)
        order = np.random.default_rng(2).permutation(len(fresh))
        assert_same(project(model, fresh[order]), whole, order)
        for row in (0, 7, 39):
            assert_same(project(model, fresh[row : row + 1]), whole, slice(row, row + 1))
        for n_threads in (1, 2, 3):
            assert_same(project(model, fresh, n_threads=n_threads), whole)

    def test_neighbours_with_other_genes(self, model: Model, fresh: Float32) -> None:
        """A gene that only a neighbour has, or that nobody has, changes no bit."""
        odd = np.full((3, N_GENES), np.nan, np.float32)
        odd[0, :3], odd[1], odd[2, 50:] = 1.0, 1e4, -1.0
        lacking = fresh.copy()
        lacking[:, 20:33] = np.nan
        with pytest.warns(DataWarning, match="on another scale"):
            together = project(model, np.concatenate([odd, lacking]))
        assert_same(project(model, lacking), together, slice(3, None))

    def test_more_samples_than_are_placed_at_once(
        self, model: Model, fresh: Float32, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = project(model, fresh)
        monkeypatch.setattr("fembed.solvers.samples.PROFILES_AT_ONCE", 7)
        assert_same(project(model, fresh), whole)

    def test_a_saved_model_gives_the_same_bits(
        self, model: Model, fresh: Float32, tmp_path: Path
    ) -> None:
        model.save(tmp_path / "model")
        assert_same(project(store.load(tmp_path / "model"), fresh), project(model, fresh))


class TestGenes:
    """Genes are matched by name; what is not there is left out of the loss."""

    def test_order_and_extra_genes_play_no_part(self, model: Model, fresh: Float32) -> None:
        table = frame(fresh)
        whole = project(model, table)
        assert (whole.n_genes_matched, whole.n_genes_model) == (N_GENES, N_GENES)
        assert_array_equal(whole.n_genes, (~np.isnan(fresh)).sum(axis=1))
        assert_array_equal(whole.sample_names, table.index)
        permuted = table.iloc[:, np.random.default_rng(3).permutation(N_GENES)]
        assert_same(project(model, permuted), whole)
        extra = table.assign(elsewhere=7.0, nowhere=np.nan).iloc[:, ::-1]
        assert_same(project(model, extra), whole)

    def test_absent_genes_are_as_good_as_missing(self, model: Model, fresh: Float32) -> None:
        absent = [3, 17, 60, 61, 89]
        found = project(model, frame(fresh).drop(columns=[f"g{j}" for j in absent]))
        assert (found.n_genes_matched, found.n_genes_model) == (N_GENES - 5, N_GENES)
        missing = fresh.copy()
        missing[:, absent] = np.nan
        expected = project(model, missing)
        assert expected.n_genes_matched == N_GENES
        assert_array_equal(found.n_genes, expected.n_genes)
        # Up to the rounding of sums over other groups of genes.
        gap = distances(found.sample_embedding, expected.sample_embedding, model)
        assert gap.max() < 1e-3
        assert_allclose(found.loss, expected.loss, rtol=1e-4)
        # A place that moves over a kink of the network by rounding has other derivatives.
        assert_allclose(found.covariance, expected.covariance, rtol=5e-2, atol=1e-6)

    def test_absent_genes_are_not_taken_for_zeros(self, model: Model) -> None:
        values = curved(40, seed=1)
        kept = np.arange(0, N_GENES, 3)
        with pytest.warns(DataWarning, match="only 30 of the model's 90 genes"):
            found = project(model, frame(values).iloc[:, kept])
        whole = project(model, values)
        gap = distances(found.sample_embedding, whole.sample_embedding, model)
        assert np.quantile(gap, 0.9) < 0.1

    def test_the_data_are_not_changed(self, model: Model, fresh: Float32) -> None:
        data, table, array = expression(fresh), frame(fresh), fresh.copy()
        before = table.copy()
        found = [project(model, one) for one in (data, table, array)]
        assert_array_equal(data.values, fresh)
        assert_array_equal(array, fresh)
        pd.testing.assert_frame_equal(table, before)
        assert_same(found[1], found[0])
        assert_same(found[2], found[0])

    def test_the_models_transform_is_applied(self, fresh: Float32) -> None:
        counts = 10.0 ** np.abs(curved(60, 50)) - 1
        found = fit(expression(counts), FitConfig(**SMALL, iterations=60))
        new = np.float32(10.0 ** np.abs(curved(5, 50, seed=2)) - 1)
        before = new.copy()
        placed = project(found, new)
        assert_array_equal(new, before)
        gap = found.decode(placed.sample_embedding) - np.log10(new + 1)
        assert_allclose(placed.loss, np.square(gap).mean(axis=1), rtol=1e-3)


class TestPlace:
    """A sample is where it is most probable; by least squares, where it fits best."""

    def test_training_samples_find_themselves(self, model: Model, squares: Model) -> None:
        for one, tolerance in ((squares, 1e-3), (model, 1e-2)):
            found = project(one, curved())
            # Both ended by an exact solve, so they differ where two places fit alike, and under
            # the likelihood as far as the prior changed with the last solve.
            gap = distances(found.sample_embedding, one.sample_embedding, one)
            assert np.quantile(gap, 0.9) < tolerance
        # And there the projection, which looks everywhere, fits at least as well.
        found = project(squares, curved())
        assert (found.loss <= squares.sample_loss * (1 + 1e-4)).all()

    def test_under_the_likelihood_no_place_is_more_probable(
        self, model: Model, fresh: Float32
    ) -> None:
        """By the cost of the reference, at other places near and far."""
        criterion, rng = model.criterion(), np.random.default_rng(4)
        factors = criterion.factors
        assert factors is not None and criterion.is_likelihood
        prior = Prior.of_samples(model.sample_embedding, 1.0)
        found = project(model, fresh[:12])
        size = model.sample_embedding.std()
        for profile, place in zip(fresh, found.sample_embedding, strict=False):
            likelihood = factors.likelihood(N_GENES, prior)
            least = cost(model.parameters, profile, place.astype(float), likelihood)[0]
            others = place + size * np.outer([0.01, 0.1, 1.0], rng.standard_normal(2))
            for other in [*others, *model.sample_embedding[::20].astype(float)]:
                there = cost(model.parameters, profile, other, likelihood)[0]
                assert there > least * (1 - 1e-4)

    @pytest.mark.parametrize("n_components", [1, 2, 3, 5, 8, 16])
    def test_a_decoded_point_is_found_again(self, n_components: int) -> None:
        found = trained(
            curved(80, N_GENES),
            iterations=300,
            n_components=n_components,
        )
        assert_decoded_points_are_found(found)

    def test_in_64_dimensions(self) -> None:
        values = np.random.default_rng(0).normal(size=(90, 200)).astype(np.float32)
        found = trained(values, iterations=60, n_components=64)
        assert_decoded_points_are_found(found)
        assert project(found, values[:3]).covariance.shape == (3, 64, 64)

    def test_loss_is_the_decoded_error_and_is_least(self, squares: Model, fresh: Float32) -> None:
        model = squares
        found = project(model, fresh)
        rng = np.random.default_rng(4)

        def loss_at(points: Float32) -> np.ndarray:
            return np.nanmean(np.square(model.decode(points).astype(float) - fresh), axis=1)

        assert_allclose(loss_at(found.sample_embedding), found.loss, rtol=1e-3)
        size = model.sample_embedding.std()
        for length in (0.01, 0.1, 1.0):
            step = length * size * rng.standard_normal(found.sample_embedding.shape, np.float32)
            assert (loss_at(found.sample_embedding + step) > 0.9999 * found.loss).all()
        # No training position fits better either: the start is global.
        for point in model.sample_embedding[::10]:
            assert (loss_at(np.tile(point, (len(fresh), 1))) > 0.9999 * found.loss).all()

    def test_a_profile_without_the_genes_that_choose_starts(
        self, model: Model, fresh: Float32, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A start is then chosen by the genes it has, and still for each sample alone."""
        few = even_choice(N_GENES, 8)
        lacking = fresh.copy()
        lacking[::2, few] = np.nan
        expected = project(model, lacking)  # all genes choose
        monkeypatch.setattr("fembed.solvers.samples.START_GENES", 8)
        found = project(model, lacking)
        assert_same(project(model, lacking[:1]), found, slice(0, 1))
        alike = np.isclose(found.loss[::2], expected.loss[::2], rtol=1e-2)
        assert alike.mean() >= 0.95


def assert_decoded_points_are_found(model: Model) -> None:
    """The midpoints of samples and their nearest neighbours, which are no starts themselves."""
    u = model.sample_embedding
    apart = np.square(u[:, None, :] - u).sum(axis=2) + np.diag(np.full(len(u), np.inf))
    points = ((u + u[apart.argmin(axis=1)]) / 2)[:30]
    decoded = model.decode(points)
    found = project(model, decoded)
    error = np.sqrt(np.square(model.decode(found.sample_embedding) - decoded).mean(axis=1))
    assert (error < 1e-3 * decoded.std()).mean() >= 0.95
    gap = distances(found.sample_embedding, points, model)
    assert np.quantile(gap, 0.9) < 1e-2


class TestConfidence:
    """Covariance and outlier score mean what they say."""

    def test_the_ellipse_covers_as_often_as_it_says(self, squares: Model) -> None:
        model = squares
        rng = np.random.default_rng(5)
        points = model.sample_embedding[rng.integers(0, model.n_samples, 400)]
        profiles = model.decode(points) + rng.normal(0, 0.05, (400, N_GENES)).astype(np.float32)
        found = project(model, profiles)
        gap = (found.sample_embedding - points).astype(float)
        squares = np.einsum("ki,kij,kj->k", gap, np.linalg.inv(found.covariance), gap)
        for level in (0.5, 0.9):
            covered = (squares < chi2(2).ppf(level)).mean()
            assert covered == pytest.approx(level, abs=0.07)

    def test_more_noise_or_fewer_genes_widen_it(self, squares: Model, model: Model) -> None:
        rng = np.random.default_rng(6)
        points = squares.sample_embedding[:40]
        noise = rng.normal(0, 0.05, (40, N_GENES)).astype(np.float32)
        decoded = squares.decode(points)

        def area(profiles: Float32, by: Model = squares) -> float:
            return float(np.median(np.sqrt(np.linalg.det(project(by, profiles).covariance))))

        fewer = decoded + noise
        fewer[:, ::2] = np.nan
        assert area(decoded + 2 * noise) == pytest.approx(4 * area(decoded + noise), rel=0.3)
        assert area(fewer) == pytest.approx(2 * area(decoded + noise), rel=0.4)
        # Under the likelihood the noise is the model's, not the sample's.
        whole, half = model.decode(model.sample_embedding[:40]), fewer * 0 + 1
        assert area(whole * half, model) > 1.2 * area(whole, model)

    @pytest.mark.parametrize("n_observed", [1, 2])
    def test_it_is_infinite_without_more_genes_than_dimensions(
        self, squares: Model, model: Model, n_observed: int
    ) -> None:
        values = curved(6, seed=1)
        values[:3, n_observed:] = np.nan
        found = project(squares, values)
        assert_array_equal(found.n_genes, [n_observed] * 3 + [N_GENES] * 3)
        assert np.isposinf(found.covariance[:3]).all()
        assert np.isfinite(found.covariance[3:]).all()
        assert np.isfinite(found.sample_embedding).all()
        # The likelihood has a prior, which holds what the genes do not.
        assert np.isfinite(project(model, values).covariance).all()

    def test_outliers_stand_out(self, model: Model) -> None:
        rng = np.random.default_rng(7)
        alike = curved(60, seed=2)
        # Above zero: the training samples, which are the measure, took part in the fit.
        assert abs(np.median(project(model, alike).outlier)) < 2.5
        shuffled = rng.permuted(alike, axis=1)
        # No word of the scale: genes differ here between places as much as from each other.
        assert project(model, shuffled).outlier.min() > 5
        assert abs(np.median(project(model, curved()).outlier)) < 0.05
        # Above 5 is what users are told to look at; how many are above 3 depends on the start's
        # last bits, and so on the processor: below 5 % on one, 6.9 % on another.
        throughout = trained(curved(), iterations=2000, validation_fraction=0.0)
        assert (project(throughout, curved()).outlier > 5).mean() < 0.05


class TestRefusals:
    """What cannot be placed is said in a sentence."""

    def test_no_gene_in_common(self, model: Model, fresh: Float32) -> None:
        table = frame(fresh).add_prefix("other")
        with pytest.raises(InputError, match=r"no gene in common.*'g0'.*'otherg0'"):
            project(model, table)

    def test_a_sample_without_any_gene_of_the_model(self, model: Model, fresh: Float32) -> None:
        table = frame(fresh).assign(elsewhere=1.0)
        table.iloc[4, :N_GENES] = np.nan
        with pytest.raises(InputError, match=r"'new4'.*remove it"):
            project(model, table)

    def test_the_warning_begins_below_half(self, model: Model, fresh: Float32) -> None:
        table = frame(fresh)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            project(model, table.iloc[:, :45])
        with pytest.warns(DataWarning, match="only 44 of the model's 90 genes"):
            project(model, table.iloc[:, :44])

    def test_an_array_of_another_width(self, model: Model) -> None:
        with pytest.raises(InputError, match=r"89 genes but the model has 90.*names"):
            project(model, np.ones((2, 89), np.float32))

    def test_infinite_values(self, model: Model, fresh: Float32) -> None:
        table = frame(fresh)
        table.iloc[2, 5] = np.inf
        with pytest.raises(InputError, match=r"'new2'.*'g5'"):
            project(model, table)
