"""The kinds of input: where each starts, how it is mutated, and what is then done with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import h5py

from tests.hostile.fuzz import containers, hdf5, plain, trials

Mutator = Callable[[Path, Random], str]


@dataclass(frozen=True)
class Kind:
    """One family of inputs.

    Attributes
    ----------
    seeds : names of files or folders that `seeds.make` writes
    mutate : changes a copy in place and says how
    trial : takes the changed copy
    """

    seeds: tuple[str, ...]
    mutate: Mutator
    trial: Callable[[Path, Random], None] = trials.data


def _compressed(group: str, *outside: str) -> Mutator:
    """HDF5 with a compressed sparse matrix in ``group``, whose bounds are broken now and then."""
    otherwise = hdf5.mutator(*outside)

    def mutate(path: Path, rng: Random) -> str:
        if rng.random() > 0.08:
            return otherwise(path, rng)
        with h5py.File(path, "r+") as file:
            parts = {name: file[f"{group}/{name}"] for name in ("indices", "indptr")}
            fields = {name: part[:] for name, part in parts.items()}
            words = containers.break_sparse(fields, rng)
            for name, part in parts.items():
                part[:] = fields[name]
        return hdf5.REFUSE + words

    return mutate


def _either(*pairs: tuple[str, Mutator]) -> Mutator:
    """The mutator of the ending."""

    def mutate(path: Path, rng: Random) -> str:
        return next(mutator for ending, mutator in pairs if path.name.endswith(ending))(path, rng)

    return mutate


def _is_large(held: h5py.Group, name: str) -> bool:
    try:
        return (getattr(held.get(name), "size", None) or 0) > 100_000
    except (RuntimeError, KeyError, OSError):  # links that lead round
        return False


def _carried(path: Path, rng: Random) -> str:
    """A change to the model in ``uns``, mostly to its document, which is signed again."""
    with h5py.File(path, "r+") as file:
        held = file["uns/fembed"]
        if rng.random() < 0.6:
            text = held["model"][()].decode()
            document, words = plain.edit_json(json.loads(text), rng)
            changed = containers.sealed_text(document)
            del held["model"]
            held["model"] = changed
            held["model"].attrs.update({"encoding-type": "string", "encoding-version": "0.2.0"})
            return words
        names: list[str] = []
        held.visit(names.append)
        words = hdf5.edit(file, f"uns/fembed/{rng.choice(sorted(names))}", rng)
        # anndata reads whatever size there is, before we are asked.
        if any(_is_large(held, name) for name in names):
            del file["uns/fembed"]
        return words


def _sweep(path: Path, rng: Random) -> str:
    chosen = rng.choice([entry for entry in containers.files_of(path) if "cases" in entry.parts])
    if rng.random() < 0.6:
        return plain.json_file(path / "sweep.json", rng)
    return containers.single(chosen, rng)


_POINTS = _either(
    (".csv", plain.text), (".parquet", containers.parquet), (".h5ad", hdf5.mutator("obsm/X_fembed"))
)

KINDS: dict[str, Kind] = {
    "csv": Kind(("table.csv",), plain.text),
    "tsv": Kind(("genes.tsv",), plain.text),
    "packed": Kind(("table.csv.gz",), plain.packed),
    "archive": Kind(("table.tsv.bz2", "table.zip"), plain.packed),
    "gct": Kind(("table.gct",), plain.text),
    "series": Kind(("series_matrix.txt",), plain.text),
    "star": Kind(("star_ReadsPerGene.out.tab",), plain.text),
    "htseq": Kind(("htseq",), containers.tenx),
    "featurecounts": Kind(("featurecounts.txt",), plain.text),
    "rsem": Kind(("a.genes.results",), plain.text),
    "cbioportal": Kind(("data_mrna.txt",), plain.text),
    "npy": Kind(("values.npy",), containers.npy),
    "npz": Kind(("values.npz",), containers.npz),
    "sparse": Kind(("sparse.npz",), containers.sparse_npz),
    "memory": Kind(("sparse.npz",), containers.broken_npz, trials.memory),
    "parquet": Kind(("table.parquet", "genes.parquet"), containers.parquet),
    "feather": Kind(("table.feather",), plain.raw),
    "h5ad": Kind(("dense.h5ad",), hdf5.mutator("X")),
    "h5ad-sparse": Kind(("csr.h5ad", "csc.h5ad"), _compressed("X", "X/data", "X/indices", "X")),
    "zarr": Kind(("dense.zarr", "csr.zarr"), containers.zarr),
    "published": Kind(("published.h5",), hdf5.mutator("data", "samples", "genes")),
    "cellranger": Kind(("cellranger_v3.h5",), _compressed("matrix", "matrix/data", "matrix")),
    "cellranger-v2": Kind(("cellranger_v2.h5",), _compressed("GRCh38", "GRCh38/data")),
    "loom": Kind(("cells.loom",), hdf5.mutator("matrix", "row_attrs")),
    "tenx": Kind(("tenx",), containers.tenx),
    "annotations": Kind(
        ("annotations.csv", "annotations.parquet"),
        _either((".csv", plain.text), (".parquet", containers.parquet)),
        trials.samples_annotated,
    ),
    "points": Kind(("points.csv", "points.parquet", "points.h5ad"), _POINTS, trials.points),
    "model": Kind(("model", "model", "tiny"), containers.folder("model"), trials.model),
    "carried": Kind(("carried.h5ad",), _carried, trials.carried),
    "checkpoint": Kind(("fit.checkpoint",), containers.single, trials.checkpoint),
    "sweep": Kind(("sweep", "sweep_without_models"), _sweep, trials.sweep),
}
