"""Verbs for new samples: place them, find their aberrant genes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fembed.inference import projection
from fembed.inference.aberrant import aberrant_genes
from fembed.model import Model
from fembed.output import anndata_fields
from fembed.tl.stored import model_and_matrix

if TYPE_CHECKING:
    from anndata import AnnData

    from fembed.parallel import Workers


def project(
    adata: AnnData,
    model: Model | AnnData,
    *,
    layer: str | None = None,
    use_raw: bool = False,
    key_added: str = anndata_fields.KEY,
    covariance: bool = True,
    transform: Literal["match"] | None = None,
    gene_map: Any = None,
    batch_key: str | Sequence[str] | None = None,
    covariates: str | Sequence[str] | None = None,
    n_threads: int | None = None,
    workers: Workers | None = None,
    verbose: bool | None = None,
    copy: bool = False,
    engine: str | None = None,
    device: str | None = None,
) -> AnnData | None:
    """Place the samples of ``adata`` in a trained map, each on its own.

    Genes are matched by name: extra genes are dropped, absent genes and NaN entries are left out
    of the loss.

    Parameters
    ----------
    adata : AnnData, k x any genes
        New samples, in the units of the training data.
    model : Model or AnnData
        A model, or the object that `fit` put one into.
    layer, use_raw : str or bool
        Where the values are. By default in the same place as those that the object in ``model``
        was fitted on, and in ``X`` for a `fembed.Model`, which does not record it.
    key_added : str
        What the results are called, and the model in the object in ``model``.
    covariance : bool
        Keep the covariance of every place too: k x n_components x n_components numbers.
    transform, gene_map, covariates, n_threads, workers, verbose
        As in `fembed.project`.
    batch_key : str or list of str, optional
        The columns of ``obs`` with the samples' batches, which are batches of the model.
    copy : bool
        Return a copy with the results, and leave ``adata`` as it is.
    engine, device : str, optional
        What computes, as in `fembed.using`.

    Returns
    -------
    AnnData or None
        The copy if ``copy``, else None. Written are ``obsm["X_fembed"]``,
        ``obsm["X_fembed_covariance"]``, ``obs["fembed_loss"]``, ``obs["fembed_n_genes"]``,
        ``obs["fembed_outlier"]``, if the model has p-values ``obs["fembed_p_value"]``,
        ``varm["fembed"]`` and the model in ``uns["fembed"]``.

    Raises
    ------
    InputError
        There is no model, or these samples cannot be placed in it; ``adata`` is then unchanged.

    Warns
    -----
    DataWarning
        If less than half of the model's genes are in the data.

    Examples
    --------
    >>> fembed.tl.project(adata, model)
    >>> adata.obsm["X_fembed"].shape
    (90, 2)
    """
    anndata_fields.check_writable(adata, copy)
    trained, matrix = model_and_matrix(model, key_added)
    asked = anndata_fields.matrix_name(layer, use_raw)
    matrix = matrix if asked == "X" else asked
    placed = projection.project(
        trained,
        anndata_fields.expression_of(adata, matrix),
        transform=transform,
        gene_map=gene_map,
        batch=batch_key,
        covariates=covariates,
        n_threads=n_threads,
        workers=workers,
        verbose=verbose,
        engine=engine,
        device=device,
    )
    target = adata.copy() if copy else adata
    anndata_fields.put_model(target, trained, matrix, key_added)
    covariances = placed.covariance if covariance else None
    anndata_fields.put_samples(
        target, placed.sample_embedding, placed.columns(), covariances, key_added
    )
    return target if copy else None


def aberrant(
    adata: AnnData,
    model: Model | AnnData,
    *,
    layer: str | None = None,
    use_raw: bool = False,
    key_added: str = anndata_fields.KEY,
    transform: Literal["match"] | None = None,
    gene_map: Any = None,
    batch_key: str | Sequence[str] | None = None,
    covariates: str | Sequence[str] | None = None,
    n_threads: int | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Find the genes of each sample that are far from what all its other genes say.

    Parameters
    ----------
    adata : AnnData, k x any genes
        Samples in the units of the training data.
    model : Model or AnnData
        A model, or the object that `fit` put one into.
    layer, use_raw
        As in `project`.
    key_added : str
        What the results are called, and the model in the object in ``model``.
    transform, gene_map, covariates, n_threads
        As in `fembed.aberrant_genes`.
    batch_key : str or list of str, optional
        As in `project`.
    copy : bool
        Return a copy with the results, and leave ``adata`` as it is.

    Returns
    -------
    AnnData or None
        The copy if ``copy``, else None. Written are ``layers["fembed_z"]``,
        ``layers["fembed_p_value"]`` and ``layers["fembed_fdr"]`` (NaN for genes that the model
        lacks or that were not measured), and ``obs["fembed_n_aberrant"]``, the number of genes at a
        false discovery rate of 5 %. See `fembed.AberrantGenes`.

    Raises
    ------
    InputError
        As `fembed.aberrant_genes`; ``adata`` is then unchanged.

    Examples
    --------
    >>> fembed.tl.aberrant(adata, model)
    >>> adata.layers["fembed_z"].shape
    (90, 30)
    """
    anndata_fields.check_writable(adata, copy)
    trained, matrix = model_and_matrix(model, key_added)
    asked = anndata_fields.matrix_name(layer, use_raw)
    expression = anndata_fields.expression_of(adata, matrix if asked == "X" else asked)
    found = aberrant_genes(
        trained,
        expression,
        transform=transform,
        gene_map=gene_map,
        batch=batch_key,
        covariates=covariates,
        n_threads=n_threads,
    )
    target = adata.copy() if copy else adata
    columns = target.var_names.get_indexer(found.gene_names.astype(str))
    there = np.flatnonzero(columns >= 0)  # raw has genes that X lacks
    for name in ("z", "p_value", "fdr"):
        values = np.full(target.shape, np.nan, np.float32)
        values[:, columns[there]] = getattr(found, name)[:, there]
        anndata_fields.put_layer(target, f"{key_added}_{name}", values)
    anndata_fields.put_columns(target, {f"{key_added}_n_aberrant": found.n_aberrant()}, {})
    return target if copy else None
