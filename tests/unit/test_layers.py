"""Layers side by side: the union of samples, names, transforms of their own, weights, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from numpy.testing import assert_allclose, assert_array_equal

from fembed import FactorizedEmbedding, evaluate, fit, sweep, tl
from fembed.commands import layered
from fembed.data.expression import Expression
from fembed.data.layer_scales import prepared_for, weigh
from fembed.data.layers import named_for
from fembed.data.preprocess import Layer, Preprocessing
from fembed.errors import DataWarning, InputError
from tests.two_layers import MuDataLike

RNA = pd.DataFrame({"A": [1.0, 2.0, 3.0], "B": [4.0, 5.0, 6.0]}, ["S-1", "S-2", "S-3"])
PROTEIN = pd.DataFrame({"A": [-7.0, 8.0]}, ["S-4", "S-2"])


def test_samples_are_the_union_and_lack_what_they_lack() -> None:
    both = Expression.of({"rna": RNA, "protein": PROTEIN})
    assert both.sample_names.tolist() == ["S-1", "S-2", "S-3", "S-4"]
    assert both.gene_names.tolist() == ["A", "B", "protein:A"]
    nan = np.nan
    wanted = [[1, 4, nan], [2, 5, 8], [3, 6, nan], [nan, nan, -7]]
    assert_array_equal(both.values, np.array(wanted, np.float32))
    assert both.take_samples([3]).layers == both.layers
    assert both.take_genes(both.gene_names[:1]).layers == ()


def test_samples_in_another_spelling_are_one_sample() -> None:
    respelled = RNA.set_axis([name.replace("-", ".") for name in RNA.index])
    with pytest.warns(DataWarning, match=r"spelled differently.*'S.1' is taken for 'S-1'"):
        both = Expression.of({"rna": RNA, "other": respelled})
    assert both.sample_names.tolist() == list(RNA.index)
    assert_array_equal(both.values[:, :2], both.values[:, 2:])


def test_annotations_of_all_layers_and_a_mudata_object() -> None:
    kind = pd.Categorical(["a", "b", "a"])
    rna = AnnData(RNA, obs=pd.DataFrame({"kind": kind}, index=RNA.index))
    obs = pd.DataFrame({"kind": ["z", "y"], "day": [4, 2]}, index=PROTEIN.index)
    found = Expression.of(MuDataLike({"rna": rna, "protein": AnnData(PROTEIN, obs=obs)}))
    assert found.labels("kind").tolist() == ["a", "b", "a", "z"]
    assert found.labels("day").tolist() == ["NA", "2", "NA", "4"]
    assert_array_equal(found.values, Expression.of({"rna": RNA, "protein": PROTEIN}).values)


def test_a_model_names_the_layers_whatever_their_order() -> None:
    for data in ({"rna": RNA, "protein": PROTEIN}, {"protein": PROTEIN, "rna": RNA}):
        named = named_for(Expression.of(data), ["rna", "protein"])
        assert set(named.gene_names) == {"A", "B", "protein:A"}
        assert_array_equal(named_for(named, ["rna", "protein"]).gene_names, named.gene_names)
    for table in (PROTEIN, PROTEIN.add_prefix("protein:")):  # as an imputed table has them
        alone = named_for(Expression.of({"protein": table}), ["rna", "protein"])
        assert alone.gene_names.tolist() == ["protein:A"]


def layers_of(*transforms: Any) -> Preprocessing:
    layers = [
        Layer(f"L{k}", 3, transform, 0.25 * 4**k) for k, transform in enumerate(transforms, 1)
    ]
    return Preprocessing(transforms[0], tuple(layers))


def test_every_layer_has_its_transform_and_the_inverse_undoes_it() -> None:
    given = np.random.default_rng(0).uniform(0, 99, (5, 9)).astype(np.float32)
    given[2, 3:6] = np.nan  # a sample without the counts
    given[1, 0] = given[4, 8] = np.nan
    made = layers_of("log10", "cpm", "none")
    values = made.apply(given.copy())
    wanted = [
        Preprocessing(layer.transform).apply(given[rows, columns].copy()) * layer.weight
        for layer, columns in made.pieces(9)
        for rows in [[0, 1, 3, 4] if layer.transform == "cpm" else slice(None)]
    ]
    assert_array_equal(values[:, :3], wanted[0])
    assert_array_equal(values[[0, 1, 3, 4], 3:6], wanted[1])
    assert_array_equal(values[:, 6:], wanted[2])
    assert np.isnan(values[2, 3:6]).all()
    back = made.invert(values)
    assert_allclose(back[:, [0, 1, 2, 6, 7, 8]], given[:, [0, 1, 2, 6, 7, 8]], rtol=1e-5)
    totals = np.nansum(given[:, 3:6], axis=1, keepdims=True, dtype=float)
    assert_allclose(back[[0, 4], 3:6], (given[:, 3:6] / totals * 1e6)[[0, 4]], rtol=1e-5)
    genes = np.array([7, 1, 4])
    assert_array_equal(made.invert(values[:, genes], genes), back[:, genes])
    plain = made.unweighted(values)
    assert_allclose(plain[:, 6:], given[:, 6:], rtol=1e-6)
    assert_array_equal(made.unweighted(values[:, genes], genes), plain[:, genes])
    with pytest.raises(InputError, match="3 columns for 9 genes"):
        made.invert(values[:, genes])
    assert Preprocessing.from_dict(made.to_dict()) == made


def test_nothing_is_changed_where_a_layer_is_refused() -> None:
    values = np.ones((2, 6), np.float32)
    values[1, 4] = -1.0
    before = values.copy()
    with pytest.raises(InputError, match="negative value -1 for sample number 2 and gene 'e'"):
        layers_of("log10", "cpm").apply(values, gene_names=list("abcdef"))
    assert_array_equal(values, before)


def test_the_values_decide_the_transform_of_a_further_layer() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.exp(rng.normal(3, 1, 40)) * rng.uniform(0.5, 2, (30, 1)))
    kinds = {
        "counts": counts,
        "tpm": counts / counts.sum(axis=1, keepdims=True) * 1e6,
        "logs": np.log2(counts + 1.5),
        "scores": rng.normal(size=(30, 40)),
        "shares": rng.uniform(size=(30, 40)),
    }
    data = Expression.of({"rna": counts, **kinds})

    def chosen(transform: Any) -> list[str]:
        return [layer.transform for layer in prepared_for(data, transform).layers]

    assert chosen("cpm") == ["cpm", "cpm", "cpm", "none", "none", "none"]
    assert chosen("log10") == ["log10", "cpm", "log10", "none", "none", "none"]
    assert chosen("none") == ["none", "cpm", "log10", "none", "none", "none"]
    assert chosen({"rna": "cpm", "logs": "log10"})[3] == "log10"


def test_weights_do_not_depend_on_units_and_are_one_for_the_first_layer() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(50, 40)), rng.normal(size=(50, 5)) @ rng.normal(size=(5, 8))
    second[10:20] = np.nan
    made = Preprocessing("none", (Layer("a", 40, "none"), Layer("b", 8, "none")))

    def weighed(unit: float) -> tuple[np.ndarray, Preprocessing]:
        values = np.concatenate([first, unit * second + 3 * unit], axis=1).astype(np.float32)
        return values, weigh(values, made)

    (values, found), (others, of_others) = weighed(1.0), weighed(1000.0)
    assert found.layers[0].weight == 1.0
    assert_allclose(others, values, rtol=1e-4)
    assert_allclose(1000 * of_others.layers[1].weight, found.layers[1].weight, rtol=1e-5)
    assert_allclose(values[:, 40:], (second + 3) * found.layers[1].weight, rtol=1e-5)
    variances = [np.nanvar(part, axis=0).mean() for part in (values[:, :40], values[:, 40:])]
    assert_allclose(variances[0] * np.sqrt(40), variances[1] * np.sqrt(8), rtol=1e-5)
    with pytest.raises(InputError, match="features of the layer b are constant"):
        weigh(np.concatenate([first, np.ones((50, 8))], axis=1).astype(np.float32), made)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "no layer in the data"),
        ({"rna": RNA, "protein": PROTEIN.iloc[:0]}, "'protein' .* is empty .0 samples"),
        ({"rna": RNA, "a:b": PROTEIN}, "'a:b', holds a colon"),
        ({"rna": RNA, "a b": PROTEIN}, "'a b', holds a blank"),
        ({"rna": RNA, "": PROTEIN}, "name of a layer is ''"),
        ({"rna": RNA, 3: PROTEIN}, "name of a layer is 3"),
        ({"rna": RNA, "p": {"q": PROTEIN}}, "'p' has layers itself"),
        (
            {"rna": RNA, "p": pd.concat([PROTEIN, PROTEIN])},
            r"layer p\) holds the sample name 'S-4'",
        ),
        ({"rna": RNA, "p": pd.concat([PROTEIN, PROTEIN], axis=1)}, r"layer p\) .* gene name 'A'"),
        ({"rna": RNA.set_axis(["p:A", "B"], axis=1), "p": PROTEIN}, "'p:A' of the layer rna"),
        ({"rna": RNA, "p": PROTEIN.iloc[:1]}, r"layer p\) has no sample in common"),
        ({"rna": RNA, "p": RNA.T}, r"layer p\) has samples in its columns"),
        ({"rna": RNA, "p": PROTEIN.assign(C=np.nan)}, "'p:C' has no observed entry"),
        ({"rna": RNA.assign(C=np.inf), "p": PROTEIN}, "infinite .* gene 'C'"),
        ({"rna": RNA, "p": PROTEIN.assign(A=[2.0, 2.0])}, "features of the layer p are constant"),
    ],
)
def test_layers_that_no_model_can_be_trained_on(data: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        fit(data, n_components=1, transform="none", verbose=False)


def test_transforms_are_of_layers_that_there_are() -> None:
    with pytest.raises(InputError, match="no layer 'q' to transform; they are rna, p"):
        fit({"rna": RNA, "p": PROTEIN}, transform={"q": "none"})
    with pytest.raises(InputError, match="no transform 'log'"):
        fit({"rna": RNA, "p": PROTEIN}, transform={"p": "log"})
    with pytest.raises(InputError, match="one matrix alone"):
        fit(RNA, transform={"p": "none"})


def test_who_takes_one_matrix_says_so() -> None:
    data = MuDataLike({"rna": RNA, "protein": PROTEIN})
    refused = "takes one matrix, and the data hold layers .rna, protein"
    for call in (
        lambda: evaluate(data, [0, 1]),
        lambda: sweep(data, {"seed": [0]}, [0, 1]),
        lambda: FactorizedEmbedding().fit(data),
        lambda: tl.fit(data),
        lambda: evaluate(Expression.of(data), [0, 1]),
    ):
        with pytest.raises(InputError, match=refused):
            call()


def test_how_the_command_line_names_layers(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("prot.csv.gz", "run=2.csv", "x.h5ad"):
        Path(name).write_text("there")
    files = layered.files(["prot.csv.gz", "run=2.csv", "mirna=run=2.csv", "run=3=x.h5ad", "a=b=c"])
    assert files == {
        "prot": "prot.csv.gz",  # as the file
        "run=2": "run=2.csv",  # a file as a whole
        "mirna": "run=2.csv",
        "run=3": "x.h5ad",
        "a": "b=c",  # no such file: the reader will say so
    }
    assert layered.transforms(["run=2=none"], files) == {"run=2": "none"}
    assert layered.first_name("my data/rna seq.tsv", files) == "rna_seq"
