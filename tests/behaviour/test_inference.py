"""What a trained model does beside placing samples: impute, add genes, say how sure it is."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chi2

from fembed import store
from fembed.config import FitConfig, Recipe
from fembed.data.preprocess import Preprocessing
from fembed.engine import Float32
from fembed.errors import DataWarning, InputError
from fembed.inference import Imputation, add_genes, calibrate, impute
from fembed.inference.projection import project
from fembed.model import Model
from fembed.solvers import novelty
from fembed.solvers.jacobian import Jacobian
from fembed.solvers.samples import place
from fembed.solvers.uncertainty import squared_distance
from fembed.train import fit
from tests.curved_expression import SMALL, curved, expression, frame

N_GENES, N_TRAINING = 90, 160
PANEL = np.arange(0, N_GENES, 5)


def trained(values: np.ndarray, calibrate: bool = False, **options: Any) -> Model:
    config = FitConfig(**{**SMALL, **options})
    return fit(expression(values), config, transform="none", calibrate=calibrate)


@pytest.fixture(scope="module")
def model() -> Model:
    return trained(curved(), iterations=2000)


@pytest.fixture(scope="module")
def fresh() -> Float32:
    return curved(60, seed=1)


def quiet_impute(model: Model, panel: Any, **options: Any) -> Imputation:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return impute(model, panel, **options)


def error(expected: np.ndarray, values: np.ndarray, genes: np.ndarray) -> float:
    return float(np.square(expected - values)[:, genes].mean())


HIDDEN = np.setdiff1d(np.arange(N_GENES), PANEL)


class TestImpute:
    """All genes from those at hand."""

    def test_hidden_genes_are_found(self, model: Model, fresh: Float32) -> None:
        found = quiet_impute(model, frame(fresh).iloc[:, PANEL])
        mean = np.tile(curved().mean(axis=0), (len(fresh), 1))
        # The noise of the data has a variance of 0.05^2; the spread of the genes is 50 times that.
        assert error(found.values, fresh, HIDDEN) < 0.1 * error(mean, fresh, HIDDEN)
        assert_array_equal(found.gene_names, model.gene_names)
        assert_array_equal(found.sample_names, frame(fresh).index)

    def test_measured_values_are_kept_or_replaced(self, model: Model, fresh: Float32) -> None:
        panel = frame(fresh).iloc[:, PANEL].copy()
        panel.iloc[3, 4] = np.nan
        found = quiet_impute(model, panel)
        wanted = np.zeros((len(fresh), N_GENES), bool)
        wanted[:, PANEL] = True
        wanted[3, PANEL[4]] = False
        assert_array_equal(found.observed, wanted)
        assert_array_equal(found.values[wanted], fresh[wanted])
        assert np.isfinite(found.values).all()
        replaced = quiet_impute(model, panel, keep_observed=False)
        assert (replaced.values[wanted] != fresh[wanted]).mean() > 0.99
        assert_array_equal(replaced.values[~wanted], found.values[~wanted])
        assert error(replaced.values, fresh, PANEL) < 0.1 * fresh[:, PANEL].var(axis=0).mean()

    def test_a_sample_alone_gets_the_same(self, model: Model, fresh: Float32) -> None:
        known = calibrate(model, frame(curved(), "s"))
        whole = quiet_impute(known, frame(fresh).iloc[:, PANEL])
        for row in (0, 17):
            alone = quiet_impute(known, frame(fresh).iloc[[row], PANEL])
            assert_allclose(alone.values[0], whole.values[row], rtol=1e-4, atol=1e-5)

    def test_names_decide_and_other_genes_play_no_part(self, model: Model, fresh: Float32) -> None:
        panel = frame(fresh).iloc[:, PANEL]
        other = panel.iloc[:, ::-1].assign(elsewhere=1e4)
        assert_array_equal(quiet_impute(model, other).values, quiet_impute(model, panel).values)

    def test_one_gene_is_enough_for_an_answer(self, model: Model, fresh: Float32) -> None:
        found = quiet_impute(model, frame(fresh).iloc[:, [7]])
        far = np.abs(model.sample_embedding - model.sample_embedding.mean(axis=0)).max()
        away = np.abs(found.sample_embedding - model.sample_embedding.mean(axis=0)).max()
        assert np.isfinite(found.values).all() and away < 2 * far

    def test_a_constant_shared_error_is_learnt(self, fresh: Float32) -> None:
        """Genes that share what the map cannot show correct each other once calibrated."""
        rng = np.random.default_rng(3)
        loading = rng.normal(0, 0.4, (2, N_GENES)).astype(np.float32)

        def shared(values: Float32) -> Float32:
            return values + rng.normal(size=(len(values), 2)).astype(np.float32) @ loading

        learning, new = shared(curved(240)), shared(fresh)
        plain = trained(learning, iterations=1000)
        known = calibrate(plain, frame(learning, "s"))
        assert known.residual_factors is not None
        panel = frame(new).iloc[:, PANEL]
        before = error(quiet_impute(plain, panel).values, new, HIDDEN)
        after = error(quiet_impute(known, panel).values, new, HIDDEN)
        assert after < 0.8 * before

    def test_the_values_are_the_conditional_mean_and_the_deviations_its_own(
        self, model: Model, fresh: Float32
    ) -> None:
        """Without a network everything is normal, and the textbook has both."""
        known = calibrate(model, frame(curved(), "s"))
        linear = known.parameters.copy()
        linear.layers()[-1].weight[:] = 0.0
        known = replace(known, parameters=linear)
        factors, p = known.residual_factors, linear
        assert factors is not None and p.gene_loading is not None and p.gene_bias is not None
        found = quiet_impute(known, frame(fresh).iloc[:5, PANEL], sd=True)
        whole = frame(np.where(np.isin(np.arange(N_GENES), PANEL), fresh, np.nan)[:5])
        assert_allclose(impute(known, whole).values, found.values, rtol=1e-3, atol=1e-4)

        u = known.sample_embedding.astype(float)
        design = np.concatenate([p.gene_loading, factors.loading], axis=1).astype(float)
        spread = np.eye(design.shape[1])
        spread[:2, :2] = np.cov(u.T)
        mean = p.gene_bias + float(p.layers()[-1].bias[0]) + p.gene_loading @ u.mean(axis=0)
        covariance = design @ spread @ design.T
        noise = factors.noise.astype(float)
        seen = covariance[np.ix_(PANEL, PANEL)] + np.diag(
            noise[PANEL] * (1 + len(PANEL) / factors.independent_genes)
        )
        gain = np.linalg.solve(seen, covariance[PANEL]).T
        expected = mean + (fresh[:5, PANEL] - mean[PANEL]) @ gain.T
        variance = np.diag(covariance - gain @ covariance[PANEL]) + noise
        assert found.sd is not None
        assert_allclose(found.values[:, HIDDEN], expected[:, HIDDEN], rtol=1e-2, atol=1e-2)
        assert_allclose(found.sd[:, HIDDEN] ** 2, np.tile(variance[HIDDEN], (5, 1)), rtol=1e-3)
        assert np.isnan(found.sd[:, PANEL]).all()

    def test_intervals_hold_new_measurements(self, fresh: Float32) -> None:
        found = trained(curved(240), iterations=2000)
        known = calibrate(found, frame(curved(240), "s"))
        if known.residual_factors is None:
            pytest.skip("nothing is left for factors to share")
        imputed = quiet_impute(known, frame(fresh).iloc[:, PANEL], sd=True)
        assert imputed.sd is not None
        gap = np.abs(fresh - imputed.values)[:, HIDDEN]
        assert 0.8 < (gap < 1.645 * imputed.sd[:, HIDDEN]).mean() < 0.99

    def test_a_model_without_factors_has_no_deviations(self, fresh: Float32) -> None:
        plain = trained(curved(80), iterations=30, calibrate=False)
        with pytest.raises(InputError, match="no residual factors"):
            quiet_impute(plain, frame(fresh).iloc[:, PANEL], sd=True)

    def test_units_of_the_input(self) -> None:
        counts = 10.0 ** np.abs(curved(60, 50)) - 1
        found = fit(expression(counts), FitConfig(**SMALL, iterations=100))
        new = np.float32(10.0 ** np.abs(curved(5, 50, seed=2)) - 1)
        imputed = quiet_impute(found, frame(new).iloc[:, :10])
        assert_array_equal(imputed.values[:, :10], new[:, :10])
        assert (imputed.values >= 0).all() and imputed.values.max() > 10
        logs = quiet_impute(found, frame(new).iloc[:, :10], scale="model")
        assert_allclose(np.log10(imputed.values + 1), np.maximum(logs.values, 0), atol=1e-4)

    def test_counts_per_million(self) -> None:
        counts = np.random.default_rng(0).poisson(5.0, (40, 30)).astype(np.float32) + 1
        found = fit(
            expression(counts),
            FitConfig(**SMALL, iterations=50),
            transform="cpm",
        )
        imputed = impute(found, frame(counts[:4]))
        assert_allclose(
            imputed.values, counts[:4] / counts[:4].sum(1, keepdims=True) * 1e6, rtol=1e-4
        )

    def test_the_published_model_has_no_loading(self, fresh: Float32) -> None:
        found = trained(curved(80), recipe="published", iterations=30)
        assert np.isfinite(quiet_impute(found, frame(fresh).iloc[:, PANEL]).values).all()

    def test_refusals(self, model: Model, fresh: Float32) -> None:
        with pytest.raises(InputError, match="no gene in common"):
            impute(model, frame(fresh).add_prefix("other"))
        panel = frame(fresh).iloc[:, PANEL].copy()
        panel.iloc[2] = np.nan
        with pytest.raises(InputError, match="'new2'"):
            quiet_impute(model, panel)
        twice = panel.rename(columns={"g5": "g0"})
        with pytest.raises(InputError, match="'g0' 2 times"):
            quiet_impute(model, twice)


class TestAddGenes:
    """Genes that come later are as good as genes that were there."""

    def test_genes_that_are_taken_away_and_added_back(self, fresh: Float32) -> None:
        values, new = curved(), fresh
        late = np.arange(0, N_GENES, 9)
        early = np.setdiff1d(np.arange(N_GENES), late)
        names = [f"g{j}" for j in range(N_GENES)]
        whole = trained(values, iterations=2000)
        part = fit(
            _some_genes(values, early),
            FitConfig(**SMALL, iterations=2000),
            transform="none",
        )
        grown = add_genes(part, frame(values, "s"))
        assert list(grown.gene_names) == [names[j] for j in [*early, *late]]
        for name, array in part.parameters.arrays().items():
            kept = grown.parameters.arrays()[name]
            assert_array_equal(kept[: len(array)], array, err_msg=name)
        grown.check()
        # On new samples, placed by the early genes alone: the late genes are decoded about as well
        # as those that the network was trained for, and as in a model of all genes.
        table = frame(new)
        found = project(part, table.iloc[:, early])
        late_error = np.square(grown.decode(found.sample_embedding)[:, len(early) :] - new[:, late])
        assert late_error.mean() < 2 * found.loss.mean()
        placed = project(whole, table)
        trained_error = np.square(whole.decode(placed.sample_embedding)[:, late] - new[:, late])
        spread = new[:, late].var(axis=0).mean()
        # The variance explained of the late genes is within four hundredths of the other model's.
        assert (late_error.mean() - trained_error.mean()) / spread < 0.04

    def test_each_gene_is_solved_alone(self, model: Model) -> None:
        values = curved()
        table = frame(values, "s")
        more = pd.DataFrame(
            {"a": values[:, 3] + 1, "b": -values[:, 9], "c": values[:, 4]}, index=table.index
        )
        together = add_genes(model, more)
        alone = add_genes(model, more, genes=["b"])
        assert_array_equal(alone.gene_embedding[-1], together.gene_embedding[-2])
        assert_array_equal(
            add_genes(model, more, n_threads=3).gene_embedding, together.gene_embedding
        )
        # a is a copy of a gene that the model knows, shifted: the bias takes it, in closed form.
        row = N_GENES
        decoded = together.decode(model.sample_embedding)
        shifted = np.square(decoded[:, row] - more["a"]).mean()
        assert shifted <= 1.05 * np.square(decoded[:, 3] - values[:, 3]).mean()

    def test_missing_entries_are_left_out(self, model: Model) -> None:
        values = curved()
        gene = values[:, 5].copy()
        gene[::3] = np.nan
        grown = add_genes(model, pd.DataFrame({"late": gene}, index=model.sample_names))
        decoded = grown.decode(model.sample_embedding)[:, -1]
        assert np.square(decoded - values[:, 5])[::3].mean() < 0.02

    def test_samples_that_were_not_trained_on(self, model: Model, fresh: Float32) -> None:
        table = frame(fresh).assign(late=2 * fresh[:, 11])
        grown = add_genes(model, table)
        assert grown.n_genes == N_GENES + 1 and grown.gene_names[-1] == "late"
        with pytest.raises(InputError, match=r"'new0'.*not one of the training"):
            add_genes(model, table[["late"]])

    def test_it_is_saved_and_loaded(self, model: Model, tmp_path: Path) -> None:
        more = pd.DataFrame({"late": curved()[:, 5]}, index=model.sample_names)
        add_genes(model, more).save(tmp_path / "grown")
        assert store.load(tmp_path / "grown").gene_names[-1] == "late"

    def test_the_published_model_has_no_loading(self) -> None:
        found = trained(curved(80), recipe="published", iterations=300)
        more = pd.DataFrame({"late": curved(80)[:, 5]}, index=found.sample_names)
        grown = add_genes(found, more)
        assert grown.parameters.gene_loading is None and grown.n_genes == N_GENES + 1

    def test_refusals(self, model: Model) -> None:
        table = frame(curved(), "s")
        with pytest.raises(InputError, match="every gene"):
            add_genes(model, table)
        with pytest.raises(InputError, match="'g3' is in the model already"):
            add_genes(model, table, genes=["g3"])
        with pytest.raises(InputError, match="'g999' is not in"):
            add_genes(model, table, genes=["g999"])
        with pytest.raises(InputError, match="list of genes to add is empty"):
            add_genes(model, table, genes=[])
        few = table.assign(late=np.nan)
        few.iloc[:5, -1] = 1.0
        with pytest.raises(InputError, match=r"'late'.*fewer than 10"):
            add_genes(model, few)
        infinite = table.assign(late=np.inf)
        with pytest.raises(InputError, match="infinite"):
            add_genes(model, infinite)
        with pytest.raises(InputError, match="'g1' 2 times"):
            add_genes(model, table.rename(columns={"g2": "g1"}))
        millions = replace(model, preprocessing=Preprocessing("cpm"))
        alone = pd.DataFrame({"late": np.ones(N_TRAINING)}, index=model.sample_names)
        with pytest.raises(InputError, match="per million of whole profiles"):
            add_genes(millions, alone)


def _some_genes(values: np.ndarray, genes: np.ndarray) -> Any:
    whole = expression(values)
    return type(whole).adopt(
        np.ascontiguousarray(whole.values[:, genes]), whole.sample_names, whole.gene_names[genes]
    )


class TestConfidence:
    """Covariances and p-values mean what they say."""

    def test_the_jacobian_is_the_derivative(self, model: Model) -> None:
        point = model.sample_embedding[5]
        genes = np.array([2, 40, 77])
        decoded, derivative = Jacobian(model.parameters).at(point, genes)
        assert_allclose(decoded, model.decode(point[None])[0, genes], atol=1e-4)
        step = 1e-3 * np.eye(2, dtype=np.float32)
        numeric = (model.decode(point + step) - model.decode(point - step))[:, genes].T / 2e-3
        assert_allclose(derivative, numeric, atol=0.05 * np.abs(numeric).max())

    def test_genes_that_fit_worse_where_they_pull_more_widen_it(self, model: Model) -> None:
        """The case that residual variance x inverse of J'J gets wrong."""
        rng = np.random.default_rng(8)
        points = model.sample_embedding[rng.integers(0, model.n_samples, 300)]
        jacobian = Jacobian(model.parameters)
        pull = np.stack(
            [np.linalg.norm(jacobian.at(p, np.arange(N_GENES))[1], axis=1) for p in points]
        )
        noise = rng.normal(size=pull.shape) * 0.05 * pull / pull.mean()
        profiles = (model.decode(points) + noise).astype(np.float32)
        found = project(model, profiles)
        gap = found.sample_embedding.astype(float) - points
        covered = squared_distance(gap, found.covariance) < chi2(2).ppf(0.9)
        solution = place(model.parameters, profiles)
        naive = solution.loss[:, None, None] * np.linalg.inv(solution.curvature)
        too_small = squared_distance(gap, naive) < chi2(2).ppf(0.9)
        assert too_small.mean() < 0.8
        assert covered.mean() == pytest.approx(0.9, abs=0.06)

    def test_a_calibrated_ellipse_covers_as_often_as_it_says(self, model: Model) -> None:
        """Halves of the genes of new samples, with errors that half of the genes share."""
        rng = np.random.default_rng(9)
        values = curved(300, seed=4) + 0.15 * rng.standard_t(3, (300, N_GENES)).astype(np.float32)
        held_out, test = frame(values[:150], "held"), values[150:]
        known = calibrate(model, held_out)
        order = rng.permutation(N_GENES)
        new = frame(test)
        one, other = (project(known, new.iloc[:, half]) for half in (order[:45], order[45:]))
        gap = one.sample_embedding.astype(float) - other.sample_embedding
        covered = squared_distance(gap, one.covariance + other.covariance) < chi2(2).ppf(0.9)
        assert covered.mean() == pytest.approx(0.9, abs=0.06)

    @pytest.mark.parametrize("recipe", ["fast", "published"])
    def test_what_a_fit_learns_beside_its_parameters_changes_nothing_else(
        self, recipe: Recipe, fresh: Float32
    ) -> None:
        bare, known = (
            trained(curved(), calibrate, recipe=recipe, iterations=300)
            for calibrate in (False, True)
        )
        assert bare.calibration is None and bare.residual_factors is None
        assert known.calibration is not None and not known.calibration.reference_loss.size
        factor = known.calibration.ellipse_factor
        one, other = project(bare, fresh), project(known, fresh)
        assert_array_equal(one.sample_embedding, other.sample_embedding)
        assert_array_equal(bare.sample_loss, known.sample_loss)
        assert_allclose(other.covariance, factor * one.covariance, rtol=1e-12)
        assert one.p_value is None and other.p_value is None

    @pytest.mark.parametrize("likelihood", ["least-squares", "normal"])
    def test_a_fit_covers_as_often_as_it_says(self, likelihood: str) -> None:
        """Errors of heavy tails, 120 held-out samples; halves of the genes of new samples."""
        rng = np.random.default_rng(10)
        values = curved(700, seed=6) + 0.3 * rng.standard_t(3, (700, N_GENES)).astype(np.float32)
        options = {"iterations": 1500, "validation_fraction": 0.3, "likelihood": likelihood}
        model = trained(values[:400], calibrate=True, **options)
        order = rng.permutation(N_GENES)
        new = frame(values[400:])
        one, other = (project(model, new.iloc[:, half]) for half in (order[:45], order[45:]))
        gap = one.sample_embedding.astype(float) - other.sample_embedding
        distances = squared_distance(gap, one.covariance + other.covariance)
        assert (distances < chi2(2).ppf(0.9)).mean() == pytest.approx(0.9, abs=0.06)

    def test_a_fit_learns_shared_errors_on_the_scale_of_its_data(self, fresh: Float32) -> None:
        rng = np.random.default_rng(3)
        loading = rng.normal(0, 0.4, (2, N_GENES)).astype(np.float32)
        values = curved(240) + rng.normal(size=(240, 2)).astype(np.float32) @ loading
        model = trained(10 * values, calibrate=True, iterations=1000)
        again = calibrate(model, frame(10 * values, "s"))
        assert model.residual_factors is not None and again.residual_factors is not None
        assert model.calibration is not None and again.calibration is not None
        assert again.calibration.ellipse_factor == model.calibration.ellipse_factor
        assert model.calibration.unexplained is not None
        assert again.calibration.unexplained is not None
        assert_allclose(again.calibration.unexplained, model.calibration.unexplained, rtol=1e-2)
        left = np.where(np.arange(N_GENES) % 5, np.nan, rng.normal(size=(4, N_GENES)))
        found, wanted = (
            known.predict(left.astype(np.float32))
            for known in (model.residual_factors, again.residual_factors)
        )
        assert_allclose(found, wanted, atol=1e-3 * np.abs(wanted).max())

    def test_too_few_samples_calibrate_nothing(self) -> None:
        model = trained(curved(19), calibrate=True, iterations=50)
        assert model.calibration is None and model.residual_factors is None

    def test_a_fit_with_half_of_its_entries_missing_is_calibrated(self) -> None:
        values = curved(120)
        values[np.random.default_rng(2).random(values.shape) < 0.5] = np.nan
        model = trained(values, calibrate=True, iterations=300)
        assert model.calibration is not None
        assert np.isfinite(project(model, values[:9]).covariance).all()

    def test_false_alarms_are_as_rare_as_stated(self, model: Model, fresh: Float32) -> None:
        known = calibrate(model, frame(curved(400, seed=5), "held"))
        found = project(known, curved(400, seed=6)).p_value
        assert found is not None
        for level in (0.01, 0.05, 0.2):
            share = (found <= level).mean()
            assert share == pytest.approx(level, abs=3 * np.sqrt(2 * level / 400))
        strange = np.random.default_rng(7).permuted(fresh, axis=1)
        # No word of the scale: genes differ here between places as much as from each other.
        p = project(known, strange).p_value
        assert p is not None and (p <= 0.01).all()
        few = frame(fresh).copy()
        few.iloc[0, 40:] = np.nan
        p = project(known, few).p_value
        assert p is not None and np.isnan(p[0]) and np.isfinite(p[1:]).all()

    def test_p_values(self) -> None:
        reference = np.array([3.0, 1.0, 2.0])
        found = novelty.p_value(np.array([0.5, 2.0, 3.0 + 1e-9, 9.0, 90.0]), reference)
        assert_allclose(found[:3], [1.0, 0.75, 0.25])
        # Beyond the range the logarithm falls on: as far again, as much less.
        assert found[4] < found[3] < 0.25
        far = novelty.p_value(np.array([27.0]), reference)[0]
        assert far / found[3] == pytest.approx(found[3] / 0.25)
        assert_allclose(novelty.p_value(np.array([1.0, 2.0]), np.ones(3)), [1.0, 0.25])

    def test_a_novelty_score_is_relative_to_the_samples_beside(self) -> None:
        places = np.array([[0, 0], [0, 1], [1, 0], [50, 50], [50, 51]], np.float32)
        left = np.array([1.0, 3.0, 2.0, 10.0, np.nan])
        new = np.array([[0.1, 0.1], [50, 50.2]], np.float32)
        crowd = np.repeat(places, 5, axis=0)
        found = novelty.score(np.array([4.0, 4.0]), new, np.repeat(left, 5), crowd)
        assert_allclose(found, [4.0, 0.4])
        alone = novelty.score(np.array([4.0]), new[:1], np.repeat(left, 5), crowd)
        assert_array_equal(alone, found[:1])
        few = novelty.score(np.array([4.0]), new[:1], left[:3], places[:3])
        assert_allclose(few, [2.0])

    def test_a_fit_knows_strangers_by_the_samples_that_it_held_out(self, tmp_path: Path) -> None:
        known = trained(curved(300), calibrate=True, iterations=1500)
        assert known.calibration is not None and known.calibration.reference_size == 30
        fresh = curved(300, seed=6)
        p = project(known, fresh).p_value
        assert p is not None and (p <= 0.05).mean() < 0.12
        strange = np.random.default_rng(7).permuted(fresh, axis=1)
        sd = fresh.std(axis=0) * np.where(np.arange(N_GENES) % 2, 1, -1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # of their scale
            far, shifted = (project(known, x).p_value for x in (strange, np.float32(fresh + sd)))
        assert far is not None and (far <= 0.01).all()
        assert shifted is not None and (shifted < 0.01).mean() >= 0.99
        known.save(tmp_path / "known")
        assert_array_equal(project(tmp_path / "known", fresh).p_value, p)

    def test_training_samples_are_no_reference(self, model: Model, fresh: Float32) -> None:
        known = calibrate(model, frame(curved(), "s"))
        assert known.calibration is not None and not known.calibration.reference_loss.size
        assert project(known, fresh).p_value is None
        assert model.calibration is None and model.residual_factors is None

    def test_it_is_saved_and_loaded(self, model: Model, fresh: Float32, tmp_path: Path) -> None:
        values = np.concatenate([curved(), curved(30, seed=5)])
        names = [*model.sample_names, *(f"held{i}" for i in range(30))]
        table = pd.DataFrame(values, names, model.gene_names)
        known = calibrate(model, table)
        known.save(tmp_path / "known")
        loaded = store.load(tmp_path / "known")
        one, other = project(known, fresh), project(loaded, fresh)
        assert one.p_value is not None and other.p_value is not None
        assert_array_equal(one.p_value, other.p_value)
        assert_array_equal(one.covariance, other.covariance)
        panel = frame(fresh).iloc[:, PANEL]
        assert_array_equal(quiet_impute(known, panel).values, quiet_impute(loaded, panel).values)

    def test_refusals(self, model: Model, fresh: Float32) -> None:
        with pytest.raises(InputError, match="at least 20 samples"):
            calibrate(model, frame(fresh[:19]))
        with pytest.raises(InputError, match="89 of the model's 90 genes"):
            calibrate(model, frame(fresh).iloc[:, 1:])


class TestLibrarySize:
    """Counts per million of a panel are on the scale of whole profiles."""

    def test_a_panel_of_counts_lands_where_the_whole_profile_does(self) -> None:
        rng = np.random.default_rng(0)
        depth = rng.uniform(2000, 20000, (120, 1))
        shares = 10.0 ** curved(120)
        counts = rng.poisson(depth * 10 * shares / shares.sum(axis=1, keepdims=True))
        values = counts.astype(np.float32)
        config = FitConfig(**SMALL, iterations=1000)
        model = fit(expression(values[:100]), config, transform="cpm")
        new = frame(values[100:])
        whole = project(model, new)
        with pytest.warns(DataWarning, match="only 18"):
            panel = project(model, new.iloc[:, PANEL])
        size = np.sqrt(model.sample_embedding.var(axis=0).sum())
        apart = np.linalg.norm(panel.sample_embedding - whole.sample_embedding, axis=1) / size
        assert np.median(apart) < 0.2
        # By the panel's own totals every gene would be 0.7 too high.
        assert np.median(panel.loss) < 2 * np.median(whole.loss)
        imputed = quiet_impute(model, new.iloc[:, PANEL], keep_observed=False)
        millions = values[100:] / values[100:].sum(axis=1, keepdims=True) * 1e6
        gap = np.log10(imputed.values + 1) - np.log10(millions + 1)
        assert abs(np.median(gap)) < 0.1
