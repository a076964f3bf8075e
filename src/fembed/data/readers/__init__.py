"""Files to `Expression`: one module a family of formats, chosen by the ending of the path."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from fembed.data import account
from fembed.data.expression import Expression
from fembed.data.readers import anndata_files, arrays, hdf5, parquet, tables, tenx
from fembed.errors import InputError

__all__ = ["ENDINGS", "read"]

_FILES: dict[str, Callable[[Path, bool], Expression]] = {
    ".csv": tables.read,
    ".csv.gz": tables.read,
    ".tsv": tables.read,
    ".tsv.gz": tables.read,
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
ENDINGS: tuple[str, ...] = (".zarr", *_FILES)


def read(
    path: str | os.PathLike[str],
    *,
    layer: str | None = None,
    raw: bool = False,
    transpose: bool = False,
) -> Expression:
    """Read an expression matrix, samples x genes, as float32.

    Parameters
    ----------
    path : path
        .h5ad, .zarr (AnnData), .csv/.tsv(.gz), .parquet, .npy, .npz, a folder with a 10x matrix,
        or .h5/.hdf5 with ``data``, ``samples``, ``genes`` and perhaps ``labels``.
    layer : str, optional
        Of an .h5ad or .zarr: this layer instead of ``X``.
    raw : bool
        Of an .h5ad or .zarr: ``raw.X`` and its genes instead of ``X``.
    transpose : bool
        The file is genes x samples.

    Returns
    -------
    Expression
        Not yet checked for what no model can be trained on: see `Expression.check`.

    Raises
    ------
    InputError
        If there is nothing to read at ``path``, or it is not what its ending says.
    """
    if not os.fspath(path):
        raise InputError("The path of the data is empty; give a file or a folder.")
    path = Path(path)
    ending = _ending(path)
    is_folder = _refuse_unreadable(path)
    if raw and layer is not None:
        raise InputError("Choose either a layer or raw, not both.")
    if is_folder and ending != ".zarr":
        if ending == ".parquet" or (not ending and parquet.is_folder(path)):
            _refuse_layers(path, "a Parquet folder", layer, raw)
            expression = parquet.read(path, transpose)
            return expression if transpose else account.oriented(expression)
        if ending:
            raise InputError(f"{path} is a folder, but a {ending} file is expected; give a file.")
        if (path / "model.safetensors").is_file():
            raise InputError(f"{path} is a fembed model, not data; give an expression matrix.")
        _refuse_layers(path, "a 10x folder", layer, raw)
        return tenx.read(path, transpose)
    if _FILES.get(ending) is hdf5.read:
        return hdf5.read(path, transpose, layer, raw)
    if ending == ".zarr":
        if not is_folder:
            raise InputError(f"{path} is a file, but a .zarr is a folder; give the folder.")
        return anndata_files.read_zarr(path, layer, raw, transpose)
    if path.name.endswith((".mtx", ".mtx.gz")):
        raise InputError(
            f"{path} is one file of a 10x matrix; give the folder that holds it, "
            "its features.tsv and its barcodes.tsv."
        )
    if not ending:
        raise InputError(
            f"{path} has an unknown ending; the known ones are {', '.join(ENDINGS)}, "
            "and a folder with a 10x matrix."
        )
    _refuse_layers(path, f"a {ending} file", layer, raw)
    expression = _FILES[ending](path, transpose)
    return expression if transpose else account.oriented(expression)


def _ending(path: Path) -> str:
    """The known ending of ``path``, in lower case, or an empty string."""
    name = path.name.lower()
    return max((ending for ending in ENDINGS if name.endswith(ending)), key=len, default="")


def _refuse_unreadable(path: Path) -> bool:
    """Whether ``path`` is a folder; raises if it is not there, cannot be opened or is empty."""
    try:
        if path.is_dir():
            return True
        with path.open("rb") as stream:
            empty = not stream.read(1)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the path.") from error
    except (OSError, ValueError) as error:
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
