"""Columns of every kind as categories: their order, what is missing, and their colours."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from anndata import AnnData
from matplotlib import pyplot

from fembed import Expression, InputError, pl, read
from fembed.errors import DataWarning
from fembed.pl.categories import Categories, categories, joined
from fembed.pl.points import Numbers, as_values, colouring
from fembed.pl.samples import map_samples
from tests.tiny_model import tiny_model

NOW = pd.Timestamp("2026-03-01")
MIXED = [1.5, None, 2.5, np.nan]


@pytest.mark.parametrize(
    ("column", "names", "texts"),
    [
        (pd.array([True, None], dtype="boolean"), ("False", "True", "NA"), ["True", "NA"]),
        (pd.array([True, None], dtype="bool[pyarrow]"), ("False", "True", "NA"), ["True", "NA"]),
        (np.array([True, True]), ("False", "True"), ["True", "True"]),
        ([True, None], ("False", "True", "NA"), ["True", "NA"]),
        (pd.array(["p", None], dtype="string"), ("p", "NA"), ["p", "NA"]),
        (pd.array(["p", None], dtype="string[pyarrow]"), ("p", "NA"), ["p", "NA"]),
        (pd.array(["p", None], dtype=pd.ArrowDtype(pa.string())), ("p", "NA"), ["p", "NA"]),
        (pd.array(["p", np.nan], dtype=pd.StringDtype(na_value=np.nan)), ("p", "NA"), ["p", "NA"]),
        (pd.array(["p", None], dtype=pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string()))),
         ("p", "NA"), ["p", "NA"]),
        (pa.array(["p", None]), ("p", "NA"), ["p", "NA"]),
        (["b", None, np.nan, pd.NA, pd.NaT, "", "  ", "nan", "<NA>"], ("b", "NA"),
         ["b", *["NA"] * 8]),
        (np.array([b"b", b"a"]), ("a", "b"), ["b", "a"]),
        (["10", "9", "2"], ("2", "9", "10"), ["10", "9", "2"]),
        (["0.25", "-1", "0.5"], ("-1", "0.25", "0.5"), ["0.25", "-1", "0.5"]),
        (["chr10", "chr9", "x"], ("chr9", "chr10", "x"), ["chr10", "chr9", "x"]),
        ([1, "1", "a"], ("1", "a"), ["1", "1", "a"]),
        (pd.Categorical(["hi", None, "lo"], categories=["lo", "mid", "hi"], ordered=True),
         ("lo", "mid", "hi", "NA"), ["hi", "NA", "lo"]),
        (pd.Categorical([2.0, None, 10.0]), ("2", "10", "NA"), ["2", "NA", "10"]),
        (pd.cut([1, 20], [0, 10, 30]), ("(0, 10]", "(10, 30]"), ["(0, 10]", "(10, 30]"]),
        (pd.array([NOW, None]), ("2026-03-01", "NA"), ["2026-03-01", "NA"]),
        ([datetime.date(2026, 3, 1), None], ("2026-03-01", "NA"), ["2026-03-01", "NA"]),
        ([np.nan, np.nan], ("NA",), ["NA", "NA"]),
        (pd.array([None, None], dtype="Int64"), ("NA",), ["NA", "NA"]),
    ],
)  # fmt: skip
def test_a_column_of_any_kind_keeps_its_order_and_na_is_last(
    column: Any, names: tuple[str, ...], texts: list[str]
) -> None:
    for given in (column, pd.Series(column) if not isinstance(column, pa.Array) else column):
        found = as_values(given)
        assert isinstance(found, Categories)
        assert found.names == names and found.texts.tolist() == texts


@pytest.mark.parametrize(
    "column",
    [
        MIXED,
        np.array(MIXED, object),
        pd.array([1.5, None, 2.5, pd.NA], dtype="Float64"),
        pd.array([1.5, None, 2.5, None], dtype="float64[pyarrow]"),
        pa.array([1.5, None, 2.5, None]),
        np.ma.masked_array([1.5, 0, 2.5, 0], [0, 1, 0, 1]),
    ],
)
def test_numbers_are_numbers_and_missing_ones_nan(column: Any) -> None:
    found = as_values(column)
    assert isinstance(found, Numbers)
    np.testing.assert_array_equal(found.values, [1.5, np.nan, 2.5, np.nan])
    # As labels, numbers are sorted as such, and whole ones have no point.
    assert categories([10.0, None, 9.0]).names == ("9", "10", "NA")


def test_measured_numbers_as_labels_are_intervals() -> None:
    found = categories(pd.array([*np.linspace(0, 80, 81) + 0.5, None], dtype="Float64"), "age")
    assert len(found.names) == 9 and found.names[0] == "0.5 to 10.5" and found.names[-1] == "NA"
    assert found.counts.tolist() == [10] * 7 + [11, 1]
    colours = [style.colour for style in found.styles().values()]
    assert colours[0] == "#440154" and colours[-2:] == ["#fde725", "#bdbdbd"]


def annotated(column: Any, colours: Any = None) -> AnnData:
    n = len(column)
    obs = pd.DataFrame({"kind": column}, index=[f"s{k}" for k in range(n)])
    adata = AnnData(np.ones((n, 2), np.float32), obs=obs)
    adata.obsm["X_fembed"] = np.random.default_rng(0).normal(size=(n, 2))
    if colours is not None:
        adata.uns["kind_colors"] = colours
    return adata


ASKED = {"a": "#ff0000", "b": "#00ff00", "c": "#0000ff"}
TYPED = pd.Categorical(["c", "a", None], categories=["a", "b", "c"])


@pytest.mark.parametrize(
    "colours",
    [
        list(ASKED.values()),
        np.array(list(ASKED.values()), dtype=object),
        ["red", "lime", (0, 0, 1)],
        np.eye(3),
        {"c": "blue", "a": "red"},
    ],
)
def test_colours_of_uns_are_those_of_the_categories(colours: Any) -> None:
    found = colouring(annotated(TYPED, colours), "kind", 3).styles()
    assert {name: found[name].colour for name in "ac"} == {"a": "#ff0000", "c": "#0000ff"}
    assert found["NA"].colour == "#bdbdbd"


def test_a_column_of_text_has_the_colours_of_its_categories_in_natural_order() -> None:
    adata = annotated(["10", "9", "nan"], ["#ff0000", "#0000ff"])
    found = colouring(adata, "kind", 3).styles()
    assert (found["9"].colour, found["10"].colour) == ("#ff0000", "#0000ff")


@pytest.mark.parametrize(
    ("colours", "fault"),
    [
        (["red", "blue"], "2 colour.s. for 3 categories"),
        (["red"] * 4, "4 colour.s. for 3 categories"),
        (["red", "no colour", "blue"], "'no colour', which is no colour"),
        ([1, 2, 3], "no colour"),
        ({"a": "red"}, "no colour for 'c'"),
    ],
)
def test_colours_that_do_not_fit_give_way_to_the_palette_with_a_word(
    colours: Any, fault: str
) -> None:
    plain = colouring(annotated(TYPED), "kind", 3).styles()
    with pytest.warns(DataWarning, match=fault):
        assert colouring(annotated(TYPED, colours), "kind", 3).styles() == plain


def test_a_category_looks_the_same_in_a_part_of_the_samples_and_beside_others() -> None:
    whole = categories(pd.Categorical(["a", "b", "c"], categories=["c", "b", "a"]))
    assert whole.take(np.array([0, -1])).styles()["a"] == whole.styles()["a"]
    both = joined([whole, categories(["d", None, "a"])])
    assert both.names == ("c", "b", "a", "d", "NA")
    assert both.texts.tolist() == ["a", "b", "c", "d", "NA", "a"]
    assert {name: both.styles()[name] for name in "abc"} == whole.styles()


def test_few_categories_keep_their_colours_beside_many_and_in_a_view() -> None:
    few = categories(list("abc"))
    many = joined([few, categories([f"new {k}" for k in range(20)])]).styles()
    assert {name: many[name].colour for name in "abc"} == {
        name: style.colour for name, style in few.styles().items()
    }
    assert len({style.colour for style in many.values()}) == 23
    adata = annotated(pd.Categorical(["a", "b", "c"]), list(ASKED.values()))
    view = colouring(adata[2:], "kind", 1)
    assert view.present == ("c",) and view.styles()["c"].colour == ASKED["c"]


@pytest.mark.filterwarnings("ignore:The values of the training samples")  # of a random model
def test_order_and_colours_reach_maps_and_pages_from_a_file(tmp_path: Path) -> None:
    model = tiny_model()
    column = pd.Categorical(["hi", "lo", None, "hi", "lo"], categories=["lo", "mid", "hi"])
    adata = annotated(column, ["#ff0000", "#00ff00", "#0000ff"])
    adata = AnnData(
        np.ones((5, model.n_genes), np.float32),
        obs=adata.obs.set_axis(list(model.sample_names)),
        var=pd.DataFrame(index=list(model.gene_names)),
        uns=adata.uns,
    )
    adata.write_h5ad(tmp_path / "a.h5ad")
    for data in (read(tmp_path / "a.h5ad"), Expression.from_anndata(adata)):
        found = map_samples(model, data, ["kind"]).labels["kind"]
        assert found.present == ("lo", "hi", "NA")
        page = pl.interactive_map(model, data, labels="kind")
        assert '"categories":["lo","hi","NA"]' in page
        assert '"colours":["#ff0000","#0000ff","#bdbdbd"]' in page


def test_what_can_be_meant_twice_is_asked_for() -> None:
    adata = annotated(["a", "b", "c"])
    adata.var_names = ["kind", "g"]
    with pytest.warns(DataWarning, match="both a column of obs and a gene"):
        assert isinstance(colouring(adata, "kind", 3), Categories)
    adata.var_names = ["g", "g"]
    with pytest.raises(InputError, match="gene 'g' is there 2 times"):
        pl.embedding(adata, "g")
    adata.obs = pd.concat([adata.obs, adata.obs], axis=1)
    with pytest.raises(InputError, match="2 columns named 'kind'"):
        pl.embedding(adata, "kind")
    with pytest.raises(InputError, match="2 columns named 'kind'"):
        Expression(np.ones((3, 1), np.float32), adata.obs_names, ["g"], adata.obs).labels("kind")


def test_a_series_is_matched_by_the_names_of_the_samples() -> None:
    adata = annotated(["a", "b", "c"])
    given = pd.Series(["c", "a", "b", "x"], index=["s2", "s0", "s1", "other"])
    assert colouring(adata, given, 3).texts.tolist() == ["a", "b", "c"]
    assert colouring(adata, given[:3].reset_index(drop=True), 3).texts.tolist() == ["c", "a", "b"]
    with pytest.warns(DataWarning, match="all but 1 of the 3"):
        assert colouring(adata, given[1:], 3).texts.tolist() == ["a", "b", "NA"]
    with pytest.raises(InputError, match="name 's0' twice"):
        colouring(adata, given.iloc[[0, 1, 1]], 3)


@pytest.mark.parametrize("values", [np.eye(2), [[1], [2]], {1: "a"}, {"a", "b"}])
def test_what_is_no_column_is_refused(values: Any) -> None:
    with pytest.raises(InputError, match="values to colour by"):
        as_values(values)


def coloured() -> AnnData:
    data = annotated(pd.Categorical(["b", "a", "b", None], categories=["c", "b", "a"]))
    del data.uns
    return data


def drawn_colours(axes: Any) -> dict[str, str]:
    """The colours of the legend's entries by name."""
    legend = axes.get_legend()
    names = [text.get_text().rpartition("  ")[0] for text in legend.get_texts()]
    return dict(zip(names, (h.get_color().lower() for h in legend.legend_handles), strict=True))


