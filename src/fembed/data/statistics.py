"""Read statistics: rows of a count table that belong to no gene, such as unmapped reads."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fembed.errors import DataWarning

if TYPE_CHECKING:
    from fembed.data.expression import Expression

# HTSeq (with two underscores, in old versions with none; QoRTs with "_total_"), STAR, and
# featureCounts. R sets an X before a name that begins with an underscore.
_STATISTIC = re.compile(
    r"X?__.*"
    r"|X?_?(total_)?(no_feature|ambiguous|too_low_aqual|not_aligned|alignment_not_unique)"
    r"|X?_(unmapped|multimapping|nofeature|ambiguous_?\w*|unassigned\w*)"
    r"|N_(unmapped|multimapping|noFeature|ambiguous)"
    r"|Unassigned_[A-Z]\w+",
    re.IGNORECASE,
)
#: First letters of the names above: a quick look that spares most names the pattern.
INITIALS = frozenset("X_NnAaTtUu")


def is_statistic(name: str) -> bool:
    """Whether ``name`` is that of a read statistic, such as ``__no_feature`` or ``N_unmapped``.

    Examples
    --------
    >>> is_statistic("__no_feature"), is_statistic("N_unmapped"), is_statistic("NOTCH1")
    (True, True, False)
    """
    return name[:1] in INITIALS and _STATISTIC.fullmatch(name) is not None


def warn_left_out(names: Sequence[str], origin: str, stacklevel: int = 2) -> None:
    """Issue the `DataWarning` that names the statistics that were left out, if any."""
    if not names:
        return
    listed = ", ".join(names[:4]) + (" and others" if names[4:] else "")
    what = f"{len(names)} statistics of reads are" if names[1:] else "One statistic of reads is"
    warnings.warn(
        f"{what} left out of the genes of {origin}: {listed}.",
        DataWarning,
        stacklevel=stacklevel + 1,
    )


def left_out(expression: Expression) -> Expression:
    """The matrix without genes that are read statistics; itself where there are none.

    Warns
    -----
    DataWarning
        Which ones were left out.
    """
    found = statistics(expression.gene_names)
    if not found:
        return expression
    warn_left_out([expression.gene_names[j] for j in found], expression.origin)
    keep = np.delete(np.arange(expression.n_genes), found)
    return replace(
        expression,
        values=np.ascontiguousarray(expression.values[:, keep]),
        gene_names=expression.gene_names[keep],
    )


def statistics(names: Iterable[str]) -> list[int]:
    """The places of read statistics among ``names``."""
    return [j for j, name in enumerate(names) if is_statistic(name.strip())]
