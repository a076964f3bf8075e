"""HDF5 files, recognised by what is in them: their endings do not tell them apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from fembed.data.backed import Backed
from fembed.data.expression import Expression
from fembed.data.readers import anndata_files, atlases, cellranger, published
from fembed.data.readers.damage import ANY_ERROR, damage_reported
from fembed.data.readers.examined import examined
from fembed.errors import InputError

#: Parts of an AnnData that are never read, so that links there do no harm.
_UNREAD = ("obsm", "varm", "obsp", "varp")


def read(path: Path, transpose: bool, layer: str | None = None, raw: bool = False) -> Expression:
    """An AnnData, a 10x matrix, loom, ARCHS4, GCTX, or the layout of the published scripts.

    Raises
    ------
    InputError
        If the file is damaged, held by another program, leads outside itself, or of another kind.
    """
    with opened(path) as file:
        foreign = _foreign(file)
        if foreign is not None:
            raise InputError(f"{path} is {foreign}.")
        kind = _kind(file)
        if _is_anndata(file) or (_is_h5ad(path) and kind is None):
            return anndata_files.read_open(file, path, layer, raw, transpose)
        if layer is not None or raw:
            asked = "raw matrix" if raw else f"layer '{layer}'"
            raise InputError(f"{path} is no AnnData and has no {asked}.")
        if kind is None:
            raise InputError(_unknown(file, path))
        return _READERS[kind](file, path, transpose)


def backed(path: Path, layer: str | None, raw: bool) -> Backed | None:
    """A large .h5ad file, left on disk; None for another one.

    Raises as `read`.
    """

    @contextmanager
    def again() -> Iterator[Any]:
        with damage_reported(path, "an .h5ad file", *ANY_ERROR), closing(_opened(path)) as file:
            yield file

    with opened(path) as file:
        if _foreign(file) is not None or not _is_anndata(file):
            return None
        return anndata_files.backed(file, again, path, layer, raw)


@contextmanager
def opened(path: Path, also: Sequence[str] = ()) -> Iterator[Any]:
    """The file, once a process of its own has looked through it; ``also`` of `_UNREAD` is read.

    Raises
    ------
    InputError
        As `read`; also for what the caller's reading of the file raises.
    """
    with examined(path) as findings:
        import h5py  # noqa: F401  # while the other process looks

        if _is_h5ad(path):
            import anndata.io  # noqa: F401
        _refuse_outside(findings().outside, path, also)
    called = "an .h5ad file" if _is_h5ad(path) else "an HDF5 file"
    with damage_reported(path, called, *ANY_ERROR), closing(_opened(path)) as file:
        yield file


def _is_h5ad(path: Path) -> bool:
    return path.name.lower().endswith(".h5ad")


def _opened(path: Path) -> Any:
    import h5py

    try:
        return h5py.File(path, "r")
    except OSError as error:
        words = str(error)
        if "lock file" in words or "already open for" in words:
            raise InputError(
                f"{path} is open in another program that may be writing it, or was when that "
                "program was killed; close it there, or wait until it is written, or read a copy."
            ) from error
        if "signature not found" in words:
            raise InputError(
                f"{path} is no HDF5 file by its content, or its beginning is lost; give it the "
                "ending of what it is, or fetch it again."
            ) from error
        raise


def _refuse_outside(outside: list[str], path: Path, also: Sequence[str]) -> None:
    unread = {*_UNREAD} - {*also}
    where = [words for words in outside if words.split("/")[0].split()[0] not in unread]
    if where:
        raise InputError(
            f"{path} leads to another file, which is not followed ({where[0]}); "
            "write it with its own data in it."
        )


def _is_anndata(file: Any) -> bool:
    if _attribute(file, "encoding-type") == "anndata":
        return True
    return "obs" in file and "var" in file and ("X" in file or "layers" in file or "raw" in file)


_READERS: dict[str, Callable[[Any, Path, bool], Expression]] = {
    "10x": cellranger.read,
    "loom": atlases.read_loom,
    "ARCHS4": atlases.read_archs4,
    "GCTX": atlases.read_gctx,
    "published": published.read_open,
}


def _kind(file: Any) -> str | None:
    """What kind of expression file this is, a name in `_READERS`; None for any other."""
    if cellranger.is_version_3(file) or cellranger.genome_groups(file):
        return "10x"
    if "row_attrs" in file and "col_attrs" in file and "matrix" in file:
        return "loom"
    if "data/expression" in file and "meta" in file:
        return "ARCHS4"
    if "0/DATA/0/matrix" in file and "0/META/ROW/id" in file:
        return "GCTX"
    return "published" if published.is_layout(file) else None


#: Kinds of HDF5 files that are no expression matrix: the members that tell, and the sentence.
_FOREIGN: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("barcode_idx", "umi"),
        "Cell Ranger's molecule_info.h5, a list of molecules; give filtered_feature_bc_matrix.h5",
    ),
    (
        ("barcode", "umi", "gene"),
        "Cell Ranger's molecule_info.h5, a list of molecules; give filtered_gene_bc_matrices_h5.h5",
    ),
    (
        ("matrix/filtered_barcodes",),
        "Cell Ranger's matrix of probes; give filtered_feature_bc_matrix.h5, which is of genes",
    ),
    (
        ("matrix/features/filtered_probes",),
        "Cell Ranger's matrix of probes; give filtered_feature_bc_matrix.h5, which is of genes",
    ),
    (
        ("feature_slices",),
        "Space Ranger's feature_slice.h5; give the filtered_feature_bc_matrix.h5 of one bin size",
    ),
    (
        ("assays", "cell.names"),
        "a Seurat object (.h5seurat); convert it with SeuratDisk::Convert(path, dest = 'h5ad')",
    ),
    (
        ("est_counts", "aux"),
        "kallisto's abundance.h5, of the transcripts of one sample; give abundance.tsv with a "
        "table of transcripts and genes (--tx2gene)",
    ),
    (
        ("mod",),
        "a MuData file of several modalities; write the one of genes by "
        "mudata.read(path)['rna'].write_h5ad('rna.h5ad')",
    ),
    (
        ("assay001",),
        "a matrix without names, as R's HDF5Array saves it beside an .rds; write it by "
        "zellkonverter::writeH5AD",
    ),
    (("bins", "pixels", "chroms"), "a cooler file of contacts; give a matrix of genes"),
    (("model_weights",), "a Keras model; give a matrix of genes"),
    (("Fragments", "Metadata"), "an ArchR arrow file; give its matrix of genes as .h5ad"),
)


def _foreign(file: Any) -> str | None:
    """What the file is, if it is known and no expression matrix."""
    if _attribute(file, "encoding-type") == "MuData":
        return _FOREIGN[7][1]
    for members, words in _FOREIGN:
        if all(member in file for member in members):
            return words
    stores = [name for name in file if _attribute(file.get(name), "pandas_type") is not None]
    if stores:
        return (
            "a pandas store; write the table by "
            f"pandas.read_hdf(path, '{stores[0]}').to_parquet('table.parquet')"
        )
    if _attribute(file, "_NCProperties") is not None:
        return "a NetCDF file; write the matrix as .h5ad or .csv"
    return None


def _attribute(item: Any, name: str) -> Any:
    value = getattr(item, "attrs", {}).get(name)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _unknown(file: Any, path: Path) -> str:
    lacking = ", ".join(name for name in published.MEMBERS if name not in file)
    there = list(map(str, file))
    shown = ", ".join(there[:10]) + (f" and {len(there) - 10} more" if len(there) > 10 else "")
    return (
        f"{path} lacks the dataset(s) {lacking} (it holds {shown or 'nothing'}), and is "
        "no AnnData, 10x, loom, ARCHS4 or GCTX file either; write the matrix as .h5ad or .csv."
    )
