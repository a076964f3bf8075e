"""HDF5 files of every kind, and 10x folders: the right axes, names and features."""

from __future__ import annotations

import gzip
import os
import re
import shutil
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from fembed.data.readers import read
from fembed.errors import DataWarning, InputError

DATA = Path(os.environ.get("FEMBED_DATA", Path(__file__).parents[3] / "shared" / "data"))
COUNTS = np.random.default_rng(0).poisson(2, (5, 4))  # cells x genes
GENES = [f"ENSG{i:011d}" for i in range(4)]
CELLS = [f"BC{i}-1" for i in range(5)]


def write_10x(path, counts=COUNTS, ids=GENES, types=None, genomes=None, group="matrix"):
    stored = sparse.csc_matrix(counts.T)
    with h5py.File(path, "a") as file:
        matrix = file.create_group(group)
        for name in ("data", "indices", "indptr"):
            matrix[name] = getattr(stored, name)
        matrix["shape"] = stored.shape
        matrix["barcodes"] = np.array(CELLS, "S")
        if group != "matrix":  # version 2
            matrix["genes"] = np.array(ids, "S")
            matrix["gene_names"] = np.array(["SYMBOL"] * len(ids), "S")
            return
        features = matrix.create_group("features")
        features["id"] = np.array(ids, "S")
        features["name"] = np.array(["SYMBOL"] * len(ids), "S")
        if types is not None:
            features["feature_type"] = np.array(types, "S")
        if genomes is not None:
            features["genome"] = np.array(genomes, "S")


def assert_is(found, samples=CELLS, genes=GENES, units="counts"):
    np.testing.assert_array_equal(found.values, COUNTS)
    assert found.sample_names.tolist() == list(samples)
    assert found.gene_names.tolist() == list(genes)
    assert found.source.units == units
    assert found.source.oriented


def test_10x_of_both_versions(tmp_path):
    write_10x(tmp_path / "v3.h5", types=["Gene Expression"] * 4, genomes=["GRCh38"] * 4)
    assert_is(read(tmp_path / "v3.h5"))
    write_10x(tmp_path / "v2.h5", group="GRCh38")
    assert_is(read(tmp_path / "v2.h5"))
    with pytest.raises(InputError, match="leave out --transpose"):
        read(tmp_path / "v2.h5", transpose=True)


def test_several_genomes_are_refused_by_name(tmp_path):
    write_10x(tmp_path / "v2.h5", group="GRCh38")
    write_10x(tmp_path / "v2.h5", group="mm10")
    write_10x(tmp_path / "v3.h5", genomes=["GRCh38", "GRCh38", "mm10", "mm10"])
    for name in ("v2.h5", "v3.h5"):
        with pytest.raises(InputError, match=re.escape("several genomes (GRCh38, mm10)")):
            read(tmp_path / name)


OTHERS = ["Gene Expression"] * 4 + ["Antibody Capture"] * 2 + ["Negative Control Probe"]
LEFT_OUT = "left out: 2 Antibody Capture, 1 Negative Control Probe; 4 genes"


def test_features_that_are_no_genes_are_left_out_with_a_word(tmp_path):
    wider = np.hstack([COUNTS, np.full((5, 3), 99)])
    ids = [*GENES, "CD3", "CD4", "BLANK"]
    write_10x(tmp_path / "m.h5", wider, ids, OTHERS, ["GRCh38"] * 4 + [""] * 3)
    with pytest.warns(DataWarning, match=LEFT_OUT):
        found = read(tmp_path / "m.h5")
    assert_is(found)
    assert "2 Antibody Capture" in found.source.notes[0]
    write_10x(tmp_path / "n.h5", types=["Peaks"] * 4)
    with pytest.raises(InputError, match="no feature of the type Gene Expression, only 4 Peaks"):
        read(tmp_path / "n.h5")


def write_folder(folder, counts, ids, types, prefix=""):
    folder.mkdir(exist_ok=True)
    genes, cells = np.nonzero(counts.T)
    head = "%%MatrixMarket matrix coordinate integer general\n"
    lines = [f"{i + 1} {j + 1} {counts[j, i]}\n" for i, j in zip(genes, cells, strict=True)]
    size = f"{counts.shape[1]} {counts.shape[0]} {len(lines)}\n"
    with gzip.open(folder / f"{prefix}matrix.mtx.gz", "wt") as stream:
        stream.writelines([head, size, *lines])
    rows = [f"{name}\tSYMBOL\t{kind}\n" for name, kind in zip(ids, types, strict=True)]
    (folder / f"{prefix}features.tsv").write_text("".join(rows))
    (folder / f"{prefix}barcodes.tsv").write_text("\n".join(CELLS))


def test_10x_folders_with_other_features_and_with_a_prefix(tmp_path):
    wider, ids = np.hstack([COUNTS, np.full((5, 3), 99)]), [*GENES, "CD3", "CD4", "BLANK"]
    write_folder(tmp_path / "a", wider, ids, OTHERS)
    with pytest.warns(DataWarning, match=LEFT_OUT):
        assert_is(read(tmp_path / "a"))
    write_folder(tmp_path / "b", COUNTS, GENES, ["protein_coding"] * 4, "GSM1_")
    assert_is(read(tmp_path / "b"))
    write_folder(tmp_path / "b", COUNTS, GENES, ["Gene Expression"] * 4, "GSM2_")
    with pytest.raises(InputError, match=re.escape("GSM1_matrix.mtx.gz, GSM2_matrix.mtx.gz")):
        read(tmp_path / "b")


