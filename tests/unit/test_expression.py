"""Expression: from whatever holds a matrix, checked, and matched by gene name."""

from __future__ import annotations

import re
import tracemalloc

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from fembed.data import chunks
from fembed.data.expression import Expression
from fembed.errors import InputError

VALUES = np.array([[0.0, 1.5, np.nan], [2.0, 0.0, 3.0]], np.float32)


def expression(values=VALUES, **changes):
    fields = {"sample_names": None, "gene_names": None, "origin": "f.csv"} | changes
    return Expression.from_array(np.array(values, np.float32), **fields)


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)), st.booleans())
def test_every_holder_gives_the_same_values(matrix, transpose):
    with np.errstate(over="ignore"):
        expected = (matrix.T if transpose else matrix).astype(np.float32)
    holders = [
        matrix,
        np.asfortranarray(matrix),
        matrix.tolist(),
        matrix.astype(object),
        sparse.csr_matrix(matrix),
        sparse.csc_array(matrix),
        sparse.coo_array(matrix),
        pd.DataFrame(matrix),
    ]
    for holder in holders:
        values = Expression.from_array(holder, transpose=transpose).values
        np.testing.assert_array_equal(values, expected)
        assert values.dtype == np.float32
        assert values.flags.c_contiguous
        assert values.flags.writeable
        assert values.flags.owndata


@pytest.mark.parametrize("chunk", [None, (3, 5), (40, 1), (1, 30), (40, 30)])
@pytest.mark.parametrize("entries", [7, 100, 10_000])
def test_pieces_cover_a_dataset_whatever_its_chunks(tmp_path, monkeypatch, chunk, entries):
    monkeypatch.setattr(chunks, "ENTRIES_PER_CHUNK", entries)
    matrix = np.arange(1200, dtype=np.int32).reshape(40, 30)
    with h5py.File(tmp_path / "m.h5", "w") as file:
        dataset = file.create_dataset("m", data=matrix, chunks=chunk)
        np.testing.assert_array_equal(Expression.from_array(dataset).values, matrix)
        np.testing.assert_array_equal(
            Expression.from_array(dataset, transpose=True).values, matrix.T
        )


def test_an_array_is_copied():
    values = VALUES.copy()
    copied = Expression.from_array(values)
    copied.values[0, 0] = 9
    assert values[0, 0] == 0


def test_a_sparse_matrix_is_densified_in_pieces(monkeypatch):
    monkeypatch.setattr(chunks, "ENTRIES_PER_CHUNK", 50_000)
    matrix = sparse.random(1000, 2000, density=0.001, format="csc", dtype=np.float64)
    tracemalloc.start()
    dense = Expression.from_array(matrix).values
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 1.5 * dense.nbytes


def test_names_come_from_a_frame_and_default_to_numbers():
    frame = pd.DataFrame(VALUES, index=["a", "b"], columns=["g", "h", 7])
    assert Expression.from_array(frame).sample_names.tolist() == ["a", "b"]
    assert Expression.from_array(frame).gene_names.tolist() == ["g", "h", "7"]
    assert Expression.from_array(frame, transpose=True).gene_names.tolist() == ["a", "b"]
    assert expression().sample_names.tolist() == ["sample_0", "sample_1"]
    assert expression().gene_names.tolist() == ["gene_0", "gene_1", "gene_2"]
    assert Expression.from_array(VALUES, [b"a", 2]).sample_names.tolist() == ["a", "2"]


