"""The verb for labels: carry those of a reference over to new samples, as scanpy's ``ingest``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from fembed.inference import annotation
from fembed.model import Model
from fembed.output import anndata_fields
from fembed.tl.stored import model_and_matrix

if TYPE_CHECKING:
    from anndata import AnnData


def annotate(
    adata: AnnData,
    model: Model | AnnData,
    labels: Any = None,
    *,
    layer: str | None = None,
    use_raw: bool = False,
    key_added: str = anndata_fields.KEY,
    threshold: float = annotation.THRESHOLD,
    transform: Literal["match"] | None = None,
    gene_map: Any = None,
    batch_key: str | Sequence[str] | None = None,
    covariates: str | Sequence[str] | None = None,
    n_threads: int | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Place the samples of ``adata`` in a trained map, and carry labels over to them.

    Parameters
    ----------
    adata : AnnData, k x any genes
        New samples, in the units of the training data.
    model : Model or AnnData
        A model, or the object that `fit` put one into.
    labels : str, Series or array, optional
        A column of ``obs`` of the object in ``model``, or what `fembed.annotate` takes.
    layer, use_raw, key_added
        As in `project`.
    threshold : float
        A sample whose p-value is not above it is called "unknown".
    transform, gene_map, covariates
        As in `fembed.project`.
    batch_key : str or list of str, optional
        The columns of ``obs`` with the samples' batches, which are batches of the model.
    n_threads : int, optional
        Threads of the engine.
    copy : bool
        Return a copy with the results, and leave ``adata`` as it is.

    Returns
    -------
    AnnData or None
        The copy if ``copy``, else None. Written are ``obs["fembed_label"]``,
        ``obs["fembed_most_probable"]`` (also of samples that are called unknown),
        ``obs["fembed_probability"]``, ``obs["fembed_margin"]``; the probability of every label in
        ``obsm["fembed_labels"]``, whose columns are named in ``uns["fembed_labels"]``; and what
        `project` writes.

    Raises
    ------
    InputError
        As `fembed.annotate`; ``adata`` is then unchanged.

    Warns
    -----
    DataWarning
        As `fembed.annotate`.

    Examples
    --------
    >>> fembed.tl.annotate(adata, model, labels=adata.obs["kind"])
    >>> adata.obsm["fembed_labels"].shape
    (90, 3)
    """
    anndata_fields.check_writable(adata, copy)
    trained, matrix = model_and_matrix(model, key_added)
    asked = anndata_fields.matrix_name(layer, use_raw)
    matrix = matrix if asked == "X" else asked
    obs = getattr(model, "obs", None)
    found = annotation.annotate(
        trained,
        anndata_fields.expression_of(adata, matrix),
        labels,
        reference=obs if isinstance(labels, str) and obs is not None and labels in obs else None,
        threshold=threshold,
        transform=transform,
        gene_map=gene_map,
        batch=batch_key,
        covariates=covariates,
        n_threads=n_threads,
    )
    placed = found.projection
    target = adata.copy() if copy else adata
    anndata_fields.put_model(target, trained, matrix, key_added)
    anndata_fields.put_samples(
        target, placed.sample_embedding, found.columns(), placed.covariance, key_added
    )
    anndata_fields.put_labels(target, found.names, found.probabilities, key_added)
    return target if copy else None
