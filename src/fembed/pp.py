"""Preparation of AnnData for a map: its transforms, and which samples and genes it can use.

`fembed.tl.fit` applies its own transform, so nothing here is needed before it. Selection of genes
and samples by other criteria is scanpy's (``sc.pp.filter_genes``, ``sc.pp.highly_variable_genes``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import gene_limits, row_chunks
from fembed.data.lookup import exact_positions
from fembed.data.names import as_text, refuse_duplicates
from fembed.data.preprocess import Preprocessing, Transform
from fembed.errors import InputError
from fembed.output import anndata_fields

if TYPE_CHECKING:
    from anndata import AnnData

    from fembed.data.expression import Expression

__all__ = ["mark_usable", "transform"]


def transform(
    adata: AnnData,
    transform: Transform = "log10",
    *,
    layer: str | None = None,
    added: str | None = None,
) -> None:
    """Put the values that a model would be trained on into a layer, for other methods to use.

    Parameters
    ----------
    adata : AnnData
        Missing entries (NaN) stay missing, and features that are no genes become so.
    transform : {"log10", "cpm", "none"}
        As in `fembed.tl.fit`.
    layer : str, optional
        The layer to take; ``X`` by default.
    added : str, optional
        The name of the new layer, dense float32; by default that of the transform.

    Raises
    ------
    InputError
        A negative value with a log transform, no such layer, or the new layer would replace the
        one that is taken; ``adata`` is then unchanged.

    Examples
    --------
    >>> fembed.pp.transform(adata, "cpm")
    >>> adata.layers["cpm"].shape
    (90, 30)
    """
    anndata_fields.check_writable(adata)
    prepared = Preprocessing(transform)
    name = added or transform
    if name == layer:
        raise InputError(
            f"The new layer '{name}' would replace the one that it is made of; give another name "
            "in 'added'."
        )
    expression = anndata_fields.expression_of(adata, anndata_fields.matrix_name(layer))
    prepared.apply_to(expression)
    anndata_fields.put_layer(adata, name, _every_column(expression, adata))


def mark_usable(adata: AnnData, *, layer: str | None = None, key: str = "usable") -> None:
    """Mark the samples and genes that a map can be made of, in ``obs`` and ``var``.

    A sample is usable if it has an observed entry, a gene if it has two different ones: without
    any, `fembed.tl.fit` refuses the data, and a constant gene says nothing about the samples.
    Features that are no genes, such as antibodies, are not usable. Nothing is removed;
    ``adata[adata.obs["usable"], adata.var["usable"]]`` has the usable ones.

    Parameters
    ----------
    adata : AnnData
    layer : str, optional
        The layer to look at; ``X`` by default.
    key : str
        The new columns of ``obs`` and ``var``. The share of observed entries goes to
        ``observed_share`` beside them.

    Raises
    ------
    InputError
        No such layer, or no matrix of numbers.

    Examples
    --------
    >>> fembed.pp.mark_usable(adata)
    >>> bool(adata.obs["usable"].all())
    True
    """
    anndata_fields.check_writable(adata)
    expression = anndata_fields.expression_of(adata, anndata_fields.matrix_name(layer))
    values = _every_column(expression, adata)
    by_sample, by_gene, varied = _observed(values)
    n_samples, n_genes = values.shape
    anndata_fields.put_columns(
        adata,
        obs={key: by_sample > 0, "observed_share": by_sample / max(1, n_genes)},
        var={key: varied, "observed_share": by_gene / max(1, n_samples)},
    )


def _every_column(expression: Expression, adata: AnnData) -> NDArray[np.float32]:
    """The values, and NaN in the columns of ``adata`` that were left out: they are no genes."""
    if expression.n_genes == adata.n_vars:
        return expression.values
    refuse_duplicates(expression.gene_names, "gene", expression.origin)
    values = np.full(adata.shape, np.nan, np.float32)
    # Genes come first: an antibody may have the name of its gene.
    columns = exact_positions(expression.gene_names, map(as_text, adata.var_names))
    values[:, columns] = expression.values
    return values


def _observed(
    values: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Observed entries of samples and of genes, and whether a gene's entries differ."""
    by_sample = np.zeros(values.shape[0], np.int64)
    by_gene = np.zeros(values.shape[1], np.int64)
    for rows in row_chunks(*values.shape):
        observed = ~np.isnan(values[rows])
        by_sample[rows] = observed.sum(axis=1)
        by_gene += observed.sum(axis=0)
    low, high = gene_limits(values)
    return by_sample, by_gene, low < high
