"""Readers: the same matrix in every format gives the same Expression, in little memory."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from fembed.data import chunks
from fembed.data.expression import Expression
from fembed.data.readers import read, rows
from fembed.errors import InputError

DATA = Path(os.environ.get("FEMBED_DATA", Path(__file__).parents[3] / "shared" / "data"))
SAMPLES, GENES = ["s1", "NA", 's "3"'], ["KRT5", "NaN", "A,B", "gène"]
VALUES = np.array([[1, 2.5, 0, np.nan], [np.nan, 1e-9, 0, 3e38], [-1, 0.1, 7, 8]], np.float32)


def frame(values, samples=None, genes=None):
    n_samples, n_genes = values.shape
    return pd.DataFrame(
        values,
        index=samples or [f"s{i}" for i in range(n_samples)],
        columns=genes or [f"g{j}" for j in range(n_genes)],
    )


def anndata_of(table, matrix=None):
    import anndata

    obs, var = pd.DataFrame(index=table.index), pd.DataFrame(index=table.columns)
    return anndata.AnnData(table.to_numpy() if matrix is None else matrix, obs=obs, var=var)


def write_text(table, path):
    table.to_csv(path, sep="\t" if ".tsv" in path.name.lower() else ",", na_rep="NA")


def write_h5ad(table, path):
    anndata_of(table).write_h5ad(path)


def write_h5ad_csr(table, path):
    anndata_of(table, sparse.csr_matrix(table.to_numpy())).write_h5ad(path)


def write_h5ad_csc(table, path):
    anndata_of(table, sparse.csc_matrix(table.to_numpy())).write_h5ad(path)


def write_zarr(table, path):
    anndata_of(table).write_zarr(path)


def write_zarr_csr(table, path):
    anndata_of(table, sparse.csr_matrix(table.to_numpy())).write_zarr(path)


def write_npz(table, path):
    np.savez(
        path,
        expression=table.to_numpy(),
        sample_names=np.array(table.index, str),
        gene_names=np.array(table.columns, str),
    )


def write_published(table, path):
    with h5py.File(path, "w") as file:
        file["data"] = table.to_numpy()
        file["samples"] = list(table.index)
        file["genes"] = list(table.columns)


def write_tenx(table, path, *, compressed=True):
    path.mkdir()
    opened, gz = (gzip.open, ".gz") if compressed else (open, "")
    genes, cells = np.nonzero(table.to_numpy().T)
    lines = [
        f"{i + 1} {j + 1} {table.to_numpy()[j, i]}\n" for i, j in zip(genes, cells, strict=True)
    ]
    head = "%%MatrixMarket matrix coordinate real general\n%written by a test\n"
    with opened(path / f"matrix.mtx{gz}", "wt") as stream:
        stream.writelines([head, f"{table.shape[1]} {table.shape[0]} {len(lines)}\n", *lines])
    genes = "features.tsv.gz" if compressed else "genes.tsv"
    with opened(path / genes, "wt", encoding="utf-8") as stream:
        stream.writelines(f"{gene}\tsymbol\tGene Expression\n" for gene in table.columns)
    with opened(path / f"barcodes.tsv{gz}", "wt", encoding="utf-8") as stream:
        stream.writelines(f"{sample}\n" for sample in table.index)


def write_tenx_plain(table, path):
    write_tenx(table, path, compressed=False)


WRITERS = {
    "m.csv": write_text,
    "m.csv.gz": write_text,
    "m.tsv": write_text,
    "m.TSV.gz": lambda table, path: write_text(table, path.with_suffix("")) or compress(path),
    "m.parquet": lambda table, path: table.to_parquet(path),
    "dense.h5ad": write_h5ad,
    "csr.h5ad": write_h5ad_csr,
    "csc.h5ad": write_h5ad_csc,
    "dense.zarr": write_zarr,
    "csr.zarr": write_zarr_csr,
    "m.npz": write_npz,
    "m.h5": write_published,
    "m.hdf5": write_published,
    "tenx": write_tenx,
    "tenx_plain": write_tenx_plain,
}


# The writer of the tests' zarr files says so; the reader takes both.
pytestmark = pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")


def compress(path):
    plain = path.with_suffix("")
    path.write_bytes(gzip.compress(plain.read_bytes()))


def assert_is(found, values, samples, genes):
    np.testing.assert_array_equal(found.values, values)
    assert found.sample_names.tolist() == list(samples)
    assert found.gene_names.tolist() == list(genes)
    assert found.values.dtype == np.float32
    assert found.values.flags.c_contiguous
    assert found.values.flags.writeable


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same(tmp_path, name):
    WRITERS[name](frame(VALUES, SAMPLES, GENES), tmp_path / name)
    found = read(tmp_path / name)
    assert_is(found, VALUES, SAMPLES, GENES)
    assert found.origin == str(tmp_path / name)


@pytest.mark.parametrize("name", [name for name in WRITERS if not name.startswith("tenx")])
def test_transposed(tmp_path, name):
    WRITERS[name](frame(VALUES.astype(np.float64).T, GENES, SAMPLES), tmp_path / name)
    path = tmp_path / name
    if name == "m.npz":
        path = tmp_path / "m2.npz"
        np.savez(path, x=VALUES.T, sample_names=np.array(SAMPLES), gene_names=np.array(GENES))
    if name in ("m.h5", "m.hdf5"):
        path = tmp_path / f"2{name}"
        with h5py.File(path, "w") as file:
            file["data"], file["samples"], file["genes"] = VALUES.T, SAMPLES, GENES
    assert_is(read(path, transpose=True), VALUES, SAMPLES, GENES)


@settings(max_examples=8, deadline=None)
@given(
    matrix=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.one_of(st.just(np.nan), st.floats(width=32, allow_infinity=False)),
    ),
    entries=st.integers(1, 40),
)
def test_any_matrix_goes_through_every_format(matrix, entries):
    table = frame(matrix)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(chunks, "ENTRIES_PER_CHUNK", entries)
        patch.setattr(rows, "BYTES_PER_PIECE", entries)
        for name, write in WRITERS.items():
            path = Path(folder) / name
            write(table, path)
            assert_is(read(path), matrix, table.index, table.columns)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32, np.uint64, bool])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_any_number_type(tmp_path, dtype, order):
    matrix = np.array([[0, 1, 1], [1, 0, 1]], dtype, order=order)
    np.save(tmp_path / "m.npy", matrix)
    names = ["sample_0", "sample_1"], ["gene_0", "gene_1", "gene_2"]
    assert_is(read(tmp_path / "m.npy"), matrix, *names)
    assert read(tmp_path / "m.npy", transpose=True).values.tolist() == matrix.T.tolist()


def test_npz_of_scipy_and_of_one_array(tmp_path):
    matrix = np.arange(6.0).reshape(2, 3)
    np.savez_compressed(tmp_path / "a.npz", matrix)
    np.testing.assert_array_equal(read(tmp_path / "a.npz").values, matrix)
    for kind in (sparse.csr_matrix, sparse.csc_array, sparse.coo_array):
        sparse.save_npz(tmp_path / "b.npz", kind(matrix))
        np.testing.assert_array_equal(read(tmp_path / "b.npz").values, matrix)
        np.testing.assert_array_equal(read(tmp_path / "b.npz", transpose=True).values, matrix.T)


def test_text_tables_as_other_programs_write_them(tmp_path):
    path = tmp_path / "m.csv"
    expected = np.array([[1, np.nan], [np.nan, 2.5]], np.float32)
    for text in (
        "id,a,b\ns1,1,\ns2,NaN,2.5",  # no last end of line
        "\ufeffid,a,b\r\ns1,1,\r\ns2,nan, 2.5\r\n",  # Excel
        '"","a","b"\n"s1",1,NA\n"s2",NA,2.5\n\n',  # R's write.csv, a blank last line
        '"a","b"\n"s1",1,NA\n"s2",NA,2.5\n',  # R's write.table: no header for the names
    ):
        path.write_bytes(text.encode())
        assert_is(read(path), expected, ["s1", "s2"], ["a", "b"])
    path.write_text("id,a,b\n1,1,\n2,NaN,2.5\n")
    assert_is(read(path), expected, ["1", "2"], ["a", "b"])
    path.write_text(",a,b\n1.5,1,\n2.5,NaN,2.5\n")  # names that are numbers, under no gene
    assert_is(read(path), expected, ["1.5", "2.5"], ["a", "b"])


def test_text_tables_keep_duplicate_names_for_the_check(tmp_path):
    (tmp_path / "m.csv").write_text(",a,a\ns1,1,2\ns2,3,4\n")
    found = read(tmp_path / "m.csv")
    assert found.gene_names.tolist() == ["a", "a"]
    with pytest.raises(InputError, match="gene name 'a' 2 times"):
        found.check()


def test_parquet_columns_of_nothing_but_missing_entries(tmp_path):
    frame(VALUES).astype(object).assign(g0=None).to_parquet(tmp_path / "m.parquet")
    assert np.isnan(read(tmp_path / "m.parquet").values[:, 0]).all()


def test_layers_and_raw(tmp_path):
    adata = anndata_of(frame(VALUES, SAMPLES, GENES))
    adata.obs["type"] = ["A", "B", "A"]
    adata.raw = adata.copy()
    adata = adata[:, :2].copy()
    adata.layers["dense"] = np.full((3, 2), 5.0)
    adata.layers["sparse"] = sparse.csc_matrix(np.full((3, 2), 6.0))
    adata.write_h5ad(tmp_path / "a.h5ad")
    adata.write_zarr(tmp_path / "a.zarr")
    for path in (tmp_path / "a.h5ad", tmp_path / "a.zarr"):
        assert_is(read(path), VALUES[:, :2], SAMPLES, GENES[:2])
        assert_is(read(path, layer="dense"), np.full((3, 2), 5), SAMPLES, GENES[:2])
        assert_is(read(path, layer="sparse"), np.full((3, 2), 6), SAMPLES, GENES[:2])
        assert_is(read(path, use_raw=True), VALUES, SAMPLES, GENES)
        assert read(path).labels("type").tolist() == ["A", "B", "A"]


@pytest.mark.filterwarnings("ignore:.*not .* in the Zarr format 3 specification")
def test_zarr_of_format_3(tmp_path):
    import anndata

    with anndata.settings.override(zarr_write_format=3, auto_shard_zarr_v3=True):
        write_zarr_csr(frame(VALUES, SAMPLES, GENES), tmp_path / "m.zarr")
    assert (tmp_path / "m.zarr" / "zarr.json").exists()
    assert_is(read(tmp_path / "m.zarr"), VALUES, SAMPLES, GENES)


def test_published_layout_with_labels_also_as_julia_writes_it(tmp_path):
    for data in (VALUES, VALUES.T):
        write_published(frame(VALUES, SAMPLES, GENES), tmp_path / "m.h5")
        with h5py.File(tmp_path / "m.h5", "a") as file:
            del file["data"]
            file["data"], file["labels"] = data, ["x", "y", "z"]
        found = read(tmp_path / "m.h5")
        assert_is(found, VALUES, SAMPLES, GENES)
        assert found.labels("labels").tolist() == ["x", "y", "z"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("ending", [".h5ad", ".npy"])
def test_a_dense_file_is_read_into_one_array(tmp_path, monkeypatch, dtype, ending):
    monkeypatch.setattr(chunks, "ENTRIES_PER_CHUNK", 200_000)
    matrix, path = np.ones((2000, 2500), dtype), tmp_path / f"m{ending}"
    if ending == ".npy":
        np.save(path, matrix)
    else:
        write_h5ad(frame(matrix), path)
    read(path)  # imports
    tracemalloc.start()
    found = read(path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 1.25 * found.values.nbytes


def test_a_path_may_be_text(tmp_path):
    np.save(tmp_path / "m.npy", VALUES)
    assert isinstance(read(str(tmp_path / "m.npy")), Expression)


@pytest.mark.parametrize(
    ("name", "shape", "n_missing", "column", "n_labels"),
    [
        ("tcga_11_cohorts", (1204, 3556), 944, "label", 22),
        ("tcga_7_types_counts", (384, 19559), 0, "cancer_type", 7),
    ],
)
def test_real_data(name, shape, n_missing, column, n_labels):
    path = DATA / f"{name}.h5ad"
    if not path.exists():
        pytest.skip(f"{path} is not there; set FEMBED_DATA to the folder of the real data")
    found = read(path)
    found.check()
    assert found.values.shape == shape
    assert round(found.missing_share * found.values.size) == n_missing
    assert len(set(found.labels(column))) == n_labels


def test_importing_the_readers_imports_no_heavy_library():
    heavy = "{'pandas', 'anndata', 'scipy', 'h5py', 'zarr', 'pyarrow', 'sklearn'}"
    program = f"import sys, fembed.data.readers; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == ""
