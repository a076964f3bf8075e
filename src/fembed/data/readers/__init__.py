"""Files are read into `Expression`: one module per family of formats.

Binary files are known by their ending, text files by their content, folders by their files.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fembed.data import account, statistics
from fembed.data.annotations import is_path, refuse_two_matrices
from fembed.data.backed import Backed, in_memory
from fembed.data.expression import Expression
from fembed.data.odd_names import warn_of_names
from fembed.data.readers import (
    anndata_files,
    arrays,
    hdf5,
    parquet,
    samples,
    tables,
    tenx,
    transcripts,
)
from fembed.errors import InputError, lacks_memory

__all__ = ["ENDINGS", "backed", "read"]

#: Readers of binary files; whatever has another ending is read as text.
_BINARY: dict[str, Callable[[Path, bool], Expression]] = {
    ".parquet": parquet.read,
    ".pq": parquet.read,
    ".feather": parquet.read,
    ".arrow": parquet.read,
    ".npy": arrays.read_npy,
    ".npz": arrays.read_npz,
    ".h5": hdf5.read,
    ".hdf5": hdf5.read,
    ".h5ad": hdf5.read,
    ".loom": hdf5.read,
    ".gctx": hdf5.read,
}
_TEXT = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
ENDINGS: tuple[str, ...] = (".zarr", *_TEXT, *_BINARY)

#: Folders that are one matrix: the files that identify them, and the reader.
_FOLDERS: tuple[tuple[tuple[str, ...], Callable[[Path, bool], Expression]], ...] = (
    (("*matrix.mtx", "*matrix.mtx.gz", "barcodes.tsv*", "features.tsv*", "genes.tsv*"), tenx.read),
)
PathLike = str | os.PathLike[str]


def read(
    path: PathLike | Sequence[PathLike],
    *,
    layer: str | None = None,
    use_raw: bool = False,
    transpose: bool | None = None,
    tx2gene: PathLike | None = None,
) -> Expression:
    """Read an expression matrix, samples x genes, as float32.

    Parameters
    ----------
    path : path, or sequence of paths
        - .h5ad, .zarr (AnnData), .parquet, .npy, .npz, .h5/.hdf5 with ``data``, ``samples``,
          ``genes`` and perhaps ``labels``, or a folder with a 10x matrix;
        - a text table of any ending, also in .gz, .bz2, .xz or .zip: names in its first column and
          first row, or a format known by its content (GCT, GEO series matrix, featureCounts, STAR,
          htseq-count, RSEM, GDC star_counts, QoRTs, salmon, kallisto, Xena, cBioPortal, ...);
        - a folder, a list or a pattern such as ``"run/*.genes.results"`` of files with one
          sample each.
    layer : str, optional
        For .h5ad and .zarr: read this layer instead of ``X``.
    use_raw : bool
        For .h5ad and .zarr: read ``raw.X`` and its genes instead of ``X``.
    transpose : bool, optional
        Whether the file is genes x samples; by default as its format, or else its names, say.
    tx2gene : path, optional
        A table of transcripts and their genes: the file holds transcripts, which are summed to
        genes.

    Returns
    -------
    Expression
        Not yet checked for what no model can be trained on: see `Expression.check`.

    Raises
    ------
    InputError
        If there is nothing to read at ``path``, it is damaged, or it is no expression matrix.

    Warns
    -----
    DataWarning
        If the reader had to guess, or left something out: see ``Expression.source``.

    Examples
    --------
    >>> counts.to_csv(folder / "counts.csv")
    >>> fembed.read(folder / "counts.csv").values.shape
    (90, 30)
    """
    refuse_two_matrices(layer, use_raw)

    def read_one(one: Path) -> Expression:
        expression = _read(one, layer, use_raw, transpose, tx2gene is not None)
        return account.oriented(expression) if transpose is None else expression

    with _refusals_told(path):
        paths = _paths(path)
        if len(paths) == 1:
            expression = read_one(paths[0])
        else:
            expression = samples.together(paths, read_one, f"the {len(paths)} files")
        expression = statistics.left_out(expression)
        if tx2gene is not None:
            expression = transcripts.summed(expression, tx2gene)
        warn_of_names(expression)
        return expression


def backed(
    data: Any,
    *,
    layer: str | None = None,
    use_raw: bool = False,
    gene_names: Iterable[Any] | None = None,
) -> Backed | None:
    """Large data whose rows can be read alone, left where they are; None for other data.

    These are an .h5ad or .zarr file, an AnnData object, or a sparse matrix. A matrix that is stored
    by columns (CSC) has no such rows. ``gene_names`` are those of a sparse matrix, which has no
    names of its own. Raises as `read`.
    """
    if isinstance(data, Backed):
        return data
    if not is_path(data):
        return in_memory(data, layer, use_raw, gene_names)
    refuse_two_matrices(layer, use_raw)
    path: PathLike = data
    with _refusals_told(path):
        where = Path(path)
        reader = {".h5ad": hdf5.backed, ".zarr": anndata_files.zarr_backed}.get(_ending(where))
        if reader is None or _refuse_unreadable(where) != (_ending(where) == ".zarr"):
            return None
        found = reader(where, layer, use_raw)
    if found is None:
        return None

    def read_some(rows: slice) -> Expression:
        with _refusals_told(path):
            expression = statistics.left_out(found.read(rows))
        warn_of_names(expression)
        return expression

    return replace(found, read=read_some)


@contextmanager
def _refusals_told(path: object) -> Iterator[None]:
    """Turn the system's refusals into a sentence; one may come at any moment of the reading."""
    try:
        yield
    except OSError as error:
        if lacks_memory(error):
            raise
        where = error.filename if isinstance(error.filename, str) else path
        raise InputError(
            f"{where} cannot be opened ({error.strerror or error}); check the path."
        ) from error


