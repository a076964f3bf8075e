"""The interactive map and the report as a reader meets them, driven in headless Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fembed.data.expression import Expression
from fembed.model import Model
from fembed.pl.categories import categories
from fembed.pl.interactive import interactive_map, map_page
from fembed.pl.samples import MapSamples, map_samples
from fembed.report import report_page
from tests.chromium import Opened, browser
from tests.tiny_model import N_GENES, tiny_model

#: The models are random, so their losses are not those of these values.
pytestmark = pytest.mark.filterwarnings("ignore:The values of the training samples")

SCRIPT, IMAGE = "<script>alert(1)</script>", '"><img src=x onerror=alert(2)>'
END = "</script><script>alert(3)</script>"
PLACES = np.array([[-2, -1], [2, -1], [-2, 1], [2, 1], [0, 0.4]], np.float32)


def hostile() -> tuple[Model, Expression]:
    """A model and data in which samples, labels, genes and columns have names like code."""
    model = tiny_model()
    parameters = replace(model.parameters, sample_embedding=PLACES.copy())
    samples = np.array([SCRIPT, IMAGE, END, "$x_1$ & <b>bold</b>", "plain"], dtype=object)
    genes = np.array([IMAGE, SCRIPT, *model.gene_names[2:]], dtype=object)
    model = replace(model, parameters=parameters, sample_names=samples, gene_names=genes)
    values = np.abs(np.random.default_rng(0).normal(size=(7, N_GENES))).astype(np.float32)
    values[1, 0] = np.nan
    labels = pd.DataFrame(
        {
            "<i>kind</i>": [SCRIPT, IMAGE, SCRIPT, IMAGE, "plain", SCRIPT, "plain"],
            "batch": list("aabbabb"),
        }
    )
    data = Expression.adopt(
        values, [*samples, "new one", END + "2"], genes, origin="the data", obs=labels
    )
    return model, data


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def map_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "map.html"
    model, data = hostile()
    interactive_map(model, data, labels=["<i>kind</i>", "batch"], title=END, save=path)
    return path


@pytest.fixture(scope="module")
def one_page(chromium: Any, map_file: Path) -> Iterator[Opened]:
    page = Opened(chromium, map_file)  # once: drawing without a graphics card starts slowly
    yield page
    page.close()


@pytest.fixture
def opened(one_page: Opened) -> Iterator[Opened]:
    """The page as it was opened; nothing that a test does may raise, ask or tell anyone."""
    one_page.page.select_option(".colour-by", "label:0")
    one_page.page.click(".all")
    one_page.page.locator(".plot").focus()
    for key in ("Escape", "0", "-"):
        one_page.page.keyboard.press(key)
    for button in one_page.page.locator(".kinds button[aria-pressed=false]").all():
        button.click()
    one_page.page.click("[data-tool=move]")
    yield one_page
    assert (one_page.errors, one_page.requests, one_page.dialogs) == ([], [], [])


def test_names_that_look_like_code_are_text(opened: Opened) -> None:
    page = opened.page
    assert page.title() == END
    assert page.inner_text("h1") == END
    assert page.locator(".legend .entry-name").all_inner_texts() == [IMAGE, SCRIPT, "plain"]
    assert page.inner_text(".legend-title") == "<i>kind</i>"
    for sample, name in enumerate([SCRIPT, IMAGE, END, "$x_1$ & <b>bold</b>"]):
        page.mouse.move(*opened.pixel(*PLACES[sample]))
        page.wait_for_selector(".tip:not([hidden])")
        page.locator(".tip strong").get_by_text(name, exact=True).wait_for()
    assert page.locator("img, script script, .tip b").count() == 0


def test_hover_tells_name_labels_and_loss(opened: Opened) -> None:
    page = opened.page
    page.mouse.move(*opened.pixel(*PLACES[4]))
    page.wait_for_selector(".tip:not([hidden])")
    model, _ = hostile()
    told = page.inner_text(".tip").split("\n")
    assert told[0].startswith("plain") and "training" in " ".join(told[:2])
    assert told[told.index("<i>kind</i>") + 1] == "plain"
    assert told[told.index("batch") + 1] == "a"
    assert float(told[told.index("loss") + 1]) == pytest.approx(model.sample_loss[4], rel=5e-3)


def test_the_legend_hides_shows_and_singles_out(opened: Opened) -> None:
    page = opened.page
    everyone = opened.shown()
    assert everyone == list(range(7))
    first = page.locator(".legend button").nth(0)  # the label IMAGE: samples 1 and 3
    first.click()
    assert first.get_attribute("aria-pressed") == "false"
    assert opened.shown() == [0, 2, 4, 5, 6]
    page.click(".all")
    assert opened.shown() == everyone
    page.locator(".legend button").nth(2).dblclick()  # "plain"
    assert opened.shown() == [4, 6]
    page.click(".all")
    page.locator(".kinds button").nth(1).click()  # the projected samples
    assert opened.shown() == [0, 1, 2, 3, 4]


def test_projected_samples_have_markers_of_their_own(opened: Opened) -> None:
    shapes = opened.page.evaluate("Array.from(window.fembedMap.marks.shapes)")
    assert shapes == [0, 0, 0, 0, 0, 9, 9]  # circles; triangles with a border


def test_what_is_hidden_leaves_the_colours_of_the_others(opened: Opened) -> None:
    before = opened.colours()
    entry = opened.page.locator(".legend button").nth(0)
    entry.hover()
    opened.page.wait_for_timeout(300)
    entry.click()
    opened.page.wait_for_timeout(300)  # the pointer is still on it
    alpha = opened.page.evaluate("Array.from(window.fembedMap.marks.colours)")[3::4]
    shown = opened.shown()
    assert shown == [0, 2, 4, 5, 6]
    assert {alpha[k] for k in shown} == {222}
    assert [opened.colours()[k] for k in shown] == [before[k] for k in shown]


def test_a_sample_is_found_with_its_neighbours(opened: Opened) -> None:
    page = opened.page
    page.fill(".sample-search", "bold")
    assert page.locator("#sample-matches li").all_inner_texts() == ["$x_1$ & <b>bold</b>"]
    page.keyboard.press("Enter")
    page.wait_for_selector(".profile li")
    samples = map_samples(*hostile())
    away = np.linalg.norm(samples.coordinates - samples.coordinates[3], axis=1)
    nearest = [k for k in np.argsort(away, kind="stable") if k != 3]
    assert page.inner_text(".sample-name") == samples.names[3]
    told = page.locator(".neighbours .neighbour-name").all_inner_texts()
    assert told == [samples.names[k] for k in nearest]
    numbers = page.locator(".neighbours .gene-value").all_inner_texts()
    np.testing.assert_allclose([float(x) for x in numbers], away[nearest], rtol=5e-3)
    box = page.locator(".plot").bounding_box()
    x, y = opened.pixel(*samples.coordinates[3])
    assert box["x"] < x < box["x"] + box["width"] and box["y"] < y < box["y"] + box["height"]


def test_a_selection_is_saved_and_compared_with_the_rest(opened: Opened) -> None:
    page = opened.page
    samples = map_samples(*hostile(), ["<i>kind</i>", "batch"])
    page.keyboard.down("Shift")  # a lasso, whatever the tool
    opened.drag((-2.2, -1.2), (-1.7, -1.2), (-1.7, 1.2), (-2.2, 1.2))
    page.keyboard.up("Shift")
    with page.expect_download() as saved:
        page.click(".save")
    table = pd.read_csv(saved.value.path(), float_precision="round_trip")
    assert table["sample"].tolist() == [SCRIPT, END]
    assert table["<i>kind</i>"].tolist() == [SCRIPT, SCRIPT]
    places = table[["fembed 1", "fembed 2"]].to_numpy()
    np.testing.assert_array_equal(places.astype(np.float32), PLACES[[0, 2]])

    model, _ = hostile()
    decoded = model.decode(samples.coordinates).astype(float)
    for source, values in (("measured", samples.measured.astype(float)), ("decoded", decoded)):
        page.click(f".compare-{source}")
        page.locator(".compared .note").get_by_text(f"{source} expression").wait_for()
        with page.expect_download() as saved:
            page.click(".save-genes")
        told = pd.read_csv(saved.value.path()).set_index("gene")
        some, rest = values[[0, 2]], values[[1, 3, 4, 5, 6]]
        difference = np.nanmean(some, axis=0) - np.nanmean(rest, axis=0)
        count = np.isfinite(values).sum(axis=0)
        squares = np.nansum((some - np.nanmean(some, axis=0)) ** 2, axis=0)
        squares += np.nansum((rest - np.nanmean(rest, axis=0)) ** 2, axis=0)
        effect = difference / np.sqrt(squares / (count - 2))
        told = told.loc[list(model.gene_names)]
        np.testing.assert_allclose(told["difference"], difference, atol=2e-3)
        np.testing.assert_allclose(told["effect size d"], effect, rtol=0.02, atol=0.02)
    assert page.locator(".compared .gene-name").first.inner_text() == told["effect size d"].idxmax()


def test_keys_move_zoom_and_decode(opened: Opened) -> None:
    page = opened.page
    page.locator(".plot").focus()
    x, y = opened.pixel(0, 0)
    page.keyboard.press("ArrowRight")
    assert opened.pixel(0, 0) == pytest.approx((x - 60, y))
    page.keyboard.press("+")
    wide = opened.pixel(1, 0)[0] - opened.pixel(0, 0)[0]
    for key in "0-":
        page.keyboard.press(key)
    assert wide > 1.2 * (opened.pixel(1, 0)[0] - opened.pixel(0, 0)[0])
    assert opened.pixel(0, 0) == pytest.approx((x, y))
    page.keyboard.press("Enter")
    assert page.locator(".profile li").count() > 0


def test_a_dark_page_is_dark(chromium: Any, map_file: Path) -> None:
    page = Opened(chromium, map_file, color_scheme="dark")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.page.evaluate(ground) == "rgb(20, 24, 29)"
    page.page.keyboard.press("d")
    assert page.page.evaluate(ground) == "rgb(255, 255, 255)"
    page.close()


def test_on_a_phone_map_and_result_are_both_in_view(chromium: Any, map_file: Path) -> None:
    page = Opened(
        chromium, map_file, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page.page.touchscreen.tap(*page.pixel(*PLACES[4]))
    page.page.wait_for_selector(".neighbours li")
    page.page.wait_for_timeout(800)  # it scrolls there
    for wanted in (".plot", ".sample-name", ".tools"):
        box = page.page.locator(wanted).bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 844
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    assert page.page.evaluate("document.documentElement.scrollWidth") == 390
    page.close()


def test_names_mark_clusters_and_do_not_collide(chromium: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model = tiny_model()
    centres = 8.0 * rng.normal(size=(40, 2))
    codes = np.repeat(np.arange(40), 25)
    points = (centres[codes] + rng.normal(size=(1000, 2))).astype(np.float32)
    samples = MapSamples(
        names=np.array([f"s{k}" for k in range(1000)], dtype=object),
        coordinates=points,
        loss=np.ones(1000),
        outlier=np.zeros(1000),
        projected=np.zeros(1000, bool),
        labels={
            "type": categories([f"a rather long type {k}" for k in codes], "type"),
            "batch": categories(rng.integers(4, size=1000).astype(str), "batch"),
        },
    )
    path = tmp_path / "map.html"
    path.write_text(map_page(model, samples, title="names"), encoding="utf-8")
    page = Opened(chromium, path)
    first = page.names()
    boxes = page.page.evaluate(
        """() => window.fembedMap.names().map(({ text, x, y, right, down, size }) => {
            const pen = document.querySelector("canvas.front").getContext("2d");
            pen.font = `600 ${size}px system-ui, sans-serif`;
            const [left, top] = window.fembedMap.toPixel(x, y), w = pen.measureText(text).width;
            return [left + right - w / 2, top + down - size / 2, left + right + w / 2,
                    top + down + size / 2];
        })"""
    )
    assert 5 < len(first) < 40
    for k, one in enumerate(boxes):
        for other in boxes[:k]:
            apart = one[2] <= other[0] or one[0] >= other[2]
            assert apart or one[3] <= other[1] or one[1] >= other[3]
    lost = {f"a rather long type {k}" for k in range(40)} - {*first}
    found = set()
    for name in sorted(lost)[:6]:  # near by there is room for most of them
        page.page.mouse.move(*page.pixel(*centres[int(name.split()[-1])]))
        for _ in range(4):
            page.page.mouse.wheel(0, -120)
        found |= lost & {*page.names()}
        page.page.keyboard.press("0")
    assert len(found) >= 4
    page.page.keyboard.press("0")
    page.page.select_option(".colour-by", "label:1")
    assert page.names() == []  # batches are mixed, and mark no cluster
    assert page.errors == []
    page.close()


def test_a_gene_is_found_and_colours_the_map(opened: Opened) -> None:
    page = opened.page
    page.fill(".gene-search", "script>al")
    assert page.locator("#gene-matches li").all_inner_texts() == [SCRIPT]
    page.keyboard.press("Enter")
    page.wait_for_selector(".ramp:not([hidden])")
    assert page.inner_text(".legend-title") == SCRIPT
    assert page.inner_text(".source-note").startswith("Decoded expression, log10(x + 1).")
    assert len(set(opened.colours())) > 1
    page.check("input[value=measured]")
    assert page.inner_text(".source-note").startswith("Measured expression")
    back = "document.querySelector('canvas.back').toDataURL()"
    without = page.evaluate(back)
    page.check(".landscape input")
    page.wait_for_timeout(200)
    assert page.evaluate(back) != without
    page.fill(".gene-search", "no such gene")
    assert page.inner_text("#gene-matches") == "No such gene in the model."


def test_a_missing_entry_is_grey(opened: Opened) -> None:
    opened.page.fill(".gene-search", IMAGE)
    opened.page.keyboard.press("Enter")
    opened.page.check("input[value=measured]")
    grey = [
        sample for sample, colour in enumerate(opened.colours()) if colour == (0xBD, 0xBD, 0xBD)
    ]
    assert grey == [1]
    first = opened.drawn()[0]
    assert first == 1, "it is drawn first, where it hides nothing"


def test_the_lasso_lists_and_copies_names(opened: Opened) -> None:
    opened.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened.page.click("[data-tool=lasso]")
    west, east, south, north = -2.2, -1.7, -1.2, 1.2
    opened.drag((west, south), (east, south), (east, north), (west, north), (west, south))
    opened.page.wait_for_selector(".selected-names:not([hidden])")
    # No projected sample has a place there.
    new = map_samples(*hostile()).coordinates[5:]
    assert not ((np.abs(new[:, 0] + 2) < 0.3) & (np.abs(new[:, 1]) < 1.2)).any()
    names = f"{SCRIPT}\n{END}"
    assert opened.page.input_value(".selected-names") == names
    assert opened.page.inner_text(".selection-note") == f"2 samples: {SCRIPT} 2."
    opened.page.click(".copy")
    opened.page.locator(".copy").get_by_text("copied").wait_for()
    assert opened.page.evaluate("navigator.clipboard.readText()") == names
    assert opened.page.inner_text(".profile") == ""  # a lasso that closes is no click
    opened.page.click(".clear")
    assert opened.page.locator(".selected-names").is_hidden()


def test_a_click_decodes_the_profile_there(opened: Opened) -> None:
    model, _ = hostile()
    place = np.array([[-0.7, -0.6]], np.float32)
    opened.page.mouse.click(*opened.pixel(*place[0]))
    opened.page.wait_for_selector(".profile li")
    difference = model.decode(place)[0] - model.decode(model.sample_embedding).mean(axis=0)
    order = np.argsort(-difference)
    few = N_GENES // 2
    wanted = [*order[:few], *order[::-1][:few]]
    names = opened.page.locator(".profile .gene-name").all_inner_texts()
    assert names == [str(model.gene_names[j]) for j in wanted]
    texts = opened.page.locator(".profile .gene-value").all_inner_texts()
    told = [float(text.replace("−", "-")) for text in texts]
    np.testing.assert_allclose(told, difference[wanted], atol=0.02)
    samples = map_samples(*hostile())
    nearest = np.linalg.norm(samples.coordinates - place, axis=1).argmin()
    note = opened.page.inner_text(".profile-note")
    assert f"the nearest sample is {samples.names[nearest]}." in note


def test_the_page_can_run_nothing_else_and_reach_nothing(chromium: Any, map_file: Path) -> None:
    page = Opened(chromium, map_file)
    page.page.evaluate(
        """() => {
            window.ran = false;
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
            const holder = document.createElement("div");
            holder.innerHTML = "<img src=x onerror='window.ran = true'>";
            document.body.append(holder);
        }"""
    )
    refused = page.page.evaluate(
        "fetch('http://127.0.0.1:9/').then(() => 'sent', (error) => error.message)"
    )
    page.page.wait_for_timeout(100)
    assert refused == "Failed to fetch"
    assert page.page.evaluate("window.ran") is False
    assert page.requests == page.refused and len(page.refused) == 1  # the image; no fetch at all
    assert sum("Content Security Policy" in text for text in page.errors) >= 3
    page.close()


@pytest.mark.parametrize("d", [1, 3])
def test_other_dimensions_decode_too(chromium: Any, tmp_path: Path, d: int) -> None:
    model = model_of_dimension(d)
    interactive_map(model, save=tmp_path / "map.html")
    page = Opened(chromium, tmp_path / "map.html")
    assert page.page.locator(".axes").is_visible() == (d > 2)
    y = model.sample_loss[2] if d == 1 else model.sample_embedding[2, 1]
    page.page.mouse.click(*page.pixel(model.sample_embedding[2, 0], y))
    page.page.wait_for_selector(".profile li")
    assert f"At the sample {model.sample_names[2]}" in page.page.inner_text(".profile-note")
    assert (page.errors, page.requests) == ([], [])
    page.close()


def model_of_dimension(d: int) -> Model:
    """`tiny_model` with ``d`` components."""
    from fembed.parameters import network_size

    rng, model = np.random.default_rng(d), tiny_model()

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    p = model.parameters
    parameters = replace(
        p,
        sample_embedding=draw(p.n_samples, d),
        network=draw(network_size(d, p.gene_components, p.hidden)),
        gene_loading=draw(p.n_genes, d),
    )
    return replace(model, parameters=parameters)


def test_the_report_shows_names_as_text_and_is_complete(chromium: Any, tmp_path: Path) -> None:
    model, data = hostile()
    path = tmp_path / "report.html"
    report_page(model, data, labels=["<i>kind</i>"], batch="batch", title=IMAGE, save=path)
    page = Opened(chromium, path)
    assert page.page.inner_text("header h1") == IMAGE
    text = page.page.inner_text("main")
    for wanted in ("Checks", "Dead units", "Batch effect of batch", "btaa488", "fembed", "PCA"):
        assert wanted in text
    assert page.page.locator("main figure img").count() >= 5
    loaded = page.page.evaluate(
        "Array.from(document.images).every((i) => i.src.startsWith('data:') && i.naturalWidth > 0)"
    )
    assert loaded
    fits = "document.documentElement.scrollWidth <= window.innerWidth"
    assert page.page.evaluate(fits)
    page.page.set_viewport_size({"width": 390, "height": 844})
    assert page.page.evaluate("window.innerWidth") == 390 and page.page.evaluate(fits)
    page.page.set_viewport_size({"width": 1366, "height": 800})
    page.page.mouse.move(*page.pixel(*PLACES[1]))
    page.page.wait_for_selector(".tip:not([hidden])")
    assert page.page.inner_text(".tip strong") == IMAGE
    assert (page.errors, page.requests, page.dialogs) == ([], [], [])
    page.close()
