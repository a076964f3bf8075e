"""The pictures of the gallery: every figure at its defaults, on real data.

    python docs/images/gallery.py [the folder with the data sets]

They are written to docs/images/gallery, small enough to be kept with the pages. Where Chromium and
playwright are installed, the map page and the report are photographed, too.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import matplotlib
import numpy as np

matplotlib.use("Agg")

import fembed
from fembed import pl
from fembed.pl import canvas
from fembed.report import report_page

FOLDER = Path(__file__).with_name("gallery")
DATA = Path(__file__).parents[3] / "shared" / "data"
DOTS = 100  # per inch; the pages show pictures about seven inches wide
WINDOW = {"width": 1200, "height": 720}
PHONE = {"width": 390, "height": 760}


def draw(name: str, figure: Callable[..., Any], *data: Any, **options: Any) -> None:
    """One figure as a .png of few colours."""
    path = FOLDER / f"{name}.png"
    figure(*data, **options, save=path)
    shrink(path)


def shrink(path: Path) -> None:
    """Keep 256 colours: a figure has few, and the file a third of the size."""
    from PIL import Image

    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def maps(training: anndata.AnnData, new: anndata.AnnData) -> None:
    """Maps, landscapes, genes, and how good they are."""
    model = fembed.tl.model(training)
    draw("embedding", pl.embedding, training, "label")
    draw("embedding_list", pl.embedding, training, ["tissue", "ESR1"])
    draw("density", pl.density, training)
    draw("projection", pl.projection, training, new, "cohort")
    draw("gene_landscape", pl.gene_landscape, model, "ESR1", training)
    draw("similarity_landscape", pl.similarity_landscape, model, new[0])
    draw("gene_map", pl.gene_map, model)
    draw("training_curve", pl.training_curve, model)
    draw("reconstruction", pl.reconstruction, model, training)
    draw("distance_preservation", pl.distance_preservation, model, training)


def new_samples(training: anndata.AnnData, new: anndata.AnnData) -> None:
    """Labels carried over, and aberrant genes."""
    model = fembed.tl.model(training)
    found = fembed.annotate(model, new, training.obs["label"])
    draw("confusion", pl.confusion, found, new.obs["label"])
    draw("reliability", pl.reliability, found, new.obs["label"])


def aberrations(training: anndata.AnnData, new: anndata.AnnData) -> None:
    """Genes that are far from what all others say; a few are planted, as there are hardly any."""
    model = fembed.tl.model(training)
    planted = new.copy()
    values = np.asarray(planted.X)
    rng = np.random.default_rng(0)
    for row in range(5):
        genes = rng.choice(planted.n_vars, 3 * (row + 1), replace=False)
        values[row, genes] += rng.choice([-12.0, 12.0], len(genes))  # log2
    planted.X = values
    found = fembed.aberrant_genes(model, planted)
    draw("aberrant", pl.aberrant, found)
    draw("volcano", pl.volcano, found)


def grids() -> None:
    """A grid of models, and accuracy by dimension."""
    config = fembed.FitConfig(recipe="published", iterations=4000, hidden=(50, 25))
    grid = {"weight_decay": [0, 1e-5, 1e-4], "gene_components": [5, 20]}
    cells = anndata.read_h5ad(DATA / "bulk_stemcells_4study.h5ad")
    found = fembed.sweep(
        cells, grid, "study", config=config, transform="none", held_out=False, classifier_steps=200
    )
    draw("density_grid", pl.density_grid, found)
    draw("scatter_grid", pl.scatter_grid, found)
    draw("accuracy_table", pl.accuracy_table, found)
    breast = anndata.read_h5ad(DATA / "bulk_breast_nki150.h5ad")
    ours = fembed.FactorizedEmbedding(preprocessing="none")
    tested = fembed.evaluate(breast, "ER", dims=(2, 4, 8), embedding=ours)
    draw("accuracy_by_dimension", pl.accuracy_by_dimension, tested)


def pages(training: anndata.AnnData, data: anndata.AnnData) -> None:
    """The map page and the report, as a browser shows them."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("no Chromium: the pages are not photographed")
        return
    from playwright.sync_api import sync_playwright

    model = fembed.tl.model(training)
    files = {name: FOLDER / f"{name}.html" for name in ("map", "report")}
    pl.interactive_map(
        model, data, labels=["label", "cohort"], title="TCGA, 11 cohorts", save=files["map"]
    )
    report_page(model, data, labels=["label"], title="TCGA, 11 cohorts", save=files["report"])
    arguments = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_playwright() as api:
        started = api.chromium.launch(executable_path=browser, args=arguments)
        for name, window, dark, act in (
            ("map", WINDOW, False, True),
            ("map_dark", PHONE, True, True),
            ("report", WINDOW, False, False),
        ):
            scheme = "dark" if dark else "light"
            page = started.new_page(viewport=window, color_scheme=scheme)
            page.goto(files[name.partition("_")[0]].absolute().as_uri())
            page.wait_for_selector("#fembed-map[data-ready=yes]")
            if act:
                page.fill(".sample-search", str(model.sample_names[10]))
                page.keyboard.press("Enter")
                page.locator(".plot").focus()
                page.keyboard.press("0")
            page.wait_for_timeout(1200)
            page.screenshot(path=FOLDER / f"{name}.png")
            shrink(FOLDER / f"{name}.png")
        started.close()
    for file in files.values():
        file.unlink()


def main() -> None:
    """Fit one map, and draw everything."""
    canvas.DOTS_PER_INCH = DOTS
    FOLDER.mkdir(exist_ok=True)
    data = anndata.read_h5ad(DATA / "tcga_11_cohorts.h5ad")
    patients = np.unique(data.obs["patient"].astype(str))
    chosen = np.random.default_rng(0).choice(patients, len(patients) // 5, replace=False)
    held_out = np.isin(data.obs["patient"].astype(str), chosen)
    training, new = data[~held_out].copy(), data[held_out].copy()
    fembed.tl.fit(training, transform="none")
    fembed.tl.project(new, training)
    maps(training, new)
    new_samples(training, new)
    pages(training, data)
    aberrations(training, new)
    grids()


if __name__ == "__main__":
    DATA = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    main()
