"""Text tables as counters, portals, spreadsheets and R write them: every value at its gene."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fembed.data.readers import read
from fembed.errors import DataWarning, InputError

FORMATS = (
    Path(os.environ.get("FEMBED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "formats"
)
VALUES = [[1, 2], [3, 4]]  # of samples s0 and s1, genes G0 and G1


def take(path, content, **options):
    """The expression, and what the reader warned of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = read(path, **options)
    assert {warning.category for warning in told} <= {DataWarning}
    return found, " ".join(str(warning.message) for warning in told)


def assert_is(found, values, samples=("s0", "s1"), genes=("G0", "G1")):
    np.testing.assert_array_equal(found.values, np.array(values, np.float32))
    assert (found.sample_names.tolist(), found.gene_names.tolist()) == (list(samples), list(genes))


# ---- tables of no particular format


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sample,G0,G1\ns0,1,2,\ns1,3,4,\n", "end in 1 empty cell"),
        ("sample,G0,G1,\ns0,1,2\ns1,3,4\n", "end in 1 empty cell"),
        ("sample,G0,G1,\r\ns0,1,2,\r\ns1,3,4,\r\n", "end in 1 empty cell"),
        ("\tG0\tG1\ns0\t1\t2\t\ns1\t3\t4\t\n", "end in 1 empty cell"),
        ('"","G0","G1"\n"s0","1","2",""\n"s1","3","4",""\n', "end in 1 empty cell"),
        ("sample,G0,G1\ns0,1,2,,\ns1,3,4,,\n,,,,\n", "end in 2 empty cell"),
        ("sample,G0,,G1\ns0,1,,2\ns1,3,,4\n", "neither a name nor values"),
        ("G0,G1\ns0,1,2\ns1,3,4\n", ""),  # R's write.table
        ('"G0" "G1"\n"s0" 1 2\n"s1" 3 4\n', ""),
        ("sample;G0;G1\ns0;1,0;2\ns1;3,00;4\n", ""),
        ("sep=;\nsample;G0;G1\ns0;1;2\ns1;3;4\n", ""),
        ("sample|G0|G1\ns0|1|2\ns1|3|4\n", ""),
        ("# made today\n#, too\nsample,G0,G1\ns0,1,2\ns1,3,4\n", ""),
        ("#sample\tG0\tG1\ns0\t1\t2\ns1\t3\t4\n", ""),
        ("sample,G0,G1\rs0,1,2\rs1,3,4\r", ""),
        ("sample,G0,G1\r\ns0,1,2\ns1,3,4\r", ""),
        ("sample, G0 ,\xa0G1\ns0,1,2\n s1,3,4\n", "3 name(s)"),
        ('sample, "G0", "G1"\n"s0", 1, "2"\n"s1", 3, 4\n', ""),
        ("G0,G1,\ns0,1,2,\ns1,3,4,\n", "end in 1 empty cell"),  # R's, with separators after
        ("G0,G1\ns0,1,2,\ns1,3,4,\n", "end in 1 empty cell"),
        ("sample,G0,G1\ns0,1\xa0,\u202f2\ns1, 3 ,4\n", ""),
    ],
)
def test_no_value_goes_to_its_neighbour(tmp_path, text, said):
    found, told = take(tmp_path / "m.csv", text)
    assert_is(found, VALUES)
    assert said in told and bool(said) == bool(told)


def test_a_header_that_calls_the_columns_genes(tmp_path):
    found, told = take(tmp_path / "m.csv", "gene,TP53,EGFR,MYC\ns0,1,2,3\ns1,4,5,6\n")
    assert_is(found, [[1, 2, 3], [4, 5, 6]], genes=("TP53", "EGFR", "MYC"))
    assert not told


