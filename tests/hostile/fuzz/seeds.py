"""Sound inputs of every kind, small, from which mutations start."""

from __future__ import annotations

import bz2
import gzip
import shutil
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from fembed import parallel, store, sweeps, tl, train
from fembed.config import FitConfig
from fembed.data.expression import Expression
from fembed.model import Model
from fembed.output import tables
from fembed.train import checkpoint, trainer
from tests.tiny_model import tiny_model

N_SAMPLES, N_GENES = 6, 8
CONFIG = FitConfig(gene_components=2, hidden=(4,), epochs=2.0, validation_fraction=0.0, n_threads=1)


def frame() -> pd.DataFrame:
    """Counts, samples x genes, a few of them zero."""
    counts = np.random.default_rng(0).poisson(5, size=(N_SAMPLES, N_GENES))
    samples = [f"s{i}" for i in range(1, N_SAMPLES + 1)]
    genes = [f"ENSG0000000000{j}" for j in range(1, N_GENES + 1)]
    return pd.DataFrame(counts, pd.Index(samples), pd.Index(genes))


def expression() -> Expression:
    return Expression.from_array(frame(), obs=annotations())


def annotations() -> pd.DataFrame:
    table = frame()
    return pd.DataFrame(
        {"group": list("ababab"), "time": np.arange(1.0, 7.0), "event": [1, 0] * 3}, table.index
    )


