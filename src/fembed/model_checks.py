"""Whether the fields of a model are sound: shapes, types, names and values, field by field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError
from fembed.parameters import MAX_LOSS, MAX_VALUE, check_array
from fembed.solvers.numeric_range import within_range

if TYPE_CHECKING:
    from fembed.model import Calibration, Model


def check(model: Model) -> None:
    """Raise InputError, naming the field, unless all of them are sound."""
    model.parameters.check()
    check_array("sample_loss", model.sample_loss, (model.n_samples,), np.float64)
    _check_losses("sample_loss", model.sample_loss)
    _check_names("sample_names", model.sample_names, model.n_samples)
    _check_names("gene_names", model.gene_names, model.n_genes)
    features = sum(layer.n_features for layer in model.preprocessing.layers)
    if model.preprocessing.layers and features != model.n_genes:
        raise InputError(f"The layers have {features} features, not {model.n_genes}.")
    for name, labels in model.labels.items():
        if len(labels) != model.n_samples:
            raise InputError(
                f"The field 'labels' has {len(labels)} texts of '{name}' for "
                f"{model.n_samples} samples."
            )
    if model.batch_effects is not None:
        model.batch_effects.check(model.n_samples, model.n_genes)
    _check_learnt(model)
    if not within_range(model.parameters):
        raise InputError(
            "The arrays hold numbers so large that the expression of the model's own samples "
            "is beyond the range of 32-bit floats; train the model again."
        )


def _check_learnt(model: Model) -> None:
    """The same for what was learnt after the training."""
    n_genes = model.n_genes
    if model.residual_factors is not None:
        loading, noise = model.residual_factors.loading, model.residual_factors.noise
        n_factors = loading.shape[1] if loading.ndim == 2 else 0
        check_array("residual_loading", loading, (n_genes, max(1, n_factors)), np.float32)
        check_array("residual_noise", noise, (n_genes,), np.float32, MAX_VALUE**2)
        if not noise.min() > 0:
            raise InputError("The array 'residual_noise' holds a value that is not above 0.")
        if not 0 < model.residual_factors.independent_genes <= MAX_LOSS:
            raise InputError("The field 'independent_genes' is not a number above 0.")
    if model.config.takes_counts != (model.count_model is not None):
        raise InputError("The likelihood counts and the rates of genes come together.")
    if model.count_model is not None:
        for name in ("rate", "dispersion"):
            values = getattr(model.count_model, name)
            check_array(name, values, (n_genes,), np.float32)
            if not (values > 0 if name == "rate" else values >= 0).all():
                raise InputError(f"The array '{name}' holds a value that is too small.")
    if model.calibration is not None:
        loss = model.calibration.reference_loss
        check_array("reference_loss", loss, (loss.size,), np.float64)
        _check_losses("reference_loss", loss)
        _check_novelty(model.calibration, model.n_samples)
        if not 0 < model.calibration.ellipse_factor <= MAX_LOSS:
            raise InputError("The field 'ellipse_factor' is not a number above 0.")


def _check_novelty(calibration: Calibration, n_samples: int) -> None:
    left, scores = calibration.unexplained, calibration.reference_score
    if left is None and scores is None:
        return
    if left is None or scores is None:
        raise InputError("The arrays 'unexplained' and 'reference_score' come together.")
    check_array("reference_score", scores, (scores.size,), np.float64)
    _check_losses("reference_score", scores)
    if left.shape != (n_samples,) or left.dtype != np.float64:
        raise InputError("The array 'unexplained' is not one float64 number per sample.")
    known = left[~np.isnan(left)]
    if not known.size:
        raise InputError("The array 'unexplained' has no value.")
    _check_losses("unexplained", known)


def _check_losses(name: str, losses: NDArray[np.float64]) -> None:
    if losses.min(initial=0.0) < 0:
        raise InputError(f"The array '{name}' holds a negative value.")


def _check_names(field_name: str, names: NDArray[np.object_], count: int) -> None:
    if len(names) != count:
        raise InputError(f"The field '{field_name}' has {len(names)} names instead of {count}.")
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str):
            raise InputError(f"The field '{field_name}' holds {name!r}, which is not a text.")
        if name in seen:
            raise InputError(f"The field '{field_name}' holds the name {name!r} twice.")
        seen.add(name)
