"""New data matched to a model: genes and training samples by name, and the model's scale."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed import store
from fembed.data import account, layers
from fembed.data import gene_map as gene_maps
from fembed.data.chunks import observed_counts
from fembed.data.expression import Expression
from fembed.data.lookup import look_up
from fembed.data.names import are_numbers, gene_kind
from fembed.engine import Float32
from fembed.errors import DataWarning, InputError
from fembed.inference import units
from fembed.inference.doubts import scale_doubt
from fembed.inference.readings import scaled_kind
from fembed.model import Model
from fembed.parameters import Parameters


@dataclass(frozen=True)
class Matched:
    """New samples matched to a model: the model's genes that the data have, and their profiles.

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


def as_expression(
    model: Model, data: Any, *, transform: str | None = None, gene_map: Any = None
) -> Expression:
    """``data`` with names as the model has them; those of several layers are named by layer.

    ``gene_map`` renames genes (`fembed.data.gene_map.renamed`); with the transform ``"match"``
    values are then brought to the units of the training data (`units.in_model_units`).

    Raises
    ------
    InputError
        As `Expression.of`; a layer that the model does not have; as these two do.
    """
    units.check_query_transform(transform)
    expression = Expression.of(data, gene_names=model.gene_names)
    expression = layers.named_for(expression, model.preprocessing.layer_names)
    if gene_map is not None:
        expression = gene_maps.renamed(expression, gene_map, model.gene_names)
    if transform is not None:
        expression = units.in_model_units(model, expression)
    return expression


def match(
    model: Model, data: Any, *, transform: str | None = None, gene_map: Any = None
) -> Matched:
    """``data`` (as `project` takes them) by the model's gene names and on its scale.

    Raises and warns as `project`.
    """
    expression = as_expression(model, data, transform=transform, gene_map=gene_map)
    expression.check(min_samples=1, allow_unobserved_genes=True)
    found = expression.find_genes(model.gene_names)
    _check_overlap(found.found, model, expression)
    account.warn_of_spelling(found, "gene", expression.origin, stacklevel=4)
    taken = expression.take_genes(model.gene_names, found)
    pieces = list(model.preprocessing.pieces(model.n_genes))
    doubts = [
        account.model_unit_doubt(
            taken.values[:, columns], layer.transform, *account.origin_of(expression, layer.name)
        )
        if found.found[columns].any()
        else None
        for layer, columns in pieces
    ]
    _refuse_scaled(model, taken)
    profiles = units.model_scale(model, taken)
    n_observed = observed_counts(profiles)
    if not n_observed.all():
        lacking = expression.sample_names[int(np.argmin(n_observed))]
        raise InputError(
            f"The sample '{lacking}' in {expression.origin} has no observed value for any of the "
            "model's genes; remove it."
        )
    parameters, genes = model.parameters, np.arange(model.n_genes)
    if found.n_found < model.n_genes:
        # By name, not by what is observed: a sample's genes must not depend on the others.
        genes = np.flatnonzero(found.found)
        parameters = parameters.take_genes(genes)
        profiles = np.ascontiguousarray(profiles[:, genes])
    for (layer, columns), doubt in zip(pieces, doubts, strict=True):
        at = np.flatnonzero((columns.start <= genes) & (genes < columns.stop))
        if doubt is None and len(at) and layer.transform != "counts":
            whole = len(at) == len(genes)
            doubt = scale_doubt(
                parameters if whole else parameters.take_genes(at),
                profiles if whole else profiles[:, at],
                account.origin_of(expression, layer.name)[0],
            )
        if doubt is not None:
            mend = units.sentence(model, expression)
            warnings.warn(mend or doubt, DataWarning, stacklevel=3)
    if doubts == [None] and model.preprocessing.transform not in ("none", "counts"):
        hidden = units.made_of_logarithms(expression) and units.sentence(model, expression)
        if hidden:
            warnings.warn(hidden, DataWarning, stacklevel=3)
    return Matched(expression.sample_names, genes, parameters, profiles)


def _refuse_scaled(model: Model, taken: Expression) -> None:
    """Raise InputError for z-scores and centred values where the model takes linear ones."""
    if model.preprocessing.layers or model.preprocessing.transform == "none":
        return  # those of layers are refused by their transforms
    scaled = scaled_kind(taken.values)
    if scaled is not None:
        raise InputError(
            f"{taken.origin} looks like {scaled}, which the model's transform "
            f"{model.preprocessing.transform} cannot take, and from which the levels of expression "
            "cannot be had back; give the values before that step, in the units of the training "
            "data."
        )


def training_rows(
    model: Model, sample_names: Sequence[str] | NDArray[np.object_], origin: str
) -> NDArray[np.intp]:
    """For every name the row of that training sample in the model, -1 for another sample.

    Warns
    -----
    DataWarning
        About training samples that are spelled differently.
    """
    found = look_up(model.sample_names, sample_names)
    account.warn_of_spelling(found, "sample", origin, stacklevel=3)
    rows = np.full(len(sample_names), -1, np.intp)
    rows[found.position[found.found]] = np.flatnonzero(found.found)
    return rows


def _check_overlap(matched: NDArray[np.bool_], model: Model, expression: Expression) -> None:
    further = model.preprocessing.layer_names[1:]
    if not matched.any() and further and not expression.layers:
        raise InputError(
            f"{expression.origin} has no feature of the model's layer "
            f"{model.preprocessing.layer_names[0]}; data of another layer ({', '.join(further)}) "
            f"are given by its name: --with {further[0]}=FILE, in Python {{'{further[0]}': data}}."
        )
    if not matched.any():
        if look_up(model.gene_names, expression.sample_names).n_found:
            raise InputError(
                f"{expression.origin} has the model's genes as the names of its samples (such as "
                f"'{expression.sample_names[0]}'), so it is genes x samples; give --transpose (in "
                "Python, transpose the data)."
            )
        kinds = [_gene_kind(names) for names in (expression.gene_names, model.gene_names)]
        if None not in kinds and kinds[0] != kinds[1]:
            raise InputError(
                f"{expression.origin} and the model have no gene in common: its genes are "
                f"{kinds[0]} (such as '{expression.gene_names[0]}'), the model's are {kinds[1]} "
                f"(such as '{model.gene_names[0]}'); give a table of both with --gene-map FILE (in "
                "Python gene_map=)."
            )
        raise InputError(
            f"{expression.origin} and the model have no gene in common (the model's first gene is "
            f"'{model.gene_names[0]}', the data's is '{expression.gene_names[0]}'); check that "
            "both use the same kind of gene names, and whether --transpose is needed."
        )
    for layer, columns in model.preprocessing.pieces(model.n_genes):
        n_matched, n_genes = int(matched[columns].sum()), layer.n_features
        if n_matched >= 0.5 * n_genes or (layer.name and not n_matched):
            continue  # a layer that the data lack is no surprise
        origin, _ = account.origin_of(expression, layer.name)
        what = f"features in the layer {layer.name}" if layer.name else "genes"
        warnings.warn(
            f"{origin} has only {n_matched} of the model's {n_genes} {what}; "
            "the coordinates rest on those.",
            DataWarning,
            stacklevel=4,
        )


def _gene_kind(names: NDArray[np.object_]) -> str | None:
    return "numbers, as Entrez gene IDs are" if are_numbers(names) else gene_kind(names)


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
