"""Models on disk: saved as `fembed.model_folder` says, checked field by field when loaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fembed.config import FitConfig
from fembed.data.preprocess import Preprocessing
from fembed.errors import InputError, shown
from fembed.files import arrayfile
from fembed.files.manifest import Arrays, Document, PathLike, Source
from fembed.files.schema import check
from fembed.model import Calibration, Model
from fembed.model_folder import (
    DOCUMENT,
    KIND,
    LEARNT,
    OF_BATCHES,
    OF_COUNTS,
    OPTIONAL,
    REQUIRED,
    check_output,
    contents,
    save,
)
from fembed.parameters import Parameters
from fembed.solvers.batch_effects import BatchEffects
from fembed.solvers.count_model import CountModel
from fembed.solvers.residual_factors import ResidualFactors

__all__ = ["KIND", "check_output", "contents", "load", "rebuild", "save"]

Made = TypeVar("Made")


def load(path: PathLike) -> Model:
    """The model in the folder ``path``, bit for bit as it was saved.

    Parameters
    ----------
    path : path
        A folder that `save` wrote.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        A file is absent, truncated, altered, of another model or of a newer fembed; or a field
        has a wrong shape, type, number of names or value. The message names file and field.

    Examples
    --------
    >>> model.save(folder / "model")
    >>> fembed.load(folder / "model").n_samples
    90
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"The path of a model is {shown(path)}; give the folder as a text.")
    arrays, document = arrayfile.read_folder(path, KIND)
    unknown = sorted(set(arrays) - {*REQUIRED, *OPTIONAL, *LEARNT, *OF_COUNTS, *OF_BATCHES})
    source = Path(path) / f"{KIND}.safetensors"
    if unknown:
        raise InputError(f"{source} holds an array that no model has: {unknown[0]!r}.")
    return rebuild(arrays, document, Path(path))


def rebuild(arrays: Arrays, document: Document, origin: Source) -> Model:
    """The model of `contents`, checked; other arrays and fields are ignored.

    Raises
    ------
    InputError
        A field is absent or wrong; the message begins with ``origin``.
    """
    check(document, DOCUMENT, f"{origin}, {KIND}.json" if isinstance(origin, Path) else origin)
    for name in REQUIRED:
        if name not in arrays:
            raise InputError(f"{origin}: the array {name!r} is absent.")
    for name in (*REQUIRED, *OPTIONAL, *LEARNT, *OF_COUNTS, *OF_BATCHES):
        if name in arrays and not np.issubdtype(arrays[name].dtype, np.floating):
            raise InputError(f"{origin}: the array {name!r} is {arrays[name].dtype}, not float.")
    model = Model(
        parameters=Parameters(
            sample_embedding=arrays["sample_embedding"],
            gene_embedding=arrays["gene_embedding"],
            network=arrays["network"],
            hidden=tuple(document["hidden"]),
            gene_loading=arrays.get("gene_loading"),
            gene_bias=arrays.get("gene_bias"),
        ),
        sample_names=np.array(document["sample_names"], dtype=object),
        gene_names=np.array(document["gene_names"], dtype=object),
        preprocessing=_made(Preprocessing.from_dict, document, "preprocessing", origin),
        config=_made(FitConfig.from_dict, document, "config", origin),
        sample_loss=arrays["sample_loss"],
        training=document["training"],
        residual_factors=_residual_factors(arrays, document, origin),
        count_model=_count_model(arrays, origin),
        calibration=_calibration(arrays, document, origin),
        labels={
            name: np.array(labels, dtype=object)
            for name, labels in document.get("labels", {}).items()
        },
        batch_effects=_batch_effects(arrays, document, origin),
    )
    try:
        model.check()
    except InputError as error:
        raise InputError(f"{origin}: {str(error)[0].lower()}{str(error)[1:]}") from None
    return model


def _residual_factors(arrays: Arrays, document: Document, origin: Source) -> ResidualFactors | None:
    if "residual_loading" not in arrays:
        return None
    if "residual_noise" not in arrays:
        raise InputError(f"{origin}: the array 'residual_noise' is absent.")
    number = float(_beside(document, "independent_genes", origin))
    return ResidualFactors(arrays["residual_loading"], arrays["residual_noise"], number)


def _count_model(arrays: Arrays, origin: Source) -> CountModel | None:
    if "rate" not in arrays:
        return None
    if "dispersion" not in arrays:
        raise InputError(f"{origin}: the array 'dispersion' is absent.")
    return CountModel(arrays["rate"], arrays["dispersion"])


def _batch_effects(arrays: Arrays, document: Document, origin: Source) -> BatchEffects | None:
    if "batch_shift" not in arrays:
        return None
    fields = _beside(document, "batches", origin)
    for name in OF_BATCHES[: 3 if fields["columns"] else 2]:
        if name not in arrays:
            raise InputError(f"{origin}: the array {name!r} is absent.")
    shift, centre = arrays["batch_shift"], arrays["batch_centre"]
    no_scale = np.ones((0, centre.size), np.float32)
    return BatchEffects.from_dict(fields, shift, arrays.get("batch_scale", no_scale), centre)


def _calibration(arrays: Arrays, document: Document, origin: Source) -> Calibration | None:
    if "reference_loss" not in arrays:
        return None
    factor = float(_beside(document, "ellipse_factor", origin))
    held_out = _beside(document, "calibrated_on_held_out", origin)
    return Calibration(
        factor,
        arrays["reference_loss"],
        held_out,
        arrays.get("unexplained"),
        arrays.get("reference_score"),
    )


def _beside(document: Document, name: str, origin: Source) -> Any:
    """A field that comes with an array."""
    if name not in document:
        raise InputError(f"{origin}: the field '{name}' is absent.")
    return document[name]


def _made(
    make: Callable[[dict[str, Any]], Made], document: Document, name: str, origin: Source
) -> Made:
    """What ``from_dict`` makes of a field, or one sentence that names the field."""
    try:
        return make(document[name])
    except InputError as error:
        reason = str(error).rstrip(".")
        raise InputError(f"{origin}: the field '{name}' is not valid ({reason}).") from error