@pytest.mark.parametrize(
    ("palette", "expected"),
    [
        ("Set1", ["#e41a1c", "#377eb8", "#4daf4a"]),
        (["red", "lime", "#0000ff"], ["#ff0000", "#00ff00", "#0000ff"]),
        (["lime", "#0000ff"], [None, "#00ff00", "#0000ff"]),  # of those that are there
        ({"a": "red", "c": "blue", "x": "lime"}, ["#0000ff", None, "#ff0000"]),
    ],
)
def test_a_palette_colours_every_figure_and_scanpys_too(palette: Any, expected: Any) -> None:
    data = coloured()
    axes = pl.embedding(data, "kind", palette=palette, legend="beside")
    kept = [colour.lower() for colour in data.uns["kind_colors"]]
    assert [w is None or w == k for w, k in zip(expected, kept, strict=True)] == [True] * 3
    assert len(set(kept)) == 3
    assert drawn_colours(axes) == {"b": kept[1], "a": kept[2], "NA": "#bdbdbd"}
    again = pl.embedding(data, "kind", legend="beside")
    assert drawn_colours(again) == drawn_colours(axes)
    pyplot.close("all")


def test_the_first_figure_settles_the_colours_and_a_view_is_left_alone() -> None:
    data = coloured()
    view = data[1:]
    pl.embedding(view, "kind")
    assert view.is_view and "kind_colors" not in data.uns
    pl.embedding(data, "kind")
    first = list(data.uns["kind_colors"])
    part = data[:2].copy()  # without "c", but with the colours of the whole
    pl.embedding(part, "kind")
    position = dict(zip(data.obs["kind"].cat.categories, first, strict=True))
    assert [position[name] for name in part.obs["kind"].cat.categories] == list(
        part.uns["kind_colors"]
    )
    pyplot.close("all")


@pytest.mark.parametrize(
    ("palette", "message"),
    [
        ("no such map", "no colour map 'no such map'"),
        (["red"], "1 colours for 2 categories"),
        (["red", "blue", "nix"], "'nix', which is no colour"),
        ({"x": "red"}, "none of the categories"),
    ],
)
def test_a_palette_that_does_not_fit_is_refused(palette: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pl.embedding(coloured(), "kind", palette=palette)
    pyplot.close("all")