def test_missing_entries_of_frames_and_masked_arrays_are_nan():
    nullable = pd.DataFrame({"g": [1, None], "h": [None, 2.5]}).astype({"g": "Int64"})
    np.testing.assert_array_equal(
        Expression.from_array(nullable).values, [[1, np.nan], [np.nan, 2.5]]
    )
    masked = np.ma.MaskedArray([[1, 2], [3, 4]], mask=[[False, True], [False, False]])
    np.testing.assert_array_equal(Expression.from_array(masked).values, [[1, np.nan], [3, 4]])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([1.0, 2.0], "1 dimension"),
        (np.zeros((2, 2, 2)), "3 dimension"),
        (np.zeros((2, 2), complex), "complex128"),
        (np.array([["a", "b"]]), "<U1"),
        ([[1.0, "text"]], "text"),
        ([[1.0], [1.0, 2.0]], "not a matrix"),
        (pd.DataFrame({"g": [1, 2], "h": [1, "x"]}, index=["a", "b"]), "'x'.*row 'b'.*column 'h'"),
        (None, "dimension"),
        (pd.DataFrame({"g": [1.0], "h": pd.to_datetime(["2020-01-01"])}), "'h'.*datetime64"),
        (pd.DataFrame({"g": [1 + 2j]}), "complex128"),
        (np.ma.MaskedArray([[1 + 2j]]), "complex128"),
        (pd.DataFrame({"g": [1.0]}, index=[b"\xe9"]), "not UTF-8"),
    ],
)
def test_what_is_not_a_matrix_of_numbers_is_refused(X, message):
    with pytest.raises(InputError, match=message):
        Expression.from_array(X)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([pd.Series([1.0, 2.0], ["a", "b"]), pd.Series([2.0, 1.0], ["b", "a"])], "by name"),
        ([[1.0, 2.0], [3.0]], "different lengths"),
    ],
)
def test_lists_that_would_be_misread_are_refused(data, message):
    with pytest.raises(InputError, match=message):
        Expression.of(data)


def test_masks_of_the_rows_of_a_list_are_kept():
    row = np.ma.MaskedArray([1.0, 2.0], mask=[False, True])
    np.testing.assert_array_equal(Expression.of([row, row]).values, [[1, np.nan]] * 2)


def test_a_matrix_beyond_memory_is_refused_with_its_size():
    with pytest.raises(InputError, match=r"10000 x 100000000000\) needs 4.01e\+06 GB"):
        chunks.to_float32(sparse.csr_matrix((10**4, 10**11)), origin="f.npz")


def test_names_must_fit():
    with pytest.raises(InputError, match="1 sample names for 2 samples"):
        expression(sample_names=["a"])
    with pytest.raises(InputError, match="4 gene names for 3 genes"):
        expression(gene_names="abcd")


def test_missing_share():
    assert expression().missing_share == pytest.approx(1 / 6)
    assert expression(np.zeros((0, 3))).missing_share == 0


@pytest.mark.parametrize(
    ("values", "changes", "message"),
    [
        (np.zeros((0, 3)), {}, "f.csv is empty (0 samples x 3 genes)"),
        (np.zeros((3, 0)), {}, "f.csv is empty (3 samples x 0 genes)"),
        (VALUES[1:], {}, "f.csv has 1 sample(s)"),
        ([[1, np.inf], [1, 2]], {}, "infinite value, or one beyond the range"),
        ([[1, -np.inf], [1, 2]], {}, "sample 'sample_0' and gene 'gene_1'"),
        ([[1, np.nan], [1, np.nan]], {}, "The gene 'gene_1' has no observed entry in f.csv (1 "),
        (
            [[1, 1], [np.nan, np.nan], [np.nan, np.nan]],
            {},
            "The sample 'sample_1' has no observed entry in f.csv (2 ",
        ),
        (VALUES, {"gene_names": ["a", "b", "a"]}, "gene name 'a' 2 times (1 gene name(s)"),
        (VALUES, {"sample_names": ["s", "s"]}, "sample name 's' 2 times (1 sample name(s)"),
    ],
)
def test_check_names_the_fault(values, changes, message):
    with pytest.raises(InputError, match=re.escape(message)):
        expression(values, **changes).check()


def test_check_finds_a_fault_in_a_later_piece(monkeypatch):
    monkeypatch.setattr(chunks, "ENTRIES_PER_CHUNK", 4)
    values = np.ones((9, 4), np.float32)
    values[7, 2] = np.inf
    with pytest.raises(InputError, match="'sample_7' and gene 'gene_2'"):
        expression(values).check()


