"""A matrix that stays where it is: rows are read when they are needed, never all at once.

A million cells that are stored as a sparse matrix are several times larger in memory when dense.
What goes over samples one part at a time (placing, and choosing those of a training) takes a
`Backed`; everything else takes the `Expression` of some of its rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fembed.data.annotations import as_labels, column_in, is_layered, matrix_in
from fembed.data.expression import Expression
from fembed.data.names import Names, listed
from fembed.data.sparse import is_sparse
from fembed.errors import DataWarning, InputError

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

#: A matrix with more entries than this (0.5 GB as 32-bit floats) is left where it is.
MIN_ENTRIES = 125_000_000
#: Entries of a part: 64 MB as 32-bit floats, of which matching and transforming make copies.
ENTRIES_PER_PART = 16_000_000


@dataclass(frozen=True, eq=False)
class Backed:
    """Samples x genes whose rows can be read.

    Attributes
    ----------
    sample_names : object array of str, n_samples
    n_genes : int
    obs : pandas.DataFrame or None
        Annotations of the samples.
    origin : str
        What to call the data in a message.
    read : callable
        The rows of a slice as an `Expression`.
    """

    sample_names: Names
    n_genes: int
    obs: pd.DataFrame | None
    origin: str
    read: Callable[[slice], Expression]

    @classmethod
    def of(cls, expression: Expression) -> Backed:
        """What is in memory already."""

        def read(rows: slice) -> Expression:
            return expression.take_samples(np.arange(rows.start, rows.stop))

        names, obs = expression.sample_names, expression.obs
        return cls(names, expression.n_genes, obs, expression.origin, read)

    @property
    def n_samples(self) -> int:
        return len(self.sample_names)

    def parts(self, made: Callable[[Expression], T]) -> Iterator[tuple[slice, T]]:
        """What is ``made`` of all rows in their order, a part at a time.

        A warning that recurs is given once.
        """
        told: set[str] = set()
        for rows in self.slices():
            with _new_warnings(told):
                found = made(self.read(rows))
            yield rows, found

    def slices(self) -> Iterator[slice]:
        """The rows of each part."""
        step = max(1, ENTRIES_PER_PART // max(1, self.n_genes))
        for start in range(0, self.n_samples, step):
            yield slice(start, min(start + step, self.n_samples))

    def take(self, rows: NDArray[np.intp]) -> Expression:
        """Some rows, by their numbers, in rising order.

        The matrix is gone through once, since a compressed file has no cheaper access to rows that
        lie apart.
        """
        told: set[str] = set()
        taken, filled = None, 0
        for part in self.slices():
            wanted = rows[(rows >= part.start) & (rows < part.stop)] - part.start
            if not len(wanted):
                continue
            with _new_warnings(told):
                found = self.read(part)
            if taken is None:
                values = np.empty((len(rows), found.n_genes), np.float32)
                taken = replace(found, values=values)
            taken.values[filled : filled + len(wanted)] = found.values[wanted]
            filled += len(wanted)
        assert taken is not None
        obs = None if self.obs is None else self.obs.iloc[rows]
        return replace(taken, sample_names=self.sample_names[rows], obs=obs)

    def labels(self, column: str) -> Names:
        """As `Expression.labels`."""
        return as_labels(column_in(self.obs, column, self.origin))


@contextmanager
def _new_warnings(told: set[str]) -> Iterator[None]:
    """Pass on every `DataWarning` but those that were ``told`` before."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        yield
    for warning in caught:
        sentence = str(warning.message)
        if not (issubclass(warning.category, DataWarning) and sentence in told):
            told.add(sentence)
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


def in_memory(
    data: Any,
    layer: str | None = None,
    use_raw: bool = False,
    gene_names: Iterable[Any] | None = None,
) -> Backed | None:
    """A large matrix in memory as a `Backed`: an AnnData object (backed, too), or a sparse one.

    None for what is small, or has no rows that can be read alone. ``gene_names`` are those of a
    sparse matrix, which has no names of its own.

    Raises
    ------
    InputError
        If the layer that is asked for is not there, or the names do not fit.
    """
    if hasattr(data, "obs_names") and not is_layered(data):
        matrix, _ = matrix_in(data, layer, use_raw, None, "the AnnData object")
        by_rows = not is_sparse(matrix) or matrix.format == "csr"
        if not (by_rows and is_large(*matrix.shape)):
            return None
        names = listed(data.obs_names, len(data.obs_names), "sample", "the AnnData object")
        return Backed(
            names,
            int(matrix.shape[1]),
            data.obs,
            "the AnnData object",
            lambda rows: Expression.from_anndata(data[rows], layer, use_raw),
        )
    if is_sparse(data) and data.format == "csr" and is_large(*data.shape):
        names = listed(None, data.shape[0], "sample", "the array")
        return Backed(
            names,
            int(data.shape[1]),
            None,
            "the array",
            lambda rows: replace(
                Expression.of(data[rows], gene_names=gene_names), sample_names=names[rows]
            ),
        )
    return None


def is_large(n_samples: int, n_genes: int) -> bool:
    """Whether a matrix of this shape is left where it is."""
    return n_samples * n_genes > MIN_ENTRIES


def changed(origin: str) -> InputError:
    """The error about a file that is another one by now."""
    return InputError(
        f"{origin} was changed while it was read, so its rows do not belong together; wait until "
        "it is written, and run the command again."
    )
