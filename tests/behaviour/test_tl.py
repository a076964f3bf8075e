"""AnnData verbs: what they write, files in between, and scanpy's own functions on the result."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from anndata import AnnData

import fembed
from fembed import DataWarning, InputError, pp, tl
from tests.small_expression import frame

QUICK: dict[str, Any] = {"hidden": (8,), "gene_components": 4, "epochs": 2, "n_threads": 1}


def small(seed: int = 0) -> AnnData:
    """36 samples x 24 genes of counts, also as a layer of logarithms and as raw."""
    table = frame(seed)
    adata = AnnData(
        table.to_numpy(np.float32),
        obs=pd.DataFrame({"group": pd.Categorical(np.arange(36) % 3)}, index=table.index),
        var=pd.DataFrame(index=table.columns),
    )
    adata.raw = adata
    adata.layers["log"] = np.log10(adata.X + 1)
    return adata


def fitted(seed: int = 0) -> AnnData:
    adata = small(seed)
    tl.fit(adata, **QUICK)
    return adata


def same_model(first: fembed.Model, second: fembed.Model) -> bool:
    arrays, others = first.parameters.arrays(), second.parameters.arrays()
    return (
        list(arrays) == list(others)
        and all(np.array_equal(arrays[name], others[name]) for name in arrays)
        and first.config == second.config
        and first.preprocessing == second.preprocessing
        and first.sample_names.tolist() == second.sample_names.tolist()
        and first.gene_names.tolist() == second.gene_names.tolist()
        and np.array_equal(first.sample_loss, second.sample_loss)
    )


def read_back(adata: AnnData, folder: Path, ending: str) -> AnnData:
    path = folder / f"cells{ending}"
    with warnings.catch_warnings():
        # zarr's own, about its formats and threads: not what is tested here
        if ending == ".zarr":
            warnings.simplefilter("ignore")
        (adata.write_zarr if ending == ".zarr" else adata.write_h5ad)(path)
        return (anndata.read_zarr if ending == ".zarr" else anndata.read_h5ad)(path)


def test_fit_writes_what_a_fit_of_the_matrix_gives() -> None:
    adata = fitted()
    expected = fembed.fit(fembed.Expression.from_array(frame()), fembed.FitConfig(**QUICK))
    assert same_model(tl.model(adata), expected)
    np.testing.assert_array_equal(adata.obsm["X_fembed"], expected.sample_embedding)
    np.testing.assert_array_equal(adata.varm["fembed"], expected.gene_embedding)
    np.testing.assert_array_equal(adata.obs["fembed_loss"], expected.sample_loss)


def test_the_matrix_itself_is_unchanged() -> None:
    adata = fitted()
    np.testing.assert_array_equal(adata.X, small().X)
    np.testing.assert_array_equal(adata.layers["log"], small().layers["log"])


def test_a_layer_is_fitted_as_it_is() -> None:
    adata = small()
    tl.fit(adata, layer="log", transform="none", **QUICK)
    logs = fembed.Expression.from_array(np.log10(frame().astype(np.float32) + 1))
    expected = fembed.fit(logs, fembed.FitConfig(**QUICK), transform="none")
    np.testing.assert_array_equal(adata.obsm["X_fembed"], expected.sample_embedding)


def test_raw_brings_its_own_genes() -> None:
    adata = small()[:, 4:].copy()
    adata.var_names = ["NEW", *adata.var_names[1:]]
    tl.fit(adata, use_raw=True, **QUICK)
    model = tl.model(adata)
    assert model.n_genes == 24 and adata.varm["fembed"].shape == (20, 4)
    assert np.isnan(adata.varm["fembed"][0]).all()
    np.testing.assert_array_equal(adata.varm["fembed"][1:], model.gene_embedding[5:])


@pytest.mark.parametrize("raw", [False, True])
def test_what_a_mask_keeps_beside_genes_is_left_out(raw: bool) -> None:
    adata = small()
    adata.var["feature_types"] = ["Gene Expression"] * 20 + ["Antibody Capture"] * 4
    adata.raw = adata
    with pytest.warns(DataWarning, match="not genes, which are left out: 2 Antibody Capture"):
        tl.fit(adata, mask_var=np.arange(24) % 2 == 0, use_raw=raw, transform="cpm", **QUICK)
    assert tl.model(adata).n_genes == 10


def test_another_key_keeps_two_models_apart() -> None:
    adata = fitted()
    tl.fit(adata, 3, key_added="wide", random_state=1, **QUICK)
    assert adata.obsm["X_fembed"].shape == (36, 2) and adata.obsm["X_wide"].shape == (36, 3)
    assert tl.model(adata).config.seed == 0 and tl.model(adata, "wide").config.seed == 1
    assert tl.decode(adata, key="wide").obsm["X_wide"].shape == (36, 3)


@pytest.mark.parametrize("raw", [False, True])
def test_a_mask_chooses_the_genes(raw: bool) -> None:
    adata = small()
    adata.var["highly_variable"] = np.arange(24) % 3 == 0
    adata.raw.var["highly_variable"] = np.arange(24) % 3 == 0
    whole = adata.raw.to_adata() if raw else adata
    some = whole[:, adata.var["highly_variable"].to_numpy()].copy()
    tl.fit(adata, mask_var="highly_variable", use_raw=raw, **QUICK)
    tl.fit(some, **QUICK)
    np.testing.assert_array_equal(adata.obsm["X_fembed"], some.obsm["X_fembed"])
    assert tl.model(adata).n_genes == 8
    refused("no column var", tl.fit, small(), mask_var="absent")
    refused("keeps no gene", tl.fit, small(), mask_var=np.zeros(24, bool))
    no_raw = small()
    del no_raw.raw
    refused("no raw matrix", tl.fit, no_raw, mask_var=np.ones(24, bool), use_raw=True)
    refused("True and False for each of the 24 genes", tl.fit, small(), mask_var=np.ones(3, bool))
    refused("one option", tl.fit, small(), seed=1, random_state=2)


def test_copy_leaves_the_object_as_it_is() -> None:
    adata = small()
    returned = tl.fit(adata, copy=True, **QUICK)
    assert returned is not None and "X_fembed" in returned.obsm
    assert not adata.obsm and not adata.varm and not adata.uns


def test_a_view_becomes_an_object_of_its_own() -> None:
    adata = small()
    view = adata[:30]
    tl.fit(view, **QUICK)
    assert not view.is_view and view.obsm["X_fembed"].shape == (30, 2)
    assert not adata.obsm


@pytest.mark.parametrize("store", [np.asarray, scipy.sparse.csr_matrix, scipy.sparse.csc_matrix])
def test_a_backed_file_gives_what_memory_gives(store: Callable[[Any], Any], tmp_path: Path) -> None:
    adata = small()
    adata.X = store(adata.X)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    backed = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    tl.fit(backed, **QUICK)
    assert backed.isbacked
    np.testing.assert_array_equal(backed.obsm["X_fembed"], fitted().obsm["X_fembed"])
    tl.project(backed, fitted())
    assert "X_fembed_covariance" in backed.obsm
    backed.file.close()


@pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
def test_the_model_survives_a_file(ending: str, tmp_path: Path) -> None:
    adata, new = fitted(), small(1)
    tl.project(new, adata)
    again = read_back(adata, tmp_path, ending)
    assert same_model(tl.model(again), tl.model(adata))
    other = small(1)
    tl.project(other, again)
    for name in ("X_fembed", "X_fembed_covariance"):
        np.testing.assert_array_equal(other.obsm[name], new.obsm[name])
    np.testing.assert_array_equal(tl.decode(again).X, tl.decode(adata).X)


@pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
def test_projected_samples_survive_a_file_and_carry_the_model(ending: str, tmp_path: Path) -> None:
    new = small(1)
    tl.project(new, fitted())
    again = read_back(new, tmp_path, ending)
    np.testing.assert_array_equal(
        again.obsm["X_fembed_covariance"], new.obsm["X_fembed_covariance"]
    )
    np.testing.assert_array_equal(again.obs["fembed_outlier"], new.obs["fembed_outlier"])
    np.testing.assert_array_equal(tl.decode(again).X, tl.decode(new).X)


def test_project_writes_what_the_function_returns() -> None:
    adata, new = fitted(), small(1)[:, ::-1].copy()
    tl.project(new, adata)
    placed = fembed.project(tl.model(adata), small(1))
    np.testing.assert_array_equal(new.obsm["X_fembed"], placed.sample_embedding)
    np.testing.assert_array_equal(new.obsm["X_fembed_covariance"], placed.covariance)
    for name in ("loss", "n_genes", "outlier"):
        np.testing.assert_array_equal(new.obs[f"fembed_{name}"], getattr(placed, name))
    np.testing.assert_array_equal(new.varm["fembed"], adata.varm["fembed"][::-1])


def test_project_takes_the_matrix_that_was_fitted_on() -> None:
    adata, new = small(), small(1)
    tl.fit(adata, layer="log", transform="none", **QUICK)
    tl.project(new, adata)
    expected = fembed.project(
        tl.model(adata), fembed.Expression.from_anndata(small(1), layer="log")
    )
    np.testing.assert_array_equal(new.obsm["X_fembed"], expected.sample_embedding)


def test_a_panel_of_genes_is_placed_and_decoded_to_all_genes() -> None:
    adata, panel = fitted(), small(1)[:, :16].copy()
    tl.project(panel, tl.model(adata), covariance=False)
    assert (panel.obs["fembed_n_genes"] == 16).all() and "X_fembed_covariance" not in panel.obsm
    whole = tl.decode(panel)
    assert whole.shape == (36, 24) and whole.var_names.tolist() == adata.var_names.tolist()
    assert whole.obs["group"].tolist() == panel.obs["group"].tolist()


def test_what_was_learnt_after_the_training_travels_too(tmp_path: Path) -> None:
    adata, new = fitted(), small(1)
    new.obs_names = [f"new {i}" for i in range(36)]
    model = fembed.calibrate(tl.model(adata), anndata.concat([small(), new]))
    tl.project(new, model)
    again = tl.model(read_back(new, tmp_path, ".h5ad"))
    placed = fembed.project(again, new)
    assert placed.p_value is not None
    np.testing.assert_array_equal(new.obs["fembed_p_value"], placed.p_value)
    np.testing.assert_array_equal(new.obsm["X_fembed_covariance"], placed.covariance)


def test_a_new_fit_removes_what_only_a_projection_knows() -> None:
    new = small(1)
    tl.project(new, fitted())
    tl.fit(new, **QUICK)
    assert "fembed_outlier" not in new.obs and "X_fembed_covariance" not in new.obsm


def test_decoded_values_are_the_models() -> None:
    adata = fitted()
    model = tl.model(adata)
    logs = model.decode(adata.obsm["X_fembed"])
    np.testing.assert_array_equal(tl.decode(adata, scale="model").X, logs)
    np.testing.assert_allclose(tl.decode(adata).X, 10 ** logs.astype(float) - 1, rtol=1e-4)
    some = tl.decode(adata, genes=["G3", "G1"], scale="model")
    np.testing.assert_allclose(some.X, logs[:, [3, 1]], rtol=1e-5)
    adata.layers["decoded"] = tl.decode(adata, genes=adata.var_names).X
    points = tl.decode(adata, points=[[0.0, 0.0], [1.0, 0.5]])
    assert points.obs_names.tolist() == ["point_0", "point_1"] and points.n_vars == 24


def test_scanpy_runs_on_the_result_of_real_cells(tmp_path: Path) -> None:
    sc = pytest.importorskip("scanpy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scanpy's own code and of its file's old format
        cells = sc.datasets.pbmc68k_reduced()
        del cells.obsp, cells.uns["neighbors"]
        tl.fit(cells, use_raw=True, transform="none", hidden=(16,), iterations=60, n_threads=1)
        sc.pp.neighbors(cells, use_rep="X_fembed", n_neighbors=10)
        import matplotlib

        matplotlib.use("Agg")
        axes = sc.pl.embedding(cells, basis="fembed", color="bulk_labels", show=False)
    assert cells.obsp["distances"].shape == (700, 700)
    assert axes.get_xlabel() == "fembed1" and axes.collections[0].get_offsets().shape == (700, 2)
    again = read_back(cells, tmp_path, ".h5ad")
    assert same_model(tl.model(again), tl.model(cells))


def test_the_verbs_figures_and_readers_take_the_same_object(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    adata = fitted()
    fembed.pl.embedding(adata, color="group", save=tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 1000


# Hostile


def refused(match: str, verb: Callable[..., Any], adata: Any, *others: Any, **options: Any) -> None:
    before = set(adata.obsm) | set(adata.varm) | set(adata.uns) | set(adata.obs)
    with pytest.raises(InputError, match=match):
        verb(adata, *others, **options)
    assert set(adata.obsm) | set(adata.varm) | set(adata.uns) | set(adata.obs) == before


def test_a_layer_that_is_not_there() -> None:
    refused("no layer 'logs'; its layers are log", tl.fit, small(), layer="logs")


def test_layer_and_raw_together() -> None:
    refused("either a layer or raw", tl.fit, small(), layer="log", use_raw=True)


def test_an_option_that_does_not_exist() -> None:
    refused("There is no option 'epoch'; the options are n_components", tl.fit, small(), epoch=3)


def test_an_impossible_option() -> None:
    refused("n_components is 0", tl.fit, small(), 0)


def test_no_model_in_uns() -> None:
    adata = small()
    adata.uns["pca"] = {}
    refused(r"uns\['fembed'\] .* is absent \(uns has pca\)", tl.project, small(), adata)
    refused("run fembed.tl.fit", tl.decode, small())
    with pytest.raises(InputError, match=r"uns\['other'\]"):
        tl.model(fitted(), "other")


@pytest.mark.parametrize(
    "stored", ["a text", {"arrays": {}}, {"arrays": 1, "model": 2, "matrix": 3}]
)
def test_something_else_under_the_key(stored: Any) -> None:
    adata = small()
    adata.uns["fembed"] = stored
    refused("is not a fembed model", tl.project, small(), adata)


def test_an_altered_model_is_noticed() -> None:
    adata = fitted()
    adata.uns["fembed"]["arrays"]["network"][0] += 1
    refused("altered", tl.project, small(), adata)
    adata = fitted()
    adata.uns["fembed"]["model"] = adata.uns["fembed"]["model"].replace("G3", "G33")
    refused("altered", tl.project, small(), adata)
    adata = fitted()
    del adata.uns["fembed"]["arrays"]["gene_bias"]
    refused("does not list the arrays", tl.project, small(), adata)


def test_no_gene_in_common() -> None:
    new = small()
    new.var_names = [f"ENSG{j}" for j in range(24)]
    refused("have no gene in common", tl.project, new, fitted())


def test_few_genes_in_common_is_a_warning() -> None:
    new = small(1)[:, :5].copy()
    with pytest.warns(DataWarning, match="only 5 of the model's 24 genes"):
        tl.project(new, fitted())


def test_sample_names_twice() -> None:
    new = small()
    new.obs_names = ["s0", "s0", *new.obs_names[2:]]
    refused("holds the sample name 's0' 2 times", tl.project, new, fitted())


def test_scaled_values_are_refused_with_a_log() -> None:
    adata = small()
    adata.X = adata.X - 10
    refused("holds the negative value", tl.fit, adata)


def test_a_second_logarithm_is_warned_of() -> None:
    adata = small()
    adata.uns["log1p"] = {}
    with pytest.warns(DataWarning, match="takes logarithms again"):
        tl.fit(adata, **QUICK)


def test_no_coordinates_to_decode() -> None:
    refused(r"has no obsm\['X_fembed'\]", tl.decode, small(), fitted())


def test_points_and_genes_that_do_not_fit() -> None:
    adata = fitted()
    refused("needs k x 2", tl.decode, adata, points=np.zeros((3, 5)))
    refused("'G99' is not in the model", tl.decode, adata, genes=["G99"])
    refused("scale is 'raw'", tl.decode, adata, scale="raw")


def test_what_is_no_anndata_and_no_model() -> None:
    with pytest.raises(InputError, match="An AnnData object is needed, not DataFrame"):
        tl.fit(frame())
    refused("A model is needed .* not str", tl.project, small(), "model")


def test_a_backed_view_and_a_backed_copy(tmp_path: Path) -> None:
    small().write_h5ad(tmp_path / "cells.h5ad")
    backed = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    refused("view of a backed one", tl.fit, backed[:30])
    refused("leave out copy=True", tl.fit, backed, copy=True)
    backed.file.close()


# Preparation


def test_the_transformed_layer_is_what_a_model_is_trained_on() -> None:
    adata = small()
    pp.transform(adata, "cpm")
    totals = adata.X.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(adata.layers["cpm"], np.log10(adata.X / totals * 1e6 + 1), rtol=1e-5)
    pp.transform(adata, added="again")
    np.testing.assert_allclose(adata.layers["again"], adata.layers["log"], rtol=1e-5)
    np.testing.assert_array_equal(adata.X, small().X)


def test_a_transform_never_replaces_what_it_is_made_of() -> None:
    with pytest.raises(InputError, match="give another name"):
        pp.transform(small(), layer="log", added="log")


def test_antibodies_are_neither_transformed_nor_usable() -> None:
    adata, genes = small(), small()[:, :20].copy()
    adata.var["feature_types"] = ["Gene Expression"] * 20 + ["Antibody Capture"] * 4
    with pytest.warns(DataWarning, match="4 Antibody Capture"):
        pp.transform(adata, "cpm")
    pp.transform(genes, "cpm")
    np.testing.assert_array_equal(adata.layers["cpm"][:, :20], genes.layers["cpm"])
    assert np.isnan(adata.layers["cpm"][:, 20:]).all()
    with pytest.warns(DataWarning, match="4 Antibody Capture"):
        pp.mark_usable(adata)
    assert adata.var["usable"].tolist() == [True] * 20 + [False] * 4


def test_usable_samples_and_genes_are_those_that_fit_takes() -> None:
    adata = small()
    adata.X[:, 0] = np.nan
    adata.X[:, 1] = 7
    adata.X[3] = np.nan
    pp.mark_usable(adata)
    assert np.flatnonzero(~adata.obs["usable"]).tolist() == [3]
    assert np.flatnonzero(~adata.var["usable"]).tolist() == [0, 1]
    assert adata.var["observed_share"].iloc[:2].tolist() == [0, 35 / 36]
    refused("has no observed entry", tl.fit, adata, **QUICK)
    kept = adata[adata.obs["usable"], adata.var["usable"]].copy()
    tl.fit(kept, **QUICK)  # warnings are errors here: no constant gene is left
    assert kept.obsm["X_fembed"].shape == (35, 2)
