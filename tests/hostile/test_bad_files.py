"""Files that cannot be read: one clear sentence each, never a library's traceback."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import lzma
import os
import re
import shutil
import sys
import zipfile
import zlib

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from fembed.data.readers import read
from fembed.errors import InputError

TABLE = pd.DataFrame(
    np.arange(1, 13, dtype=np.float32).reshape(3, 4),
    index=["s1", "s2", "s3"],
    columns=["g1", "g2", "g3", "g4"],
)
pytestmark = pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")


def refused(path, message, **options):
    with pytest.raises(InputError) as caught:
        read(path, **options).check()
    sentence = str(caught.value)
    assert message in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def write_h5ad(path, **changes):
    import anndata

    obs, var = pd.DataFrame(index=TABLE.index), pd.DataFrame(index=TABLE.columns)
    fields = {"X": TABLE.to_numpy(), "obs": obs, "var": var} | changes
    anndata.AnnData(**fields).write_h5ad(path)


def write_published(path, **changes):
    fields = {
        "data": TABLE.to_numpy(),
        "samples": list(TABLE.index),
        "genes": list(TABLE.columns),
    } | changes
    with h5py.File(path, "w") as file:
        for name, field in fields.items():
            if field is not None:
                file[name] = field


def write_tenx(path, size="4 3 2", lines="1 1 5\n4 3 7\n", banner="integer general"):
    path.mkdir()
    head = f"%%MatrixMarket matrix coordinate {banner}\n%\n{size}\n"
    (path / "matrix.mtx").write_text(head + lines)
    (path / "genes.tsv").write_text("".join(f"{gene}\tsymbol\n" for gene in TABLE.columns))
    (path / "barcodes.tsv").write_text("".join(f"{cell}\n" for cell in TABLE.index))


# ---- the path


def test_a_missing_file(tmp_path):
    refused(tmp_path / "no.csv", "no.csv does not exist")
    refused(tmp_path / "no", "does not exist")
    refused("a" * 5000 + ".csv", "cannot be opened")
    refused("nul\0.csv", "cannot be opened")


@pytest.mark.parametrize("ending", [".csv", ".h5ad", ".npy", ".npz", ".h5", ".tsv.gz"])
def test_a_folder_or_an_empty_file_where_a_file_is_expected(tmp_path, ending):
    (tmp_path / f"folder{ending}").mkdir()
    refused(tmp_path / f"folder{ending}", f"is a folder, but a {ending} file is expected")
    (tmp_path / f"empty{ending}").touch()
    refused(tmp_path / f"empty{ending}", "is empty (0 bytes)")


def test_a_file_where_a_folder_is_expected(tmp_path):
    (tmp_path / "a.zarr").write_text("text")
    refused(tmp_path / "a.zarr", "is a file, but a .zarr is a folder")
    (tmp_path / "matrix.mtx").write_text("text")
    (tmp_path / "matrix.mtx").write_text("%%MatrixMarket matrix coordinate integer general\n")
    refused(tmp_path / "matrix.mtx", "give the folder that holds it")


@pytest.mark.parametrize("name", ["data.xlsx", "data", "csv"])
def test_text_of_any_ending_is_read_as_a_table(tmp_path, name):
    (tmp_path / name).write_text("text")
    refused(tmp_path / name, "has a single column")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are of Unix")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    refused(tmp_path / "pipe.csv", "is a pipe or a device")


def test_a_layer_of_a_file_without_layers(tmp_path):
    TABLE.to_csv(tmp_path / "m.csv")
    refused(tmp_path / "m.csv", "has no layer 'counts'", layer="counts")
    refused(tmp_path / "m.csv", "has no raw matrix", use_raw=True)
    refused(tmp_path / "m.csv", "either a layer or raw", use_raw=True, layer="counts")
    write_tenx(tmp_path / "tenx")
    refused(tmp_path / "tenx", "has no layer", layer="counts")


# ---- text tables


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (",g1,g2\ns1,1,2\ns2,3,abc\n", "'abc', which is not a number, in row 's2' and column 'g2'"),
        (",g1,type\ns1,1,LUAD\n", "'LUAD', which is not a number, in row 's1' and column 'type'"),
        (',g1,g2\ns1,1,"2,5"\n', "'2,5', which is not a number"),
        (",g1,g2\ns1,1,1_000\n", "m.csv"),
        (",g1,g2\ns1,1,2\ns2,3\n", "Line 3 of"),
        (",g1,g2\ns1,1,2\ns2,3\n", "(row 's2') has 2 cells but the header asks for 3"),
        (",g1,g2\ns1,1,2\ns2,3,4,5\n", "(row 's2') has 4 cells but the header asks for 3"),
        (",g1,g2\ns1,1\n", "has 2 cells"),
        (",g1,g2\ns1,1,2,3,4,5\n", "has 6 cells"),
        ("g0,g1\n0.5,1\n3,4\n", "'g0', holds numbers such as 0.5 where the names of the rows"),
        ("s1\n", "has a single column"),
        ("\n\n  \n", "holds no text"),
        (",g1,g2\n", "is empty (0 samples x 2 genes)"),
        (",g1,g2\ns1,1,2\n", "has 1 sample(s)"),
        (",g1,g2\ns1,1,inf\ns2,1,2\n", "infinite value"),
        (",g1,g2\ns1,1,1e39\ns2,1,2\n", "sample 's1' and gene 'g2'"),
        (",g1,g2\ns1,1,\ns2,1,NA\n", "The gene 'g2' has no observed entry"),
        (",g1,g2\ns1,1,2\ns2,NaN,\n", "The sample 's2' has no observed entry"),
        (",g1,g1\ns1,1,2\ns2,3,4\n", "gene name 'g1' 2 times"),
        (",g1,g2\ns1,1,2\ns1,3,4\n", "sample name 's1' 2 times"),
        (',g1,g2\n"s1,1,2\ns2,3,4\n', "m.csv"),
    ],
)
def test_a_faulty_table(tmp_path, text, message):
    (tmp_path / "m.csv").write_text(text)
    refused(tmp_path / "m.csv", message)


def test_a_table_that_is_not_utf8(tmp_path):
    (tmp_path / "m.csv").write_bytes(",g1\ns1,1\ns2,2\n".encode("utf-16-le"))
    refused(tmp_path / "m.csv", "holds zero bytes")
    (tmp_path / "m.csv").write_bytes(",g1\ns1,1\ns2,2\n".encode("utf-16")[:-1])
    refused(tmp_path / "m.csv", "begins as UTF-16")
    (tmp_path / "m.csv").write_bytes(",g1\ns1é,1\ns2,2\n".encode("latin-1"))
    refused(tmp_path / "m.csv", "UTF-8")
    (tmp_path / "m.csv").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\r")
    refused(tmp_path / "m.csv", "m.csv")


@pytest.mark.parametrize(
    ("start", "chunk", "times", "message"),
    [
        (b"", b"0" * 1_000_000, 120, "a line of more than 100,000,000 bytes"),
        (b"", b"a," * 500_000, 11, "more than 5,000,000 columns"),
        (b"", b"\n" * 1_000_000, 4, "blank lines in a row"),
        (b"n,a,b\n", b"s,0,0\n" * 100_000, 2, "only 1 names for its first 100,000 rows"),
        (b"n,a\n", b"__x,0\n" * 20_000, 1, "more than 10,000 rows of read statistics"),
        (b"!Series_a\n", b"!Sample_x\t1\n" * 100_000, 11, "no table in its first 1,000,000"),
    ],
)
def test_a_small_file_that_unpacks_to_much(tmp_path, start, chunk, times, message):
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb", 1) as stream:
        stream.write(start)
        for _ in range(times):
            stream.write(chunk)
    refused(path, message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html>\n<html>404</html>\n", "a web page (HTML)"),
        (b'{"message": "Not found"}', "JSON"),
        (b'c1\tx\tgene\t1\t2\t.\t+\t.\tgene_id "x";\n', "GTF or GFF"),
        (b"chr1\t1\t20\tx\nchr2\t1\t20\ty\n", "a BED file"),
        (b"##fileformat=VCFv4.2\n", "a VCF file"),
        (b">chr1\nACGT\n", "FASTA"),
        (b"@r1\nACGT\n+\nIIII\n", "a FASTQ file"),
        (b"@HD\tVN:1.0\n", "a SAM file"),
        (gzip.compress(b"BAM\1aaaa", mtime=0), "a BAM file"),
        (gzip.compress(b"X\n\0\0\0\3", mtime=0), "an R object (.rds)"),
        (gzip.compress(b"RDX3\nX\n", mtime=0), "R data (.RData)"),
        (gzip.compress(b"a" * 257 + b"ustar\0" + b"\0" * 300, mtime=0), "a .tar archive"),
        (b"%PDF-1.4\n", "a PDF document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)"),
        (b"\x89HDF\r\n\x1a\n\0", "an HDF5 file, not an expression matrix; name it .h5ad"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"%%MatrixMarket matrix coordinate integer general\n", "give the folder"),
        (b'"","baseMean","log2FoldChange","pvalue"\n"A",1,2,3\n', "differential expression"),
        (b"Sample\tFastQC_mqc-generalstats-gc\nS1\t1\n", "a MultiQC table"),
        (b"sample,condition,type,depth\ns1,a,b,1\ns2,a,b,3\n", "a sheet of annotations"),
        (b"Status\ta.bam\nAssigned\t5\n", "a featureCounts summary"),
        (b"chr1\t248\t100\t0\n*\t0\t0\t10\n", "samtools idxstats"),
        (b"#1.2\n3\t1\nName\tDescription\tS1\nG1\td\t1\n", "announces 3 rows but has 1"),
        (b"!Series_a\n!series_matrix_table_begin\nID_REF\n!series_matrix_table_end\n",
         "supplementary files"),
    ],
)  # fmt: skip
def test_what_is_no_matrix_is_called_by_its_name(tmp_path, content, message):
    (tmp_path / "m.txt").write_bytes(content)
    refused(tmp_path / "m.txt", message)


def test_an_archive_of_a_workbook_or_of_several_files(tmp_path):
    for names, message in (
        (["[Content_Types].xml", "xl/workbook.xml"], "an Excel workbook (.xlsx)"),
        (["a.csv", "b.csv"], "an archive of 2 files (a.csv, b.csv)"),
    ):
        with zipfile.ZipFile(tmp_path / "m.xlsx", "w") as archive:
            for name in names:
                archive.writestr(name, "x")
        refused(tmp_path / "m.xlsx", message)


def test_a_broken_gzip(tmp_path):
    (tmp_path / "plain.csv.gz").write_text(TABLE.to_csv())
    refused(tmp_path / "plain.csv.gz", "cannot be read as gzipped text")
    whole = gzip.compress(TABLE.to_csv().encode())
    (tmp_path / "cut.csv.gz").write_bytes(whole[:-12])
    refused(tmp_path / "cut.csv.gz", "may be truncated or damaged")
    (tmp_path / "nothing.csv.gz").write_bytes(gzip.compress(b"", mtime=0))
    refused(tmp_path / "nothing.csv.gz", "holds no text")


# ---- binary files


@pytest.mark.parametrize("name", ["m.h5ad", "m.npy", "m.npz", "sparse.npz", "m.parquet", "m.h5"])
@pytest.mark.parametrize("content", [b"x", b"not what the ending says\n" * 100, b"\0" * 4096])
def test_another_content_than_the_ending_says(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, name)


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    write_h5ad(folder / "m.h5ad")
    write_h5ad(folder / "csr.h5ad", X=sparse.csr_matrix(TABLE.to_numpy()))
    np.save(folder / "m.npy", TABLE.to_numpy())
    np.savez(folder / "m.npz", TABLE.to_numpy())
    sparse.save_npz(folder / "sparse.npz", sparse.csr_matrix(TABLE.to_numpy()))
    TABLE.to_parquet(folder / "m.parquet")
    write_published(folder / "m.h5")
    (folder / "m.tsv.gz").write_bytes(gzip.compress(TABLE.to_csv(sep="\t").encode()))
    return folder


@settings(max_examples=25, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize(
    "name",
    ["m.h5ad", "csr.h5ad", "m.npy", "m.npz", "sparse.npz", "m.parquet", "m.h5", "m.tsv.gz"],
)
def test_a_truncated_file(whole_files, name, data):
    content = (whole_files / name).read_bytes()
    n_bytes = data.draw(st.integers(0, len(content) - 1))
    path = whole_files / f"cut_{name}"
    path.write_bytes(content[:n_bytes])
    with pytest.raises(InputError, match=re.escape(path.name)):
        read(path)


# Not the HDF5 files: libhdf5 itself can hang or crash on flipped bytes, before any code of ours.
@settings(max_examples=25, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("name", ["m.npy", "m.npz", "sparse.npz", "m.parquet", "m.tsv.gz"])
def test_a_file_with_altered_bytes_is_read_or_refused(whole_files, name, data):
    content = bytearray((whole_files / name).read_bytes())
    places = st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=20)
    for place in data.draw(places):
        content[place] = data.draw(st.integers(0, 255))
    path = whole_files / f"altered_{name}"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        read(path).check()


@pytest.mark.parametrize("name", ["m.npy", "m.npz", "object.npz"])
def test_pickled_objects_are_never_loaded(tmp_path, name):
    trap = np.array([[1, "a"], [2, None]], dtype=object)
    if name == "m.npy":
        np.save(tmp_path / name, trap, allow_pickle=True)
    elif name == "m.npz":
        np.savez(tmp_path / name, trap)
    else:
        np.savez(tmp_path / name, TABLE.to_numpy(), gene_names=np.array(["a", 1], dtype=object))
    refused(tmp_path / name, name)


def test_arrays_of_a_wrong_shape_or_type(tmp_path):
    np.save(tmp_path / "m.npy", np.zeros(3))
    refused(tmp_path / "m.npy", "has 1 dimension")
    np.save(tmp_path / "m.npy", np.array([["a", "b"]]))
    refused(tmp_path / "m.npy", "holds values of type <U1")
    np.save(tmp_path / "m.npy", np.zeros((0, 5)))
    refused(tmp_path / "m.npy", "is empty (0 samples x 5 genes)")
    np.savez(tmp_path / "m.npz", a=np.eye(2), b=np.eye(2))
    refused(tmp_path / "m.npz", "holds 2 two-dimensional arrays among a, b")
    np.savez(tmp_path / "m.npz", np.eye(2), sample_names=np.array(["a"]))
    refused(tmp_path / "m.npz", "1 sample names for 2 samples")
    np.savez(tmp_path / "m.npz", np.eye(2), gene_names=np.array(["a", "b", "c"]))
    refused(tmp_path / "m.npz", "3 gene names for 2 genes")
    np.savez(tmp_path / "m.npz", np.eye(2), gene_names=np.zeros((1, 2)))
    refused(tmp_path / "m.npz", "gene_names of")
    np.savez(tmp_path / "m.npz")
    refused(tmp_path / "m.npz", "holds 0 two-dimensional arrays among no arrays")


def test_npy_and_npz_with_each_other_s_ending(tmp_path):
    np.save(tmp_path / "m.npy", np.eye(2))
    shutil.move(tmp_path / "m.npy", tmp_path / "a.npz")
    refused(tmp_path / "a.npz", "rename it to .npy")
    np.savez(tmp_path / "m.npz", np.eye(2))
    shutil.move(tmp_path / "m.npz", tmp_path / "a.npy")
    refused(tmp_path / "a.npy", "rename it to .npz")


def test_parquet_with_annotations_or_without_pyarrow(tmp_path, monkeypatch):
    TABLE.assign(cohort="A", tissue="B").to_parquet(tmp_path / "m.parquet")
    refused(tmp_path / "m.parquet", "Column 'cohort' of")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    refused(tmp_path / "m.parquet", "pip install 'fembed[parquet]'")


# ---- HDF5


def test_a_layer_raw_or_x_that_is_not_there(tmp_path):
    layers = {"counts": TABLE.to_numpy(), "scaled": TABLE.to_numpy()}
    write_h5ad(tmp_path / "m.h5ad", layers=layers)
    there = "its layers are counts, scaled, and it has no raw matrix"
    refused(tmp_path / "m.h5ad", f"has no layer 'x'; {there}", layer="x")
    refused(
        tmp_path / "m.h5ad",
        "has no raw matrix; its layers are counts, scaled; choose",
        use_raw=True,
    )
    write_h5ad(tmp_path / "m.h5ad", X=None)
    refused(tmp_path / "m.h5ad", "has no matrix X; it has no layers")


def test_hdf5_of_another_layout(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["matrix/data"] = np.eye(2)
    refused(tmp_path / "other.h5", "lacks the dataset(s) data, samples, genes (it holds matrix)")
    shutil.copy(tmp_path / "other.h5", tmp_path / "other.h5ad")
    refused(tmp_path / "other.h5ad", "has no matrix X")
    with h5py.File(tmp_path / "other.h5ad", "a") as file:
        file["X"] = np.eye(2)
    refused(tmp_path / "other.h5ad", "has no table 'obs'")
    with h5py.File(tmp_path / "old.h5ad", "w") as file:
        file.create_group("X").attrs["encoding-type"] = "awkward-array"
    refused(tmp_path / "old.h5ad", "stored as 'awkward-array'")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": ["a"]}, "1 sample names for 3 samples"),
        ({"genes": ["a", "b"]}, "2 gene names for 4 genes"),
        ({"genes": None}, "lacks the dataset(s) genes"),
        ({"labels": ["a", "b"]}, "2 labels for 3 samples"),
        ({"genes": [["a", "b", "c", "d"]]}, "genes of"),
        ({"data": ["a", "b"]}, "1 dimension"),
        ({"data": [["a"] * 4] * 3}, "holds values of type object"),
    ],
)
def test_the_published_layout_with_a_fault(tmp_path, changes, message):
    write_published(tmp_path / "m.h5", **changes)
    refused(tmp_path / "m.h5", message)


def test_a_folder_that_is_no_anndata_zarr(tmp_path):
    (tmp_path / "m.zarr").mkdir()
    refused(tmp_path / "m.zarr", "cannot be read as an AnnData .zarr")
    import zarr

    zarr.create_group(tmp_path / "empty.zarr")
    refused(tmp_path / "empty.zarr", "has no matrix X")


def test_a_damaged_zarr(tmp_path):
    import anndata

    adata = anndata.AnnData(TABLE.to_numpy())
    adata.write_zarr(tmp_path / "m.zarr")
    chunk = tmp_path / "m.zarr" / "X" / "0.0"
    chunk.write_bytes(chunk.read_bytes()[:5])
    refused(tmp_path / "m.zarr", "cannot be read as an AnnData .zarr")


# ---- 10x folders


@pytest.mark.parametrize("name", ["matrix.mtx", "genes.tsv", "barcodes.tsv"])
def test_a_10x_folder_lacks_a_file(tmp_path, name):
    write_tenx(tmp_path / "tenx")
    (tmp_path / "tenx" / name).unlink()
    refused(tmp_path / "tenx", f"{name} (plain or .gz), so it is not a 10x folder")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": "4 2 2"}, "is 4 genes x 2 cells, but there are 4 gene names and 3 barcodes"),
        ({"size": "4 3 9"}, "announces 9 entries but has 2"),
        ({"size": "4 3"}, "has no line with its numbers"),
        ({"size": "a b c"}, "has no line with its numbers"),
        ({"lines": ""}, "announces 2 entries but has 0"),
        ({"lines": "1 1 5\n5 1 1\n"}, "outside its 4 genes x 3 cells"),
        ({"lines": "1 1 5\n0 1 1\n"}, "outside its 4 genes x 3 cells"),
        ({"lines": "1 1 5\n1 1\n"}, "may be truncated or damaged"),
        ({"lines": "1 1 5 6\n1 2 3\n"}, "may be truncated or damaged"),
        ({"lines": "1 1 5\n1 1 2 3 4 5\n"}, "may be truncated or damaged"),
        ({"lines": "1 1 5 6 7\n1 1 2\n"}, "may be truncated or damaged"),
        ({"lines": "1 1 5\n1 2 x\n"}, "may be truncated or damaged"),
        ({"lines": "1 1 5\n1.5 2 1\n"}, "may be truncated or damaged"),
        ({"lines": f"1 1 5\n{10**30} 2 1\n"}, "may be truncated or damaged"),
        ({"banner": "complex general"}, "does not begin as a 10x matrix does"),
        ({"banner": "integer symmetric"}, "does not begin as a 10x matrix does"),
    ],
)
def test_a_10x_matrix_with_a_fault(tmp_path, changes, message):
    write_tenx(tmp_path / "tenx", **changes)
    refused(tmp_path / "tenx", message)


def test_10x_files_that_are_broken(tmp_path):
    write_tenx(tmp_path / "tenx")
    refused(tmp_path / "tenx", "leave out --transpose", transpose=True)
    matrix = tmp_path / "tenx" / "matrix.mtx"
    whole = gzip.compress(matrix.read_bytes())
    matrix.unlink()
    (tmp_path / "tenx" / "matrix.mtx.gz").write_bytes(whole[:-10])
    refused(tmp_path / "tenx", "may be truncated or damaged")
    (tmp_path / "tenx" / "matrix.mtx.gz").write_bytes(whole)
    (tmp_path / "tenx" / "barcodes.tsv").write_bytes(b"\xff\xfe\n\n")
    refused(tmp_path / "tenx", "cannot be read as a list of names")


@pytest.mark.parametrize("codec", ["blosc", "zstd", "gzip", "zlib", "bz2", "lzma", "chunk shape"])
def test_a_chunk_of_a_zarr_that_would_fill_the_memory(tmp_path, monkeypatch, codec: str) -> None:
    pytest.importorskip("zarr")
    numcodecs = pytest.importorskip("numcodecs")
    from fembed.data.readers import zarr_chunks

    path = tmp_path / "data.zarr"
    AnnData(TABLE).write_zarr(path)
    assert read(path).n_samples == 3
    about = json.loads((path / "X" / ".zarray").read_text())
    chunk = next(one for one in (path / "X").iterdir() if not one.name.startswith("."))
    if codec == "chunk shape":
        about["chunks"] = [1 << 30, 1 << 30]
    else:
        about["compressor"] = numcodecs.get_codec({"id": codec}).get_config()
        chunk.write_bytes(bomb(codec))
    for name in (".zmetadata", ".zarray"):
        (path / name).unlink(missing_ok=True)
    (path / "X" / ".zarray").write_text(json.dumps(about))
    monkeypatch.setattr(zarr_chunks, "available_bytes", lambda: 1 << 20)
    monkeypatch.setattr(zarr_chunks, "_ALWAYS", 1 << 20)
    words = "GB of memory" if codec == "chunk shape" else "unpacks to far more than the 48 bytes"
    refused(path, words)


def bomb(codec: str) -> bytes:
    """A chunk that unpacks to 4 MB, or says so of 2 GB."""
    if codec == "blosc":
        return b"\2\1\x21\4" + (2_000_000_000).to_bytes(4, "little") + bytes(8)
    if codec == "zstd":
        return b"\x28\xb5\x2f\xfd\xe0" + (2_000_000_000).to_bytes(8, "little") + bytes(8)
    pack = {"gzip": gzip, "zlib": zlib, "bz2": bz2, "lzma": lzma}[codec]
    return pack.compress(bytes(4_000_000))
