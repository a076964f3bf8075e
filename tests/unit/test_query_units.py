"""New samples in other units, or with other gene names, brought to those of the model."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import fembed
from fembed.commands.app import run
from fembed.config import FitConfig
from fembed.data.expression import Expression
from fembed.errors import DataWarning, InputError
from fembed.inference.matching import as_expression, match
from fembed.train import fit

N_GENES = 200
GENES = [f"g{j}" for j in range(N_GENES)]


def counts(n_samples: int = 60, seed: int = 0) -> pd.DataFrame:
    """Libraries of depths that differ by four, genes over three decades."""
    rng = np.random.default_rng(seed)
    means = np.exp(np.random.default_rng(1).normal(3, 1.5, N_GENES))
    drawn = rng.poisson(means * rng.uniform(0.5, 2, (n_samples, 1)))
    return pd.DataFrame(drawn, [f"s{seed}_{i}" for i in range(n_samples)], GENES, dtype=np.float32)


def cpm(table: pd.DataFrame) -> pd.DataFrame:
    return table.div(table.sum(axis=1), axis=0) * 1e6


UNITS: dict[str, Any] = {
    "raw counts": counts,
    "counts per million": lambda *how: cpm(counts(*how)),
    "counts per 10,000": lambda *how: cpm(counts(*how)) / 100,
    "log2 .of counts per million": lambda *how: np.log2(cpm(counts(*how)) + 1),
    "natural logarithms .of counts per million": lambda *how: np.log1p(cpm(counts(*how))),
    "log10 .of counts per million": lambda *how: np.log10(cpm(counts(*how)) + 1),
    "natural logarithms .of counts per 10,000": lambda *how: np.log1p(cpm(counts(*how)) / 100),
}
#: What models are trained on: the transform, and which of the units.
TRAINED = {
    "cpm": ("cpm", "raw counts"),
    "log10": ("log10", "counts per million"),
    "log2": ("none", "log2 .of counts per million"),
    "ln10k": ("none", "natural logarithms .of counts per 10,000"),
}


@pytest.fixture(scope="module")
def models() -> dict[str, fembed.Model]:
    options: Any = {"hidden": (8,), "gene_components": 4, "iterations": 300, "n_threads": 1}
    return {
        name: fit(UNITS[units](), FitConfig(**options), transform=transform, calibrate=False)
        for name, (transform, units) in TRAINED.items()
    }


@pytest.mark.parametrize("trained", TRAINED)
def test_other_units_are_named_and_converted_to_those_of_the_model(models, trained) -> None:
    model, units = models[trained], TRAINED[trained][1]
    right = match(model, UNITS[units](20, 5))
    for looks, make in UNITS.items():
        query = make(20, 5)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = match(model, query, transform="match")
        assert_allclose(found.profiles, right.profiles, atol=2e-3)
        if told:
            assert len(told) == 1
            assert issubclass(told[0].category, DataWarning)
            with pytest.warns(DataWarning, match=f"looks like.*{looks}.*--transform match"):
                match(model, query)
        else:  # only where nothing was to do: libraries' totals are the model's matter
            assert looks == units or (trained == "cpm" and "log" not in looks)


@pytest.mark.parametrize("trained", TRAINED)
def test_values_in_the_right_units_are_left_alone(models, trained) -> None:
    make = UNITS[TRAINED[trained][1]]
    for query in (make(20, 5), make(1, 6), make(20, 5).iloc[:, ::3]):
        data = Expression.of(query)
        assert as_expression(models[trained], data, transform="match") is data
    with pytest.raises(InputError, match="give 'match'"):
        match(models[trained], query, transform="log2")


@pytest.mark.parametrize("trained", ["log10", "log2"])
def test_scaled_values_have_lost_the_levels(models, trained) -> None:
    logs = UNITS["log2 .of counts per million"](30, 5)
    for query, looks in (
        (logs - logs.mean(), "ratios"),
        ((logs - logs.mean()) / logs.std(ddof=0), "z-scores"),
    ):
        for transform in (None, "match"):
            with warnings.catch_warnings():
                warnings.simplefilter("error", DataWarning)
                with pytest.raises((DataWarning, InputError), match=f"looks like {looks}"):
                    match(models[trained], query, transform=transform)


def test_a_gene_map_renames_genes_and_adds_up_those_that_become_one(models, tmp_path) -> None:
    whole = counts(20, 5)
    halves = np.floor(whole["g1"] / 2)
    query = whole.drop(columns="g1").assign(left=halves, right=whole["g1"] - halves)
    query = query.rename(columns={"g0": "first"})
    pairs = {"first": "g0", "left": "g1", "right": "g1", "nobody": "g5"}
    table = tmp_path / "map.tsv"
    table.write_text("data\tmodel\n" + "".join(f"{a}\t{b}\n" for a, b in pairs.items()))
    for gene_map in (pairs, table):
        found = match(models["cpm"], query, gene_map=gene_map)
        assert_allclose(found.profiles, match(models["cpm"], whole).profiles, rtol=1e-6)
    logs = np.log2(cpm(query) + 1)
    with pytest.raises(InputError, match=r"one gene, 'g1', of 'left' and 'right'.*added up"):
        match(models["log2"], logs, gene_map=pairs)
    table.write_text("first,g0\nfirst,g1\n")
    with pytest.raises(InputError, match=r"gives 'first' two names, 'g0' and 'g1' \(line 2\)"):
        match(models["cpm"], query, gene_map=table)
    with pytest.raises(InputError, match="renames no gene of"):
        match(models["cpm"], query, gene_map={"nobody": "g5"})


def test_names_of_another_kind_and_axes_are_told(models) -> None:
    query = counts(20, 5)
    with pytest.raises(InputError, match="genes x samples; give --transpose"):
        match(models["cpm"], query.T)
    symbols = ["TP53", "EGFR", "MYC", "RPL3", *GENES[4:]]
    named = fit(
        counts().set_axis(symbols, axis=1).iloc[:, :8],
        FitConfig(hidden=(8,), gene_components=4, iterations=10, n_threads=1),
        transform="cpm",
        calibrate=False,
    )
    numbers = query.set_axis([str(7157 + j) for j in range(N_GENES)], axis=1)
    with pytest.raises(InputError, match=r"Entrez.*gene symbols.*--gene-map FILE"):
        match(named, numbers)


@pytest.mark.parametrize("command", ["project", "impute"])
def test_the_command_line_converts(models, tmp_path: Path, command: str) -> None:
    models["log2"].save(tmp_path / "model")
    right, other = (tmp_path / name for name in ("right.csv", "other.csv"))
    UNITS["log2 .of counts per million"](20, 5).to_csv(right)
    UNITS["raw counts"](20, 5).rename(columns={"g0": "first"}).to_csv(other)
    (tmp_path / "map.csv").write_text("first,g0\n")
    tables = []
    for data, more in (
        (right, []),
        (other, ["--transform", "match", "--gene-map", str(tmp_path / "map.csv")]),
    ):
        table = tmp_path / f"{data.stem}_out.csv"
        words = [command, str(tmp_path / "model"), str(data), "-o", str(table), "--quiet", *more]
        assert run(words) == 0
        tables.append(pd.read_csv(table, index_col=0))
    assert_allclose(*tables, rtol=0.02, atol=2e-3)
    words = [command, str(tmp_path / "model"), str(other), "-o", str(tmp_path / "no.csv")]
    assert run([*words, "--transform", "cpm"]) == 2
    assert not (tmp_path / "no.csv").exists()