@pytest.mark.parametrize("cell", [" NA", "\xa0", " ", "#N/A", "null"])
def test_missing_values_may_have_blanks_around_them(tmp_path, cell):
    found, _ = take(tmp_path / "m.tsv", f"sample\tG0\tG1\ns0\t1\t{cell}\ns1\t3\t4\n")
    assert_is(found, [[1, np.nan], [3, 4]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("G0,G1\ns0,1,\ns1,3,\n", "is that the first column"),
        ("G0,G1,\ns0,1,\ns1,3,\n", "is that the first column"),
        ("sample,G0,G1\ns0,1,2,9\ns1,3,4,8\n", "has 4 cells but the header asks for 3"),
        ("sample,G0,G1,\ns0,1,2,3\ns1,3,4,5\n", "last column of"),
        ("sample,G0,,G1\ns0,1,7,2\ns1,3,,4\n", "Column 3 of"),
        ("sample,G0,G1\ns0,1,2,\ns1,3,4\n", "(row 's1') has 3 cells"),
        ("Table S1\n\nsample,A,B\ns0,1,2\ns1,3,5\n", "is no header of the rows below it"),
        ("sample\tG0\tG1\ns0\t1,234\t2\ns1\t3,250\t4\n", "may part thousands or decimals"),
        ('sample,G0,G1\ns0,"1,234",2\ns1,3,4\n', "no thousands separators"),
        ("sample,G0,G1\ns0,1,2\ns1,3,1_000\n", "'1_000', which is not a number"),
        ("sample;G0;G1\ns0;1,5;2\ns1;3.5;4\n", "'3.5', which is not a number"),
        ("sample;A;B;C\ns0;1.234;2.345;17\ns1;3.456;4.567;5.678\n", "point may part thousands"),
        ("sample,G0,G1\ns0,TRUE,FALSE\ns1,TRUE,FALSE\n", "'TRUE', which is not a number"),
        ("sample,G0,G1\ns0,<1,50%\ns1,<1,60%\n", "'<1', which is not a number"),
        ("My study,,\nsample,G0,G1\ns0,1,2\ns1,3,4\n", "a single cell, 'My study'"),
    ],
)
def test_what_can_be_read_two_ways_is_refused(tmp_path, text, message):
    with pytest.raises(InputError) as caught:
        take(tmp_path / "m.csv", text)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["m.csv", "m.tsv"])
@pytest.mark.parametrize(
    "text",
    [
        "G0,G1,G2\n5,7,9\n120,3,1\n11,33,3\n",
        '"G0","G1"\n"5","7"\n"120","3"\n',
        "G0,G1\n1e3,7\n120,3\n11,3\n",
        "G0,G1\n-1.5,7\n2.1,3\n",
        "G0,G1\n5,7\nNA,9\n3,3\n",
        "BID,G1\n17,7\n3,3\n14,4\n",  # a gene, though it ends in "ID"
        "gene_0,gene_1\n17,7\n3,9\n5,3\n",
        "s0,5.02,4.33\ns1,3,2\ns2,3,4\n",
        "s0,5,4\ns1,3,2\ns2,3,4\n",
        "5,4,3\n3,2,2\n3,4,4\n",
    ],
)
def test_measurements_are_not_names(tmp_path, name, text):
    text = text.replace(",", "\t") if name == "m.tsv" else text
    with pytest.raises(InputError, match=r"holds numbers such as .* belong"):
        take(tmp_path / name, text)


@pytest.mark.parametrize(
    ("text", "samples", "genes"),
    [
        ("id,G0,G1\n0001,1,2\n0002,3,4\n", ["0001", "0002"], ["G0", "G1"]),
        ("patient_id,G0,G1\n1001.0,1,2\n7.0,3,4\n", ["1001.0", "7.0"], ["G0", "G1"]),
        ("Sample ID,G0,G1\n17,1,2\n5,3,4\n", ["17", "5"], ["G0", "G1"]),
        ("rat,G0,G1\n007,1,2\n002,3,4\n", ["007", "002"], ["G0", "G1"]),
        (",0,1\n0,1,2\n1,3,4\n", ["0", "1"], ["0", "1"]),
        ("sample,7157,1956\ns0,1,2\ns1,3,4\n", ["s0", "s1"], ["7157", "1956"]),
    ],
)
def test_names_may_be_numbers_and_stay_as_they_are_written(tmp_path, text, samples, genes):
    assert_is(take(tmp_path / "m.csv", text)[0], VALUES, samples, genes)


