"""Names: what kind they are, and which of two lists mean the same sample or gene."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fembed.data.lookup import look_up
from fembed.data.names import as_text, gene_kind, reversed_axes, sample_kind

GENES = ["ENSG00000141510.16", "ENSG00000146648.17", "ENSG00000012048.22"]
SAMPLES = ["TCGA-A7-A0CE-01A", "TCGA-A7-A0CE-11A", "TCGA-OR-A5L9-01A"]


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (GENES, "Ensembl gene IDs with version"),
        (["ENSMUSG00000059552", "ENSMUSG00000020122"], "Ensembl gene IDs"),
        (["ENST00000269305.9", "ENST00000275493.7"], "Ensembl transcript IDs"),
        (["TP53", "EGFR", "MYC", "SLC2A1", "ZZZ9"], "gene symbols"),
        (["Actb", "Gapdh", "Rpl3", "Col1a1"], "gene symbols"),
        (["A1BG|1", "?|100130426"], "symbols with Entrez IDs"),
        (["1007_s_at", "1053_at"], "array probe sets"),
        (["YAL001C", "Q0010"], "yeast gene names"),
        (["S1", "S2", "patient"], None),
        (["1001", "1002"], None),
    ],
)
def test_kinds_of_genes(names: list[str], kind: str | None) -> None:
    assert gene_kind(names) == kind
    assert gene_kind([f"{name} " for name in names]) == kind


def test_kinds_of_samples() -> None:
    assert sample_kind(SAMPLES) == "TCGA barcodes"
    assert sample_kind(["GSM1", "GSM2"]) == "GEO samples"
    assert sample_kind(["AAACCCAAGGAGAGTA-1", "AAACGCTTCAGCCCAG-1"]) == "cell barcodes"
    assert sample_kind(GENES) is None


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        (GENES, SAMPLES, True),
        (SAMPLES, GENES, False),
        (GENES, ["s1", "s2"], True),
        (["r1", "r2"], SAMPLES, True),
        (["r1", "r2"], ["c1", "c2"], False),
        (GENES, ["TP53", "EGFR", "MYC"], False),  # of genes on both axes nothing can be said
    ],
)
def test_axes_that_names_say_are_swapped(rows: list[str], columns: list[str], expected) -> None:
    assert reversed_axes(np.array(rows, object), np.array(columns, object)) is expected


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        ("TP53", "TP53 "),
        ("ENSG00000141510.16", "ENSG00000141510.4"),
        ("ENSG00000141510", "ENSG00000141510.4"),
        ("HLA-A", "HLA.A"),
        ("TCGA-A7-A0CE", "TCGA.A7.A0CE"),
        ("1007_s_at", "X1007_s_at"),
        ("0017", "17"),
        ("1001", "1001.0"),
        ("S1", "/data/run/S1.bam"),
        ("TP53", '"TP53"'),
        ("M\u00fcller", "Mu\u0308ller"),  # an accent as a sign of its own
        ("TP53", "TP53\u200b"),  # a blank of no width
        ("S1", "S1Aligned.sortedByCoord.out.bam"),
    ],
)
def test_other_spellings(wanted: str, there: str) -> None:
    for one, other in ((wanted, there), (there, wanted)):
        found = look_up([one], ["other", other])
        assert found.position.tolist() == [1]
        sentence = found.sentence("gene", "new.csv")
        assert sentence is not None and repr(other) in sentence and repr(one) in sentence


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        (["ENSG00000141510.1"], ["ENSG00000141510.2", "ENSG00000141510.3"]),  # which of the two?
        (["HLA-A", "HLA.A "], ["HLA_A"]),
        (["ENSG00000182378.15"], ["ENSG00000182378.15_PAR_Y"]),
        (["AC012345.1"], ["AC012345.2"]),  # a version only where it is known to be one
        (["Actb"], ["ACTB"]),  # mouse and human
        (["M\u00fcller"], ["M\u00f6ller"]),
        (["\u6837\u672c"], ["\u60a3\u8005"]),
        (["CD4+"], ["CD4-"]),
        (["Dl"], ["dl", "w", "W"]),  # genes of the fly, whose case matters
    ],
)
def test_what_is_not_the_same(wanted: list[str], there: list[str]) -> None:
    assert look_up(wanted, there).n_found == 0


def test_among_names_that_are_there_one_in_another_case_is_found() -> None:
    found = look_up(["TP53", "C1orf112", "EGFR"], ["EGFR", "TP53", "C1ORF112"])
    assert found.position.tolist() == [1, 2, 0] and list(found.respelled) == ["in another case"]


def test_what_could_be_several_names_is_said() -> None:
    found = look_up(["ENSG00000141510"], ["ENSG00000141510.2", "ENSG00000141510.3"])
    assert "unmatched" in str(found.sentence("gene", "new.csv"))


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT])
def test_a_missing_name_is_none(missing) -> None:
    assert as_text(missing) == "" and as_text("nan") == "nan"


@given(st.lists(st.text(max_size=4), unique=True), st.lists(st.text(max_size=4)))
def test_exact_names_come_first_and_no_place_is_taken_twice(wanted, there) -> None:
    found = look_up(wanted, there)
    for name, position in zip(wanted, found.position, strict=True):
        if name in there:
            assert position == there.index(name)
    taken = found.position[found.found]
    assert len(set(taken)) == len(taken)
