"""New data in terms of a model: its genes and training samples by name, its scale, its units."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed import store
from fembed.data import account
from fembed.data.choice import even_choice
from fembed.data.expression import Expression
from fembed.data.lookup import look_up
from fembed.engine import Float32, decode
from fembed.errors import DataWarning, InputError
from fembed.model import Model
from fembed.parameters import Parameters
from fembed.solvers import library_size
from fembed.solvers.samples import refine

#: Places and genes of the model that new data are held against: enough for a mean and a spread.
_PLACES, _GENES, _SAMPLES = 8, 1000, 64
#: Fewer genes say nothing of units.
_MIN_GENES = 50
#: Slope of the genes' means in new data over those in the model, and distance of the two in
#: standard deviations of the genes' means. Seen in the right units: slopes of 0.71 to 1.07 and
#: distances up to 0.5 (halves of data sets, types left out, panels), and of cells one by one 0.60
#: to 1.49 and 0.73. Bases of the logarithm differ by 1.44, 2.3 or 3.3.
_SLOPES, _MAX_SHIFT = (0.65, 1.4), 0.75
_SLOPES_OF_FEW, _MAX_SHIFT_OF_FEW = (0.45, 1.9), 1.5
_FEW = 5
#: Below it the means in the data say nothing of those in the model.
_NO_SLOPE = 0.3
#: Genes' means that differ by less than this times what a gene differs by between places say
#: nothing of a scale. Seen: 0.9 to 1.5 in log ratios (NKI), in whose halves, groups and single
#: samples the slopes are -1.5 to 2.6 in the right units; 0.8 to 1.2 in panels of the most variable
#: or most expressed genes of cells, with slopes of 0.2 to 1.7; from 1.64 up in all other data.
_LEAST_BETWEEN = 1.6
#: But they lie near each other: seen up to 1.3 in the right units, 6 and 7 without logarithms.
_FAR = 3.0
#: Training samples that are compared with the model, and how far above their loss is too far.
_CHECKED_SAMPLES, _MAX_LOSS_RATIO = 256, 1.5
_BASES = {
    3.3219: "log2 where the model has log10",
    2.3026: "natural logarithms where the model has log10",
    1.4427: "log2 where the model has natural logarithms",
    0.6931: "natural logarithms where the model has log2",
    0.4343: "log10 where the model has natural logarithms",
    0.3010: "log10 where the model has log2",
}


@dataclass(frozen=True)
class Matched:
    """New samples in terms of a model: its genes that the data have, and the profiles of those.

    Attributes
    ----------
    sample_names : array of str, k
    genes : row numbers in the model, n_matched
    parameters : Parameters
        The model's, of these genes.
    profiles : float32, k x n_matched
        On the model's scale; NaN where unobserved.
    """

    sample_names: NDArray[np.object_]
    genes: NDArray[np.intp]
    parameters: Parameters
    profiles: Float32


def as_model(model: Any) -> Model:
    """``model`` itself, or the one in the folder that it names.

    Raises
    ------
    InputError
        For anything else, or a folder that is no model.
    """
    if isinstance(model, Model):
        return model
    if isinstance(model, str | os.PathLike):
        return store.load(model)
    raise InputError(
        f"A model is needed (of fembed.fit or fembed.load), not {type(model).__name__}."
    )


def match(model: Model, data: Any) -> Matched:
    """``data`` (as `project` takes them) by the model's gene names and on its scale.

    Raises and warns as `project`.
    """
    expression = Expression.of(data, gene_names=model.gene_names)
    expression.check(min_samples=1, allow_unobserved_genes=True)
    found = expression.find_genes(model.gene_names)
    _check_overlap(found.n_found, model, expression)
    account.warn_of_spelling(found, "gene", expression.origin, stacklevel=4)
    profiles, n_matched = expression.take_genes(found)
    transform = model.preprocessing.transform
    doubt = account.model_unit_doubt(
        profiles, transform, expression.origin, expression.source.units
    )
    model.preprocessing.apply(
        profiles,
        expression.origin,
        sample_names=expression.sample_names,
        gene_names=model.gene_names,
    )
    if transform == "cpm":
        library_size.rescale(model.parameters, profiles)
    n_observed = np.array([np.count_nonzero(~np.isnan(profile)) for profile in profiles])
    if not n_observed.all():
        lacking = expression.sample_names[int(np.argmin(n_observed))]
        raise InputError(
            f"The sample '{lacking}' in {expression.origin} has no observed value for any of the "
            "model's genes; remove it."
        )
    parameters, genes = model.parameters, np.arange(model.n_genes)
    if n_matched < model.n_genes:
        # By name and not by what is observed: batch mates must not choose a sample's genes.
        genes = np.flatnonzero(found.found)
        parameters = parameters.take_genes(genes)
        profiles = np.ascontiguousarray(profiles[:, genes])
    doubt = doubt or scale_doubt(parameters, profiles, expression.origin)
    if doubt is not None:
        warnings.warn(doubt, DataWarning, stacklevel=3)
    return Matched(expression.sample_names, genes, parameters, profiles)


def training_rows(
    model: Model, sample_names: Sequence[str] | NDArray[np.object_], origin: str
) -> NDArray[np.intp]:
    """For every name the row of that training sample in the model, -1 for another sample.

    Warns
    -----
    DataWarning
        Of training samples that are spelled differently.
    """
    found = look_up(model.sample_names, sample_names)
    account.warn_of_spelling(found, "sample", origin, stacklevel=3)
    rows = np.full(len(sample_names), -1, np.intp)
    rows[found.position[found.found]] = np.flatnonzero(found.found)
    return rows


def other_values_doubt(
    model: Model, profiles: Float32, rows: NDArray[np.intp], n_threads: int | None = None
) -> str | None:
    """The sentence for samples with names of training samples and values of others, or None.

    Names alone do not tell: ``sample_0`` is in every array that came without names. At the places
    of the training samples their own values have the loss of the training.

    Parameters
    ----------
    model : Model
    profiles : float32, k x n_genes
        Of all the model's genes, on its scale.
    rows : intp, k
        The training sample that each is said to be.
    """
    some = even_choice(len(rows), _CHECKED_SAMPLES)
    if not some.size:
        return None
    _, loss = refine(
        model.parameters,
        np.ascontiguousarray(profiles[some]),
        model.sample_embedding[rows[some]],
        max_iterations=0,
        n_threads=n_threads,
    )
    found, stored = float(loss.mean()), float(model.sample_loss[rows[some]].mean())
    if found <= _MAX_LOSS_RATIO * stored + 1e-6:
        return None
    return (
        "The values of the training samples are not those that the model was trained on: their "
        f"mean squared error is {found:.4g}, and was {stored:.4g} (the first is "
        f"'{model.sample_names[rows[some[0]]]}'); give the same matrix in the same units, or "
        "names of their own to other samples."
    )


def refuse_other_values(
    model: Model, profiles: Float32, rows: NDArray[np.intp], n_threads: int | None = None
) -> None:
    """Raise InputError where `other_values_doubt` finds something."""
    doubt = other_values_doubt(model, profiles, rows, n_threads)
    if doubt is not None:
        raise InputError(doubt)


def scale_doubt(parameters: Parameters, profiles: Float32, origin: str) -> str | None:
    """The sentence for data on another scale than the model's; None where they are on it.

    The means of the genes in the data are held against those at some of the model's places: on
    the same scale the two lie along a line of slope one. What a gene's mean is differs between
    tissues and laboratories by less than genes differ among themselves.

    Parameters
    ----------
    parameters : Parameters
        Of the genes that the data have.
    profiles : float32, k x n_genes
        On what should be the model's scale.
    origin : str
        What to call the data.
    """
    genes = even_choice(parameters.n_genes, _GENES)
    places = parameters.sample_embedding[even_choice(parameters.n_samples, _PLACES)]
    expected = decode(parameters, places, genes=genes, n_threads=1)
    rows = even_choice(len(profiles), _SAMPLES)
    some = profiles[np.ix_(rows, genes)]
    n_observed = np.count_nonzero(~np.isnan(some), axis=0)
    there = n_observed > 0
    if np.count_nonzero(there) < _MIN_GENES:
        return None
    found = np.nansum(some[:, there], axis=0, dtype=np.float64) / n_observed[there]
    mean = expected.mean(axis=0, dtype=np.float64)[there]
    between = float(mean.std())
    within = float(np.sqrt(expected.var(axis=0, dtype=np.float64).mean()))
    if not between > _LEAST_BETWEEN * within:  # ratios, z-scores: no line to compare
        distance = float(found.mean() - mean.mean())
        if abs(distance) <= _FAR * np.hypot(between, within):
            return None
        return (
            f"{origin} seems to be on another scale than the model: its genes lie "
            f"{abs(distance):.3g} {_side(distance)} the model's (perhaps values before the "
            "logarithm, or another one); give the samples in the units of the training data, or "
            "their places mean little."
        )
    # Not the ratio of the spreads: a single cell's noise adds to its spread, not to its slope.
    slope = float(np.mean((found - found.mean()) * (mean - mean.mean()))) / between**2
    shift = float(found.mean() - mean.mean()) / between
    few = len(rows) < _FEW
    slopes = _SLOPES_OF_FEW if few else _SLOPES
    if slope < _NO_SLOPE:
        how = "the means of its genes do not go with those of the model's genes"
        hint = "z-scores or ratios where the model has expression, or genes of other names"
    elif not slopes[0] <= slope <= slopes[1]:
        how = f"the means of its genes differ {slope:.2g} times as much as the model's do"
        base = min(_BASES, key=lambda known: abs(np.log(slope / known)))
        near = abs(np.log(slope / base)) < 0.15
        hint = _BASES[base] if near else "another transform or normalisation"
    elif abs(shift) > (_MAX_SHIFT_OF_FEW if few else _MAX_SHIFT):
        how = f"its genes lie {abs(found.mean() - mean.mean()):.3g} {_side(shift)} the model's"
        hint = "another normalisation, such as counts where the model has counts per million"
    else:
        return None
    return (
        f"{origin} seems to be on another scale than the model: {how} (perhaps {hint}); give the "
        "samples in the units of the training data, or their places mean little."
    )


def _side(shift: float) -> str:
    return "above" if shift > 0 else "below"


def _check_overlap(n_matched: int, model: Model, expression: Expression) -> None:
    if n_matched == 0:
        raise InputError(
            f"{expression.origin} and the model have no gene in common (the model's first gene is "
            f"'{model.gene_names[0]}', the data's is '{expression.gene_names[0]}'); check that "
            "both use the same kind of gene names, and whether --transpose is needed."
        )
    if n_matched < 0.5 * model.n_genes:
        warnings.warn(
            f"{expression.origin} has only {n_matched} of the model's {model.n_genes} genes; "
            "the coordinates rest on those.",
            DataWarning,
            stacklevel=4,
        )


def check_placed(names: NDArray[np.object_], *found: NDArray[Any]) -> None:
    """Raise InputError, naming the sample, unless all numbers of each are finite.

    Parameters
    ----------
    names : array of str, k
    *found : arrays, k x ...
        What was solved for, or decoded there.
    """
    for array in found:
        fine = np.isfinite(array.reshape(len(names), -1)).all(axis=1)
        if not fine.all():
            raise InputError(
                f"The sample '{names[int(np.argmin(fine))]}' cannot be placed: its expression, or "
                "what the model says of it, is beyond the range of 32-bit floats; check its units "
                "and values, or remove it."
            )