def test_any_ending_compression_and_encoding(tmp_path):
    text = b"sample\tG0\tG1\ns0\t1\t2\ns1\t3\t4\n"
    for name in ("m", "m.txt", "m.tab", "m.csv"):
        assert_is(take(tmp_path / name, text)[0], VALUES)
    for name, pack in (
        *(("m.txt.gz", gzip.compress), ("m.bz2", bz2.compress), ("m.tsv.xz", lzma.compress)),
        ("gzip_without_ending", gzip.compress),
    ):
        assert_is(take(tmp_path / name, pack(text))[0], VALUES)
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.writestr("folder/m.txt", text)
        archive.writestr("__MACOSX/._m.txt", "x")
    assert_is(read(tmp_path / "m.zip"), VALUES)
    for encoding in ("utf-16", "utf-8-sig"):  # Excel's "Unicode text" and "CSV UTF-8"
        assert_is(take(tmp_path / "m.txt", text.decode().encode(encoding))[0], VALUES)
    with pytest.raises(InputError, match=r"Line 2 of .* UTF-8"):
        take(tmp_path / "m.txt", text.replace(b"s0", b"s\xe9"))


def test_genes_that_a_spreadsheet_spoilt_are_told(tmp_path):
    text = "gene,s0,s1\n1-Mar,1,3\n2.31E+13,2,4\nTP53,5,6\n"
    found, told = take(tmp_path / "m.csv", text)
    assert found.values.shape == (2, 3)
    assert "2 gene name(s)" in told and "'1-Mar'" in told
    assert "taken for genes x samples, as its header says ('gene')" in told


# ---- formats of counters and portals

STAR = "N_unmapped\t9\t9\t9\nN_ambiguous\t9\t9\t9\nG0\t1\t1\t0\nG1\t2\t1\t1\n"
SALMON = "Name\tLength\tEffectiveLength\tTPM\tNumReads\n" + "".join(
    f"ENST0000000000{i}.{i}\t100\t90\t7\t{i}\n" for i in (1, 2, 3)
)
GEO = (
    '!Series_title\t"t"\n\n!Sample_title\t"a b"\t"c"\n'
    '!Sample_characteristics_ch1\t"tissue: liver"\t"tissue: lung"\n!series_matrix_table_begin\n'
    '"ID_REF"\t"s0"\t"s1"\n"G0"\t1\t3\n"G1"\t2\tnull\n!series_matrix_table_end\n'
)


