"""Model folders: ``model.safetensors`` + ``model.json``, checked field by field when loaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fembed.config import MAX_HIDDEN_LAYERS, MAX_WIDTH, FitConfig
from fembed.data.preprocess import Preprocessing
from fembed.errors import InputError, shown
from fembed.files import arrayfile
from fembed.files.durable import Place
from fembed.files.plain import PathLike, plain
from fembed.files.schema import Record, check, nullable, number, several, text, truth, whole
from fembed.files.sealed import Arrays, Document, Source
from fembed.model import Calibration, Model
from fembed.parameters import Parameters
from fembed.solvers.residual_factors import Residuals

KIND = "model"
REQUIRED = ("sample_embedding", "gene_embedding", "network", "sample_loss")
OPTIONAL = ("gene_loading", "gene_bias")
#: Learnt after the training, since schema version 2.
LEARNT = ("residual_loading", "residual_noise", "reference_loss")

#: Points of a training curve: a fit keeps 200.
MOST_POINTS = 100_000
_SIZE = number(0.0)
#: What a fit reports of itself (see `fembed.train`), as far as commands and figures use it.
TRAINING = Record(
    {},
    {
        "steps": whole(),
        "passes": _SIZE,
        "seconds": _SIZE,
        "pairs_per_second": _SIZE,
        "mse": _SIZE,
        "explained_variance": number(high=1.0),
        "pca_explained_variance": nullable(number()),
        "held_out_mse": nullable(_SIZE),
        "n_held_out": nullable(whole()),
        "missing_share": number(0.0, 1.0),
        "n_threads": nullable(whole(1)),
        "stopped": nullable(text),
        "added_genes": whole(),
        "history": several(
            Record(
                {},
                {
                    "step": nullable(whole()),
                    "seconds": nullable(_SIZE),
                    "loss": nullable(_SIZE),
                    "held_out": nullable(_SIZE),
                    "pearson_r": nullable(number(-1.01, 1.01)),  # rounded
                    "learning_rate": nullable(_SIZE),
                    "network_rate": nullable(_SIZE),
                    "gene_rate": nullable(_SIZE),
                    "sample_rate": nullable(_SIZE),
                },
                other=True,
            ),
            most=MOST_POINTS,
        ),
    },
    other=True,
)
#: The document of a model, beside what `fembed.files.sealed` says and checks of it.
DOCUMENT = Record(
    {
        "preprocessing": Record({"transform": text}, {}),
        "config": Record({}, {}, other=True),  # `FitConfig` checks its options
        "hidden": several(whole(1, MAX_WIDTH), most=MAX_HIDDEN_LAYERS),
        "training": TRAINING,
        "sample_names": several(text),
        "gene_names": several(text),
    },
    {
        "independent_genes": number(above=0.0),
        "ellipse_factor": number(above=0.0),
        "calibrated_on_held_out": truth,
    },
    other=True,
)

Made = TypeVar("Made")


def save(model: Model, path: PathLike | Place, overwrite: bool = False) -> None:
    """Write ``model`` as the folder ``path``, complete or not at all; no value is changed.

    Parameters
    ----------
    model : Model
        The model; it is checked first, so whatever is written can be loaded.
    path : path
        The folder to make; folders above it are made too. Or what `check_output` said of it before
        long work: if another process wrote it since then, the model is kept beside it, and an
        error says where.
    overwrite : bool
        Replace an earlier model there, once the new one is complete.

    Raises
    ------
    InputError
        The output exists, is not a model, or cannot be written; or the model is not sound.
    """
    model.check()
    arrays, document = contents(model)
    check(plain(document), DOCUMENT, "The model cannot be saved")
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
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"The path of a model is {shown(path)}; give the folder as a text.")
    arrays, document = arrayfile.read_folder(path, KIND)
    unknown = sorted(set(arrays) - {*REQUIRED, *OPTIONAL, *LEARNT})
    source = Path(path) / f"{KIND}.safetensors"
    if unknown:
        raise InputError(f"{source} holds an array that no model has: {unknown[0]!r}.")
    return rebuild(arrays, document, Path(path))


def check_output(path: PathLike, overwrite: bool = False) -> Place:
    """Raise InputError if `save` would fail for ``path``; for a check before a long training."""
    return arrayfile.check_output(path, KIND, overwrite)


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
    check(document, DOCUMENT, f"{origin}, {KIND}.json" if isinstance(origin, Path) else origin)
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
        residuals=_residuals(arrays, document, origin),
        calibration=_calibration(arrays, document, origin),
    )
    try:
        model.check()
    except InputError as error:
        raise InputError(f"{origin}: {str(error)[0].lower()}{str(error)[1:]}") from None
    return model


def _residuals(arrays: Arrays, document: Document, origin: Source) -> Residuals | None:
    if "residual_loading" not in arrays:
        return None
    if "residual_noise" not in arrays:
        raise InputError(f"{origin}: the array 'residual_noise' is absent.")
    number = float(_beside(document, "independent_genes", origin))
    return Residuals(arrays["residual_loading"], arrays["residual_noise"], number)


def _calibration(arrays: Arrays, document: Document, origin: Source) -> Calibration | None:
    if "reference_loss" not in arrays:
        return None
    factor = float(_beside(document, "ellipse_factor", origin))
    held_out = _beside(document, "calibrated_on_held_out", origin)
    return Calibration(factor, arrays["reference_loss"], held_out)


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
