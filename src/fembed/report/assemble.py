"""From a model, and perhaps its data, to the report's page."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Sequence
from typing import Any

from fembed.data.expression import Expression
from fembed.errors import InputError
from fembed.evaluation.methods import umap_class
from fembed.facts import counted
from fembed.files import atomic
from fembed.inference.matching import as_expression
from fembed.model import Model
from fembed.pl import canvas, page
from fembed.pl.chosen import Palette
from fembed.pl.interactive import map_data, map_scripts
from fembed.pl.payload import map_payload
from fembed.pl.samples import MapSamples, map_samples
from fembed.report import figures
from fembed.report.checks import OUTLIER, all_checks
from fembed.report.comparison import Comparison, compare
from fembed.threads import limited

#: The paper that the method is from.
PAPER = (
    "Trofimov A, Cohen JP, Bengio Y, Perreault C, Lemieux S. Factorized embeddings learns rich "
    "and biologically meaningful embedding spaces using factorized tensor decomposition. "
    "Bioinformatics 2020; 36 (Supplement 1): i417–i426. doi:10.1093/bioinformatics/btaa488"
)
_PACKAGES = ("numpy", "scipy", "scikit-learn", "matplotlib")
_TITLES = {
    "n_components": "components",
    "hidden": "hidden layers",
    "validation_fraction": "held-out share",
    "validation_entries": "entries held out",
    "n_threads": "threads",
}


def report_page(
    model: Model,
    data: Any = None,
    *,
    labels: Sequence[str] | str = (),
    batch: str | None = None,
    palette: Palette | None = None,
    umap: bool = False,
    title: str = "fembed report",
    model_path: str | None = None,
    n_threads: int | None = None,
    save: str | os.PathLike[str] | None = None,
) -> page.Page:
    """One self-contained HTML page about a model.

    Parameters
    ----------
    model : Model
    data : Expression or AnnData, optional
        Samples by name: those of the training bring their measured expression and labels, all
        others are projected. In the units of the training data; not changed.
    labels : str or sequence of str
        Columns of the data's ``obs``; the first one colours the static maps.
    batch : str, optional
        A column of the data's ``obs`` with the batches, for the check of batch effects.
    palette : str, list or mapping, optional
        Colours of the labels' categories, as for `fembed.pl.embedding`.
    umap : bool
        Compare with UMAP beside PCA; needs the extra ``umap`` and the data.
    title : str
    model_path : str, optional
        Where the model is from; its last part is shown with the settings.
    n_threads : int, optional
        Threads of the engine and of the libraries.
    save : path, optional
        Also write the page to this file, replacing an earlier one.

    Returns
    -------
    Page
        A str, the page. A notebook shows it in a frame.

    Raises
    ------
    InputError
        A column that is not there, data that cannot be projected, or a package of the extra
        ``plot`` that is not installed.
    """
    canvas.check_installed()
    if umap:
        if data is None:
            raise InputError("UMAP is computed from the data; give data with it, or leave it out.")
        umap_class()  # before any long work
    page.check_installed()
    scripts = map_scripts()
    if data is not None:
        data = as_expression(model, data)
    labels = [labels] if isinstance(labels, str) else list(labels)
    columns = list(dict.fromkeys([*labels, *([] if batch is None else [batch])]))
    with limited(n_threads, blas=True):
        samples = map_samples(model, data, columns, palette=palette, n_threads=n_threads)
        label = samples.labels[labels[0]] if labels else None
        batches = None if batch is None else samples.labels[batch]
        comparison = compare(model, samples, labels, umap)
        payload = map_payload(model, samples, title=title, n_threads=n_threads)
        text = page.render(
            "report.html",
            scripts=scripts,
            title=title,
            data=map_data(payload),
            subtitle=_subtitle(model, samples),
            tiles=_tiles(model, comparison),
            checks=all_checks(model, samples, batches, label, batch or ""),
            comparison=comparison,
            n_projected=int(samples.projected.sum()),
            **_figures(model, samples, comparison),
            **_provenance(model, data, model_path),
        )
    if save is not None:
        atomic.replace_file(save, text.encode())
    return page.Page(text)


def _subtitle(model: Model, samples: MapSamples) -> str:
    text = (
        f"A factorized embedding of {model.n_samples:,} samples and {model.n_genes:,} genes in "
        f"{counted(model.n_components, 'dimension')}"
    )
    new = int(samples.projected.sum())
    return text + (f", and {counted(new, 'projected sample')}." if new else ".")


def _tiles(model: Model, comparison: Comparison) -> list[tuple[str, str, str]]:
    """The numbers at the top of the page: title, value, and a note for comparison."""
    training = model.training
    tiles = [("samples", f"{model.n_samples:,}", "in training")]
    tiles.append(("genes", f"{model.n_genes:,}", f"{model.gene_components} components each"))
    if "explained_variance" in training:
        beside = training.get("pca_explained_variance")
        note = "" if beside is None else f"PCA of the same dimension: {beside:.1%}"
        of = "variance" if model.count_model is None else "deviance"
        tiles.append((f"{of} explained", f"{training['explained_variance']:.1%}", note))
    accuracy = [row for row in comparison.rows if "accuracy" in row.what]
    if accuracy:
        row = next((r for r in accuracy if r.what.endswith("projected samples")), accuracy[0])
        what, _, which = row.what.partition(", ")
        note = f"{which.partition(',')[0]}; PCA: {row.of_pca}"
        tiles.append((what, row.of_model, note))
    if "mse" in training:
        held_out = training.get("held_out_mse")
        note = "" if held_out is None else f"held out: {held_out:.3g}"
        what = "mean squared error" if model.count_model is None else "mean deviance"
        tiles.append((what, f"{training['mse']:.3g}", note))
    if "seconds" in training:
        threads = training.get("n_threads")
        note = "" if threads is None else counted(int(threads), "thread")
        tiles.append(("training time", _duration(float(training["seconds"])), note))
    return tiles


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _figures(model: Model, samples: MapSamples, comparison: Comparison) -> dict[str, Any]:
    """The pictures by the names that the template knows."""
    pca, umap = comparison.pca, comparison.umap
    return {
        "map_picture": figures.map_picture(samples),
        "training_picture": figures.training_picture(model),
        "stopped": model.training.get("stopped"),
        "reconstruction": figures.reconstruction_picture(model, samples),
        "genes": figures.gene_picture(model),
        "loss_picture": figures.loss_picture(samples, OUTLIER),
        "pair_picture": (
            None if pca is None or pca.shape[1] < 2 else figures.pair_picture(samples, pca, umap)
        ),
    }


def _provenance(model: Model, data: Expression | None, path: str | None) -> dict[str, Any]:
    """Settings, versions and how to cite."""
    settings = [
        (_TITLES.get(name, name.replace("_", " ")), _setting(value))
        for name, value in model.config.to_dict().items()
    ]
    told = ", ".join(model.preprocessing.told())
    settings.append(("layers", told) if told else ("transform", model.preprocessing.transform))
    files = [] if path is None else [("model", _last_part(path))]
    files += [] if data is None else [("data", _last_part(data.origin))]
    version = importlib.metadata.version
    versions = [("fembed", version("fembed")), ("Python", platform.python_version())]
    versions += [(name, version(name)) for name in _PACKAGES]
    versions.append(("system", platform.platform()))
    return {
        "settings": settings,
        "files": files,
        "versions": versions,
        "date": time.strftime("%Y-%m-%d"),
        "paper": PAPER,
        "software": f"fembed {version('fembed')}: factorized embeddings of expression matrices.",
    }


def _last_part(path: str) -> str:
    """The name of a file or folder: a page that is passed on tells nobody's folders."""
    return os.path.basename(os.path.normpath(path)) if os.path.exists(path) else path


def _setting(value: Any) -> str:
    if value is None:
        return "chosen by the data or the recipe"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-".join(map(str, value)) if isinstance(value, list) else str(value)