def test_check_accepts_good_data_and_what_new_samples_may_lack():
    expression().check()
    expression(VALUES[:1]).check(min_samples=1, allow_unobserved_genes=True)
    with pytest.raises(InputError, match="gene_2"):
        expression(VALUES[:1]).check(min_samples=1)


def test_labels():
    obs = pd.DataFrame({"type": pd.Categorical(["A", None]), "age": [1, 2]})
    labelled = expression(obs=obs)
    assert labelled.labels("type").tolist() == ["A", "NA"]
    assert labelled.labels("age").tolist() == ["1", "2"]
    with pytest.raises(InputError, match=r"f.csv has no label column 'x'; it has type, age\."):
        labelled.labels("x")
    with pytest.raises(InputError, match="no sample annotations"):
        expression().labels("x")


@given(st.permutations(range(6)), st.integers(0, 6))
def test_take_genes_matches_by_name(order, n_taken):
    values = np.arange(12, dtype=np.float32).reshape(2, 6)
    data = expression(values, gene_names=list("abcdef"))
    wanted = [*("abcdef"[j] for j in order[:n_taken]), "absent"]
    taken = data.take_genes(np.array(wanted, dtype=object))
    assert data.find_genes(wanted).n_found == n_taken and taken.gene_names.tolist() == wanted
    np.testing.assert_array_equal(taken.values[:, :-1], values[:, order[:n_taken]])
    assert np.isnan(taken.values[:, -1]).all()
    assert taken.values.dtype == np.float32
    assert taken.values.flags.c_contiguous


def test_take_genes_refuses_a_name_of_two_columns_only_if_it_is_wanted():
    data = expression(gene_names=["a", "b", "b"])
    assert data.find_genes(["a"]).n_found == 1
    with pytest.raises(InputError, match="'b' 2 times"):
        data.take_genes(np.array(["a", "b"], dtype=object))


def anndata_object():
    import anndata

    obs = pd.DataFrame({"type": ["A", "B"]}, index=["s1", "s2"])
    var = pd.DataFrame(index=["g1", "g2", "g3"])
    adata = anndata.AnnData(VALUES.copy(), obs=obs, var=var)
    adata.raw = adata.copy()
    adata.layers["counts"] = sparse.csr_matrix(np.nan_to_num(VALUES) + 1)
    return adata[:, :2].copy()


def test_from_anndata_in_memory_and_backed(tmp_path):
    import anndata

    adata = anndata_object()
    adata.write_h5ad(tmp_path / "a.h5ad")
    for source in (adata, anndata.read_h5ad(tmp_path / "a.h5ad", backed="r"), adata[:]):
        taken = Expression.from_anndata(source)
        np.testing.assert_array_equal(taken.values, VALUES[:, :2])
        assert taken.sample_names.tolist() == ["s1", "s2"]
        assert taken.gene_names.tolist() == ["g1", "g2"]
        assert taken.labels("type").tolist() == ["A", "B"]
        counts = Expression.from_anndata(source, layer="counts")
        np.testing.assert_array_equal(counts.values, np.nan_to_num(VALUES[:, :2]) + 1)
        raw = Expression.from_anndata(source, use_raw=True)
        np.testing.assert_array_equal(raw.values, VALUES)
        assert raw.gene_names.tolist() == ["g1", "g2", "g3"]
        with pytest.raises(InputError, match="no layer 'x'; its layers are counts"):
            Expression.from_anndata(source, layer="x")


def test_from_anndata_without_what_is_asked_for():
    import anndata

    adata = anndata_object()
    with pytest.raises(InputError, match="not both"):
        Expression.from_anndata(adata, layer="counts", use_raw=True)
    bare = anndata.AnnData(obs=adata.obs, var=adata.var)
    with pytest.raises(InputError, match="no X; it has no layers"):
        Expression.from_anndata(bare)
    with pytest.raises(InputError, match="no raw matrix"):
        Expression.from_anndata(bare, use_raw=True)
