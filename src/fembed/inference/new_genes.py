"""New genes in a frozen model: the mirror image of placing samples.

Network and sample embedding are frozen; `fembed.solvers.genes` solves every new gene on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fembed.data import account
from fembed.data.chunks import even_choice
from fembed.data.expression import Expression
from fembed.data.lookup import Lookup, exact_positions
from fembed.engine import Float32
from fembed.errors import InputError, shown
from fembed.inference.matching import as_model, training_rows
from fembed.inference.projection import project
from fembed.model import Model
from fembed.solvers.genes import solve_new_genes

#: At most so many samples are used: more would hardly change the some hundred unknowns of a gene.
MAX_SAMPLES = 4096
#: With fewer samples, the prior alone would decide a gene.
MIN_SAMPLES = 10


def add_genes(
    model: Model,
    data: Any,
    *,
    genes: Sequence[str] | None = None,
    n_threads: int | None = None,
) -> Model:
    """A model with more genes; its samples, its network and its other genes stay as they are.

    Parameters
    ----------
    model : Model
        A trained model.
    data : Expression, AnnData or DataFrame
        Samples with the new genes, in the units of the training data. Training samples are
        recognised by name and stay where they are; others are placed by the genes of the model that
        the data have too. NaN is a missing entry.
    genes : sequence of str, optional
        The genes to add; by default all that the model does not have.
    n_threads : int, optional
        Genes that are solved at a time; all processors by default.

    Returns
    -------
    Model
        With the new genes after its own. ``sample_loss`` stays that of the old genes. What was
        learnt of them together (residual factors, calibration) is dropped: calibrate anew.

    Raises
    ------
    InputError
        No new gene; a gene that the model has, or that the data do not have; a gene with fewer
        than 10 observed samples; samples that cannot be placed; with the transform cpm, data
        without most of the model's genes.

    Examples
    --------
    >>> small = fembed.fit(counts.iloc[:, :25], hidden=(8,), gene_components=4, epochs=2)
    >>> fembed.add_genes(small, counts).n_genes
    30
    """
    model = as_model(model)
    if model.preprocessing.layers:
        raise InputError(
            f"The model has several layers ({', '.join(model.preprocessing.layer_names)}), and no "
            "genes can be added to it yet; fit it again with them."
        )
    if model.count_model is not None:
        raise InputError("No genes can be added to a model of counts yet; fit it again with them.")
    if model.batch_effects is not None:
        raise InputError(
            "No genes can be added to a model with batches yet; fit it again with them."
        )
    expression = _without_empty_samples(Expression.of(data, gene_names=model.gene_names))
    expression.check(min_samples=MIN_SAMPLES, allow_unobserved_genes=True)
    known = expression.find_genes(model.gene_names)
    account.warn_of_spelling(known, "gene", expression.origin)
    names = _chosen_names(expression, known, genes)
    _check_library_size(model, expression, known.n_found)
    places = _places(model, expression, known.n_found, n_threads)
    values = _values(model, expression, names)
    rows = even_choice(len(values), MAX_SAMPLES)
    noise = max(float(np.median(model.sample_loss)), 1e-12)
    found = solve_new_genes(model.parameters, places[rows], values[rows], noise, n_threads)
    p = model.parameters
    fine = np.isfinite(found).all(axis=1)
    if not fine.all():
        raise InputError(
            f"The gene '{names[int(np.argmin(fine))]}' in {expression.origin} cannot be added: its "
            "expression, or what the model says at these places, is beyond the range of 32-bit "
            "floats; check its units and values, or leave it out."
        )
    grown = p.with_genes(np.concatenate([p.gene_unknowns(), found]))
    return replace(
        model,
        parameters=grown,
        gene_names=np.concatenate([model.gene_names, np.array(names, dtype=object)]),
        training={**model.training, "added_genes": len(names)},
        residual_factors=None,
        calibration=None,
    )


def _chosen_names(expression: Expression, known: Lookup, genes: Sequence[str] | None) -> list[str]:
    """The genes to add: those asked for, or all that the model does not have in any spelling."""
    of_model = np.zeros(expression.n_genes, bool)
    of_model[known.position[known.found]] = True
    if genes is None:
        names = list(expression.gene_names[~of_model])
        if not names:
            raise InputError(
                f"The model has every gene of {expression.origin} already; give data with others."
            )
        return names
    if isinstance(genes, str) or not np.iterable(genes):
        raise InputError(f"genes is {shown(genes)}; give a list of names.")
    names = list(dict.fromkeys(map(str, genes)))
    if not names:
        raise InputError("The list of genes to add is empty; name at least one gene.")
    in_model, there = set(expression.gene_names[of_model]), set(expression.gene_names)
    for name in names:
        if name in in_model:
            raise InputError(f"The gene '{name}' is in the model already; leave it out.")
        if name not in there:
            raise InputError(f"The gene '{name}' is not in {expression.origin}; check its name.")
    return names


def _without_empty_samples(expression: Expression) -> Expression:
    """Without samples that no gene of these data was measured in."""
    observed = ~np.isnan(expression.values).all(axis=1)
    return expression if observed.all() else expression.take_samples(observed)


def _check_library_size(model: Model, expression: Expression, n_common: int) -> None:
    if model.preprocessing.transform != "cpm":
        return
    if n_common < 0.9 * model.n_genes:
        raise InputError(
            f"The model counts per million of whole profiles, but {expression.origin} has only "
            f"{n_common} of its {model.n_genes} genes; give the new genes beside those."
        )


def _places(model: Model, expression: Expression, n_common: int, n_threads: int | None) -> Float32:
    """Where the samples stand: the training's own places, and those of others by projection."""
    at = training_rows(model, expression.sample_names, expression.origin)
    places = np.empty((expression.n_samples, model.n_components), np.float32)
    places[at >= 0] = model.sample_embedding[at[at >= 0]]
    unknown = np.flatnonzero(at < 0)
    if unknown.size:
        if not n_common:
            raise InputError(
                f"The sample '{expression.sample_names[unknown[0]]}' in {expression.origin} is not "
                "one of the training and has no gene of the model to be placed by; give samples of "
                "the training, or those genes too."
            )
        others = expression.take_samples(unknown)
        placed = project(model, others, n_threads=n_threads, verbose=False)
        places[unknown] = placed.sample_embedding
    return places


def _values(model: Model, expression: Expression, names: list[str]) -> Float32:
    """The new genes on the model's scale; counts per million are of all genes at hand."""
    whole = model.preprocessing.transform == "cpm"
    taken = expression.gene_names if whole else np.array(names, dtype=object)
    values = model.preprocessing.apply_to(expression.take_genes(taken))
    if whole:
        values = np.ascontiguousarray(values[:, exact_positions(names, taken)])
    few = np.flatnonzero((~np.isnan(values)).sum(axis=0) < MIN_SAMPLES)
    if few.size:
        raise InputError(
            f"The gene '{names[few[0]]}' in {expression.origin} is observed in fewer than "
            f"{MIN_SAMPLES} samples ({few.size} such gene(s)); leave it out."
        )
    return values