def _paths(path: PathLike | Sequence[PathLike]) -> list[Path]:
    """What is to be read: a path, those of a list, or those that a pattern stands for."""
    if not isinstance(path, str | os.PathLike):
        found = list(path)
        if not found:
            raise InputError("The list of files is empty; give at least one.")
        return [one for entry in found for one in _paths(entry)]
    text = os.fspath(path)
    if not text:
        raise InputError("The path of the data is empty; give a file or a folder.")
    if glob.has_magic(text) and len(text) < 4096 and "\0" not in text and not os.path.exists(text):
        matched = sorted(glob.glob(text))
        if not matched:
            raise InputError(f"{text} does not exist, and no file fits it as a pattern.")
        return [Path(one) for one in matched]
    return [Path(text)]


def _read(
    path: Path, layer: str | None, raw: bool, transpose: bool | None, transcripts_wanted: bool
) -> Expression:
    ending = _ending(path)
    if _refuse_unreadable(path) and ending != ".zarr":
        return _read_folder(path, ending, layer, raw, transpose, transcripts_wanted)
    if _BINARY.get(ending) is hdf5.read:
        return hdf5.read(path, bool(transpose), layer, raw)
    if ending == ".zarr":
        if not path.is_dir():
            raise InputError(f"{path} is a file, but a .zarr is a folder; give the folder.")
        return anndata_files.read_zarr(path, layer, raw, bool(transpose))
    _refuse_layers(path, f"a {ending} file" if ending else "a text file", layer, raw)
    if ending in _BINARY:
        return _BINARY[ending](path, bool(transpose))
    return tables.read(path, transpose, transcripts_wanted=transcripts_wanted)


def _read_folder(
    folder: Path,
    ending: str,
    layer: str | None,
    raw: bool,
    transpose: bool | None,
    transcripts_wanted: bool,
) -> Expression:
    if ending == ".parquet" or (not ending and parquet.is_folder(folder)):
        _refuse_layers(folder, "a Parquet folder", layer, raw)
        return parquet.read(folder, bool(transpose))
    if ending:
        raise InputError(f"{folder} is a folder, but a {ending} file is expected; give a file.")
    if (folder / "model.safetensors").is_file():
        raise InputError(f"{folder} is a fembed model, not data; give an expression matrix.")
    for patterns, reader in _FOLDERS:
        if any(next(folder.glob(pattern), None) for pattern in patterns):
            _refuse_layers(folder, "a 10x folder", layer, raw)
            return reader(folder, bool(transpose))
    _refuse_layers(folder, "a folder", layer, raw)
    paths, notes = samples.in_folder(folder, transcripts_wanted)
    expression = samples.together(
        paths,
        lambda path: tables.read(path, transpose, transcripts_wanted=transcripts_wanted),
        str(folder),
    )
    source = expression.source
    return replace(expression, source=replace(source, notes=(*notes, *source.notes[1:])))


def _ending(path: Path) -> str:
    """The known ending of ``path``, in lower case, or an empty string."""
    name = path.name.lower()
    return max((ending for ending in ENDINGS if name.endswith(ending)), key=len, default="")


def _refuse_unreadable(path: Path) -> bool:
    """Whether ``path`` is a folder; raises if it is not there, cannot be opened or is empty."""
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            return True
        if not stat.S_ISREG(kind):  # a pipe waits for ever, and cannot be read twice
            raise InputError(f"{path} is a pipe or a device; save the data as a file and give it.")
        with path.open("rb") as stream:
            empty = not stream.read(1)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the path.") from error
    except InputError:
        raise
    except ValueError as error:  # a letter that no path can hold
        raise InputError(f"{path} cannot be opened ({error}); check the path.") from error
    if empty:
        raise InputError(f"{path} is empty (0 bytes); give a file with an expression matrix.")
    return False


def _refuse_layers(path: Path, what: str, layer: str | None, raw: bool) -> None:
    if layer is not None or raw:
        asked = "raw matrix" if raw else f"layer '{layer}'"
        raise InputError(
            f"{path} is {what} and has no {asked}; only .h5ad and .zarr have layers and raw."
        )
