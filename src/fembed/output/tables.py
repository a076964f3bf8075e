"""Tables that the commands write: coordinates of samples, and decoded expression."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError
from fembed.files import atomic, paths
from fembed.files.atomic import Place
from fembed.files.manifest import PathLike

if TYPE_CHECKING:
    from anndata import AnnData

    from fembed.inference.aberrant import AberrantGenes
    from fembed.inference.annotation import Annotation
    from fembed.inference.projection import Projection
    from fembed.model import Model

Names = NDArray[np.object_]

TEXT_ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
ENDINGS = (*TEXT_ENDINGS, ".parquet", ".h5ad")
_ROWS_PER_PIECE = 64  # of text in memory at a time; a row of decoded expression is long


def component_names(n_components: int) -> list[str]:
    """``fembed_1`` ... ``fembed_d``: the columns that hold coordinates, in every table."""
    return [f"fembed_{k}" for k in range(1, n_components + 1)]


class Table(Protocol):
    """What can be written: named rows in named columns."""

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns by name; the first one names the rows."""
        ...

    def to_anndata(self) -> AnnData:
        """The same for an .h5ad file."""
        ...


@dataclass(frozen=True)
class EmbeddingTable:
    """Coordinates of samples, and what else is known of each sample.

    Attributes
    ----------
    sample_names : array of str, n_samples
    embedding : float32, n_samples x n_components
    facts : columns by name, n_samples each
        ``loss``; of new samples ``n_genes``, ``outlier`` and perhaps ``p_value``; labels.
    covariance : float64, n_samples x n_components x n_components, optional
        Only an .h5ad file has a place for it.
    """

    sample_names: Names
    embedding: NDArray[np.float32]
    facts: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    covariance: NDArray[np.float64] | None = None

    @classmethod
    def of_training(cls, model: Model, labels: Mapping[str, Names]) -> EmbeddingTable:
        """The training samples of ``model``, with ``labels``."""
        embedding = np.asarray(model.sample_embedding, np.float32)
        return cls(model.sample_names, embedding, {"loss": model.sample_loss, **labels})

    @classmethod
    def of_projection(
        cls, projection: Projection, labels: Mapping[str, Names] | None = None
    ) -> EmbeddingTable:
        """New samples, with ``labels``."""
        facts = projection.columns() | dict(labels or {})
        return cls(
            projection.sample_names, projection.sample_embedding, facts, projection.covariance
        )

    @classmethod
    def of_annotation(cls, found: Annotation) -> EmbeddingTable:
        """New samples with the labels that were carried over to them."""
        placed = found.projection
        return cls(placed.sample_names, placed.sample_embedding, found.columns(), placed.covariance)

    def columns(self) -> dict[str, NDArray[Any]]:
        names = component_names(self.embedding.shape[1])
        coordinates = dict(zip(names, self.embedding.T, strict=True))
        return {"sample": self.sample_names, **coordinates, **self.facts}

    def to_anndata(self) -> AnnData:
        import pandas as pd
        from anndata import AnnData

        obs = pd.DataFrame(dict(self.facts), index=pd.Index(self.sample_names.astype(str)))
        obsm: dict[str, NDArray[Any]] = {"X_fembed": self.embedding}
        if self.covariance is not None:
            obsm["X_fembed_covariance"] = self.covariance
        return AnnData(obs=obs, obsm=obsm)


@dataclass(frozen=True)
class ExpressionTable:
    """Decoded expression: ``values`` (n_points x n_genes), one row per point."""

    point_names: Names
    gene_names: Names
    values: NDArray[np.float32]

    def columns(self) -> dict[str, NDArray[Any]]:
        return {"sample": self.point_names} | dict(zip(self.gene_names, self.values.T, strict=True))

    def to_anndata(self) -> AnnData:
        import pandas as pd
        from anndata import AnnData

        return AnnData(
            self.values,
            obs=pd.DataFrame(index=pd.Index(self.point_names.astype(str))),
            var=pd.DataFrame(index=pd.Index(self.gene_names.astype(str))),
        )


@dataclass(frozen=True)
class AberrantTable:
    """Aberrant genes at a false discovery rate; an .h5ad file has all genes of all samples."""

    found: AberrantGenes
    rate: float

    def columns(self) -> dict[str, NDArray[Any]]:
        return {name: column.to_numpy() for name, column in self.found.table(self.rate).items()}

    def to_anndata(self) -> AnnData:
        import pandas as pd
        from anndata import AnnData

        return AnnData(
            self.found.z,
            obs=pd.DataFrame(index=pd.Index(self.found.sample_names.astype(str))),
            var=pd.DataFrame(index=pd.Index(self.found.gene_names.astype(str))),
            layers={
                name: getattr(self.found, name)
                for name in ("measured", "expected", "p_value", "fdr")
            },
        )