@pytest.mark.parametrize(
    ("name", "text", "kind", "units", "values", "samples"),
    [
        (
            "fc.txt",
            "# Program:featureCounts v2\nGeneid\tChr\tStart\tEnd\tStrand\tLength\tgene_name\ts0\ts1"
            "\nG0\tc1;c1\t1;5\t3;9\t+;+\t7\tX\t1\t3\nG1\tc2\t1\t3\t-\t7\tY\t2\t4\n",
            *("featureCounts", "counts", VALUES, ["s0", "s1"]),
        ),
        ("s0ReadsPerGene.out.tab", STAR, "STAR ReadsPerGene.out.tab", "counts", [[1, 2]], ["s0"]),
        ("s0/ReadsPerGene.out.tab", STAR, "STAR ReadsPerGene.out.tab", "counts", [[1, 2]], ["s0"]),
        ("s0.counts", "G0\t1\nG1\t2\n__no_feature\t7\n", "htseq-count", "counts", [[1, 2]], ["s0"]),
        ("s0.txt", "G0\tx\t1\nG1\ty\t2\n", "htseq-count", "counts", [[1, 2]], ["s0"]),
        ("s0.tsv", "gene_id\tcount\nG0\t1\nG1\t2\n", "counts of one sample", "counts", [[1, 2]],
         ["s0"]),
        (
            "s0.rna_seq.augmented_star_gene_counts.tsv",
            "# gene-model: GENCODE v36\ngene_id\tgene_name\tgene_type\tunstranded\ttpm_unstranded\n"
            "N_unmapped\t\t\t9\t\nG0\tA\tx\t1\t.5\nG1\tB\tx\t2\t.5\n",
            *("GDC star_counts", "counts", [[1, 2]], ["s0"]),
        ),
        (
            "s0.genes.results",
            "gene_id\ttranscript_id(s)\tlength\texpected_count\tTPM\tFPKM\n"
            "G0\tT1,T2\t9\t1.5\t7\t7\nG1\tT3\t9\t2\t7\t7\n",
            *("RSEM genes.results", "expected counts", [[1.5, 2]], ["s0"]),
        ),
        ("s0/QC.geneCounts.txt", "GENEID\tCOUNT\tCOUNT_CDS\nG0\t1\t0\nG1\t2\t0\n_total_ambiguous"
         "\t9\t0\n", "QoRTs geneCounts", "counts", [[1, 2]], ["s0"]),
        ("m.gct", "#1.2\t\t\n2\t2\t\nName\tDescription\ts0\ts1\nG0\td\t1\t3\nG1\td\t2\t4\n",
         "GCT 1.2", None, VALUES, ["s0", "s1"]),
        ("m.gct", "#1.3\n2\t2\t1\t1\nid\tsym\ts0\ts1\ntissue\tna\tliver\tlung\nG0\td\t1\t3\n"
         "G1\td\t2\t4\n", "GCT 1.3", None, VALUES, ["s0", "s1"]),
        ("GSE1_series_matrix.txt", GEO, "GEO series matrix", None, [[1, 2], [3, np.nan]],
         ["s0", "s1"]),
        ("x.csv", "#1.2,,,\n2,2,,\nName,Description,s0,s1\nG0,d,1,3\nG1,d,2,4\n", "GCT 1.2", None,
         VALUES, ["s0", "s1"]),  # saved by Excel
        ("gtex.gct", "#1.2\n2\t2\nid\tName\tDescription\ts0\ts1\n0\tG0\td\t1\t3\n1\tG1\td\t2\t4"
         "\n", "GCT 1.2", None, VALUES, ["s0", "s1"]),
        ("s0.tsv", "gene\tTPM\nG0\t1\nG1\t2\n", "TPM of one sample", "TPM", [[1, 2]], ["s0"]),
        ("data_cna.txt", "Hugo_Symbol\tEntrez_Gene_Id\ts0\ts1\nG0\t1\t1\t3\nNA\tG1\t2\t4\n",
         "cBioPortal", None, VALUES, ["s0", "s1"]),
        ("data_mrna.txt", "Hugo_Symbol\tEntrez_Gene_Id\ts0\ts1\nG0\t7157\t1\t3\n\tG1\t2\tNA\n",
         "cBioPortal", None, [[1, 2], [3, np.nan]], ["s0", "s1"]),
        ("HiSeqV2", "sample\tTCGA-A1-0001-01\tTCGA-A1-0002-01\nG0\t1\t3\nG1\t2\t4\n", "Xena", None,
         VALUES, ["TCGA-A1-0001-01", "TCGA-A1-0002-01"]),
        ("fh.txt", "Hybridization REF\ts0\ts0\ts1\ts1\ngene_id\traw_count\tscaled_estimate\t"
         "raw_count\tscaled_estimate\nG0\t1\t.5\t3\t.5\nG1\t2\t.5\t4\t.5\n", "TCGA Firehose",
         "counts", VALUES, ["s0", "s1"]),
        ("nf.tsv", "gene_id\tgene_name\ts0\ts1\nG0\tTP53\t1\t3\nG1\tEGFR\t2\t4\n", "a text table",
         None, VALUES, ["s0", "s1"]),
    ],
)  # fmt: skip
def test_formats_are_known_by_their_content(tmp_path, name, text, kind, units, values, samples):
    found, _ = take(tmp_path / name, text)
    assert_is(found, values, samples)
    assert (found.source.format, found.source.units) == (kind, units)
    if "liver" in text:
        assert found.labels("tissue").tolist() == ["liver", "lung"]


