"""Parquet and feather: the names of the rows, wherever the writing program put them."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fembed.data.readers import read
from fembed.errors import DataWarning, InputError

VALUES = np.random.default_rng(0).gamma(1, 10, (4, 3)).astype(np.float32)
GENES = ["A", "B", "C"]
TABLE = pd.DataFrame(VALUES, columns=GENES)


def assert_is(found, samples, values=VALUES, genes=GENES):
    np.testing.assert_array_equal(found.values, values)
    assert found.sample_names.tolist() == samples
    assert found.gene_names.tolist() == genes
    assert len(found.source.notes) == 1


@pytest.mark.parametrize(
    ("index", "names"),
    [
        (pd.RangeIndex(1001, 1005, name="patient_id"), ["1001", "1002", "1003", "1004"]),
        (pd.RangeIndex(10, 18, 2), ["10", "12", "14", "16"]),
        (pd.RangeIndex(4, 0, -1), ["4", "3", "2", "1"]),
        (pd.RangeIndex(4, name="patient"), ["0", "1", "2", "3"]),
        (pd.RangeIndex(4), ["sample_0", "sample_1", "sample_2", "sample_3"]),
        (pd.Index([7, 1, 3, 12]), ["7", "1", "3", "12"]),
        (pd.Index([1001.0, 1002.0, 1003.0, 1004.0]), ["1001", "1002", "1003", "1004"]),
        (pd.Index(["0001", "NA", "x", "1e5"]), ["0001", "NA", "x", "1e5"]),
        (pd.CategoricalIndex(["b", "a", "c", "d"]), ["b", "a", "c", "d"]),
        (
            pd.MultiIndex.from_arrays([["P1", "P1", "P2", "P2"], [1, 2, 1, 2]]),
            ["P1_1", "P1_2", "P2_1", "P2_2"],
        ),
    ],
)
def test_an_index_of_pandas(tmp_path, index, names):
    TABLE.set_axis(index).to_parquet(tmp_path / "m.parquet")
    assert_is(read(tmp_path / "m.parquet"), names)
    if isinstance(index, pd.RangeIndex | pd.CategoricalIndex) or index.nlevels > 1:
        return
    TABLE.set_axis(index).to_feather(tmp_path / "m.feather")
    assert_is(read(tmp_path / "m.feather"), names)


def columns(position, name, array):
    arrays = [pa.array(VALUES[:, k]) for k in range(3)]
    arrays.insert(position, array)
    return pa.table(arrays, names=[*GENES[:position], name, *GENES[position:]])


@pytest.mark.parametrize("position", [0, 1, 3])
@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.dictionary(pa.int8(), pa.string()),
    ],
)
def test_a_column_of_text_as_other_programs_write_it(tmp_path, position, kind):
    names = ["s1", "0002", "s3", "é"]
    table = columns(position, "anything", pa.array(names).cast(kind))
    pq.write_table(table, tmp_path / "m.parquet")
    assert_is(read(tmp_path / "m.parquet"), names)


@pytest.mark.parametrize(
    ("name", "position", "ids"),
    [
        ("patient_id", 0, [1001, 1002, 1003, 1004]),
        ("Sample", 2, [4, 1, 3, 2]),
        ("donor id", 3, [1001.0, 1002.0, 1003.0, 1004.0]),
        ("what", 0, [17, 4, 23, 9]),
    ],
)
def test_numbers_that_identify_are_names_with_a_word(tmp_path, name, position, ids):
    pq.write_table(columns(position, name, pa.array(ids)), tmp_path / "m.parquet")
    with pytest.warns(DataWarning, match=f"The column '{name}' .* is taken for the names"):
        found = read(tmp_path / "m.parquet")
    assert_is(found, [str(int(number)) for number in ids])


@pytest.mark.parametrize(
    ("name", "position", "numbers"),
    [
        ("what", 1, [17, 4, 23, 9]),  # a gene, by name and place
        ("patient_id", 0, [1, 1, 2, 2]),  # not of one row each
        ("patient_id", 0, [0.5, 1.0, 2.0, 3.0]),
    ],
)
@pytest.mark.filterwarnings("ignore:.*bear names of annotations")  # as it should
def test_numbers_that_do_not_identify_are_values(tmp_path, name, position, numbers):
    table = columns(position, name, pa.array(numbers))
    pq.write_table(table, tmp_path / "m.parquet")
    found = read(tmp_path / "m.parquet")
    assert found.gene_names.tolist() == table.column_names
    assert found.sample_names[0] == "sample_0"


def test_counts_without_names_keep_their_first_gene(tmp_path):
    counts = pd.DataFrame({"A": [5, 3, 8, 1], "B": [0, 0, 1, 2]})
    counts.to_parquet(tmp_path / "m.parquet", index=False)
    assert read(tmp_path / "m.parquet").gene_names.tolist() == ["A", "B"]


def test_a_partitioned_folder_is_one_table(tmp_path):
    named = TABLE.set_axis(["s0", "s1", "s2", "s3"])
    for folder in (tmp_path / "plain", tmp_path / "table.parquet"):
        for cohort, rows in (("A 1", slice(0, 1)), ("B", slice(1, 4))):
            part = folder / f"cohort={cohort.replace(' ', '%20')}"
            part.mkdir(parents=True)
            named[rows].to_parquet(part / "part-0.parquet")
        (folder / "_SUCCESS").touch()
        (folder / "_metadata.parquet").write_text("not of the table")
        found = read(folder)
        assert_is(found, list(named.index))
        assert found.labels("cohort").tolist() == ["A 1", "B", "B", "B"]
    named[["B", "A", "C"]].to_parquet(folder / "other.parquet")
    with pytest.raises(InputError, match="has other columns than"):
        read(folder)


def test_a_long_name_that_all_rows_share_is_not_multiplied(tmp_path):
    names = pa.DictionaryArray.from_arrays(np.zeros(100_000, np.int32), ["x" * 1_000_000])
    table = pa.table({"name": names, "A": np.arange(100_000.0)})
    pq.write_table(table, tmp_path / "m.parquet")  # 100 GB of text in 0.9 MB
    with pytest.raises(InputError, match="has a name of 1000000 letters"):
        read(tmp_path / "m.parquet")


def test_what_is_no_matrix(tmp_path):
    pq.write_table(columns(1, "when", pa.array([1, 2, 3, 4], pa.timestamp("s"))), tmp_path / "m.pq")
    with pytest.raises(InputError, match=re.escape("holds values of type timestamp")):
        read(tmp_path / "m.pq")
    (tmp_path / "m.feather").write_bytes(b"FEA1" + b"\0" * 100)
    with pytest.raises(InputError, match="feather of version 1"):
        read(tmp_path / "m.feather")
    named = TABLE.set_axis([f"s{i}" for i in range(4)])
    named.to_feather(tmp_path / "m.feather", compression="uncompressed")
    content = bytearray((tmp_path / "m.feather").read_bytes())
    place = content.rfind(b"s0s1s2s3") - 20  # the offsets of the names
    content[place : place + 4] = b"\xff\xff\xff\x7f"
    (tmp_path / "m.feather").write_bytes(content)
    with pytest.raises(InputError, match="may be truncated or damaged"):
        read(tmp_path / "m.feather")