@pytest.mark.parametrize(
    ("name", "shape", "total", "first_gene", "first_cell"),
    [
        ("cellranger_v2.h5", (12, 343), 12, "DSCAM", "AACACGTGTACGCTGC-1"),
        ("cellranger_v3.h5", (1107, 507), 41549, "ENSG00000279493", "AAACCCAAGGAGAGTA-1"),
        ("cellranger_v3_folder", (1107, 507), 41549, "ENSG00000279493", "AAACCCAAGGAGAGTA-1"),
        ("xenium.h5", (30, 15), 255, "GENE_000", "CELL_000-1"),
    ],
)
def test_real_files(name, shape, total, first_gene, first_cell):
    path = DATA / "formats" / name
    if not path.exists():
        pytest.skip(f"{path} is not there; set FEMBED_DATA to the folder of the real data")
    found = read(path)
    assert found.values.shape == shape
    assert found.values.sum() == total
    assert found.gene_names[0] == first_gene
    assert found.sample_names[0] == first_cell


def test_archs4_of_both_versions(tmp_path):
    samples = [f"GSM{i}" for i in range(5)]
    with h5py.File(tmp_path / "v2.h5", "w") as file:
        file["data/expression"] = COUNTS.T
        file["meta/genes/symbol"], file["meta/genes/ensembl_gene"] = ["A", "A", "B", "C"], GENES
        file["meta/samples/geo_accession"] = samples
        file["meta/samples/title"] = [f"title {i}" for i in range(5)]
    found = read(tmp_path / "v2.h5")
    assert_is(found, samples, GENES)  # of symbols some repeat
    assert found.labels("title").tolist() == [f"title {i}" for i in range(5)]
    with h5py.File(tmp_path / "v1.h5", "w") as file:
        file["data/expression"] = COUNTS.T
        file["meta/genes"] = np.array(["A", "B", "C", "D"], "S")
        file["meta/Sample_geo_accession"] = np.array(samples, "S")
    assert_is(read(tmp_path / "v1.h5"), samples, ["A", "B", "C", "D"])


def test_loom_and_gctx(tmp_path):
    with h5py.File(tmp_path / "m.loom", "w") as file:
        file["matrix"] = COUNTS.T
        file["row_attrs/Gene"], file["row_attrs/Accession"] = ["A", "A", "B", "C"], GENES
        file["col_attrs/CellID"] = CELLS
        file["col_attrs/cluster"] = [1, 1, 2, 2, 2]
    found = read(tmp_path / "m.loom")
    assert_is(found, units=None)
    assert found.labels("cluster").tolist() == ["1", "1", "2", "2", "2"]
    with h5py.File(tmp_path / "m.loom", "a") as file:
        del file["row_attrs/Gene"]
        file["row_attrs/Gene"] = ["A", "B", "C", "D"]
    assert_is(read(tmp_path / "m.loom"), genes=["A", "B", "C", "D"], units=None)
    with h5py.File(tmp_path / "m.gctx", "w") as file:
        file["0/DATA/0/matrix"] = COUNTS
        file["0/META/ROW/id"] = np.array([f"{gene}   " for gene in GENES], "S")
        file["0/META/COL/id"] = np.array(CELLS, "S")
    assert_is(read(tmp_path / "m.gctx"), units=None)


def test_hdf5_files_under_each_other_s_ending(tmp_path):
    obs, var = pd.DataFrame(index=CELLS), pd.DataFrame(index=GENES)
    adata = anndata.AnnData(COUNTS.astype(np.float32), obs, var, layers={"x": COUNTS * 2.0})
    adata.uns["log1p"] = {"base": None}
    adata.write_h5ad(tmp_path / "a.h5ad")
    shutil.copy(tmp_path / "a.h5ad", tmp_path / "a.h5")
    assert_is(read(tmp_path / "a.h5"), units="log1p")
    assert read(tmp_path / "a.h5", layer="x").source.units is None
    write_10x(tmp_path / "b.h5ad")
    assert_is(read(tmp_path / "b.h5ad"))
    with pytest.raises(InputError, match="is no AnnData and has no layer 'x'"):
        read(tmp_path / "b.h5ad", layer="x")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (["barcode_idx", "umi", "feature_idx"], "molecule_info.h5, a list of molecules"),
        (["matrix/features/filtered_probes", "matrix/data"], "matrix of probes"),
        (["assays/RNA/counts/data", "cell.names"], "a Seurat object (.h5seurat)"),
        (["est_counts", "aux/ids"], "kallisto's abundance.h5"),
        (["mod/rna/X", "obs/_index"], "a MuData file"),
        (["assay001"], "HDF5Array"),
        (["something/else"], "is no AnnData, 10x, loom, ARCHS4 or GCTX file"),
    ],
)
def test_other_hdf5_files_are_refused_by_name(tmp_path, members, words):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        for member in members:
            file[member] = np.arange(3)
    with pytest.raises(InputError, match=re.escape(words)):
        read(tmp_path / "m.h5")


@pytest.mark.parametrize("ending", [".h5", ".h5ad", ".loom"])
def test_text_is_no_hdf5_file(tmp_path, ending):
    (tmp_path / f"m{ending}").write_text(",g1,g2\ns1,1,2\n")
    with pytest.raises(InputError, match="is no HDF5 file by its content"):
        read(tmp_path / f"m{ending}")


def test_a_pandas_store_is_refused_by_name(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_group("table").attrs["pandas_type"] = b"frame"
    with pytest.raises(InputError, match=re.escape("pandas.read_hdf(path, 'table')")):
        read(tmp_path / "m.h5")