def test_a_format_that_fixes_the_axes_is_not_turned_by_an_option(tmp_path):
    text = "#1.2\n2\t2\nName\tDescription\ts0\ts1\nG0\td\t1\t3\nG1\td\t2\t4\n"
    assert_is(take(tmp_path / "m.gct", text, transpose=True)[0], VALUES)
    with pytest.raises(InputError, match="leave out --no-transpose"):
        take(tmp_path / "m.gct", text, transpose=False)
    table = "gene\tA\tB\nG0\t1\t3\n"
    assert take(tmp_path / "m.tsv", table, transpose=False)[0].sample_names.tolist() == ["G0"]


def test_read_statistics_are_no_genes_on_either_axis(tmp_path):
    for text in (
        "x\ts0\ts1\nG0\t1\t3\nG1\t2\t4\n__no_feature\t8\t9\n_unmapped\t5\t5\n",
        "x\tG0\tG1\tN_unmapped\tX__ambiguous\ns0\t1\t2\t8\t5\ns1\t3\t4\t9\t5\n",
    ):
        found, told = take(tmp_path / "m.tsv", text)
        assert_is(found, VALUES)
        assert "2 statistics of reads are left out" in told
    np.savez(tmp_path / "m.npz", x=np.ones((2, 2)), gene_names=np.array(["G0", "__no_feature"]))
    with pytest.warns(DataWarning, match="One statistic"):
        assert read(tmp_path / "m.npz").gene_names.tolist() == ["G0"]


def test_a_stranded_library_is_told(tmp_path):
    lines = "".join(f"G{i}\t100\t{first}\t{100 - first}\n" for i, first in enumerate((2, 3)))
    found, told = take(tmp_path / "s0ReadsPerGene.out.tab", lines)
    assert found.values.tolist() == [[100, 100]]
    assert "looks stranded" in told and "second strand" in told


# ---- transcripts


@pytest.mark.parametrize(
    "table",
    [
        "transcript,gene\nENST00000000001,G0\nENST00000000002,G0\nENST00000000003,G1\n",
        "ENST00000000001.9\tG0\nENST00000000002.9\tG0\nENST00000000003.9\tG1\n",
        '"","TX","GENE"\n'
        + "".join(  # with R's row numbers
            f'"{i}","ENST0000000000{i}","{gene}"\n' for i, gene in ((1, "G0"), (2, "G0"), (3, "G1"))
        ),
        "Gene stable ID\tTranscript stable ID\tGene name\n"
        + "".join(  # BioMart's order
            f"{gene}\tENST0000000000{i}\tx\n" for i, gene in ((1, "G0"), (2, "G0"), (3, "G1"))
        ),
        "##gff-version 3\n"
        + "".join(
            f"c1\tx\tmRNA\t1\t2\t.\t+\t.\tID=transcript:ENST0000000000{i};Parent=gene:{gene}\n"
            for i, gene in ((1, "G0"), (2, "G0"), (3, "G1"))
        ),
        "".join(
            f'c1\tx\texon\t1\t2\t.\t+\t.\tgene_id "{gene}"; transcript_id "ENST0000000000{i}";\n'
            for i, gene in ((1, "G0"), (2, "G0"), (3, "G1"))
        ),
    ],
)
def test_transcripts_are_summed_to_genes_or_refused(tmp_path, table):
    (tmp_path / "tx2gene").write_text(table)
    found, _ = take(tmp_path / "s0/quant.sf", SALMON, tx2gene=tmp_path / "tx2gene")
    assert_is(found, [[3, 3]], ["s0"])
    with pytest.raises(InputError, match="--tx2gene FILE"):
        read(tmp_path / "s0/quant.sf")


def test_a_table_of_other_transcripts(tmp_path):
    (tmp_path / "half").write_text("ENST00000000001,G0\nENST00000000002,G0\n")
    found, told = take(tmp_path / "quant.sf", SALMON, tx2gene=tmp_path / "half")
    assert found.values.tolist() == [[3]] and "no gene for 1 of the 3 transcripts" in told
    (tmp_path / "none").write_text("a,G0\n")
    with pytest.raises(InputError, match="no gene for 3 of the 3"):
        take(tmp_path / "quant.sf", SALMON, tx2gene=tmp_path / "none")
    (tmp_path / "two").write_text("ENST00000000001,G0\nENST00000000001,G1\n")
    with pytest.raises(InputError, match="'ENST00000000001' two genes, 'G0' and 'G1'"):
        take(tmp_path / "quant.sf", SALMON, tx2gene=tmp_path / "two")
    with pytest.raises(InputError, match="is not a file"):
        take(tmp_path / "quant.sf", SALMON, tx2gene=tmp_path / "absent")


