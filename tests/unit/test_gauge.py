"""The gauge changes coordinates and nothing else; afterwards the mean metric is the identity."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from fembed import engine
from fembed._reference.placement import jacobian
from fembed.solvers.samples import mean_curvature
from fembed.train.coordinates import fix_gauge
from tests.property.engine_problems import rounding_size, to_float32
from tests.property.strategies import generators, random_parameters


@settings(deadline=None, max_examples=60)
@given(
    generators,
    st.integers(1, 9),
    st.lists(st.integers(4, 40), min_size=1, max_size=3).map(tuple),
    st.booleans(),
)
def test_the_gauge_of_any_model(
    rng: np.random.Generator, d: int, hidden: tuple[int, ...], loading: bool
) -> None:
    p = to_float32(random_parameters(rng, 30, 50, d, 6, hidden, loading=loading))
    p.sample_embedding[:] *= np.geomspace(0.1, 10, d).astype(np.float32)
    metric = mean_curvature(p)
    lengths = np.linalg.eigvalsh(metric)
    assume(lengths[0] > 1e-4 * lengths[-1])
    before = engine.decode(p, p.sample_embedding)
    v, c = p.gene_embedding.copy(), p.gene_bias
    fix_gauge(p)
    error = np.abs(engine.decode(p, p.sample_embedding) - before).max()
    condition = np.sqrt(lengths[-1] / lengths[0])
    assert error < 3e-6 * condition * rounding_size(p, p.sample_embedding, np.arange(50))
    assert_allclose(mean_curvature(p), np.eye(d), atol=2e-3)
    assert_array_equal(p.gene_embedding, v)
    assert p.gene_bias is c


def test_the_mean_metric_is_the_references() -> None:
    rng = np.random.default_rng(0)
    p = to_float32(random_parameters(rng, 12, 30, 3, 4, (9, 7)))
    slopes = [jacobian(p, u, np.arange(30))[1] for u in p.sample_embedding]
    expected = np.mean([slope.T @ slope / 30 for slope in slopes], axis=0)
    assert_allclose(mean_curvature(p), expected, rtol=1e-4, atol=1e-5)


def test_a_step_in_the_map_is_as_long_as_its_change_of_expression() -> None:
    rng = np.random.default_rng(1)
    p = to_float32(random_parameters(rng, 200, 80, 2, 6, (20, 20)))
    fix_gauge(p)
    angles = rng.uniform(0, 2 * np.pi, 200)
    step = (0.01 * np.stack([np.cos(angles), np.sin(angles)], axis=1)).astype(np.float32)
    u = p.sample_embedding
    change = engine.decode(p, u + step) - engine.decode(p, u)
    assert_allclose(np.sqrt(np.square(change).mean()), 0.01, rtol=0.1)


def test_a_flat_model_is_left_alone() -> None:
    p = to_float32(random_parameters(np.random.default_rng(2), 5, 6, 2, 3, (4,), loading=False))
    p.network[:] = 0.0
    before = p.copy()
    fix_gauge(p)
    for name, array in p.arrays().items():
        assert_array_equal(array, before.arrays()[name])


def test_a_direction_that_changes_nothing_stays_finite() -> None:
    p = to_float32(random_parameters(np.random.default_rng(3), 20, 30, 3, 4, (8,)))
    assert p.gene_loading is not None
    p.gene_loading[:, 1] = 0.0
    p.layers()[0].weight[:, 1] = 0.0
    before = engine.decode(p, p.sample_embedding)
    fix_gauge(p)
    assert all(np.isfinite(array).all() for array in p.arrays().values())
    size = rounding_size(p, p.sample_embedding, np.arange(30))
    assert np.abs(engine.decode(p, p.sample_embedding) - before).max() < 1e-4 * size
