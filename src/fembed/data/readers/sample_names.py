"""What the sample in a file of its own is called."""

from __future__ import annotations

import re
from pathlib import Path

_SUFFIX = re.compile(
    r"\.(gz|bz2|xz|zip|txt|tsv|tab|csv|out|sf|results|genes|isoforms|quant|counts?|htseq"
    r"|fpkm(-uq)?|fpkm_tracking|star_counts|(rna_seq|mirnaseq)\.\w+|mirnas\.quantification)$"
    r"|[._-]?ReadsPerGene$|[._-](gene_abund|abundance|geneCounts|(gene_|raw_|htseq_|star_)?counts)$",
    re.IGNORECASE,
)
_OF_PROGRAMS = re.compile(
    r"quant|abundance|readspergene|gene_abund|genes|isoforms|qc|counts", re.IGNORECASE
)


def sample_name(path: Path) -> str:
    """What the sample in a file is called: as the file, or as its folder if that says nothing.

    Examples
    --------
    >>> sample_name(Path("run/S1_ReadsPerGene.out.tab")), sample_name(Path("run/S2/quant.sf"))
    ('S1', 'S2')
    """
    name = path.name
    while shorter := _SUFFIX.sub("", name):
        if shorter == name:
            break
        name = shorter
    if _SUFFIX.sub("", name) and not _OF_PROGRAMS.fullmatch(name):
        return name
    return path.absolute().parent.name or name