def check_beside_model(
    path: PathLike, model: PathLike, overwrite: bool, sources: Sequence[PathLike]
) -> Place:
    """As `check_file`, for another output of a command on the folder ``model``.

    A model is a folder of its own files alone, so another output has no place in it, even where the
    folder is yet to come.
    """
    paths.check_name(path)
    if paths.within(path, model):
        raise InputError(
            f"{path} lies in the model {model}, which holds the model alone; give a path outside."
        )
    return check_file(path, overwrite, sources)


def check_label_names(names: Sequence[str], n_components: int) -> None:
    """Raise InputError if a label's column would hide another column of an embedding table."""
    taken = {"sample", "loss", "n_genes", "outlier", "p_value", *component_names(n_components)}
    for name in names:
        if name in taken:
            raise InputError(
                f"The label column '{name}' has the name of another column of the embedding "
                "table; rename it."
            )


def check_output(
    path: PathLike,
    overwrite: bool = False,
    sources: Sequence[PathLike] = (),
    model: PathLike | None = None,
) -> Place:
    """Raise InputError if `write` would fail for ``path``; for a check before long work.

    ``sources`` are files that the work reads and must not replace; ``model`` is the model's folder
    that it reads or writes. What is returned, `write` takes.
    """
    ending_of(Path(paths.check_name(path)))
    if model is None:
        return check_file(path, overwrite, sources)
    return check_beside_model(path, model, overwrite, sources)


def check_file(path: PathLike, overwrite: bool = False, sources: Sequence[PathLike] = ()) -> Place:
    """As `check_output`, for a file of any ending."""
    place = atomic.place(path)
    if place.target.is_dir():
        raise InputError(f"{path} is a folder, but the output is a file; give another path.")
    for source in sources:
        check_not_input(place.target, path, source)
    if place.taken and not overwrite:
        raise InputError(f"{path} exists already; use --overwrite to replace it.")
    return place


def check_not_input(target: Path, path: PathLike, source: PathLike) -> None:
    """Raise InputError if an output is an input, by whatever links, or lies in one."""
    if paths.same(target, source):
        raise InputError(f"The output {path} is also the input; give another path.")
    if Path(source).suffix.lower() == ".zarr" and paths.within(target, source):
        raise InputError(f"The output {path} lies in the input {source}; give a path outside.")


def write(table: Table, path: PathLike | Place, overwrite: bool = False) -> None:
    """Write a table as its ending says: complete, or not at all.

    Parameters
    ----------
    table : EmbeddingTable or ExpressionTable
    path : path
        .csv, .tsv (both also .gz), .parquet or .h5ad. Or what `check_output` returned before long
        work: if another process has written it since, the table is kept beside it, and an error
        says where.
    overwrite : bool
        Replace an earlier file, once the new one is complete.

    Raises
    ------
    InputError
        The ending is not known, the file exists, or it cannot be written.
    """
    place = path if isinstance(path, Place) else check_output(path, overwrite)
    ending = ending_of(Path(place.path))
    if ending == ".h5ad":
        atomic.replace_file(place, _as_h5ad(table))
    elif ending == ".parquet":
        atomic.replace_file(place, _as_parquet(table))
    else:
        with atomic.replacing(place) as temporary:
            _write_text(table, temporary, ending)


def _as_h5ad(table: Table) -> memoryview:
    """The file in memory: where a disk is full, HDF5 ends the process while it closes a file."""
    import h5py
    from anndata.io import write_elem

    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        write_elem(file, "/", table.to_anndata())
    return content.getbuffer()


def _as_parquet(table: Table) -> memoryview:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Columns of a matrix are strided views, which pyarrow would copy by itself with a warning.
    columns = {name: np.ascontiguousarray(column) for name, column in table.columns().items()}
    content = io.BytesIO()
    pq.write_table(pa.table(columns), content)
    return content.getbuffer()


def _write_text(table: Table, path: Path, ending: str) -> None:
    # newline="": the csv module ends its lines itself.
    opened = gzip.open if ending.endswith(".gz") else open
    with opened(path, "wt", newline="", encoding="utf-8") as stream:
        separator = "\t" if ".tsv" in ending else ","
        writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
        writer.writerow(table.columns())
        columns = list(table.columns().values())
        for start in range(0, len(columns[0]), _ROWS_PER_PIECE):
            piece = slice(start, start + _ROWS_PER_PIECE)
            # str of a NumPy number has as many digits as it takes to read the same number back.
            writer.writerows(zip(*(map(str, column[piece]) for column in columns), strict=True))


def ending_of(path: Path) -> str:
    """The ending of a table that can be written; InputError for another one."""
    name = path.name.lower()
    ending = max((end for end in ENDINGS if name.endswith(end)), key=len, default="")
    if not ending:
        raise InputError(f"{path} has an unknown ending; the known ones are {', '.join(ENDINGS)}.")
    if ending == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise InputError(
            f"{path} needs pyarrow; install it with pip install 'fembed[parquet]', or use .csv."
        )
    return ending
