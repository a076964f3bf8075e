"""Model folders: ``model.safetensors`` + ``model.json``, checked field by field when loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fembed.config import FitConfig
from fembed.data.preprocess import Preprocessing
from fembed.errors import InputError
from fembed.files import arrayfile
from fembed.files.plain import PathLike
from fembed.files.sealed import Arrays, Document, Source
from fembed.model import Calibration, Model
from fembed.parameters import Parameters
from fembed.placing.residuals import Residuals

KIND = "model"
REQUIRED = ("sample_embedding", "gene_embedding", "network", "sample_loss")
OPTIONAL = ("gene_loading", "gene_bias")
#: Learnt after the training, since schema version 2.
LEARNT = ("residual_loading", "residual_noise", "reference_loss")

Made = TypeVar("Made")


def save(model: Model, path: PathLike, overwrite: bool = False) -> None:
    """Write ``model`` as the folder ``path``, complete or not at all; no value is changed.

    Parameters
    ----------
    model : Model
        The model; it is checked first, so whatever is written can be loaded.
    path : path
        The folder to make; folders above it are made too.
    overwrite : bool
        Replace an earlier model there, once the new one is complete.

    Raises
    ------
    InputError
        The output exists, is not a model, or cannot be written; or the model is not sound.
    """
    model.check()
    arrays, document = contents(model)
    arrayfile.write_folder(path, arrays, document, KIND, overwrite)


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
    """
    arrays, document = arrayfile.read_folder(path, KIND)
    unknown = sorted(set(arrays) - {*REQUIRED, *OPTIONAL, *LEARNT})
    source = Path(path) / f"{KIND}.safetensors"
    if unknown:
        raise InputError(f"{source} holds an array that no model has: {unknown[0]!r}.")
    return rebuild(arrays, document, Path(path))


def check_output(path: PathLike, overwrite: bool = False) -> None:
    """Raise InputError if `save` would fail for ``path``; for a check before a long training."""
    arrayfile.check_output(path, KIND, overwrite)


def contents(model: Model) -> tuple[Arrays, Document]:
    """The arrays and the document of a model file; a checkpoint adds its own to both."""
    arrays: Arrays = {**model.parameters.arrays(), "sample_loss": model.sample_loss}
    document: Document = {
        "preprocessing": model.preprocessing.to_dict(),
        "config": model.config.to_dict(),
        "hidden": list(model.parameters.hidden),
        "training": model.training,
        "sample_names": list(model.sample_names),
        "gene_names": list(model.gene_names),
    }
    if model.residuals is not None:
        arrays["residual_loading"] = model.residuals.loading
        arrays["residual_noise"] = model.residuals.noise
        document["independent_genes"] = model.residuals.independent_genes
    if model.calibration is not None:
        arrays["reference_loss"] = model.calibration.reference_loss
        document["ellipse_factor"] = model.calibration.ellipse_factor
        document["calibrated_on_held_out"] = model.calibration.held_out
    return arrays, document


def rebuild(arrays: Arrays, document: Document, origin: Source) -> Model:
    """The model of `contents`, checked; other arrays and fields are ignored.

    Raises
    ------
    InputError
        A field is absent or wrong; the message begins with ``origin``.
    """
    for name in REQUIRED:
        if name not in arrays:
            raise InputError(f"{origin}: the array {name!r} is absent.")
    for name in (*REQUIRED, *OPTIONAL, *LEARNT):
        if name in arrays and not np.issubdtype(arrays[name].dtype, np.floating):
            raise InputError(f"{origin}: the array {name!r} is {arrays[name].dtype}, not float.")
    model = Model(
        parameters=Parameters(
            sample_embedding=arrays["sample_embedding"],
            gene_embedding=arrays["gene_embedding"],
            network=arrays["network"],
            hidden=_hidden(document, origin),
            gene_loading=arrays.get("gene_loading"),
            gene_bias=arrays.get("gene_bias"),
        ),
        sample_names=np.array(_list(document, "sample_names", origin), dtype=object),
        gene_names=np.array(_list(document, "gene_names", origin), dtype=object),
        preprocessing=_made(Preprocessing.from_dict, document, "preprocessing", origin),
        config=_made(FitConfig.from_dict, document, "config", origin),
        sample_loss=arrays["sample_loss"],
        training=_mapping(document, "training", origin),
        residuals=_residuals(arrays, document, origin),
        calibration=_calibration(arrays, document, origin),
    )
    try:
        model.check()
    except InputError as error:
        raise InputError(f"{origin}: {str(error)[0].lower()}{str(error)[1:]}") from None
    return model


def _residuals(arrays: Arrays, document: Document, origin: Path | str) -> Residuals | None:
    if "residual_loading" not in arrays:
        return None
    if "residual_noise" not in arrays:
        raise InputError(f"{origin}: the array 'residual_noise' is absent.")
    number = _field(document, "independent_genes", float, "a number", origin)
    return Residuals(arrays["residual_loading"], arrays["residual_noise"], number)


def _calibration(arrays: Arrays, document: Document, origin: Path | str) -> Calibration | None:
    if "reference_loss" not in arrays:
        return None
    factor = _field(document, "ellipse_factor", float, "a number", origin)
    held_out = _field(document, "calibrated_on_held_out", bool, "true or false", origin)
    return Calibration(factor, arrays["reference_loss"], held_out)


def _field(document: Document, name: str, wanted: type[Made], noun: str, origin: Source) -> Made:
    value = document.get(name)
    if not isinstance(value, wanted):
        state = "absent" if name not in document else f"not {noun}"
        raise InputError(f"{origin}: the field '{name}' of {KIND}.json is {state}.")
    return value


def _list(document: Document, name: str, origin: Source) -> list[Any]:
    return _field(document, name, list, "a list", origin)


def _mapping(document: Document, name: str, origin: Source) -> dict[str, Any]:
    return _field(document, name, dict, "an object", origin)


def _hidden(document: Document, origin: Source) -> tuple[int, ...]:
    widths = _list(document, "hidden", origin)
    for width in widths:
        if not isinstance(width, int) or isinstance(width, bool) or width < 1:
            raise InputError(
                f"{origin}: the field 'hidden' of {KIND}.json holds {width!r}, not a layer's width."
            )
    return tuple(widths)


def _made(
    make: Callable[[dict[str, Any]], Made], document: Document, name: str, origin: Source
) -> Made:
    """What ``from_dict`` makes of a field, or one sentence that names the field."""
    values = _mapping(document, name, origin)
    try:
        return make(values)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{origin}: the field '{name}' of {KIND}.json is not valid ({error})."
        ) from error
