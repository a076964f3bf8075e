"""Where training starts: standard units, PCA for the fast recipe, chance for the published."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from fembed import engine
from fembed.config import FitConfig
from fembed.train import fit, initialization
from fembed.train.initialization import (
    random_initialization,
    spectral_initialization,
    tsne_layout,
)
from fembed.train.units import Units, standardise
from tests.curved_expression import curved, expression


def in_input_units(values: np.ndarray, units: Units) -> np.ndarray:
    return values.astype(np.float64) * units.scale + units.gene_mean


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32),
    st.integers(2, 20),
    st.integers(1, 20),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from([1e-3, 1.0, 1e4, 1e25]),
)
def test_standardise_is_undone_by_its_units(
    seed: int, n_samples: int, n_genes: int, missing: float, size: float
) -> None:
    rng = np.random.default_rng(seed)
    values = (size * (rng.normal(size=(n_samples, n_genes)) + rng.normal(size=n_genes))).astype(
        np.float32
    )
    values[rng.random(values.shape) < missing] = np.nan
    before = values.copy()
    units = standardise(values)
    observed = ~np.isnan(before)
    assert_array_equal(np.isnan(values), ~observed)
    largest = np.abs(before[observed]).max(initial=0.0)
    assert_allclose(in_input_units(values, units), before, rtol=0, atol=1e-6 * largest)
    if units.scale:
        share = largest / units.scale  # what rounding is in proportion to
        mean = np.where(observed, values, 0).sum(axis=0) / np.maximum(1, observed.sum(axis=0))
        assert np.abs(mean).max() < 2e-6 * share
        assert np.nanmean(np.square(values, dtype=np.float64)) == pytest.approx(1.0, rel=1e-4)


def test_constant_genes_leave_nothing_to_scale() -> None:
    values = np.repeat(np.array([[1 / 3, 7.7, np.nan]], np.float32), 50, axis=0)
    before = values.copy()
    units = standardise(values)
    assert units.scale == 0.0
    assert np.abs(np.nan_to_num(values)).max() < 1e-6
    assert_allclose(values + units.gene_mean.astype(np.float32), before, rtol=1e-6)


def test_one_varying_gene_among_constant_ones_is_scaled() -> None:
    values = np.full((10, 4), 3.0, np.float32)
    values[:, 2] += np.arange(10)
    units = standardise(values)
    assert_allclose(units.gene_mean, [3, 3, 7.5, 3])
    assert units.scale == pytest.approx(np.sqrt(np.var(np.arange(10)) / 4))
    assert not values[:, [0, 1, 3]].any()


@pytest.mark.parametrize("n_components", [4, 7])
def test_above_three_dimensions_the_spectral_start_is_pca(n_components: int) -> None:
    values = curved(60, 45)
    standardise(values)
    config = FitConfig(n_components=n_components, gene_components=10)
    parameters, explained = spectral_initialization(values, config, np.arange(60))
    assert parameters.gene_loading is not None
    u, loading = parameters.sample_embedding, parameters.gene_loading
    pca = PCA(n_components, svd_solver="full").fit(values.astype(np.float64))
    rebuilt = pca.inverse_transform(pca.transform(values))
    assert_allclose(u @ loading.T, rebuilt, atol=2e-4)
    assert_allclose(u.mean(axis=0), 0.0, atol=1e-5)
    assert_allclose(u.std(axis=0), 1.0, atol=1e-4)
    assert explained == pytest.approx(pca.explained_variance_ratio_.sum(), abs=1e-6)
    # The network adds little to it at first.
    output = engine.decode(parameters, u) - u @ loading.T
    assert 0.0 < output.std() < 0.15
    # And the genes start at their loadings on the first components, of unit variance.
    more = PCA(10, svd_solver="full").fit(values).components_
    overlap = np.abs(np.einsum("jc,cj->c", parameters.gene_embedding, more)) / np.sqrt(45)
    assert overlap[:7].min() > 0.99
    assert_allclose(np.square(parameters.gene_embedding).mean(axis=0), 1.0, rtol=1e-4)


def test_a_missing_entry_counts_as_its_genes_mean() -> None:
    values = curved(50, 40)
    values[np.random.default_rng(0).random(values.shape) < 0.1] = np.nan
    standardise(values)
    filled = np.nan_to_num(values)
    config = FitConfig(n_components=4, gene_components=5)
    found, explained = spectral_initialization(values, config, np.arange(50))
    expected, expected_explained = spectral_initialization(filled, config, np.arange(50))
    assert np.isnan(values).any()  # they are not filled in the data
    assert explained == expected_explained
    for name, array in found.arrays().items():
        assert_array_equal(array, expected.arrays()[name], err_msg=name)


def test_fewer_directions_than_components_start_small_and_finite() -> None:
    rng = np.random.default_rng(0)
    values = np.outer(rng.normal(size=20), rng.normal(size=15)).astype(np.float32)  # rank one
    standardise(values)
    parameters, explained = spectral_initialization(
        values, FitConfig(n_components=4, gene_components=30), np.arange(20)
    )
    assert explained == pytest.approx(1.0, abs=1e-5)
    assert all(np.isfinite(array).all() for array in parameters.arrays().values())
    assert parameters.gene_loading is not None
    assert not parameters.gene_loading[:, 1:].any()
    # Not zero, or the network could never tell the samples apart along them.
    assert (parameters.sample_embedding[:, 1:].std(axis=0) > 1e-3).all()


def test_other_samples_start_at_their_own_scores() -> None:
    values = curved(60, 45)
    standardise(values)
    some = np.arange(0, 60, 2)
    parameters, _ = spectral_initialization(
        values, FitConfig(n_components=4, gene_components=5), some
    )
    assert parameters.gene_loading is not None
    loading = parameters.gene_loading.astype(np.float64)
    scores = values @ np.linalg.pinv(loading).T
    assert_allclose(parameters.sample_embedding, scores, atol=1e-3)


def test_large_data_start_at_the_components_of_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    values = curved(400, 30, noise=0.01)
    standardise(values)
    config = FitConfig(n_components=4, gene_components=5)
    whole, explained = spectral_initialization(values, config, np.arange(400))
    monkeypatch.setattr(initialization, "MAX_PCA_SAMPLES", 200)
    part, part_explained = spectral_initialization(values, config, np.arange(400))
    assert part_explained == pytest.approx(explained, abs=1e-4)
    assert part.sample_embedding.shape == whole.sample_embedding.shape
    assert (np.abs(part.sample_embedding[:, :2]).max(axis=1) > 1e-3).all()


@pytest.mark.parametrize("n_components", [1, 2, 3])
def test_a_map_starts_where_neighbours_are_together(n_components: int) -> None:
    values = curved(200, 60)
    standardise(values)
    config = FitConfig(n_components=n_components, gene_components=10)
    parameters, explained = spectral_initialization(values, config, np.arange(200))
    u = parameters.sample_embedding
    assert_allclose(u.mean(axis=0), 0.0, atol=1e-5)
    assert_allclose(u.std(axis=0), 1.0, atol=1e-4)
    scores = PCA(n_components).fit_transform(values)
    assert trustworthiness(values, u, n_neighbors=8) > trustworthiness(
        values, scores, n_neighbors=8
    )
    # The linear part is the least-squares one, and PCA of the same size is still reported.
    assert parameters.gene_loading is not None
    slopes = np.linalg.lstsq(u.astype(np.float64), values.astype(np.float64), rcond=None)[0]
    assert_allclose(parameters.gene_loading, slopes.T, atol=1e-4)
    pca = PCA(n_components, svd_solver="full").fit(values)
    assert explained == pytest.approx(pca.explained_variance_ratio_.sum(), abs=1e-5)


def test_samples_outside_the_layout_start_amid_their_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = curved(200, 60)
    values[150:] = values[:50]  # the same profiles again
    standardise(values)
    learnt = np.arange(150)
    parameters, _ = spectral_initialization(values, FitConfig(), learnt)
    u = parameters.sample_embedding
    assert_allclose(u[150:], u[:50], atol=1e-3)
    assert_allclose(u[learnt].std(axis=0), 1.0, atol=1e-4)
    monkeypatch.setattr(initialization, "TSNE_LANDMARKS", 70)
    parameters, _ = spectral_initialization(values, FitConfig(), np.arange(200))
    assert trustworthiness(values, parameters.sample_embedding, n_neighbors=8) > 0.9


@pytest.mark.parametrize("values", [np.ones((30, 1)), np.repeat(np.eye(5), 6, axis=0)])
def test_a_map_of_degenerate_data_starts_finite(values: np.ndarray) -> None:
    scores = np.ascontiguousarray(values * np.linspace(1, 2, len(values))[:, None], np.float32)
    for n_components in (1, 2, 3):
        positions = tsne_layout(scores, np.arange(30), n_components, 0)
        assert positions.shape == (30, n_components) and np.isfinite(positions).all()


def test_the_published_start_is_normal_without_skip_or_bias() -> None:
    config = FitConfig(recipe="published", gene_components=20, hidden=(30, 10), seed=4)
    parameters = random_initialization(config, 300, 200)
    assert parameters.gene_loading is None and parameters.gene_bias is None
    for embedding in (parameters.sample_embedding, parameters.gene_embedding):
        assert embedding.dtype == np.float32
        assert abs(embedding.mean()) < 0.1 and abs(embedding.std() - 1) < 0.1
    for layer in parameters.layers():
        n_out, n_in = layer.weight.shape
        limit = np.sqrt(6 / (n_in + n_out))
        assert not layer.bias.any()
        assert 0.7 * limit < np.abs(layer.weight).max() <= limit
    other = random_initialization(FitConfig(recipe="published", seed=5), 300, 200)
    assert not np.array_equal(other.sample_embedding, parameters.sample_embedding)


def test_many_gene_components_leave_the_linear_part() -> None:
    """Genes that started at hundreds of noisy components once kept the network from learning."""
    config = FitConfig(gene_components=1000, iterations=400, n_threads=2, validation_fraction=0.0)
    training = fit(expression(curved(300, 700, 0.5)), config, transform="none").training
    assert training["explained_variance"] > 1.4 * training["pca_explained_variance"]
