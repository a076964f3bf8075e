"""Facts about dispersions estimated from simulated counts, whose dispersions are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from fembed.solvers.dispersion import estimate_dispersions

Float = NDArray[np.floating[Any]]
N_GENES = 1500


def means_of(rng: np.random.Generator, n_samples: int, level: float) -> Float:
    """Fitted means: genes of different expression, samples of different depth."""
    genes = np.exp(rng.normal(size=N_GENES) * 1.5 + level)
    depth = np.exp(0.4 * rng.normal(size=(n_samples, 1)))
    return depth * genes * np.exp(0.5 * rng.normal(size=(n_samples, N_GENES)))


def drawn(rng: np.random.Generator, means: Float, dispersion: Float) -> Float:
    gamma = rng.gamma(1 / dispersion, dispersion, means.shape)
    return rng.poisson(means * gamma).astype(np.float32)


def around_a_trend(rng: np.random.Generator, means: Float) -> Float:
    trend = 0.2 + 0.5 / means.mean(axis=0)
    return trend * np.exp(0.5 * rng.normal(size=N_GENES) - 0.125)


@pytest.mark.parametrize(("n_samples", "level"), [(400, -1.0), (100, 2.0)])
def test_dispersions_are_recovered_within_their_sampling_error(
    n_samples: int, level: float
) -> None:
    rng = np.random.default_rng(0)
    means = means_of(rng, n_samples, level)
    dispersion = around_a_trend(rng, means)
    found = estimate_dispersions(drawn(rng, means, dispersion), means)
    away = (found.own - dispersion) / np.sqrt(found.variance)
    assert abs(away.mean()) < 0.1
    assert 0.85 < away.std() < 1.25
    assert found.constant == pytest.approx(0.2, abs=0.04)
    assert found.slope == pytest.approx(0.5, abs=0.15)
    assert found.spread == pytest.approx(np.exp(0.25) - 1, rel=0.4)

    def error(estimate: Float) -> float:
        return float(np.median(np.abs(estimate / dispersion - 1)))

    assert error(found.dispersion) < 0.9 * min(error(found.own), error(found.trend))


def test_poisson_counts_have_no_dispersion() -> None:
    rng = np.random.default_rng(1)
    means = means_of(rng, 300, 1.0)
    found = estimate_dispersions(rng.poisson(means).astype(np.float32), means)
    assert (found.dispersion >= 0).all()
    assert float(np.median(found.dispersion)) < 1e-3
    assert (found.own < 0).mean() == pytest.approx(0.5, abs=0.1)


def test_genes_that_share_a_dispersion_are_drawn_together() -> None:
    rng = np.random.default_rng(2)
    means = means_of(rng, 300, 1.0)
    found = estimate_dispersions(drawn(rng, means, np.full(N_GENES, 0.3)), means)
    assert float(np.median(found.dispersion)) == pytest.approx(0.3, rel=0.1)
    assert found.dispersion.std() < 0.2 * found.own.std()


def test_means_fitted_to_the_same_counts_cost_degrees_of_freedom() -> None:
    rng = np.random.default_rng(3)
    means = np.repeat(np.exp(rng.normal(size=N_GENES) + 2)[None], 8, axis=0)
    counts = drawn(rng, means, np.full(N_GENES, 0.5))
    fitted = np.maximum(np.repeat(counts.mean(axis=0)[None], 8, axis=0), 1e-3)
    truth = estimate_dispersions(counts, means).constant
    naive = estimate_dispersions(counts, fitted).constant
    honest = estimate_dispersions(counts, fitted, n_unknowns=1).constant
    assert naive < 0.85 * truth
    assert honest == pytest.approx(truth, rel=0.1)


def test_missing_counts_and_genes_without_any_are_left_out() -> None:
    rng = np.random.default_rng(4)
    means = means_of(rng, 200, 1.0)
    counts = drawn(rng, means, around_a_trend(rng, means))
    lacking = counts.copy()
    lacking[150:, :700] = np.nan
    lacking[:, 3] = np.nan
    found = estimate_dispersions(lacking, means)
    assert np.isnan(found.own[3])
    assert np.isinf(found.variance[3])
    assert found.dispersion[3] == found.trend[3] > 0
    assert np.isfinite(found.dispersion).all()
    short = estimate_dispersions(lacking[:150], means[:150])
    assert_allclose(found.own[4:700], short.own[4:700], rtol=0.05, atol=0.02)
    nothing = estimate_dispersions(np.full((3, 4), np.nan), np.ones((3, 4)))
    assert_array_equal(nothing.dispersion, nothing.trend)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        estimate_dispersions(np.ones((3, 2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="means of counts are positive"):
        estimate_dispersions(np.ones((3, 2)), np.zeros((3, 2)))
