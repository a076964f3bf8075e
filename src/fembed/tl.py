"""Functions on AnnData objects, like scanpy's: fit a map, place new samples, decode.

Results go into the object itself (see `fembed.output.anndata_fields`), so that scanpy's plots and
neighbours run on them: ``sc.pl.embedding(adata, basis="fembed")``,
``sc.pp.neighbors(adata, use_rep="X_fembed")``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fembed import train
from fembed.config import FitConfig
from fembed.data.preprocess import Transform, check_scale
from fembed.errors import InputError
from fembed.inference import projection
from fembed.inference.aberrant import aberrant_genes
from fembed.model import Model
from fembed.output import anndata_fields

if TYPE_CHECKING:
    from anndata import AnnData

    from fembed.parallel import Workers

__all__ = ["aberrant", "decode", "fit", "model", "project"]


def fit(
    adata: AnnData,
    n_components: int = 2,
    *,
    transform: Transform = "log10",
    layer: str | None = None,
    use_raw: bool = False,
    mask_var: str | NDArray[np.bool_] | None = None,
    key_added: str = anndata_fields.KEY,
    random_state: int | None = None,
    verbose: bool | None = None,
    callback: Callable[[train.Progress], None] | None = None,
    copy: bool = False,
    **options: Any,
) -> AnnData | None:
    """Train a map of the samples in ``adata``; put the map and the model into ``adata``.

    Parameters
    ----------
    adata : AnnData, n_samples x n_genes
        In memory or backed; a view becomes an object of its own.
    n_components : int
        Dimensions of the sample embedding.
    transform : {"log10", "cpm", "none"}
        The transform of the values: log10(x + 1); counts per million and then log10(x + 1); or
        none, for values that are on a log scale already, as after ``sc.pp.log1p``.
    layer, use_raw : str or bool
        Fit on this layer, or on ``adata.raw`` with its genes, instead of on ``adata.X``.
    mask_var : str, or bool array, n_genes, optional
        The genes to fit on, as a column of ``var`` (``"highly_variable"``, say) or an array. All
        genes by default, also where highly variable ones are marked: the network learns from all of
        them, and only genes of the model can be imputed.
    key_added : str
        What the results are called; another name keeps several models in one object.
    random_state : int, optional
        Another word for the option ``seed``.
    verbose : bool, optional
        Show a bar: in a terminal or notebook with True, nowhere with False; by default in
        notebooks.
    callback : callable, optional
        Called with a `fembed.train.Progress` a few times per second.
    copy : bool
        Return a copy with the results, and leave ``adata`` as it is.
    **options
        Any other option of `fembed.FitConfig`: ``gene_components``, ``recipe``, ``epochs``,
        ``seed``, ``n_threads``, ...

    Returns
    -------
    AnnData or None
        The copy if ``copy``, else None. Written are ``obsm["X_fembed"]``, ``obs["fembed_loss"]``,
        ``varm["fembed"]`` (NaN for a gene that the model lacks) and ``uns["fembed"]``.

    Raises
    ------
    InputError
        An option that does not exist or is impossible; a layer or mask that is not there; data
        that no model can be trained on. ``adata`` is then unchanged.
    TrainingError
        If the loss is no longer finite.

    Warns
    -----
    DataWarning
        As `fembed.fit`: for an ``X`` that has been through ``sc.pp.log1p`` and would be logged
        again, for instance.

    Examples
    --------
    >>> fembed.tl.fit(adata, transform="log10", hidden=(8,), gene_components=4, epochs=2)
    >>> adata.obsm["X_fembed"].shape
    (90, 2)
    """
    anndata_fields.check_writable(adata, copy)
    matrix = anndata_fields.matrix_name(layer, use_raw)
    if random_state is not None and options.setdefault("seed", random_state) != random_state:
        raise InputError("seed and random_state are one option; give one of them.")
    config = FitConfig.of(None, n_components=n_components, **options)
    trained = train.fit(
        anndata_fields.expression_of(adata, matrix, mask_var),
        config,
        transform=transform,
        overwrite_values=True,
        verbose=verbose,
        callback=callback,
    )
    target = adata.copy() if copy else adata
    anndata_fields.put_model(target, trained, matrix, key_added)
    facts = {"loss": trained.sample_loss}
    places = np.asarray(trained.sample_embedding, np.float32)
    anndata_fields.put_samples(target, places, facts, key=key_added)
    return target if copy else None


def project(
    adata: AnnData,
    model: Model | AnnData,
    *,
    layer: str | None = None,
    use_raw: bool = False,
    key_added: str = anndata_fields.KEY,
    covariance: bool = True,
    n_threads: int | None = None,
    workers: Workers | None = None,
    verbose: bool | None = None,
    copy: bool = False,
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
    n_threads, workers, verbose
        As in `fembed.project`.
    copy : bool
        Return a copy with the results, and leave ``adata`` as it is.

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
    trained, matrix = _model_and_matrix(model, key_added)
    asked = anndata_fields.matrix_name(layer, use_raw)
    matrix = matrix if asked == "X" else asked
    placed = projection.project(
        trained,
        anndata_fields.expression_of(adata, matrix),
        n_threads=n_threads,
        workers=workers,
        verbose=verbose,
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
    n_threads
        As in `fembed.aberrant_genes`.
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
    trained, matrix = _model_and_matrix(model, key_added)
    asked = anndata_fields.matrix_name(layer, use_raw)
    expression = anndata_fields.expression_of(adata, matrix if asked == "X" else asked)
    found = aberrant_genes(trained, expression, n_threads=n_threads)
    target = adata.copy() if copy else adata
    columns = target.var_names.get_indexer(found.gene_names.astype(str))
    there = np.flatnonzero(columns >= 0)  # raw has genes that X lacks
    for name in ("z", "p_value", "fdr"):
        values = np.full(target.shape, np.nan, np.float32)
        values[:, columns[there]] = getattr(found, name)[:, there]
        anndata_fields.put_layer(target, f"{key_added}_{name}", values)
    anndata_fields.put_columns(target, {f"{key_added}_n_aberrant": found.n_aberrant()}, {})
    return target if copy else None


def decode(
    adata: AnnData,
    model: Model | AnnData | None = None,
    *,
    points: ArrayLike | None = None,
    genes: Sequence[str] | None = None,
    scale: Literal["input", "model"] = "input",
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
    trained, _ = _model_and_matrix(adata if model is None else model, key)
    places = anndata_fields.coordinates(adata, key) if points is None else points
    rows = None if genes is None else trained.gene_rows(list(genes))
    values = trained.decode(places, rows, n_threads)
    if scale == "input":
        values = trained.preprocessing.invert(values)
    names = [f"point_{row}" for row in range(len(values))]
    obs = adata.obs.copy() if points is None else _frame(names)
    var = _frame(trained.gene_names if rows is None else trained.gene_names[rows])
    return AnnData(values, obs=obs, var=var, obsm={f"X_{key}": np.asarray(places, np.float32)})


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


def _model_and_matrix(source: Any, key: str) -> tuple[Model, str]:
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
