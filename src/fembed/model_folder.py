"""The folder of a model, ``model.safetensors`` + ``model.json``: what it holds, how it is written.

`fembed.store` reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fembed.config import MAX_HIDDEN_LAYERS, MAX_WIDTH
from fembed.files import arrayfile
from fembed.files.atomic import Place
from fembed.files.manifest import Arrays, Document, PathLike, plain
from fembed.files.schema import (
    Record,
    by_name,
    check,
    nullable,
    number,
    several,
    text,
    truth,
    whole,
)

if TYPE_CHECKING:
    from fembed.model import Model

KIND = "model"
REQUIRED = ("sample_embedding", "gene_embedding", "network", "sample_loss")
OPTIONAL = ("gene_loading", "gene_bias")
#: Learnt after the training, since schema version 2.
LEARNT = (
    "residual_loading",
    "residual_noise",
    "reference_loss",
    "unexplained",
    "reference_score",
)
#: Of counts, since schema version 5.
OF_COUNTS = ("rate", "dispersion")
#: Of batches, likewise.
OF_BATCHES = ("batch_shift", "batch_centre", "batch_scale")

#: Points of a training curve: a fit keeps 200.
MAX_POINTS = 100_000
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
            most=MAX_POINTS,
        ),
    },
    other=True,
)
#: One of several measurements, since schema version 4.
LAYER = Record(
    {"name": text, "n_features": whole(1), "transform": text, "weight": number(above=0.0)}, {}
)
#: Batches and covariates, since schema version 5.
BATCHES = Record(
    {
        "columns": several(
            Record(
                {
                    "name": text,
                    "levels": several(text),
                    "codes": several(whole(-1)),
                    "left": several(text),
                },
                {},
            )
        ),
        "covariates": several(
            Record(
                {
                    "name": text,
                    "mean": number(),
                    "sd": number(above=0.0),
                    "values": several(number()),
                },
                {},
            )
        ),
        "explained": several(number()),
        "sizes": several(_SIZE),
    },
    {},
)
#: The document of a model, beside what `fembed.files.manifest` says and checks of it.
DOCUMENT = Record(
    {
        "preprocessing": Record(
            {"transform": text}, {"layers": several(LAYER), "target_sum": number(above=0.0)}
        ),
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
        "labels": by_name(several(text)),
        "batches": BATCHES,
    },
    other=True,
)


def save(model: Model, path: PathLike | Place, overwrite: bool = False) -> None:
    """Write ``model`` as the folder ``path``, complete or not at all; no value is changed.

    Parameters
    ----------
    model : Model
        The model; it is checked first, so whatever is written can be loaded.
    path : path
        The folder to make; folders above it are made too. Or what `check_output` returned before
        long work: if another process has written it since, the model is kept beside it, and an
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
    if model.labels:
        document["labels"] = {name: list(labels) for name, labels in model.labels.items()}
    if model.residual_factors is not None:
        arrays["residual_loading"] = model.residual_factors.loading
        arrays["residual_noise"] = model.residual_factors.noise
        document["independent_genes"] = model.residual_factors.independent_genes
    if model.count_model is not None:
        arrays["rate"] = model.count_model.rate
        arrays["dispersion"] = model.count_model.dispersion
    if model.batch_effects is not None:
        effects = model.batch_effects
        arrays["batch_shift"] = effects.shift
        if effects.n_batches:
            arrays["batch_scale"] = effects.scale
        arrays["batch_centre"] = effects.centre
        document["batches"] = effects.to_dict()
    if model.calibration is not None:
        arrays["reference_loss"] = model.calibration.reference_loss
        if model.calibration.unexplained is not None:
            arrays["unexplained"] = model.calibration.unexplained
        if model.calibration.reference_score is not None:
            arrays["reference_score"] = model.calibration.reference_score
        document["ellipse_factor"] = model.calibration.ellipse_factor
        document["calibrated_on_held_out"] = model.calibration.held_out
    return arrays, document
