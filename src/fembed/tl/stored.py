"""The model in an AnnData object, and what it says of any place of the map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from fembed.data.preprocess import check_scale
from fembed.errors import InputError
from fembed.inference import learnt_genes
from fembed.model import Model
from fembed.output import anndata_fields

if TYPE_CHECKING:
    from anndata import AnnData


def decode(
    adata: AnnData,
    model: Model | AnnData | None = None,
    *,
    points: ArrayLike | None = None,
    genes: Sequence[str] | None = None,
    scale: Literal["input", "model"] = "input",
    in_batch: str | Sequence[str] | None = None,
    key: str = anndata_fields.KEY,
    n_threads: int | None = None,
) -> AnnData:
    """Expression that the model predicts at the places of samples, or at any points.

    Parameters
    ----------
    adata : AnnData
        Samples with ``obsm["X_fembed"]``.
    model : Model or AnnData, optional
        By default the model in ``adata``.
    points : array, k x n_components, optional
        Places of the map to decode instead of those of the samples.
    genes : sequence of str, optional
        All of the model's by default. With ``adata.var_names`` the result fits
        ``adata.layers``.
    scale : {"input", "model"}
        The units of the training data, or those after the transform.
    in_batch : str or list of str, optional
        A batch of the model: expression as it would be measured there. By default at the common
        level.
    key : str
        What the results in ``adata`` are called.
    n_threads : int, optional
        Threads of the engine.

    Returns
    -------
    AnnData, n_samples (or k) x n_genes
        A new object with the decoded expression in ``X``, the coordinates in ``obsm`` and the
        ``obs`` of the samples; points are called ``point_0``, ``point_1``, ...

    Raises
    ------
    InputError
        No model, no coordinates, points of another dimension, an unknown gene or scale.

    Examples
    --------
    >>> fembed.tl.decode(adata, model, points=[[0.0, 0.0]]).shape
    (1, 30)
    """
    from anndata import AnnData

    check_scale(scale)
    trained, _ = model_and_matrix(adata if model is None else model, key)
    places = anndata_fields.coordinates(adata, key) if points is None else points
    rows = None if genes is None else trained.gene_rows(list(genes))
    values = trained.decode(places, rows, n_threads, in_batch=in_batch)
    if scale == "input":
        values = trained.preprocessing.invert(values, rows)
    else:
        values = trained.preprocessing.unweighted(values, rows)
    names = [f"point_{row}" for row in range(len(values))]
    obs = adata.obs.copy() if points is None else _frame(names)
    var = _frame(trained.gene_names if rows is None else trained.gene_names[rows])
    return AnnData(values, obs=obs, var=var, obsm={f"X_{key}": np.asarray(places, np.float32)})


def genes(
    adata: AnnData,
    model: Model | AnnData | None = None,
    *,
    key: str = anndata_fields.KEY,
    n_threads: int | None = None,
    copy: bool = False,
) -> AnnData | None:
    """What the model has learnt of each gene, into ``var`` and ``varm``.

    Parameters
    ----------
    adata : AnnData
    model : Model or AnnData, optional
        By default the model in ``adata``.
    key : str
        What the results are called, and the model in ``adata``.
    n_threads : int, optional
        Threads of the engine.
    copy : bool
        Return a copy with the results, and leave ``adata`` as it is.

    Returns
    -------
    AnnData or None
        The copy if ``copy``, else None. Written are ``varm["fembed"]`` (the gene vectors),
        ``varm["fembed_loading"]``, and ``var["fembed_mean"]``, ``var["fembed_sd_map"]``, ... as far
        as the model can tell; see `fembed.genes`. They are NaN for a gene that the model lacks.

    Raises
    ------
    InputError
        No model.

    Examples
    --------
    >>> fembed.tl.genes(adata)
    >>> adata.varm["fembed_loading"].shape
    (30, 2)
    """
    anndata_fields.check_writable(adata, copy)
    trained, _ = model_and_matrix(adata if model is None else model, key)
    found = learnt_genes.genes(trained, n_threads=n_threads)
    target = adata.copy() if copy else adata
    anndata_fields.put_genes(
        target, trained, {"": found.vectors, "_loading": found.loading}, found.facts(), key
    )
    return target if copy else None


def model(adata: AnnData, key: str = anndata_fields.KEY) -> Model:
    """The model that `fit` or `project` put into ``adata``, also after a trip through a file.

    Raises
    ------
    InputError
        There is none under ``key``, or it has been altered.

    Examples
    --------
    >>> fembed.tl.fit(adata, hidden=(8,), gene_components=4, epochs=2)
    >>> fembed.tl.model(adata).n_genes
    30
    """
    return anndata_fields.find_model(adata, key)[0]


def model_and_matrix(source: Any, key: str) -> tuple[Model, str]:
    """A model, or that in an AnnData object, and the matrix that it was fitted on."""
    if isinstance(source, Model):
        return source, "X"
    if hasattr(source, "uns"):
        return anndata_fields.find_model(source, key)
    raise InputError(
        f"A model is needed (of fembed.load, or an AnnData object that has one), not "
        f"{type(source).__name__}."
    )


def _frame(names: Any) -> Any:
    import pandas as pd

    return pd.DataFrame(index=pd.Index(np.asarray(names, dtype=object).astype(str)))