def test_logarithms_are_not_summed(tmp_path):
    names = [f"ENST{i:011d}" for i in range(60)]
    values = np.log2(1 + np.random.default_rng(0).gamma(1, 50, (3, 60)))
    rows = "".join(
        f"s{i}\t" + "\t".join(f"{value:.4f}" for value in row) + "\n"
        for i, row in enumerate(values)
    )
    (tmp_path / "tx2gene").write_text("".join(f"{name}\tG0\n" for name in names))
    with pytest.raises(InputError, match="sums of logarithms"):
        take(tmp_path / "m.tsv", "\t".join(["id", *names]) + "\n" + rows,
             tx2gene=tmp_path / "tx2gene")  # fmt: skip


def test_a_table_of_transcripts_with_their_genes(tmp_path):
    text = "tx\tgene_id\ts0\ts1\nENST00000000001\tX\t1\t3\nENST00000000002\tX\t2\t4\n"
    (tmp_path / "tx2gene").write_text("ENST00000000001,G0\nENST00000000002,G1\n")
    assert_is(take(tmp_path / "m.tsv", text, tx2gene=tmp_path / "tx2gene")[0], VALUES)


# ---- many files


def test_files_of_a_sample_each_are_one_matrix(tmp_path):
    for sample, counts in (("s0", (1, 2)), ("s1", (3, 4))):
        path = tmp_path / "run" / f"{sample}ReadsPerGene.out.tab"
        take(path, f"N_unmapped\t9\t9\t9\nG0\t{counts[0]}\t0\t0\nG1\t{counts[1]}\t0\t0\n")
    (tmp_path / "run" / "Log.out").write_text("STAR\n")
    with pytest.warns(DataWarning) as told:
        assert_is(read(tmp_path / "run"), VALUES)
    assert any("Log.out" in str(warning.message) for warning in told)
    with pytest.warns(DataWarning, match="statistic"):
        assert_is(read(str(tmp_path / "run" / "*.tab")), VALUES)
    with pytest.warns(DataWarning, match="statistic"):
        assert_is(read(sorted((tmp_path / "run").glob("*.tab"))), VALUES)
    with pytest.raises(InputError, match="no file fits it as a pattern"):
        read(str(tmp_path / "run" / "*.none"))


def test_samples_go_by_their_folders_and_genes_by_their_names(tmp_path):
    genes = [f"G{i}" for i in range(20)]
    for sample, order in (("s0", genes), ("s1", genes[::-1])):
        text = "target_id\tlength\teff_length\test_counts\ttpm\n" + "".join(
            f"{gene}\t9\t9\t{gene[1:]}\t1\n" for gene in order
        )
        take(tmp_path / sample / "abundance.genes.tsv", text)
        (tmp_path / sample / "abundance.genes.tsv").rename(tmp_path / sample / "a.genes.tsv")
    found = read(tmp_path)
    assert_is(found, [range(20)] * 2, ["s0", "s1"], genes)


def test_files_with_other_genes(tmp_path):
    genes = [f"G{i}" for i in range(20)]
    for sample, part in (("s0", genes), ("s1", genes[1:])):
        take(tmp_path / f"{sample}.counts", "".join(f"{gene}\t1\n" for gene in part))
    with pytest.warns(DataWarning, match=r"1 of the 20 genes .* missing values"):
        found = read(tmp_path)
    assert np.isnan(found.values).sum() == 1 and np.isnan(found.values[1, 0])
    take(tmp_path / "s2.counts", "".join(f"{gene}\t1\n" for gene in genes[10:]))
    with pytest.raises(InputError, match="counted with one annotation"):
        read(tmp_path)


