"""Which features of a 10x matrix are genes: antibodies, guides, hashtags and controls are not."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fembed.errors import DataWarning, InputError

if TYPE_CHECKING:
    from fembed.data.expression import Expression

GENES = "gene expression"
#: What Cell Ranger, Space Ranger and Xenium call features that are no genes. A list with neither
#: one of these nor `GENES` is about something else (biotypes, chromosomes) and is ignored.
_OTHERS = {
    "antibody capture",
    "antigen capture",
    "crispr guide capture",
    "multiplexing capture",
    "custom",
    "peaks",
    "chromatin accessibility",
    "vdj",
    "vdj-t",
    "vdj-b",
    "hashtag",
    "protein expression",
    "negative control probe",
    "negative control codeword",
    "unassigned codeword",
    "blank codeword",
    "deprecated codeword",
    "genomic control",
    "genomic control probe",
}


def genes_only(expression: Expression, var: Any) -> Expression:
    """A matrix of an AnnData object without features that its ``var`` says are no genes.

    If none of them is a gene, the matrix (of proteins, say) is left as it is.

    Warns
    -----
    DataWarning
        If features were left out: how many of which types.
    """
    if "feature_types" not in var.columns or len(var) != expression.n_genes:
        return expression
    types = [str(kind) for kind in var["feature_types"]]
    if not any(kind.strip().lower() == GENES for kind in types):
        return expression
    kept, notes = kept_genes(types, expression.origin)
    if kept is None:
        return expression
    source = expression.source
    return replace(
        expression,
        values=np.ascontiguousarray(expression.values[:, kept >= 0]),
        gene_names=expression.gene_names[kept >= 0],
        source=replace(source, notes=(*source.notes, *notes)),
    )


def kept_genes(
    types: Sequence[str], origin: str
) -> tuple[NDArray[np.intp] | None, tuple[str, ...]]:
    """The new position of each feature that is a gene, -1 for the others; None if all are genes.

    Parameters
    ----------
    types : sequence of str
        The type of every feature.
    origin : str
        What to call the data.

    Returns
    -------
    kept : intp array or None
    notes : tuple of str
        A sentence if features were left out.

    Raises
    ------
    InputError
        If no feature is a gene.

    Warns
    -----
    DataWarning
        If features were left out: how many of which types.
    """
    plain = [kind.strip().lower() for kind in types]
    are_genes = np.array([kind == GENES for kind in plain], dtype=bool)
    if are_genes.all() or not (are_genes.any() or _OTHERS.intersection(plain)):
        return None, ()
    others = Counter(kind.strip() for kind, gene in zip(types, are_genes, strict=True) if not gene)
    counted = ", ".join(f"{n} {kind or 'without a type'}" for kind, n in others.most_common())
    if not are_genes.any():
        raise InputError(
            f"{origin} has no feature of the type Gene Expression, only {counted}; "
            "give a matrix of genes."
        )
    sentence = (
        f"{origin} holds features that are not genes, which are left out: {counted}; "
        f"{int(are_genes.sum())} genes (Gene Expression) are read."
    )
    warnings.warn(sentence, DataWarning, stacklevel=2)
    return np.where(are_genes, np.cumsum(are_genes) - 1, -1).astype(np.intp), (sentence,)