def make(folder: Path) -> None:
    """Write all of them into ``folder``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that write the seeds
        _text_tables(folder)
        _other_texts(folder)
        _binary_tables(folder)
        _anndata(folder)
        _hdf5(folder)
        _tenx(folder / "tenx", frame().T)
        _models(folder)


def _text_tables(folder: Path) -> None:
    table = frame()
    table.to_csv(folder / "table.csv")
    table.T.to_csv(folder / "genes.tsv", sep="\t")
    (folder / "table.csv.gz").write_bytes(gzip.compress(table.to_csv().encode()))
    (folder / "table.tsv.bz2").write_bytes(bz2.compress(table.to_csv(sep="\t").encode()))
    with zipfile.ZipFile(folder / "table.zip", "w") as archive:
        archive.writestr("table.csv", table.to_csv())
    annotations().to_csv(folder / "annotations.csv")
    annotations().to_parquet(folder / "annotations.parquet")


def _other_texts(folder: Path) -> None:
    """Formats of other programs."""
    genes = frame().T
    body = genes.to_csv(sep="\t").removeprefix("\t")
    described = genes.copy()
    described.insert(0, "Description", [f"gene {j}" for j in range(N_GENES)])
    described.index.name = "Name"
    head = f"#1.2\n{N_GENES}\t{N_SAMPLES}\n"
    (folder / "table.gct").write_text(head + described.to_csv(sep="\t"))
    series = f'!Series_title\t"t"\n\n!series_matrix_table_begin\nID_REF\t{body}'
    (folder / "series_matrix.txt").write_text(series + "!series_matrix_table_end\n")
    counts = genes["s1"]
    special = ("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous")
    star = "".join(f"{name}\t5\t5\t5\n" for name in special)
    star += "".join(f"{gene}\t{n}\t{n}\t0\n" for gene, n in counts.items())
    (folder / "star_ReadsPerGene.out.tab").write_text(star)
    for sample in genes:
        (folder / "htseq").mkdir(exist_ok=True)
        text = "".join(f"{gene}\t{n}\n" for gene, n in genes[sample].items())
        (folder / "htseq" / f"{sample}.txt").write_text(text + "__no_feature\t7\n__ambiguous\t1\n")
    places = {"Chr": "1", "Start": 1, "End": 900, "Strand": "+", "Length": 900}
    counted = pd.concat([pd.DataFrame(places, index=genes.index), genes], axis=1)
    counted.index.name = "Geneid"
    (folder / "featurecounts.txt").write_text(
        "# Program:featureCounts\n" + counted.to_csv(sep="\t")
    )
    rsem = pd.DataFrame(
        {"transcript_id(s)": "t", "length": 9.0, "effective_length": 8.0}, genes.index
    )
    rsem = rsem.assign(expected_count=counts, TPM=counts * 1.5, FPKM=counts * 2.5)
    rsem.index.name = "gene_id"
    rsem.to_csv(folder / "a.genes.results", sep="\t")
    portal = genes.reset_index(names="Hugo_Symbol")
    portal.insert(1, "Entrez_Gene_Id", range(1, N_GENES + 1))
    portal.to_csv(folder / "data_mrna.txt", sep="\t", index=False)


def _binary_tables(folder: Path) -> None:
    table = frame()
    values = table.to_numpy(np.float32)
    np.save(folder / "values.npy", values)
    names = {"sample_names": np.array(table.index, "U"), "gene_names": np.array(table.columns, "U")}
    np.savez(folder / "values.npz", X=values, **names)
    sparse.save_npz(folder / "sparse.npz", sparse.csr_matrix(values))
    table.astype(np.float32).to_parquet(folder / "table.parquet")
    table.T.reset_index(names="gene").to_parquet(folder / "genes.parquet")
    table.reset_index(names="sample").to_feather(folder / "table.feather")


def _anndata(folder: Path) -> None:
    from anndata import AnnData

    table = frame()
    values = table.to_numpy(np.float32)
    obs = annotations().astype({"group": "category"})
    var = pd.DataFrame({"symbol": [f"G{j}" for j in range(N_GENES)]}, index=table.columns)
    for name, X in (
        ("dense", values),
        ("csr", sparse.csr_matrix(values)),
        ("csc", sparse.csc_matrix(values)),
    ):
        adata = AnnData(X, obs, var)
        adata.layers["log"] = np.log1p(values)
        adata.raw = adata
        adata.write_h5ad(folder / f"{name}.h5ad")
        if name != "csc":
            adata.write_zarr(folder / f"{name}.zarr", convert_strings_to_categoricals=False)
    # Without the copy of all descriptions at the top, those of the arrays count.
    (folder / "dense.zarr" / ".zmetadata").unlink()
    embedded = AnnData(values, obs, var)
    embedded.obsm["X_fembed"] = values[:, :2]
    embedded.write_h5ad(folder / "points.h5ad")


def _hdf5(folder: Path) -> None:
    table = frame()
    text = h5py.string_dtype()
    with h5py.File(folder / "published.h5", "w") as file:
        file["data"] = table.to_numpy(np.float32)
        file["samples"], file["genes"] = list(table.index), list(table.columns)
        file["labels"] = list("ababab")
    compressed = sparse.csc_matrix(table.T.to_numpy(np.int32))
    fields = {name: getattr(compressed, name) for name in ("data", "indices", "indptr")}
    fields |= {"shape": compressed.shape, "barcodes": np.array(table.index, "S")}
    ids = np.array(table.columns, "S")
    with h5py.File(folder / "cellranger_v3.h5", "w") as file:
        for name, value in fields.items():
            file[f"matrix/{name}"] = value
        features = file.create_group("matrix/features")
        features["id"] = features["name"] = ids
        features["feature_type"] = np.array(["Gene Expression"] * N_GENES, "S")
        features["genome"] = np.array(["GRCh38"] * N_GENES, "S")
        features["_all_tag_keys"] = np.array(["genome"], "S")
    with h5py.File(folder / "cellranger_v2.h5", "w") as file:
        for name, value in fields.items():
            file[f"GRCh38/{name}"] = value
        file["GRCh38/genes"] = file["GRCh38/gene_names"] = ids
    with h5py.File(folder / "cells.loom", "w") as file:
        file.create_dataset(
            "matrix", data=table.T.to_numpy(np.float32), chunks=(4, 3), compression="gzip"
        )
        file.create_dataset("row_attrs/Gene", data=list(table.columns), dtype=text)
        file.create_dataset("row_attrs/Accession", data=list(table.columns), dtype=text)
        file.create_dataset("col_attrs/CellID", data=list(table.index), dtype=text)
        file.create_group("layers")
        file.create_dataset("attrs/LOOM_SPEC_VERSION", data="3.0.0", dtype=text)


def _tenx(folder: Path, genes: pd.DataFrame) -> None:
    folder.mkdir()
    entries = sparse.coo_matrix(genes.to_numpy())
    lines = [
        f"{row + 1} {column + 1} {value}"
        for row, column, value in zip(entries.row, entries.col, entries.data, strict=True)
    ]
    head = "%%MatrixMarket matrix coordinate integer general\n%\n"
    head += f"{genes.shape[0]} {genes.shape[1]} {len(lines)}\n"
    (folder / "matrix.mtx").write_text(head + "\n".join(lines) + "\n")
    names = "".join(f"{gene}\tG{j}\tGene Expression\n" for j, gene in enumerate(genes.index))
    (folder / "features.tsv.gz").write_bytes(gzip.compress(names.encode()))
    (folder / "barcodes.tsv").write_text("\n".join(genes.columns) + "\n")


def _models(folder: Path) -> None:
    """Models with all arrays and with few, a checkpoint, a sweep, and points."""
    from anndata import AnnData

    data = expression()
    model = train.fit(data, CONFIG)
    store.save(model, folder / "model")
    store.save(tiny_model(linear=False), folder / "tiny")
    tables.write(tables.EmbeddingTable.of_training(model, {}), folder / "points.csv", True)
    tables.write(tables.EmbeddingTable.of_training(model, {}), folder / "points.parquet", True)
    usual = checkpoint.SECONDS, trainer.SECONDS_PER_CALL
    checkpoint.SECONDS, trainer.SECONDS_PER_CALL = 0.0, 1e-9
    fit_kept(folder / "fit.checkpoint")
    checkpoint.SECONDS, trainer.SECONDS_PER_CALL = usual
    carried = AnnData(
        frame().to_numpy(np.float32), annotations(), pd.DataFrame(index=frame().columns)
    )
    tl.fit(carried, gene_components=2, hidden=(4,), epochs=1.0)
    carried.write_h5ad(folder / "carried.h5ad")
    sweep(folder / "sweep")
    shutil.copytree(folder / "sweep", folder / "sweep_without_models")
    shutil.rmtree(folder / "sweep_without_models" / "models")


def more_samples() -> Expression:
    """Twenty, so that some can be held out."""
    counts = np.random.default_rng(0).poisson(5, size=(20, N_GENES)).astype(np.float32)
    return Expression.from_array(counts, obs=pd.DataFrame({"group": list("ab") * 10}))


def fit_kept(path: Path) -> Model:
    """A fit whose state is kept at ``path``, or that goes on from there."""
    config = replace(CONFIG, epochs=20.0, validation_fraction=0.1, block_samples=4, block_genes=4)
    return train.fit(more_samples(), config, checkpoint=path)


def sweep(folder: Path) -> None:
    """Run, or go on with, the sweep of one case in ``folder``."""
    sweeps.sweep(
        more_samples(),
        {"weight_decay": [0.0]},
        "group",
        config=CONFIG,
        held_out=False,
        classifier_steps=0,
        folder=folder,
        workers=parallel.Workers(n_workers=1, n_threads=1),
    )
