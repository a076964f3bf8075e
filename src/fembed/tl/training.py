"""``fembed.tl.fit``: train a map and put it into the object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fembed import train
from fembed.config import FitConfig
from fembed.data.preprocess import Transform
from fembed.errors import InputError
from fembed.output import anndata_fields

if TYPE_CHECKING:
    from anndata import AnnData


def fit(
    adata: AnnData,
    n_components: int = 2,
    *,
    transform: Transform | None = None,
    target_sum: float | Literal["median"] | None = None,
    layer: str | None = None,
    use_raw: bool = False,
    mask_var: str | NDArray[np.bool_] | None = None,
    key_added: str = anndata_fields.KEY,
    random_state: int | None = None,
    labels: str | Sequence[str] | None = None,
    batch_key: str | Sequence[str] | None = None,
    covariates: str | Sequence[str] | None = None,
    verbose: bool | None = None,
    callback: Callable[[train.Progress], None] | None = None,
    copy: bool = False,
    engine: str | None = None,
    device: str | None = None,
    **options: Any,
) -> AnnData | None:
    """Train a map of the samples in ``adata``; put the map and the model into ``adata``.

    Parameters
    ----------
    adata : AnnData, n_samples x n_genes
        In memory or backed; a view becomes an object of its own.
    n_components : int
        Dimensions of the sample embedding.
    transform : {"log10", "cpm", "none"}, optional
        The transform of the values: log10(x + 1), the default; counts per million and then
        log10(x + 1); or none, for values that are on a log scale already, as after ``sc.pp.log1p``.
        With the option ``likelihood="counts"`` there is none: the values are raw counts.
    target_sum : float or "median", optional
        With the transform cpm: what the counts of a cell are made to add up to, a million by
        default; as in ``sc.pp.normalize_total``.
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
    labels : str or list of str, optional
        Columns of ``obs`` to keep with the model, for `annotate` of new samples.
    batch_key : str or list of str, optional
        Columns of ``obs`` with the batches of the samples, whose shifts and scales are removed from
        every gene; see `fembed.fit`.
    covariates : str or list of str, optional
        Columns of ``obs`` with numbers, whose slopes are removed from every gene.
    verbose : bool, optional
        Show a bar: in a terminal or notebook with True, nowhere with False; by default in
        notebooks.
    callback : callable, optional
        Called with a `fembed.train.Progress` a few times per second.
    copy : bool
        Return a copy with the results, and leave ``adata`` as it is.
    engine, device : str, optional
        What computes, as in `fembed.using`.
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
        target_sum=target_sum,
        labels=labels,
        batch=batch_key,
        covariates=covariates,
        overwrite_values=True,
        verbose=verbose,
        callback=callback,
        engine=engine,
        device=device,
    )
    target = adata.copy() if copy else adata
    anndata_fields.put_model(target, trained, matrix, key_added)
    facts = {"loss": trained.sample_loss}
    places = np.asarray(trained.sample_embedding, np.float32)
    anndata_fields.put_samples(target, places, facts, key=key_added)
    return target if copy else None
