"""Sparse matrices that point outside themselves, and sizes that no memory holds."""

from __future__ import annotations

import tracemalloc
import zipfile

import anndata
import h5py
import numpy as np
import pytest
from scipy import sparse

import fembed
from fembed.data.expression import Expression
from fembed.data.readers import read
from fembed.data.sparse import check_sparse
from fembed.errors import InputError

COUNTS = np.random.default_rng(0).poisson(1, (12, 9)).astype(np.float32)
pytestmark = pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")


def parts_of(kind):
    matrix = {"bsr": sparse.bsr_array(COUNTS, blocksize=(4, 3))}.get(kind, sparse.csr_array(COUNTS))
    matrix = matrix if kind == "bsr" else matrix.asformat(kind)
    names = {"coo": ("row", "col"), "dia": ("offsets",)}.get(kind, ("indices", "indptr"))
    parts = {name: np.array(getattr(matrix, name)) for name in ("data", *names)}
    return parts | {"format": np.array(kind.encode()), "shape": np.array(matrix.shape)}


def refused(matrix, message):
    with pytest.raises(InputError, match=message) as caught:
        read(matrix) if hasattr(matrix, "suffix") else Expression.from_array(matrix)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia"])
def test_every_sparse_format_with_entries_stored_twice_summed(tmp_path, kind):
    parts = parts_of(kind)
    np.savez(tmp_path / "m.npz", **parts)
    np.testing.assert_array_equal(read(tmp_path / "m.npz").values, COUNTS)
    np.testing.assert_array_equal(read(tmp_path / "m.npz", transpose=True).values, COUNTS.T)
    matrix = sparse.load_npz(tmp_path / "m.npz")
    check_sparse(matrix, "X")
    np.testing.assert_array_equal(Expression.from_array(matrix).values, COUNTS)
    twice = sparse.coo_array(([1.0, 2.0, 4.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    assert Expression.from_array(twice).values.tolist() == [[0, 3], [4, 0]]
    unsummed = sparse.csr_array(([1.0, 2.0, 4.0], [1, 1, 0], [0, 2, 3]), shape=(2, 2))
    assert Expression.from_array(unsummed).values.tolist() == [[0, 3], [4, 0]]


@pytest.mark.parametrize("place", [-(10**8), -1, 12, 10**8])
@pytest.mark.parametrize(
    ("kind", "name"),
    [("csr", "indices"), ("csc", "indices"), ("coo", "row"), ("coo", "col"), ("bsr", "indices")],
)
def test_an_entry_outside_the_matrix(tmp_path, kind, name, place):
    parts = parts_of(kind)
    parts[name][3] = place
    np.savez(tmp_path / "m.npz", **parts)
    refused(tmp_path / "m.npz", "has an entry outside its 12 samples x 9 genes")
    if kind != "coo":  # scipy itself checks that one
        matrix = getattr(sparse, f"{kind}_array")(sparse.load_npz(tmp_path / "m.npz"))
        refused(matrix, "has an entry outside its 12 samples x 9 genes")


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("csr", lambda parts: parts["indptr"].__setitem__(-1, 10**6)),
        ("csr", lambda parts: parts["indptr"].__setitem__(-1, parts["indptr"][-1] - 1)),
        ("csr", lambda parts: parts["indptr"].__setitem__(0, 1)),
        ("csc", lambda parts: parts["indptr"].__setitem__(4, -1)),
        ("bsr", lambda parts: parts["indptr"].__setitem__(2, 100)),
        ("csr", lambda parts: parts.update(data=parts["data"][:-1])),
        ("csr", lambda parts: parts.update(indices=parts["indices"].astype(np.float64))),
        ("csc", lambda parts: parts.update(indptr=parts["indptr"][:-1])),
        ("coo", lambda parts: parts.update(row=parts["row"][:-1])),
    ],
)
def test_storage_that_contradicts_itself(tmp_path, kind, change):
    parts = parts_of(kind)
    change(parts)
    np.savez(tmp_path / "m.npz", **parts)
    refused(tmp_path / "m.npz", "contradicts itself|may be truncated or damaged")


@pytest.mark.parametrize("ending", [".h5ad", ".zarr"])
@pytest.mark.parametrize(("part", "place"), [("indices", 9), ("indices", -1), ("indptr", 10**6)])
def test_an_anndata_file_and_object(tmp_path, ending, part, place):
    path = tmp_path / f"m{ending}"
    adata = anndata.AnnData(sparse.csr_matrix(COUNTS))
    getattr(adata, f"write_{'h5ad' if ending == '.h5ad' else 'zarr'}")(path)
    if ending == ".h5ad":
        with h5py.File(path, "a") as file:
            file[f"X/{part}"][3] = place
    else:
        import zarr

        zarr.open_group(path)[f"X/{part}"][3] = place
    refused(path, "has an entry outside its 12 samples x 9 genes|contradicts itself")
    getattr(adata.X, part)[3] = place
    with pytest.raises(InputError, match="the AnnData object"):
        Expression.from_anndata(adata)
    with pytest.raises(InputError, match="sparse matrix in X"):
        fembed.FactorizedEmbedding(epochs=1).fit(adata.X)


# ---- sizes


@pytest.mark.parametrize(("kind", "shape"), [("csr", (12, 2**31 - 1)), ("csc", (2**31 - 1, 2))])
def test_an_empty_matrix_of_any_shape_is_refused_before_its_names_are_made(tmp_path, kind, shape):
    indptr = np.minimum(np.arange(shape[0] + 1 if kind == "csr" else shape[1] + 1), 2)
    parts = {"data": np.ones(2), "indices": np.zeros(2, int), "indptr": indptr}
    np.savez(tmp_path / "m.npz", format=np.array(kind), shape=np.array(shape), **parts)
    refused(tmp_path / "m.npz", f"is {shape[0]} x {shape[1]} and holds 2 entries")


def test_members_of_an_archive_are_as_large_as_their_headers_say(tmp_path):
    np.savez_compressed(tmp_path / "m.npz", x=np.zeros((12, 9)), gene_names=np.zeros(10**7, "S1"))
    refused(tmp_path / "m.npz", "has 10000000 gene names for 9 genes")
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (12, 1000000000), }"
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        member = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n"
        archive.writestr("x.npy", member + b"\0" * 80)
    refused(tmp_path / "m.npz", "should have 96000000000 bytes and has 80")


def test_a_large_archive_is_read_by_pieces(tmp_path):
    np.savez_compressed(tmp_path / "m.npz", np.zeros((4000, 5000)))
    tracemalloc.start()
    found = read(tmp_path / "m.npz")
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 1.8 * found.values.nbytes  # as float64 it is twice as large
