"""Whether new data fit a model: on its scale, and the same values under the same names."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fembed.data.chunks import even_choice
from fembed.engine import Float32, decode
from fembed.errors import InputError
from fembed.model import Model
from fembed.parameters import Parameters

#: So many places of the model are compared with new data: enough for a mean and a spread.
N_PLACES = 8
#: At most so many genes and samples of the new data are compared with them.
MAX_GENES = 1000
MAX_SAMPLES = 64
#: Units are not judged by fewer genes.
MIN_GENES = 50
#: Slope of the genes' means in new data over those in the model. Seen in the right units: 0.71 to
#: 1.07 (halves of data sets, types left out, panels), and of cells one by one 0.60 to 1.49. Bases
#: of the logarithm differ by 1.44, 2.3 or 3.3.
SLOPES = (0.65, 1.4)
#: Distance of the two means in standard deviations of the genes' means: seen up to 0.5, 0.73, and
#: 0.78 (one study of stem cells against a model of three others).
MAX_SHIFT = 0.9
#: Fewer samples than this have wider limits.
FEW = 5
SLOPES_OF_FEW = (0.45, 1.9)
MAX_SHIFT_OF_FEW = 1.5
#: With a smaller slope, the genes' means in the data do not follow those in the model.
MIN_SLOPE = 0.3
#: The slope is judged only if genes' means differ by more than this factor times what a gene
#: differs by between places. Seen: 0.9 to 1.5 in log ratios (NKI), in whose halves, groups and
#: single samples the slopes are -1.5 to 2.6 in the right units; 0.8 to 1.2 in panels of the most
#: variable or most expressed genes of cells, with slopes of 0.2 to 1.7; 1.95 to 3.6 in the two TCGA
#: sets and the bladder cells, and from 1.64 up in random panels of stem cells and of cellbench.
MIN_BETWEEN = 1.6
#: Otherwise the two means must be near each other: seen up to 1.3 in the right units, 6 and 7
#: without logarithms.
MAX_DISTANCE = 3.0
#: Slopes that two bases of the logarithm cause.
BASES = {
    3.3219: "log2 where the model has log10",
    2.3026: "natural logarithms where the model has log10",
    1.4427: "log2 where the model has natural logarithms",
    0.6931: "natural logarithms where the model has log2",
    0.4343: "log10 where the model has natural logarithms",
    0.3010: "log10 where the model has log2",
}
#: Training samples whose values are compared with the model.
MAX_CHECKED_SAMPLES = 256
#: Values are those of other samples if their loss is this many times the training's.
MAX_LOSS_RATIO = 1.5


def other_values_doubt(
    model: Model, profiles: Float32, rows: NDArray[np.intp], n_threads: int | None = None
) -> str | None:
    """A warning about samples that have names of training samples but values of others, or None.

    Names alone are not enough: ``sample_0`` is in every array that came without names. So the
    values are compared with what the model decodes at the places of those training samples: if they
    are the training's own, their loss is that of the training.

    Parameters
    ----------
    model : Model
    profiles : float32, k x n_genes
        Of all the model's genes, on its scale.
    rows : intp, k
        The training sample that each is said to be.
    """
    some = even_choice(len(rows), MAX_CHECKED_SAMPLES)
    if not some.size:
        return None
    loss = model.criterion().losses(
        model.parameters,
        np.ascontiguousarray(profiles[some]),
        model.sample_embedding[rows[some]],
        n_threads,
    )
    found, stored = float(loss.mean()), float(model.sample_loss[rows[some]].mean())
    if found <= MAX_LOSS_RATIO * stored + 1e-6:
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
    """A warning about data on another scale than the model's; None where they are on it.

    The means of the genes in the data are compared with those at some of the model's places: on the
    same scale the two lie along a line of slope one. What a gene's mean is differs between tissues
    and laboratories by less than genes differ among themselves.

    Parameters
    ----------
    parameters : Parameters
        Of the genes that the data have.
    profiles : float32, k x n_genes
        On what should be the model's scale.
    origin : str
        What to call the data.
    """
    held = _gene_means(parameters, profiles)
    if held is None:
        return None
    found, mean, within = held
    between = float(mean.std())
    if not between > MIN_BETWEEN * within:  # ratios, z-scores: no line to compare
        distance = float(found.mean() - mean.mean())
        if abs(distance) <= MAX_DISTANCE * np.hypot(between, within):
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
    few = len(profiles) < FEW
    slopes = SLOPES_OF_FEW if few else SLOPES
    if slope < MIN_SLOPE:
        how = "the means of its genes do not go with those of the model's genes"
        hint = "z-scores or ratios where the model has expression, or genes of other names"
    elif not slopes[0] <= slope <= slopes[1]:
        how = f"the means of its genes differ {slope:.2g} times as much as the model's do"
        base = min(BASES, key=lambda known: abs(np.log(slope / known)))
        near = abs(np.log(slope / base)) < 0.15
        hint = BASES[base] if near else "another transform or normalisation"
    elif abs(shift) > (MAX_SHIFT_OF_FEW if few else MAX_SHIFT):
        how = f"its genes lie {abs(found.mean() - mean.mean()):.3g} {_side(shift)} the model's"
        hint = "another normalisation, such as counts where the model has counts per million"
    else:
        return None
    return (
        f"{origin} seems to be on another scale than the model: {how} (perhaps {hint}); give the "
        "samples in the units of the training data, or their places mean little."
    )


def gene_distance(parameters: Parameters, profiles: Float32) -> float | None:
    """The median distance of the genes' means in the data from those in the model.

    Takes what `scale_doubt` does. None where too few genes are observed.
    """
    held = _gene_means(parameters, profiles)
    return None if held is None else float(np.median(np.abs(held[0] - held[1])))


def _gene_means(
    parameters: Parameters, profiles: Float32
) -> tuple[NDArray[np.float64], NDArray[np.float64], float] | None:
    """Means of genes in the data and in the model, and how a gene differs between places there.

    None where too few genes are observed.
    """
    genes = even_choice(parameters.n_genes, MAX_GENES)
    places = parameters.sample_embedding[even_choice(parameters.n_samples, N_PLACES)]
    expected = decode(parameters, places, genes=genes, n_threads=1)
    some = profiles[np.ix_(even_choice(len(profiles), MAX_SAMPLES), genes)]
    n_observed = np.count_nonzero(~np.isnan(some), axis=0)
    there = n_observed > 0
    if np.count_nonzero(there) < MIN_GENES:
        return None
    found = np.nansum(some[:, there], axis=0, dtype=np.float64) / n_observed[there]
    within = float(np.sqrt(expected.var(axis=0, dtype=np.float64).mean()))
    return found, expected.mean(axis=0, dtype=np.float64)[there], within


def _side(shift: float) -> str:
    return "above" if shift > 0 else "below"
