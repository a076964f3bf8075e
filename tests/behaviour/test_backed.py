"""Large matrices are read and placed a part at a time, and a model is trained on some samples."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from typer.testing import CliRunner

import fembed
from fembed.commands import app
from fembed.data import backed, readers
from fembed.errors import DataWarning, InputError
from fembed.inference.projection import Projection
from fembed.model import Model
from fembed.train.training_samples import sketch
from tests.small_expression import frame

QUICK = {"hidden": (8,), "gene_components": 4, "iterations": 200, "n_threads": 1}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Counts; a sample has no name that another has."""
    return pd.concat([frame(seed).add_prefix(f"{seed}_", axis=0) for seed in range(3)])


@pytest.fixture(scope="module")
def model(table: pd.DataFrame) -> Model:
    return fembed.fit(table, transform="cpm", **QUICK)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch, table: pd.DataFrame) -> None:
    """Everything is large, and a part has seven samples."""
    monkeypatch.setattr(backed, "MIN_ENTRIES", 0)
    monkeypatch.setattr(backed, "ENTRIES_PER_PART", 7 * table.shape[1] + 1)


def cells(table: pd.DataFrame, matrix: Any) -> anndata.AnnData:
    obs = pd.DataFrame({"half": np.arange(len(table)) % 2}, index=table.index)
    return anndata.AnnData(matrix, obs=obs.astype(str), var=pd.DataFrame(index=table.columns))


def written(kind: str, table: pd.DataFrame, folder: Path) -> Any:
    """The table as an object or file of a kind, which is read a part at a time."""
    values = table.to_numpy(np.float32)
    if kind == "csr matrix":
        return sp.csr_matrix(values)
    adata = cells(table, values if kind == "dense .h5ad" else sp.csr_matrix(values))
    if kind == "AnnData":
        return adata
    path = folder / ("cells.zarr" if kind == ".zarr" else "cells.h5ad")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr's own
        adata.write_zarr(path) if kind == ".zarr" else adata.write_h5ad(path)
    return anndata.read_h5ad(path, backed="r") if kind == "backed AnnData" else path


def assert_same(found: Projection, expected: Projection) -> None:
    for name in ("sample_embedding", "loss", "covariance", "n_genes", "outlier"):
        assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert found.n_genes_matched == expected.n_genes_matched


@pytest.mark.parametrize(
    "kind", [".h5ad", "dense .h5ad", ".zarr", "AnnData", "backed AnnData", "csr matrix"]
)
@pytest.mark.usefixtures("parts")
def test_parts_are_placed_as_the_whole(
    kind: str, table: pd.DataFrame, model: Model, tmp_path: Path
) -> None:
    data = written(kind, table, tmp_path)
    large = readers.backed(data)
    assert large is not None and len(list(large.slices())) > 10
    found = fembed.project(model, data, n_threads=1)
    assert_same(found, fembed.project(model, table, n_threads=1))
    if kind != "csr matrix":
        assert found.sample_names.tolist() == table.index.tolist()
    some = large.take(np.array([0, 6, 7, 20, 107]))
    assert_array_equal(some.values, table.to_numpy(np.float32)[[0, 6, 7, 20, 107]])


@pytest.mark.usefixtures("parts")
def test_a_matrix_by_columns_is_read_whole(table: pd.DataFrame, model: Model) -> None:
    adata = cells(table, sp.csc_matrix(table.to_numpy(np.float32)))
    assert readers.backed(adata) is None
    assert_same(fembed.project(model, adata), fembed.project(model, table))


@pytest.mark.usefixtures("parts")
def test_a_warning_that_recurs_is_given_once(
    table: pd.DataFrame, model: Model, tmp_path: Path
) -> None:
    """Of half of the genes, under names with a blank."""
    renamed = table.iloc[:, :11].rename(columns=lambda name: f"{name} ")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fembed.project(model, written("AnnData", renamed, tmp_path))
    sentences = [str(warning.message) for warning in caught]
    assert len(sentences) == len(set(sentences)) and len(sentences) >= 2


@pytest.mark.usefixtures("parts")
def test_a_file_that_changes_meanwhile_is_told(table: pd.DataFrame, tmp_path: Path) -> None:
    path = written(".h5ad", table, tmp_path)
    large = readers.backed(path)
    assert large is not None
    rows = large.parts(lambda part: part)
    next(rows)
    written(".h5ad", 2 * table, tmp_path)
    with pytest.raises(InputError, match="changed while it was read"):
        next(rows)


def test_a_sketch_keeps_what_is_rare() -> None:
    rng = np.random.default_rng(1)
    common = rng.normal(size=(20_000, 5)).astype(np.float32)
    rare = rng.normal(8.0, 0.3, (10, 5)).astype(np.float32)
    every = np.concatenate([common, rare])
    for seed in range(10):  # without the sketch, four of five draws hold none of them
        rows = sketch(every, 400, np.random.default_rng(seed))
        assert_array_equal(rows, np.unique(rows))
        assert len(rows) == 400 and (rows >= 20_000).any()
    assert_array_equal(rows, sketch(every, 400, np.random.default_rng(9)))
    same = np.zeros((50, 3), np.float32)
    assert len(sketch(same, 20, np.random.default_rng(0))) == 20


@pytest.mark.usefixtures("parts")
def test_a_fit_on_some_samples_is_that_of_these(table: pd.DataFrame, tmp_path: Path) -> None:
    path = written(".h5ad", table, tmp_path)
    model = fembed.fit(path, transform="cpm", training_samples=40, **QUICK)
    assert model.n_samples == 40
    alone = fembed.fit(table.loc[model.sample_names], transform="cpm", **QUICK)
    assert_array_equal(model.sample_embedding, alone.sample_embedding)
    in_memory = fembed.fit(table, transform="cpm", training_samples=40, **QUICK)
    assert in_memory.sample_names.tolist() == model.sample_names.tolist()


@pytest.mark.usefixtures("parts")
def test_the_command_places_all_samples(table: pd.DataFrame, tmp_path: Path) -> None:
    path = written(".h5ad", table, tmp_path)
    every = tmp_path / "map.csv"
    words = f"fit {path} -o {tmp_path / 'model'} --transform cpm --training-samples 40 --hidden 8 "
    words += f"--gene-components 4 --iterations 100 --label half --embedding {every}"
    done = CliRunner().invoke(app.app, words.split())
    assert done.exit_code == 0, done.output
    assert "40 of the 108 samples" in done.output
    rows = pd.read_csv(every, index_col=0)
    assert rows.index.tolist() == table.index.tolist()
    assert rows["half"].tolist() == [k % 2 for k in range(108)]
    placed = fembed.project(tmp_path / "model", table)
    np.testing.assert_allclose(rows[["fembed_1", "fembed_2"]], placed.sample_embedding, rtol=1e-5)


@pytest.mark.parametrize("asked", [1, 2.5, "some"])
def test_an_impossible_number_is_refused(table: pd.DataFrame, asked: Any) -> None:
    with pytest.raises(InputError, match="training_samples is"):
        fembed.fit(table, training_samples=asked, **QUICK)


def test_layers_are_trained_on_whole(table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="layers are trained on whole"):
        fembed.fit({"a": table, "b": table}, training_samples=10, **QUICK)


def test_small_data_are_read_whole(table: pd.DataFrame, tmp_path: Path) -> None:
    assert readers.backed(written(".h5ad", table, tmp_path)) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        assert fembed.fit(table, transform="cpm", **QUICK).n_samples == 108
