"""Static figures: what is in them, that nothing is lost or read as markup, and what they refuse."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

matplotlib.use("Agg")

from matplotlib.figure import Figure
from matplotlib.image import AxesImage

import fembed
from fembed import Expression, InputError, pl
from fembed.pl import names, raster
from fembed.pl.categories import Categories
from fembed.pl.clusters import are_clusters, densest_places
from fembed.pl.labels import NAME, point_radius
from fembed.pl.landscapes import correlations
from fembed.pl.placed import ellipse_axes
from fembed.pl.points import Numbers, colouring
from fembed.pl.quality import expression_distances
from tests.tiny_model import N_GENES, N_SAMPLES, tiny_model

RNG = np.random.default_rng(0)


def axes() -> Any:
    return Figure(figsize=(5, 4)).subplots()


def clustered(n: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    codes = rng.integers(n_classes, size=n)
    points = rng.normal(size=(n_classes, 2))[codes] * 5 + rng.normal(size=(n, 2))
    return points, np.array([f"class {code}" for code in codes], dtype=object)


def annotated() -> AnnData:
    obs = pd.DataFrame(
        {"kind": pd.Categorical(["b", "a", None, "a"], categories=["b", "a", "c"])},
        index=list("wxyz"),
    )
    adata = AnnData(
        np.arange(8, dtype=np.float32).reshape(4, 2), obs=obs, var=pd.DataFrame(index=["g", "h"])
    )
    adata.obsm["X_fembed"] = RNG.normal(size=(4, 3))
    return adata


@pytest.mark.parametrize("n_classes", [2, 10, 22, 33])
def test_each_name_stands_once_and_on_nothing(n_classes: int) -> None:
    rng = np.random.default_rng(4)
    codes = rng.integers(n_classes, size=2000)
    points = rng.normal(size=(n_classes, 2))[codes] * 9 + 0.7 * rng.normal(size=(2000, 2))
    kinds = [f"class {code}" for code in codes]
    ax = pl.embedding(points, kinds)
    ax.figure.draw_without_rendering()
    inside = [text for text in ax.texts if text.get_gid() == NAME]
    legend = ax.get_legend()
    beside = [] if legend is None else [text.get_text() for text in legend.get_texts()]
    named = [text.get_text() for text in inside] + [text.rsplit("  ", 1)[0] for text in beside]
    assert sorted(named) == sorted(set(kinds))
    assert len(inside) >= 0.6 * n_classes
    boxes = [text.get_window_extent() for text in inside]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    pixels = ax.transData.transform(points)
    radius = point_radius(len(points)) * ax.figure.dpi / 72
    for box in boxes:
        assert ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1
        away = np.maximum(np.abs(pixels - box.get_points().mean(0)) - np.array(box.size) / 2, 0)
        assert np.hypot(*away.T).min() > 0.5 * radius
    matplotlib.pyplot.close("all")


def test_only_what_lies_together_and_alone_is_a_cluster() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0]])
    which = np.repeat(np.arange(4), 100)
    points = centres[which] + rng.normal(size=(400, 2))
    assert are_clusters(points, which, 5).tolist() == [True, True, True, True, False]
    halves = which % 2  # each in two places that lie apart
    far = points * [1.0, 3.0]
    assert are_clusters(far, halves, 2).tolist() == [False, False]
    batches = rng.integers(3, size=400)
    assert not are_clusters(points, batches, 3).any()
    ax = pl.embedding(points, batches.astype(str), ax=axes())
    assert not any(text.get_gid() == NAME for text in ax.texts)
    assert len(ax.get_legend().get_texts()) == 3


def test_more_categories_than_styles_are_counted_and_not_named() -> None:
    points = RNG.normal(size=(600, 2))
    ax = pl.embedding(points, [f"patient {k // 2}" for k in range(600)], ax=axes())
    assert ax.get_legend() is None
    assert [text.get_text() for text in ax.texts] == ["300 categories, too many to name"]


def test_a_list_of_names_makes_a_map_of_each_with_units() -> None:
    data = annotated()
    found = pl.embedding(data, ["kind", "g", "h"], ncols=2, size=30.0)
    assert [ax.get_title(loc="left") for ax in found] == ["kind", "g", "h"]
    bars = [ax for ax in found[0].figure.axes if ax not in found]
    assert [bar.get_ylabel() for bar in bars] == ["expression in X"] * 2
    assert found[1].collections[0].get_sizes().tolist() == [30.0]
    matplotlib.pyplot.close("all")


def test_a_label_stands_where_its_samples_are() -> None:
    # Two clusters: a mean would lie between them, where nothing is.
    points = np.concatenate([np.zeros((30, 2)), np.full((20, 2), 10.0)])
    places = densest_places(points, np.zeros(50, int), 2)
    np.testing.assert_allclose(places[0], 0.0)
    assert np.isnan(places[1]).all()


def test_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    names = ["$\\frac{1}{2}$", "_hidden", "<script>alert(1)</script>", "a$b"]
    ax = pl.embedding(RNG.normal(size=(40, 2)), names * 10, save=tmp_path / "map.svg")
    legend = [text.get_text().rsplit("  ", 1)[0] for text in ax.get_legend().get_texts()]
    assert legend == sorted(names)
    drawn = (tmp_path / "map.svg").read_text()
    assert "&lt;script&gt;" in drawn and "<script>" not in drawn
    assert "_hidden" in drawn
    corners = np.repeat([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0]], 50, axis=0)
    codes = [f"corner {k // 50}" for k in range(200)]
    points = corners + RNG.normal(size=(200, 2))
    ax = pl.embedding(points, codes, save=tmp_path / "named.svg")
    inside = [text.get_text() for text in ax.texts if text.get_gid() == NAME]
    drawn = (tmp_path / "named.svg").read_text()
    assert inside and all(f">{name}</text>" in drawn for name in inside)  # letters, no shapes


LONG = "Infiltrating duct carcinoma mixed with other types, NOS, of the {}-outer quadrant of breast"


@pytest.mark.parametrize("n_classes", [2, 30, 200])
@pytest.mark.parametrize("given_axes", [False, True])
def test_long_names_leave_half_of_the_figure_to_the_map(
    n_classes: int, given_axes: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    points, codes = clustered(600, n_classes)
    kinds = [LONG.format(text.split()[1]) for text in codes]
    ax = pl.embedding(points, kinds, legend="both", ax=axes() if given_axes else None)
    figure = ax.figure
    figure.draw_without_rendering()
    assert ax.get_position().width >= 0.45  # and its numbers and names beside it
    whole = figure.bbox
    for text in (*ax.get_legend().get_texts(), *ax.texts):
        box = text.get_window_extent()
        assert box.x0 >= whole.x0 - 1 and box.x1 <= whole.x1 + 1
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(set(shown)) == len(shown) and ("more" in shown[-1]) == (n_classes == 200)
    assert "".join(capfd.readouterr()) == ""
    matplotlib.pyplot.close("all")


def test_shortened_names_keep_what_they_differ_in() -> None:
    upper, lower = LONG.format("upper"), LONG.format("lower")
    short = names.told_apart([upper, lower, "a\n b\x1b[31m$", "\ud800"], 1.5, 7.0)
    assert "upper" in short[0] and "lower" in short[1] and short[2:] == ["a b$", "\ufffd"]
    assert max(names.width(text, 7.0) for text in short) <= 1.5
    same = names.told_apart(["a" * 99 + "b" + "c" * 99, "a" * 98 + "b" + "c" * 99], 0.5, 7.0)
    assert len(set(same)) == 2
    assert all(names.width(line, 7.0) <= 1.0 for line in names.wrapped(upper, 1.0, 7.0).split("\n"))


def test_what_is_not_finite_is_grey_and_counted() -> None:
    values = [np.nan, np.inf, 1.0, 1e308, -1e308]
    ax = pl.embedding(RNG.normal(size=(5, 2)), values, ax=axes())
    assert ax.texts[-1].get_text() == "NA  2 (grey)"
    none = pl.embedding(RNG.normal(size=(5, 2)), [np.nan] * 5, ax=axes())
    assert [text.get_text() for text in none.get_legend().get_texts()] == ["NA  5"]


def test_a_million_points_become_pixels_and_none_is_lost() -> None:
    points = np.random.default_rng(0).normal(size=(1_000_000, 2))
    limits = ((-6.0, 6.0), (-6.0, 6.0))
    pixels = raster.Pixels(points, limits, raster.image_shape(limits))
    assert pixels.sums().sum() == 1_000_000
    codes = (points[:, 0] > 0).astype(int)
    image = raster.mixed(pixels, codes, np.array([[1.0, 0, 0], [0, 0, 1.0]]))
    middle = raster.SIDE // 2
    assert (image[:, : middle - 1, 2] == 0).all() and (image[:, middle + 1 :, 0] == 0).all()
    mean = raster.averaged(pixels, np.where(codes, 3.0, np.nan))
    assert np.nanmin(mean) == np.nanmax(mean) == 3.0


def test_many_points_are_drawn_as_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raster, "MAX_POINTS", 100)
    points, labels = clustered(300, 3)
    for color in (labels, points[:, 0]):
        ax = pl.embedding(points, color, ax=axes())
        assert any(isinstance(image, AxesImage) for image in ax.images)
        assert not ax.collections


def test_the_same_call_gives_the_same_picture(tmp_path: Path) -> None:
    points, labels = clustered(200, 12)
    for name in ("one.png", "two.png"):
        pl.embedding(points, labels, save=tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_what_anndata_is_coloured_by() -> None:
    adata = annotated()
    kinds = colouring(adata, "kind", 4)
    assert isinstance(kinds, Categories)
    assert kinds.present == ("b", "a", "NA")  # the order of the category, without unused ones
    assert kinds.texts.tolist() == ["b", "a", "NA", "a"]
    gene = colouring(adata, "h", 4)
    assert isinstance(gene, Numbers)
    np.testing.assert_array_equal(gene.values, [1, 3, 5, 7])
    with pytest.raises(InputError, match="neither a column of obs \\(kind\\) nor a gene"):
        pl.embedding(adata, "nothing")


def test_a_density_counts_every_sample_inside_or_outside() -> None:
    points = np.random.default_rng(1).normal(size=(500, 2))
    ax = pl.density(points, limits=(-1, 1), ax=axes())
    n_inside = int((np.abs(points) <= 1).all(axis=1).sum())
    assert ax.collections[0].get_array().sum() == n_inside
    assert [text.get_text() for text in ax.texts] == [f"{500 - n_inside} outside"]
    everything = pl.density(points, ax=axes())
    assert everything.collections[0].get_array().sum() == 500 and not everything.texts


def test_thirty_hexagons_lie_across_a_density() -> None:
    side = np.linspace(0, 1, 400)
    points = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    ax = pl.density(points, limits=(0, 1), ax=axes())
    centres = np.asarray(ax.collections[0].get_offsets())
    lowest = centres[np.isclose(centres[:, 1], centres[:, 1].min())]
    assert len(lowest) == 31  # 30 whole ones: the outermost two are cut in half


def test_grids_share_colours_and_limits_and_count_what_is_outside(tmp_path: Path) -> None:
    far = np.concatenate([RNG.normal(size=(200, 2)), [[1e3, 1e3]]])
    maps = {("10", "0"): far, ("10", "1"): RNG.normal(size=(50, 2)), ("25", "1"): far * 0.1}
    made = pl.density_grid(maps, row_name="genes", column_name="L2", save=tmp_path / "d.pdf")
    assert made.shape == (2, 2) and made[1, 0] is None
    panels = [made[0, 0], made[0, 1], made[1, 1]]
    assert len({panel.get_xlim() + panel.get_ylim() for panel in panels}) == 1
    assert len({panel.collections[0].norm.vmax for panel in panels}) == 1
    x, y = made[0, 0].get_xlim(), made[0, 0].get_ylim()
    low, high = np.array([x, y]).T
    n_outside = int((~((far >= low) & (far <= high)).all(axis=1)).sum())
    assert 1 <= n_outside <= 4  # the far one, and about 1 % of the others
    assert [text.get_text() for text in made[0, 0].texts] == [f"{n_outside} outside"]
    labels = {key: ["a"] * len(points) for key, points in maps.items()}
    scatter = pl.scatter_grid(maps, labels, save=tmp_path / "s.png")
    (legend,) = scatter[0, 0].figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a"]
    assert scatter[0, 0].texts[-1].get_text().endswith("outside")
    drawn = sum(len(c.get_offsets()) for c in scatter[0, 0].collections)
    assert drawn + int(scatter[0, 0].texts[-1].get_text().split()[0]) == 201


def test_an_accuracy_table_shows_its_numbers() -> None:
    ax = pl.accuracy_table({("10", "0"): 0.25, ("10", "1"): 0.5, ("25", "1"): 0.75}, ax=axes())
    assert [text.get_text() for text in ax.texts] == ["0.250", "0.500", "0.750"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["10", "25"]
    with pytest.raises(InputError, match="no accuracy"):
        pl.accuracy_table({"a": float("nan")})


def test_confidence_ellipses_hold_their_share_of_the_normal_distribution() -> None:
    covariance = np.array([[4.0, 1.5], [1.5, 1.0]])
    width, height, angle = (part[0] for part in ellipse_axes(covariance[None], 0.9))
    draws = np.random.default_rng(0).multivariate_normal([0, 0], covariance, 40_000)
    turn = np.radians(angle)
    along = draws @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    inside = (2 * along[:, 0] / width) ** 2 + (2 * along[:, 1] / height) ** 2 <= 1
    assert inside.mean() == pytest.approx(0.9, abs=0.01)


def test_projected_samples_are_triangles_and_those_without_an_ellipse_are_counted() -> None:
    covariance = np.stack([np.eye(2), np.full((2, 2), np.inf), np.eye(2)])
    ax = pl.projection(
        RNG.normal(size=(6, 2)), RNG.normal(size=(3, 2)), covariance=covariance, ax=axes()
    )
    training, projected, ellipses = ax.collections
    assert len(training.get_offsets()) == 6 and len(projected.get_offsets()) == 3
    assert len(projected.get_paths()[0].vertices) == 4  # a closed triangle
    assert len(ellipses.get_offsets()) == 2
    assert "1 without an ellipse" in ax.texts[-1].get_text()
    with pytest.raises(InputError, match="shape"):
        pl.projection(RNG.normal(size=(6, 2)), RNG.normal(size=(3, 2)), covariance=covariance[:2])


def test_correlations_and_distances_are_the_textbook_ones() -> None:
    rows, target = RNG.normal(size=(4, 9)), RNG.normal(size=9)
    wanted = [np.corrcoef(row, target)[0, 1] for row in rows]
    np.testing.assert_allclose(correlations(rows, target), wanted)
    rows[0, 0] = np.nan
    first, second = np.array([0, 1]), np.array([2, 3])
    found = expression_distances(rows, first, second)
    np.testing.assert_allclose(found[0], np.sqrt(np.mean((rows[0, 1:] - rows[2, 1:]) ** 2)))
    np.testing.assert_allclose(found[1], np.sqrt(np.mean((rows[1] - rows[3]) ** 2)))


def data() -> Expression:
    model = tiny_model()
    values = np.random.default_rng(5).poisson(20, size=(N_SAMPLES, N_GENES)).astype(np.float32)
    return Expression.from_array(values, model.sample_names, model.gene_names)


def test_a_reconstruction_correlates_what_was_measured_with_what_is_decoded() -> None:
    model = tiny_model()
    ax = pl.reconstruction(model, data(), n_threads=1, ax=axes())
    decoded = model.decode(model.sample_embedding, n_threads=1)
    r = np.corrcoef(np.log10(data().values + 1).ravel(), decoded.ravel())[0, 1]
    assert f"r = {r:.3f}" in ax.texts[0].get_text()
    assert "35 entries" in ax.texts[0].get_text()
    perfect = pl.reconstruction(np.eye(3), np.eye(3), ax=axes())
    assert "r = 1.000" in perfect.texts[0].get_text()


def test_a_gene_landscape_shows_what_the_model_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    ax = pl.gene_landscape(model, "GENE2", data(), n_threads=1, ax=axes())
    x0, x1, y0, y1 = ax.images[0].get_extent()
    rows, columns = ax.images[0].get_array().shape[:2]
    corner = [[x0 + (x1 - x0) / columns / 2, y0 + (y1 - y0) / rows / 2]]
    value = float(model.decode(corner, ["GENE2"], 1)[0, 0])
    bar = ax.figure.axes[1]
    low, high = bar.get_ylim()
    wanted = matplotlib.colormaps["viridis"](np.clip((value - low) / (high - low), 0, 1))
    np.testing.assert_allclose(ax.images[0].get_array()[0, 0, :3], wanted[:3], atol=0.02)


@pytest.mark.parametrize("ending", ["pdf", "jpg", "SVG"])
def test_a_figure_is_written_as_its_ending_says(tmp_path: Path, ending: str) -> None:
    save = tmp_path / f"map.{ending}"
    pl.embedding(np.eye(4), save=save)
    begin = {"pdf": b"%PDF", "jpg": b"\xff\xd8", "SVG": b"<?xml"}[ending]
    assert save.read_bytes().startswith(begin)


def test_every_figure_of_a_model_is_written(tmp_path: Path) -> None:
    from matplotlib import pyplot

    pyplot.close("all")  # what other tests left open
    model, expression = tiny_model(), data()
    model.training["history"] = [
        {"step": k, "seconds": k, "loss": 1.0 / k, "held_out": 2.0 / k, "pearson_r": 1 - 1 / k}
        for k in range(1, 9)
    ]
    one = AnnData(expression.values[:1], var=pd.DataFrame(index=list(model.gene_names)))
    calls = {
        "map": lambda save: pl.embedding(model, "GENE1", save=save),
        "landscape": lambda save: pl.gene_landscape(model, "GENE1", n_threads=1, save=save),
        "similarity": lambda save: pl.similarity_landscape(model, one, n_threads=1, save=save),
        "genes": lambda save: pl.gene_map(model, genes=3, n_threads=1, save=save),
        "curve": lambda save: pl.training_curve(model, save=save),
        "distances": lambda save: pl.distance_preservation(
            model, expression, n_pairs=20, save=save
        ),
        "accuracy": lambda save: pl.accuracy_by_dimension(
            {"fembed": {2: [0.5, 0.6], 8: [0.7, 0.8]}, "raw": {2: [0.9, 0.8]}}, save=save
        ),
    }
    for name, draw in calls.items():
        draw(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 1000
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(calls)  # and nothing else
    assert pyplot.get_fignums() == []


def test_a_training_curve_does_not_run_backwards() -> None:
    """A fit that went on too long is taken up again at an earlier step."""
    history = [{"step": step, "loss": 1.0, "held_out": 2.0 + step} for step in (9, 20, 30, 15, 25)]
    ax = pl.training_curve({"history": history})
    for line in ax.lines:
        steps = np.diff(np.asarray(line.get_xdata(), float))
        assert not (steps < 0).any() and np.isnan(steps).any()


def test_a_training_curve_has_a_panel_for_each_kind_of_series() -> None:
    history = [
        {"step": k, "loss": 1.0, "held_out": None, "pearson_r": 0.5, "sample_rate": 0.1}
        for k in (1, 2, 3)
    ]
    ax = pl.training_curve({"history": history})
    assert [panel.get_ylabel() for panel in ax.figure.axes] == [
        "mean squared error", "Pearson r", "learning rate"
    ]  # fmt: skip
    matplotlib.pyplot.close("all")
    with pytest.raises(InputError, match="no history"):
        pl.training_curve(tiny_model())


def test_methods_are_named_at_their_lines_without_overlap() -> None:
    lines = {f"method {k}": {2: 0.8, 8: 0.9 + 1e-4 * k} for k in range(5)}
    ax = pl.accuracy_by_dimension(lines, ax=axes())
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 5
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pl.embedding([[1.0], [2.0]]), "Component 2"),
        (lambda: pl.embedding(np.zeros((0, 2))), "shape"),
        (lambda: pl.embedding([[np.nan, 1.0]]), "not finite"),
        (lambda: pl.embedding([[1e300, 1.0]]), "beyond 1e\\+39"),
        (lambda: pl.embedding(np.eye(2), ["a"]), "1 values to colour 2 samples"),
        (lambda: pl.embedding(np.eye(2), "label"), "cannot be looked up"),
        (lambda: pl.embedding(np.eye(2), legend="above"), "legend"),
        (lambda: pl.embedding(np.eye(2), save="map.doc"), "unknown ending"),
        (lambda: pl.embedding(np.eye(2), save="/proc/nowhere/map.png"), "cannot be written"),
        (lambda: pl.embedding(AnnData(np.eye(2))), "no obsm"),
        (lambda: pl.density(np.eye(2), limits=(1, 0)), "limits"),
        (lambda: pl.density_grid({}), "nothing to draw"),
        (lambda: pl.gene_landscape(tiny_model(), "TP53"), "not in the model"),
        (lambda: pl.gene_landscape(np.eye(2), "TP53"), "decoded by a model"),
        (lambda: pl.gene_map(tiny_model(), method="mds"), "not known"),
        (lambda: pl.similarity_landscape(tiny_model(), data()), "5 samples"),
        (lambda: pl.reconstruction(np.eye(2), np.eye(3)), "shape"),
        (lambda: pl.accuracy_by_dimension({}), "no accuracy"),
        (lambda: pl.accuracy_by_dimension(pd.DataFrame({"a": []})), "no column"),
    ],
)
def test_bad_input_is_one_clear_sentence(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
    matplotlib.pyplot.close("all")


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name, package=None: None)
    with pytest.raises(InputError, match=r'pip install "fembed\[plot\]"'):
        pl.embedding(np.eye(2))


def test_the_package_is_there_without_loading_matplotlib() -> None:
    code = (
        "import sys, fembed; fembed.pl; dir(fembed.pl); assert 'matplotlib' not in sys.modules;"
        "import fembed.pl.canvas, fembed.pl.maps, fembed.pl.panels, fembed.pl.landscapes;"
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(pl.__all__) <= set(dir(fembed.pl))


def test_a_backend_that_becomes_interactive_at_the_first_figure_stays_so() -> None:
    from fembed.pl import canvas

    size, interactive = matplotlib.rcParams["font.size"], matplotlib.is_interactive()
    try:
        with canvas.drawing():
            matplotlib.interactive(True)  # as a notebook's backend does when it is loaded
        assert matplotlib.is_interactive() and matplotlib.rcParams["font.size"] == size
    finally:
        matplotlib.interactive(interactive)
