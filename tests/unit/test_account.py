"""Units judged by values, and what is said where they contradict the transform."""

from __future__ import annotations

import re
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest

from fembed.config import FitConfig
from fembed.data.account import oriented, unit_doubt, units_of
from fembed.data.expression import Expression
from fembed.errors import DataWarning
from fembed.inference import project
from fembed.train import fit

N_GENES = 200


def counts(n_samples: int = 60, seed: int = 0) -> np.ndarray:
    """Libraries of depths that differ by four, genes over three decades."""
    rng = np.random.default_rng(seed)
    means = np.exp(np.random.default_rng(1).normal(3, 1.5, N_GENES))
    return rng.poisson(means * rng.uniform(0.5, 2, (n_samples, 1))).astype(np.float32)


def cpm(values: np.ndarray) -> np.ndarray:
    return values / values.sum(axis=1, keepdims=True) * 1e6


LOG2, LN = np.log2(cpm(counts()) + 1), np.log1p(cpm(counts()) / 100)


@pytest.mark.parametrize(
    ("values", "kind", "doubted"),
    [
        (counts(), "counts", {"log10", "none"}),
        (cpm(counts()), "linear", {"none"}),
        (LOG2, "log", {"log10", "cpm"}),
        (LN, "log", {"log10", "cpm"}),
        (LOG2 - LOG2.mean(axis=0), "centred", set()),
        (counts() / counts().max(), "shares", set()),
        (np.full((3, 3), np.nan), "unknown", set()),
    ],
)
def test_units_and_the_transforms_they_contradict(values, kind, doubted) -> None:
    values = values.astype(np.float32)
    assert units_of(values).kind == kind
    found = {t for t in ("log10", "cpm", "none") if unit_doubt(values, t, "it") is not None}
    assert found == doubted


def test_what_a_file_says_counts() -> None:
    assert units_of(np.full((9, 9), 40.5, np.float32), "log1p").kind == "log"
    assert units_of(np.full((9, 9), 40.5, np.float32), "estimated counts").kind == "counts"


@pytest.fixture(scope="module")
def model() -> Any:
    options: Any = {"hidden": (8,), "gene_components": 4, "iterations": 300, "n_threads": 1}
    return fit(frame(counts()), FitConfig(**options), transform="cpm")


def frame(values: np.ndarray) -> pd.DataFrame:
    names = [f"s{i}" for i in range(len(values))]
    return pd.DataFrame(values, names, [f"g{j}" for j in range(values.shape[1])])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (LOG2, "looks like log2 .* --transform match"),
        (np.random.default_rng(0).permuted(counts(), axis=1), "do not go with"),
        (cpm(counts()) ** 2, "times as much as the model's"),
    ],
)
def test_new_samples_in_other_units_are_said_to_be(model, values, words) -> None:
    with pytest.warns(DataWarning, match=words):
        project(model, frame(values))


def test_new_samples_in_the_same_units_are_placed_without_a_word(model) -> None:
    project(model, frame(counts(20, seed=5)))
    project(model, frame(counts(1, seed=6)))


@pytest.mark.parametrize("name", ["Total", "age", "entrez_gene_id", "Unnamed: 0", "#S3", "1-Mar"])
def test_names_of_other_things_than_genes_are_told(tmp_path, name) -> None:
    table = pd.DataFrame(np.ones((2, 3)), ["S1", "S2"], ["TP53", "EGFR", name])
    table.to_csv(tmp_path / "t.csv")
    for data in (table, anndata.AnnData(table), tmp_path / "t.csv"):
        with pytest.warns(DataWarning, match=re.escape(name)):
            Expression.of(data)


def test_an_anndata_object_without_features_that_are_no_genes(tmp_path) -> None:
    data = anndata.AnnData(
        pd.DataFrame([[1.0, 2.0, 3.0, 4.0]] * 2, ["a", "b"], [*"TCM", "__no_feature"])
    )
    data.var["feature_types"] = ["Gene Expression", "Antibody Capture", *["Gene Expression"] * 2]
    data.write_h5ad(tmp_path / "d.h5ad")
    for given in (data, tmp_path / "d.h5ad"):
        with pytest.warns(DataWarning, match="Antibody"), pytest.warns(DataWarning, match="reads"):
            found = Expression.of(given)
        assert found.gene_names.tolist() == ["T", "M"] and found.values.tolist() == [[1, 3]] * 2
    data.var["feature_types"] = "Antibody Capture"  # proteins, for which it was wanted
    with pytest.warns(DataWarning, match="reads"):
        assert Expression.of(data).gene_names.tolist() == [*"TCM"]


def test_tables_whose_names_say_genes_by_samples_are_turned() -> None:
    genes, samples = [f"ENSG{i:011d}" for i in range(9)], [f"TCGA-A0-{i:04d}" for i in range(4)]
    values = np.arange(36, dtype=np.float32).reshape(9, 4)
    table = Expression.adopt(values, genes, samples, origin="table.tsv")
    with pytest.warns(DataWarning, match=r"table.tsv is taken for genes x samples.*TCGA-A0-0000"):
        turned = oriented(table)
    assert list(turned.sample_names) == samples and turned.values.flags.c_contiguous
    np.testing.assert_array_equal(turned.values, values.T)
    assert oriented(turned) is turned
