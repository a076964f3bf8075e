"""Facts about the likelihood of counts: it is the negative binomial's, and float32 can hold it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import nbinom, poisson

from fembed import engine
from fembed._reference.counts import CountTerms, count_terms
from fembed.likelihood import LOG_MEAN_LIMITS, Counts
from fembed.solvers.deviance import count_terms as engine_terms
from tests.property.engine_problems import examples
from tests.property.kernels import FLOAT32, Kernel

log_means = st.floats(-8.0, 8.0)
dispersions = st.sampled_from([0.0, 1e-6, 1e-3, 0.1, 1.0, 30.0])


def distribution(mean: float, dispersion: float) -> object:
    if dispersion == 0.0:
        return poisson(mean)
    return nbinom(1 / dispersion, 1 / (1 + dispersion * mean))


@given(log_means, dispersions, st.integers(0, 5000))
def test_the_deviance_is_twice_the_log_of_the_likelihood_ratio(
    log_mean: float, dispersion: float, count: int
) -> None:
    mean = float(np.exp(log_mean))
    found = float(count_terms(np.array(count), np.array(log_mean), np.array(dispersion)).deviance)
    of_itself = 0.0  # zero is certain if it is the mean
    if count:
        of_itself = distribution(count, dispersion).logpmf(count)  # type: ignore[attr-defined]
    here = distribution(mean, dispersion).logpmf(count)  # type: ignore[attr-defined]
    # scipy's logarithms of gamma functions of 1 / dispersion lose digits.
    rounding = 1e-9 * (1 + count + (1 / dispersion if dispersion else 0.0))
    assert found == pytest.approx(2 * (of_itself - here), rel=1e-6, abs=rounding)


@given(st.floats(-6.0, 4.0), st.sampled_from([0.0, 1e-3, 0.1, 0.5, 1.0]))
def test_the_slope_has_the_mean_zero_and_the_weight_as_its_variance(
    log_mean: float, dispersion: float
) -> None:
    counts = np.arange(6000)
    mean = float(np.exp(log_mean))
    probability = distribution(mean, dispersion).pmf(counts)  # type: ignore[attr-defined]
    terms = count_terms(counts.astype(float), np.array(log_mean), np.array(dispersion))
    assert probability @ terms.slope == pytest.approx(0.0, abs=1e-9 * (1 + mean))
    assert probability @ terms.slope**2 == pytest.approx(terms.weight[0], rel=1e-7)


@given(
    st.sampled_from([0.0, 1.0, 7.0, 1e3, 1e7]),
    st.floats(-35.0, 30.0),
    st.sampled_from([0.0, 1e-12, 1e-3, 1.0, 1e6]),
)
def test_the_slope_is_half_the_derivative_of_the_deviance(
    count: float, log_mean: float, dispersion: float
) -> None:
    h = 1e-5
    at = log_mean + h * np.array([-1.0, 0.0, 1.0])
    terms = count_terms(np.full(3, count), at, np.full(3, dispersion))
    assert (terms.deviance >= -1e-9 * (1 + count)).all()
    # Near a limit the derivative has a kink.
    if abs(at[:, None] - LOG_MEAN_LIMITS).min() > h:
        size = float(np.abs(terms.deviance).max()) + 40 * count
        expected = (terms.deviance[2] - terms.deviance[0]) / (4 * h)
        flat = log_mean < LOG_MEAN_LIMITS[0] and count == 0  # it would fall on, from 1e-13
        assert (0.0 if flat else terms.slope[1]) == pytest.approx(
            expected, rel=1e-5, abs=1e-15 * size / h
        )


def every_size() -> tuple[np.ndarray, ...]:
    """Counts, logarithms of means and dispersions of all sizes, in all combinations."""
    counts = np.array([0, 1, 2, 3, 10, 99, 1e4, 1e5 + 1, 1e7, np.nan])
    dispersion = np.array([0, 1e-38, 1e-12, 1e-7, 1e-3, 0.03, 0.1, 0.5, 1, 3, 100, 1e6, 1e12])
    rng = np.random.default_rng(0)
    near = np.log(counts[1:-1])[:, None] + [0, 1e-6, -1e-4, 1e-2, -0.3, 0.35, 1.1, -2.1]
    log_mean = np.concatenate([rng.uniform(-40, 40, 400), near.ravel(), [-100.0, 100.0, -30, 25]])
    grid = np.meshgrid(counts, log_mean, dispersion, indexing="ij")
    return tuple(part.ravel().astype(np.float32) for part in grid)


def terms_of(kernel: Kernel, *parts: np.ndarray) -> CountTerms:
    """Deviance, slope and weight of counts, logarithms of means and dispersions."""
    if kernel.is_native:
        found = engine_terms(*parts, isa=kernel.name)
        return CountTerms(found.deviance, found.slope, found.weight)
    import torch

    from fembed.engine.on_torch.counts import count_terms

    counts, log_mean, dispersion = map(torch.from_numpy, parts)
    there = count_terms(log_mean, counts, dispersion)
    half, slope, weight = (np.where(np.isnan(parts[0]), 0, part.numpy()) for part in there)
    return CountTerms(2 * half, slope, weight)


@pytest.mark.parametrize("kernel", FLOAT32, ids=str)
def test_the_engines_terms_are_the_references_for_every_size(kernel: Kernel) -> None:
    counts, log_mean, dispersion = every_size()
    found = terms_of(kernel, counts, log_mean, dispersion)
    y, eta, a = (part.astype(np.float64) for part in (counts, log_mean, dispersion))
    expected = count_terms(y, eta, a)
    seen = ~np.isnan(y)
    within = np.clip(eta, *LOG_MEAN_LIMITS)
    bend = expected.weight * np.where(seen, (1 + a * y) / (1 + a * np.exp(within)), 0.0)
    # log(mean / count) is rounded as its two parts are; all else to a few units.
    error = 3e-7 * (1 + np.abs(within) + np.log(np.maximum(np.where(seen, y, 1), 1)))
    for name, tolerance in (
        ("weight", 3e-6 * expected.weight),
        ("slope", 1e-6 * np.abs(expected.slope) + bend * error),
        (
            "deviance",
            2e-6 * expected.deviance
            + 2 * np.abs(expected.slope) * error
            + bend * error**2
            + 1e-14 * (40 * np.where(seen, y, 0) + 1),  # the reference's own
        ),
    ):
        value, goal = getattr(found, name), getattr(expected, name)
        assert np.isfinite(value).all(), name
        assert (np.abs(value - goal) <= tolerance + 1e-37).all(), name
        assert_array_equal(value[~seen], 0.0)
    assert (found.deviance >= 0).all()


@pytest.mark.parametrize("kernel", FLOAT32, ids=str)
def test_poisson_is_where_the_dispersion_ends(kernel: Kernel) -> None:
    counts = np.repeat(np.float32([0, 1, 50, 1e5]), 50)
    log_mean = np.tile(np.linspace(-5, 12, 50, dtype=np.float32), 4)
    limit = terms_of(kernel, counts, log_mean, np.zeros_like(counts))
    gap = np.abs(limit.slope - (np.exp(log_mean) - counts))
    assert (gap <= 1e-5 * np.exp(log_mean) + 2e-7 * counts).all()
    assert_allclose(limit.weight, np.exp(log_mean), rtol=2e-6)
    for dispersion in (1e-9, 1e-12, 1e-30):
        near = terms_of(kernel, counts, log_mean, np.full_like(counts, dispersion))
        for name in ("deviance", "slope", "weight"):
            assert_allclose(getattr(near, name), getattr(limit, name), rtol=3e-4, atol=1e-6)


@examples(20)
@given(st.integers(0, 70))
def test_where_a_term_stands_does_not_change_it(n: int) -> None:
    some = tuple(part[5000 : 5000 + n].copy() for part in every_size())
    for isa in engine.ISAS:
        whole = engine_terms(*every_size(), isa=isa)
        part = engine_terms(*some, isa=isa)
        for name in ("deviance", "slope", "weight"):
            assert_array_equal(getattr(part, name), getattr(whole, name)[5000 : 5000 + n])


def test_counts_of_samples_follow_their_rows_and_columns() -> None:
    counts = Counts.of_samples(size=[1.0, 10.0, 0.1], dispersion=[0.0, 0.5])
    assert counts.row_offset is not None
    assert_allclose(counts.row_offset, np.log([1.0, 10.0, 0.1]), rtol=1e-6)
    part = counts.take_rows([2]).take_columns(slice(1, 2))
    assert part.row_offset is not None
    assert part.column_dispersion is not None
    assert_allclose(part.row_offset, [np.log(0.1)], rtol=1e-6)
    assert_array_equal(part.column_dispersion, np.float32([0.5]))
    turned = counts.transposed()
    assert turned.row_dispersion is counts.column_dispersion
    assert turned.column_offset is counts.row_offset
    assert turned.row_offset is None
    with pytest.raises(ValueError, match="size factors of samples are positive"):
        Counts.of_samples(size=[1.0, 0.0], dispersion=[0.1])
