"""Decoding with a model: the oracle's numbers, for any genes in any order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fembed._reference.network import forward
from tests.tiny_model import N_GENES, tiny_model

POINTS = np.array([[0.0, 0.0], [1.0, -2.0], [30.0, 0.5]])


@pytest.mark.parametrize("linear", [True, False])
def test_decode_is_the_oracles(linear: bool) -> None:
    model = tiny_model(linear=linear)
    decoded = model.decode(POINTS)
    assert decoded.shape == (3, N_GENES)
    assert decoded.dtype == np.float32
    double = replace(model.parameters.astype(np.float64), sample_embedding=POINTS)
    oracle = forward(double, np.arange(3), np.arange(N_GENES))
    np.testing.assert_allclose(decoded, oracle, rtol=1e-5, atol=1e-5)


def test_genes_by_name_and_by_number_are_columns_of_the_whole() -> None:
    model = tiny_model()
    whole = model.decode(POINTS)
    np.testing.assert_allclose(
        model.decode(POINTS, genes=["GENE5", "GENE0", "GENE5"]), whole[:, [5, 0, 5]], rtol=1e-6
    )
    np.testing.assert_allclose(model.decode(POINTS, genes=[3]), whole[:, [3]], rtol=1e-6)
    np.testing.assert_allclose(
        model.decode(POINTS, genes=model.gene_names), whole, rtol=1e-6, atol=1e-7
    )


def test_no_points_give_no_rows() -> None:
    assert tiny_model().decode(np.empty((0, 2))).shape == (0, N_GENES)


def test_the_training_samples_are_points() -> None:
    model = tiny_model()
    assert model.decode(model.sample_embedding).shape == (model.n_samples, model.n_genes)
    assert (model.n_components, model.gene_components) == (2, 3)
