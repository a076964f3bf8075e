"""Objects show themselves by a few facts, at a prompt and in a notebook."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from anndata import AnnData

import fembed
from tests.small_expression import frame

SMALL = fembed.FitConfig(hidden=(8,), gene_components=4, iterations=20, n_threads=1)
HERE = fembed.Workers(n_workers=1, n_threads=1)


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    table, kinds = frame(), np.arange(36) % 3
    table.index = [f"<b>{name}</b>" for name in table.index]
    model = fembed.fit(table, SMALL)
    estimator = fembed.FactorizedEmbedding(hidden=(8,), gene_components=4, epochs=1)
    return {
        "model": model,
        "expression": fembed.Expression.of(AnnData(table.astype("float32"))),
        "projection": fembed.project(model, table),
        "imputation": fembed.impute(model, table.iloc[:, ::2]),
        "evaluation": fembed.evaluate(
            table, kinds, embedding=estimator, dims=[2], cv=2, workers=HERE
        ),
        "sweep": fembed.sweep(
            table, {"weight_decay": [0, 1e-3]}, kinds, config=SMALL, classifier_steps=5,
            workers=HERE,
        ),
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*has only 12 of the model")
def test_a_short_repr_and_a_table(objects: dict[str, Any]) -> None:
    wanted = {
        "model": "Model: 36 samples x 24 genes",
        "expression": "Expression: 36 samples x 24 genes",
        "projection": "Projection: 36 samples in 2 dimensions",
        "imputation": "measured: 12 genes, 50.0% of the entries",
        "evaluation": "pca in 2-D: ",
        "sweep": "weight_decay: 0, 1e-3",
    }
    for name, shown in objects.items():
        assert wanted[name] in repr(shown) and len(repr(shown)) < 600, name
        table = shown._repr_html_()
        assert table.count("<tr>") == len(repr(shown).splitlines()) - 1, name
        assert "<b><b>" not in table and "<b>s" not in table, name


def test_a_page_is_a_frame(objects: dict[str, Any]) -> None:
    page = fembed.pl.interactive_map(objects["model"])
    assert isinstance(page, str) and page.startswith("<!doctype html>")
    assert len(repr(page)) < 100
    assert page._repr_html_().startswith('<iframe srcdoc="&lt;!doctype html&gt;')
