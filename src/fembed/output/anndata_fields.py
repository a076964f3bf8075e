"""Where a model and its results lie in an AnnData object, and how they are put there and found.

============================  ==================================================================
``obsm["X_fembed"]``          coordinates of the samples
``obsm["X_fembed_covariance"]``  of projected samples: the covariance of each place
``obs["fembed_loss"]``        mean squared error; of projected samples also ``fembed_n_genes``,
                              ``fembed_outlier`` and, of a calibrated model, ``fembed_p_value``
``varm["fembed"]``            gene embedding; NaN for a gene that the model does not have
``varm["fembed_loading"]``    of `fembed.tl.genes`, as ``var["fembed_mean"]`` and others
``uns["fembed"]``             the whole model, so that the object alone is enough: ``arrays``, a
                              checked JSON text ``model``, and ``matrix``, what it was fitted on
============================  ==================================================================

Everything in ``uns`` is an array or a text, which .h5ad and .zarr files give back as they were.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed import store
from fembed.data.annotations import refuse_layers, refuse_two_matrices
from fembed.data.expression import Expression
from fembed.data.lookup import look_up
from fembed.errors import InputError
from fembed.files.manifest import seal, unseal
from fembed.model import Model

if TYPE_CHECKING:
    from anndata import AnnData

KEY = "fembed"
FACTS = ("loss", "n_genes", "outlier", "p_value")
LABEL_FACTS = ("label", "most_probable", "probability", "margin")
GENE_FACTS = (
    "mean",
    "sd_map",
    "sd_shared",
    "sd_noise",
    "explained",
    "linear",
    "rate",
    "dispersion",
)
_LAYERS = "layers/"


def check_writable(adata: AnnData, copy: bool = False) -> None:
    """Raise InputError for what is no AnnData object, or one that results cannot be put into."""
    refuse_layers(adata, "An AnnData verb")
    if not all(hasattr(adata, slot) for slot in ("obsm", "varm", "uns")):
        raise InputError(f"An AnnData object is needed, not {type(adata).__name__}.")
    if adata.is_view and adata.isbacked:
        raise InputError(
            "The AnnData object is a view of a backed one, which nothing can be added to; take it "
            "to memory first (adata.to_memory())."
        )
    if copy and adata.isbacked:
        raise InputError(
            "A backed AnnData object has no copy in memory; leave out copy=True, or give "
            "adata.to_memory()."
        )


def matrix_name(layer: str | None, use_raw: bool = False) -> str:
    """``X``, ``raw`` or ``layers/NAME``; InputError if both a layer and raw are asked for."""
    refuse_two_matrices(layer, use_raw)
    return "raw" if use_raw else "X" if layer is None else f"{_LAYERS}{layer}"


def expression_of(
    adata: AnnData, matrix: str, mask_var: str | NDArray[np.bool_] | None = None
) -> Expression:
    """A copy of the matrix that `matrix_name` names, of the genes of a mask if there is one."""
    layer = matrix.removeprefix(_LAYERS) if matrix.startswith(_LAYERS) else None
    return Expression.from_anndata(adata, layer, matrix == "raw", mask_var)


def put_model(adata: AnnData, model: Model, matrix: str, key: str = KEY) -> None:
    """Put ``model`` into ``uns[key]`` and its gene embedding into ``varm[key]``.

    What `put_genes` wrote of an earlier model under the same key is removed.
    """
    arrays, text = seal(*store.contents(model), store.KIND)
    with _filling(adata):
        adata.uns[key] = {"arrays": arrays, "model": text, "matrix": matrix}
        _remove_genes(adata, key)
        adata.varm[key] = _gene_rows(model, model.gene_embedding, adata.var_names)


def put_genes(
    adata: AnnData,
    model: Model,
    matrices: Mapping[str, NDArray[np.float32]],
    facts: Mapping[str, NDArray[np.float32]],
    key: str = KEY,
) -> None:
    """Put what is known of each gene of ``model`` into ``varm`` and ``var``, in the order there.

    The names of matrices and columns follow that of ``key``. What an earlier call wrote, and this
    one does not write, is removed.
    """
    with _filling(adata):
        _remove_genes(adata, key)
        for name, rows in matrices.items():
            adata.varm[f"{key}{name}"] = _gene_rows(model, rows, adata.var_names)
        for name, column in facts.items():
            adata.var[f"{key}_{name}"] = _gene_rows(model, column, adata.var_names)


def _remove_genes(adata: AnnData, key: str) -> None:
    for name in GENE_FACTS:
        if f"{key}_{name}" in adata.var:
            del adata.var[f"{key}_{name}"]
    if f"{key}_loading" in adata.varm:
        del adata.varm[f"{key}_loading"]


def put_samples(
    adata: AnnData,
    coordinates: NDArray[np.float32],
    facts: Mapping[str, NDArray[Any]],
    covariance: NDArray[np.float64] | None = None,
    key: str = KEY,
) -> None:
    """Put coordinates into ``obsm``, and what else is known of each sample into ``obs``.

    What an earlier call wrote under the same key, and this one does not write, is removed.
    """
    with _filling(adata):
        stale = {f"{key}_{name}" for name in (*FACTS, *LABEL_FACTS)} & set(adata.obs.columns)
        for name in sorted(stale):
            del adata.obs[name]
        for slot, name in (
            (adata.obsm, f"X_{key}_covariance"), (adata.obsm, f"{key}_labels"),
            (adata.uns, f"{key}_labels"),
        ):  # fmt: skip
            if name in slot:
                del slot[name]
        adata.obsm[f"X_{key}"] = np.array(coordinates, np.float32)
        for name, column in facts.items():
            adata.obs[f"{key}_{name}"] = column
        if covariance is not None:
            adata.obsm[f"X_{key}_covariance"] = covariance


def put_labels(
    adata: AnnData, names: NDArray[Any], probabilities: NDArray[np.float64], key: str = KEY
) -> None:
    """Put the probability of every label into ``obsm``, and the labels' names into ``uns``.

    Names of labels may have a slash, which the names of columns in a file may not.
    """
    with _filling(adata):
        adata.obsm[f"{key}_labels"] = probabilities
        adata.uns[f"{key}_labels"] = np.array(names, dtype=str)


def put_layer(adata: AnnData, name: str, values: NDArray[np.float32]) -> None:
    """Put a matrix into ``layers``."""
    with _filling(adata):
        adata.layers[name] = values


def put_columns(
    adata: AnnData, obs: Mapping[str, NDArray[Any]], var: Mapping[str, NDArray[Any]]
) -> None:
    """Put columns into ``obs`` and ``var``."""
    with _filling(adata):
        for name, column in obs.items():
            adata.obs[name] = column
        for name, column in var.items():
            adata.var[name] = column


def find_model(adata: AnnData, key: str = KEY) -> tuple[Model, str]:
    """The model in ``uns[key]`` and the name of the matrix that it was fitted on.

    Raises
    ------
    InputError
        There is no model, or it has been altered.
    """
    origin = f"uns['{key}'] of the AnnData object"
    if key not in adata.uns:
        there = ", ".join(map(str, adata.uns)) or "nothing"
        raise InputError(
            f"{origin} is absent (uns has {there}), so there is no model; run fembed.tl.fit on "
            "it, or give the model itself."
        )
    stored = adata.uns[key]
    if not (
        isinstance(stored, Mapping)
        and {"arrays", "model", "matrix"} <= set(stored)
        and isinstance(stored["model"], str)
        and isinstance(stored["arrays"], Mapping)
    ):
        raise InputError(
            f"{origin} is not a fembed model; run fembed.tl.fit on it, or give the model itself."
        )
    try:
        arrays = {str(name): np.array(array) for name, array in stored["arrays"].items()}
    except ValueError:  # lists of different lengths
        raise InputError(
            f"{origin} holds something else than arrays; fit the model anew."
        ) from None
    document = unseal(arrays, stored["model"], origin, store.KIND)
    return store.rebuild(arrays, document, origin), str(stored["matrix"])


def coordinates(adata: AnnData, key: str = KEY) -> NDArray[np.float32]:
    """The samples' coordinates in ``obsm``; InputError where there are none."""
    name = f"X_{key}"
    if name not in adata.obsm:
        there = ", ".join(map(str, adata.obsm)) or "nothing"
        raise InputError(
            f"The AnnData object has no obsm['{name}'] (obsm has {there}); place its samples "
            "with fembed.tl.project, or give points."
        )
    return np.asarray(adata.obsm[name], np.float32)


def _gene_rows(model: Model, values: NDArray[np.float32], gene_names: Any) -> NDArray[np.float32]:
    """Values of the model's genes in the order of ``gene_names``; NaN for those it lacks."""
    found = look_up(model.gene_names, map(str, gene_names))
    rows = np.full((len(gene_names), *values.shape[1:]), np.nan, np.float32)
    rows[found.position[found.found]] = values[found.found]
    return rows


@contextmanager
def _filling(adata: AnnData) -> Iterator[None]:
    """A view becomes an object of its own when something is put into it, as is wanted here."""
    from anndata import ImplicitModificationWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImplicitModificationWarning)
        yield