def test_tables_of_several_samples_are_turned_one_by_one(tmp_path):
    genes = ("TP53", "EGFR", "MYC")
    take(tmp_path / "a.csv", ",GSM1,GSM2\nTP53,1,4\nEGFR,2,5\nMYC,3,6\n")
    take(tmp_path / "b.csv", ",TP53,EGFR,MYC\nGSM3,7,8,9\n")
    with pytest.warns(DataWarning, match=r"a\.csv is taken for genes x samples"):
        found = read([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert_is(found, [[1, 2, 3], [4, 5, 6], [7, 8, 9]], ["GSM1", "GSM2", "GSM3"], genes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "gene,sample,value\n" + "".join(f"G{i},s{j},1\n" for i in (0, 1) for j in (0, 1)),
            "a long",
        ),
        ("[CEL]\nVersion=3\n", "microarray"),
        ("#v\nHugo_Symbol\tNCBI_Build\tStart_Position\nTP53\t37\t5\n", "mutations"),
        ("ID\tchrom\tloc.start\tloc.end\tseg.mean\ns0\t1\t3\t9\t.3\n", "copy number"),
        ("SET_A\thttp://x\tTP53\tEGFR\nSET_B\thttp://y\tMYC\n", "gene sets"),
        ('"","logFC","P.Value","adj.P.Val"\n"TP53",1,.1,.2\n', "differential expression"),
        ('!Series_title\t"t"\n', "supplementary files"),
        ("#1.2\n3\t1\nName\tDescription\ts0\nG0\td\t1\n", "announces 3 rows but has 1"),
    ],
)
def test_what_is_no_matrix_is_refused_by_its_name(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        take(tmp_path / "m.txt", text)


def test_genes_that_repeat_are_refused_with_a_way_on(tmp_path):
    found, _ = take(tmp_path / "m.tsv", "Hugo_Symbol\ts0\ts1\nTP53\t1\t2\nTP53\t3\t4\n")
    assert found.values.tolist() == [[1, 3], [2, 4]]
    with pytest.raises(InputError, match=r"'TP53' 2 times .* table\.groupby\(level=0\)\.mean"):
        found.check()


# ---- real files


@pytest.mark.parametrize(
    ("name", "shape", "total", "kind"),
    [
        ("ERR458837_subsamp_1ReadsPerGene.out.tab", (1, 57773), 56375, "STAR ReadsPerGene.out.tab"),
        ("htseq_4_columns.tsv", (1, 3551), 10062532, "htseq-count"),
        ("pasilla_gene_counts.tsv", (7, 14599), 92669672, "a text table"),
        ("QC.geneCounts.txt.gz", (1, 6692), 5390080, "QoRTs geneCounts"),
        ("rsem.genes.results", (1, 25343), 20495090.52, "RSEM genes.results"),
        ("testSet_rand1200.gct", (18, 1203), 141112, "GCT 1.2"),
    ],
)
def test_real_files(name, shape, total, kind):
    if not (FORMATS / name).exists():
        pytest.skip(f"{FORMATS / name} is not there; set FEMBED_DATA to the folder of real data")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        found = read(FORMATS / name)
    found.check(min_samples=1)
    assert found.values.shape == shape and found.source.format == kind
    assert found.values.sum(dtype=np.float64) == pytest.approx(total, rel=1e-7)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("featurecounts.summary", "featureCounts summary"),
        ("rail_rna_counts.tsv.gz", "reads per chromosome"),
        ("pasilla_sample_annotation.csv", "sheet of annotations"),
    ],
)
def test_real_files_that_are_no_matrix(name, message):
    if not (FORMATS / name).exists():
        pytest.skip(f"{FORMATS / name} is not there; set FEMBED_DATA to the folder of real data")
    with pytest.raises(InputError, match=message):
        read(FORMATS / name)


def test_numbers_under_the_name_of_a_gene_are_told_to_be_taken_for_names(tmp_path):
    (tmp_path / "t.csv").write_text("TP53,EGFR,MYC\n1,2,3\n2,5,6\n3,1,1\n")
    with pytest.warns(DataWarning, match="'TP53', are taken for the names"):
        assert read(tmp_path / "t.csv").gene_names.tolist() == ["EGFR", "MYC"]
