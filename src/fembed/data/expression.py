"""An expression matrix in memory: values, names and sample annotations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fembed.data import checks
from fembed.data.annotations import (
    Source,
    as_labels,
    checked_object,
    colours_in,
    column_in,
    is_layered,
    is_path,
    layers_in,
    matrix_in,
)
from fembed.data.chunks import frame_to_float32, row_chunks, to_float32, values_hash
from fembed.data.lookup import Lookup, look_up
from fembed.data.memory import refuse_beyond_memory, refuse_implausible
from fembed.data.names import Names, listed, refuse_duplicates
from fembed.data.odd_names import accounted
from fembed.data.sparse import is_sparse, n_entries
from fembed.errors import InputError
from fembed.facts import ShowsFacts, counted, first_names

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from fembed.data.layers import Part


@dataclass(repr=False)
class Expression(ShowsFacts):
    """Samples x genes, with the names of both.

    Attributes
    ----------
    values : float32 array, n_samples x n_genes
        C-contiguous, writable, owned by this object; NaN is a missing entry.
    sample_names, gene_names : object array of str
    obs : pandas.DataFrame or None
        Annotations of the samples, one row per sample in the order of ``values``.
    origin : str
        What to call the data in a message, the path of its file for instance.
    source : Source
        What is known of the file or object that the data are from.
    colours : mapping
        By column, the colours of its categories: ``uns["<column>_colors"]`` of an AnnData object.
    layers : tuple of Part
        Where several measurements of the samples stand side by side, in the order of the columns.
    """

    values: NDArray[np.float32]
    sample_names: Names
    gene_names: Names
    obs: pd.DataFrame | None = None
    origin: str = "the data"
    source: Source = field(default_factory=Source)
    colours: Mapping[str, Any] = field(default_factory=dict)
    layers: tuple[Part, ...] = ()

    #: Reads what `of` is given as a path. `fembed.data` sets it to `fembed.data.readers.read`,
    #: which makes Expressions and so is built on this module.
    reader: ClassVar[Callable[[Any], Expression]]
    #: Puts several layers together. Likewise, it is `fembed.data.layers.combined`.
    combine: ClassVar[Callable[[Mapping[str, Any]], Expression]]

    @property
    def n_samples(self) -> int:
        return int(self.values.shape[0])

    @property
    def n_genes(self) -> int:
        return int(self.values.shape[1])

    def _facts(self) -> tuple[str, dict[str, Any]]:
        shape = f"{counted(self.n_samples, 'sample')} x {counted(self.n_genes, 'gene')}"
        names = {"samples": first_names(self.sample_names), "genes": first_names(self.gene_names)}
        columns = [] if self.obs is None else [str(column) for column in self.obs.columns]
        return shape, {"from": self.origin, **names, "obs": ", ".join(columns) or None}

    @property
    def missing_share(self) -> float:
        """Share of the entries that are missing, 0 to 1."""
        chunks = row_chunks(*self.values.shape)
        n_missing = sum(int(np.isnan(self.values[rows]).sum()) for rows in chunks)
        return n_missing / max(1, self.values.size)

    @classmethod
    def of(cls, data: Any, *, gene_names: Iterable[Any] | None = None) -> Expression:
        """``data`` as an Expression: itself, or a copy of the values with names.

        Every function that takes expression calls this; `evaluate` leaves arrays and tables as they
        are.

        Parameters
        ----------
        data : Expression, AnnData, DataFrame, Series, array, sparse matrix, path or list of paths
            n_samples x n_genes. A Series is one sample, its index the genes. A path, or a list of
            files that are a sample each, is read as `fembed.read` does. A dict of these, or a
            MuData object, has several measurements of the samples: see `fembed.data.layers`.
        gene_names : iterable of str, optional
            The genes of an array that has no names of its own.

        Raises
        ------
        InputError
            For something else, or for an array that does not fit ``gene_names``.

        Examples
        --------
        >>> import pandas as pd
        >>> one = Expression.of(pd.Series([1.0, 2.0], index=["TP53", "EGFR"], name="S1"))
        >>> one.values.shape, one.sample_names.tolist()
        ((1, 2), ['S1'])
        """
        if isinstance(data, cls):
            return data
        if is_path(data) or (isinstance(data, list | tuple) and data and is_path(data[0])):
            return cls.reader(data)
        if is_layered(data):
            return cls.combine(layers_in(data))
        data = checked_object(data)
        if hasattr(data, "obs_names"):
            return cls.from_anndata(data)
        if hasattr(data, "iloc"):
            if data.ndim == 1:
                data = data.to_frame("sample" if data.name is None else data.name).T
            return accounted(cls.from_array(data, origin="the table"))
        names = None if gene_names is None else list(gene_names)
        shape = getattr(data, "shape", None) or np.shape(data)
        if names is not None and len(shape) == 2 and shape[1] != len(names):
            raise InputError(
                f"The array has {shape[1]} genes but the model has {len(names)}; give the genes' "
                "names (a DataFrame or AnnData) so that they can be matched."
            )
        return cls.from_array(data, gene_names=names)

    @classmethod
    def from_array(
        cls,
        X: Any,
        sample_names: Iterable[Any] | None = None,
        gene_names: Iterable[Any] | None = None,
        *,
        origin: str = "the array",
        transpose: bool = False,
        obs: pd.DataFrame | None = None,
    ) -> Expression:
        """Copy a matrix to float32 and give names to its samples and genes.

        Parameters
        ----------
        X : array, scipy sparse matrix, pandas.DataFrame, or HDF5 or zarr dataset
            n_samples x n_genes. A DataFrame names its samples (index) and genes (columns).
        sample_names, gene_names : iterable, optional
            Default ``sample_0, sample_1, ...`` and ``gene_0, gene_1, ...``.
        origin, obs
            As the attributes.
        transpose : bool
            ``X`` is n_genes x n_samples.

        Raises
        ------
        InputError
            If ``X`` is not a two-dimensional matrix of numbers, or the names do not fit it.
        """
        if hasattr(X, "iloc"):
            index, columns = (X.columns, X.index) if transpose else (X.index, X.columns)
            sample_names = index if sample_names is None else sample_names
            gene_names = columns if gene_names is None else gene_names
            values = frame_to_float32(X, origin=origin, transpose=transpose)
        else:
            if len(getattr(X, "shape", ())) == 2:  # before the entries are read, which takes long
                n_samples, n_genes = X.shape[::-1] if transpose else X.shape
                if is_sparse(X):
                    refuse_implausible(n_samples, n_genes, n_entries(X), origin)
                refuse_beyond_memory(n_samples, n_genes, origin)
                sample_names = listed(sample_names, n_samples, "sample", origin)
                gene_names = listed(gene_names, n_genes, "gene", origin)
            values = to_float32(X, origin=origin, transpose=transpose)
        return cls.adopt(values, sample_names, gene_names, origin=origin, obs=obs)

    @classmethod
    def adopt(
        cls,
        values: NDArray[np.float32],
        sample_names: Iterable[Any] | None = None,
        gene_names: Iterable[Any] | None = None,
        *,
        origin: str = "the array",
        obs: pd.DataFrame | None = None,
    ) -> Expression:
        """As `from_array`, but keep ``values`` itself, a C-contiguous float32 array."""
        return cls(
            values=values,
            sample_names=listed(sample_names, values.shape[0], "sample", origin),
            gene_names=listed(gene_names, values.shape[1], "gene", origin),
            obs=obs,
            origin=origin,
        )

    @classmethod
    def from_anndata(
        cls,
        adata: AnnData,
        layer: str | None = None,
        use_raw: bool = False,
        mask_var: str | NDArray[np.bool_] | None = None,
    ) -> Expression:
        """Copy ``X``, a layer or ``raw`` of an AnnData object (in memory or backed).

        ``mask_var``, a column of ``var`` or an array of n_genes bool, keeps some of the genes.
        Raises InputError if what is asked for is not there, or both a layer and ``raw`` are.
        """
        origin = "the AnnData object"
        matrix, var = matrix_in(adata, layer, use_raw, mask_var, origin)
        logged = not use_raw and layer is None and "log1p" in adata.uns
        found = cls.from_array(
            matrix, adata.obs_names, var.index, origin=origin, obs=adata.obs.copy()
        )
        source = Source("AnnData", "log1p" if logged else None, oriented=True)
        found = replace(found, source=source, colours=colours_in(adata.uns))
        return accounted(found, var)

    def check(self, *, min_samples: int = 2, allow_unobserved_genes: bool = False) -> None:
        """Raise for anything that no model can be trained on.

        A training needs ``min_samples`` 2, placing 1; new samples may lack genes altogether.

        Raises
        ------
        InputError
            For an empty matrix, too few samples, blank or duplicate names, an infinite entry, or
            a sample or gene without any observed entry.
        """
        checks.check(self, min_samples, allow_unobserved_genes)

    def digest(self, *more: Iterable[Any]) -> str:
        """SHA-256 of the matrix, its names, and what else is given as names."""
        total = values_hash(self.values)
        for names in (self.sample_names, self.gene_names, *more):
            total.update(json.dumps([str(name) for name in names]).encode())
        return total.hexdigest()

    def labels(self, column: str) -> NDArray[np.object_]:
        """The `column` as an array of str, n_samples; a missing label reads ``"NA"``."""
        return as_labels(self.column(column))

    def column(self, name: str, called: str = "label column") -> pd.Series:
        """A column of ``obs`` as it is: a categorical keeps its order, numbers stay numbers.

        A message calls it ``called``.

        Raises
        ------
        InputError
            If there is no such column, or more than one; the message lists those there are.
        """
        return column_in(self.obs, name, self.origin, called)

    def find_genes(self, gene_names: Iterable[str]) -> Lookup:
        """Where genes stand in this data; see `fembed.data.lookup.look_up`.

        Raises
        ------
        InputError
            If one of ``gene_names`` stands for several columns of this data.
        """
        wanted = list(gene_names)
        known = set(wanted)
        refuse_duplicates((n for n in self.gene_names if n in known), "gene", self.origin)
        return look_up(wanted, self.gene_names)

    def take_genes(self, gene_names: Names, found: Lookup | None = None) -> Expression:
        """A copy with the genes ``gene_names``, in that order, matched by name.

        A gene that is not in this data is NaN in all samples. ``found`` is the result of
        `find_genes` for these names, if it is at hand; otherwise `find_genes` is called, and raises
        its errors.
        """
        found = found or self.find_genes(gene_names)
        to = np.flatnonzero(found.found)
        values = np.full((self.n_samples, len(gene_names)), np.nan, np.float32)
        for rows in row_chunks(*values.shape):
            values[rows, to] = self.values[rows, found.position[to]]
        return replace(self, values=values, gene_names=gene_names, layers=())

    def take_samples(self, rows: ArrayLike) -> Expression:
        """The samples of some rows (numbers or a mask), with copies of their values."""
        rows = np.asarray(rows)
        return replace(
            self,
            values=np.ascontiguousarray(self.values[rows]),
            sample_names=self.sample_names[rows],
            obs=None if self.obs is None else self.obs.iloc[rows],
        )
