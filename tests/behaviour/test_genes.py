"""The genes of a model: planted modules are near, facts add up, every door says the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, read_h5ad
from numpy.testing import assert_allclose, assert_array_equal

import fembed
from fembed import InputError, tl
from fembed.commands.app import run
from fembed.data.lookup import spelling_hint
from fembed.model import Model
from fembed.solvers.residual_factors import ResidualFactors
from tests.curved_expression import curved, frame, trained
from tests.tiny_model import N_GENES, tiny_model

MODULE = 8  # genes that follow gene g0, at other heights


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    found = curved(300, 60)
    rng = np.random.default_rng(5)
    height = rng.uniform(0.5, 2.0, size=MODULE - 1)
    found[:, 1:MODULE] = found[:, :1] * height + rng.normal(scale=0.05, size=(300, MODULE - 1))
    return found


@pytest.fixture(scope="module")
def model(values: np.ndarray) -> Model:
    return trained(values, iterations=1500)


def with_factors(seed: int = 0) -> Model:
    rng = np.random.default_rng(seed)
    loading = rng.normal(size=(N_GENES, 3)).astype(np.float32)
    noise = rng.uniform(0.5, 1.0, N_GENES).astype(np.float32)
    return replace(tiny_model(seed), residual_factors=ResidualFactors(loading, noise, 5.0))


# ---- near genes


def test_a_planted_module_is_near(model: Model) -> None:
    near = fembed.genes(model).near("g0", n=MODULE - 1)
    planted = {f"g{j}" for j in range(1, MODULE)}
    for by, least in (("profile", MODULE - 1), ("vector", MODULE - 2)):
        assert len(planted & set(near["near"][near["by"] == by])) >= least


def test_similarities_are_cosines_and_correlations(model: Model) -> None:
    found = fembed.genes(model)
    near = found.near(["g3", "g9"], n=100)
    assert len(near) == 2 * 2 * 59  # all other genes, whatever n
    vectors = model.gene_embedding.astype(float)
    vectors -= vectors.mean(axis=0)
    decoded = np.corrcoef(model.decode(model.sample_embedding).astype(float).T)
    for row in near.sample(20, random_state=0).itertuples():
        one, other = int(row.gene[1:]), int(row.near[1:])
        cosine = (
            vectors[one]
            @ vectors[other]
            / np.sqrt((vectors[one] @ vectors[one]) * (vectors[other] @ vectors[other]))
        )
        assert row.vector_similarity == pytest.approx(cosine, abs=1e-5)
        assert row.profile_correlation == pytest.approx(decoded[one, other], abs=1e-5)
    for _, part in near.groupby(["gene", "by"]):
        column = {"vector": "vector_similarity", "profile": "profile_correlation"}
        assert part[column[part["by"].iloc[0]]].is_monotonic_decreasing
        assert part["rank"].tolist() == list(range(1, 60))


def test_a_gene_that_never_varies_is_like_no_other() -> None:
    model = tiny_model()
    p = model.parameters
    assert p.gene_loading is not None
    p.network[:] = 0.0
    p.gene_loading[2] = 0.0
    near = fembed.genes(model).near(["GENE0", "GENE2"], n=6)
    profiles = near[near["by"] == "profile"]
    assert profiles["profile_correlation"][profiles["gene"] == "GENE2"].isna().all()
    assert profiles["near"][profiles["gene"] == "GENE0"].iloc[-1] == "GENE2"
    assert np.isnan(fembed.genes(model).linear[2])


# ---- what is known of each gene


def test_of_a_linear_model_the_loading_is_that_of_its_skip() -> None:
    model = with_factors()
    p = model.parameters
    assert p.gene_loading is not None and p.gene_bias is not None
    p.network[:] = 0.0
    found = fembed.genes(model)
    assert_allclose(found.loading, p.gene_loading, atol=1e-5)
    assert_allclose(found.linear, 1.0, atol=1e-5)
    spread = np.cov(p.sample_embedding.astype(float).T, bias=True)
    variance = np.einsum("jk,kl,jl->j", p.gene_loading, spread, p.gene_loading)
    assert_allclose(found.sd_map, np.sqrt(variance), rtol=1e-4)
    assert_allclose(found.mean, p.gene_bias + p.gene_loading @ p.sample_embedding.mean(axis=0),
                    atol=1e-5)  # fmt: skip
    assert model.residual_factors is not None
    shared = np.square(model.residual_factors.loading).sum(axis=1)
    total = variance + shared + model.residual_factors.noise
    assert_allclose(found.explained, variance / total, rtol=1e-4)


def test_the_variance_explained_is_that_of_the_training_data(
    model: Model, values: np.ndarray
) -> None:
    found = fembed.genes(model)
    left = values - model.decode(model.sample_embedding)
    assert found.explained is not None and found.sd_noise is not None
    assert_allclose(found.explained, 1 - left.var(axis=0) / values.var(axis=0), atol=0.02)
    assert_allclose(found.sd_map, values.std(axis=0), rtol=0.1)


def test_permuted_genes_permute_rows() -> None:
    model, order = with_factors(), np.random.default_rng(1).permutation(N_GENES)
    assert model.residual_factors is not None
    other = replace(
        model,
        parameters=model.parameters.take_genes(order),
        gene_names=model.gene_names[order],
        residual_factors=model.residual_factors.take_genes(order),
    )
    wanted, found = fembed.genes(model), fembed.genes(other)
    pd.testing.assert_frame_equal(found.table(), wanted.table().iloc[order], rtol=1e-5)
    pd.testing.assert_frame_equal(found.near("GENE4"), wanted.near("GENE4"), atol=1e-6)


def test_without_residual_factors_noise_is_not_known() -> None:
    found = fembed.genes(tiny_model())
    assert found.explained is None and found.sd_noise is None
    assert set(found.facts()) == {"mean", "sd_map", "linear"}


# ---- doors


def test_the_command_writes_what_python_finds(
    model: Model, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    model.save("model")
    wanted = fembed.genes("model")

    def told(words: str) -> list[str]:
        assert run(["genes", "model", *words.split()]) == 0
        return capsys.readouterr().out.splitlines()

    told("-o genes.csv --n-threads 1")
    table = pd.read_csv("genes.csv", index_col="gene")
    pd.testing.assert_frame_equal(table, wanted.table(), check_dtype=False)
    assert not told("-o genes.h5ad -q")
    stored = read_h5ad("genes.h5ad")
    assert_array_equal(stored.varm["fembed"], model.gene_embedding)
    assert_array_equal(stored.varm["fembed_loading"], wanted.loading)
    assert_array_equal(stored.var["explained"], wanted.explained)
    near = wanted.near(["g4", "g2"], n=3)
    told("--near g4 --near g2 --n 3 -o near.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet("near.parquet"), near, check_dtype=False)
    lines = told("--near g4 --near g2 --n 3")
    assert len(lines) == 13 and lines[0].split()[:4] == ["gene", "by", "rank", "near"]
    assert lines[1].split()[:4] == ["g4", "vector", "1", near["near"][0]]


def test_the_verb_knows_genes_by_name(model: Model, values: np.ndarray) -> None:
    wanted = fembed.genes(model)
    adata = AnnData(frame(values).iloc[:, ::-1])
    adata.var_names = ["other", *adata.var_names[1:]]
    tl.genes(adata, model)
    assert_array_equal(adata.varm["fembed_loading"][1:], wanted.loading[-2::-1])
    assert_array_equal(adata.var["fembed_explained"][1:], wanted.facts()["explained"][-2::-1])
    assert np.isnan(adata.varm["fembed"][0]).all() and np.isnan(adata.var["fembed_mean"].iloc[0])
    tl.project(adata, model)  # the facts of another model do not stay
    assert "fembed_loading" not in adata.varm and "fembed_mean" not in adata.var


def test_refusals(
    model: Model, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    model.save("model")
    for words, message in (
        ("", "There is nothing to do; give -o FILE for the table, --near GENE or"),
        ("--near g3 -q", "--quiet without -o"),
        ("--near G3", "The gene 'G3' is not in the model; the closest name is g3."),
        ("--near TP53", "The gene 'TP53' is not in the model; check its spelling."),
        ("--near g3 --near g3", "--near names 'g3' twice"),
        ("--near g3 --n 0", "--n is 0"),
        ("-o model/genes.csv", "lies in the model"),
        ("-o genes.doc", "unknown ending"),
    ):
        assert run(["genes", "model", *words.split()]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not list(tmp_path.glob("genes*"))
    with pytest.raises(InputError, match="n is 0"):
        fembed.genes(model).near("g0", n=0)


def test_a_hint_names_what_is_most_like_it() -> None:
    genes = ["TP63", "EGFR", "TP53", "HLA-A"]
    assert spelling_hint("hla.a", genes) == "the closest name is HLA-A."
    assert spelling_hint("TP43", genes) == "close names are TP63 and TP53."
    assert spelling_hint("CD4", genes) == spelling_hint(None, genes) == "check its spelling."
