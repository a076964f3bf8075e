"""An interactive map of samples: one HTML file that needs no other file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fembed.data.annotations import one_column
from fembed.errors import InputError
from fembed.files import atomic
from fembed.inference.matching import as_expression
from fembed.model import Model
from fembed.pl import page
from fembed.pl.categories import Categories, categories
from fembed.pl.chosen import Palette, remember, with_palette
from fembed.pl.columns import in_order
from fembed.pl.payload import map_payload
from fembed.pl.samples import MapSamples, map_samples

#: In the order in which they run; the last one begins.
MAP_SCRIPTS = (
    "decoder.js",
    *("map_state.js", "map_marks.js", "map_view.js", "map_landscape.js", "map_names.js"),
    *("map_panel.js", "map_pointer.js", "map_results.js", "map_start.js"),
)


def interactive_map(
    model: Model,
    data: Any = None,
    *,
    labels: Mapping[str, Any] | list[str] | str | None = None,
    palette: Palette | None = None,
    title: str = "fembed map",
    measured_genes: int | None = None,
    n_threads: int | None = None,
    save: str | os.PathLike[str] | None = None,
) -> page.Page:
    """The map of a model as one HTML page: hover, colour, select, and decode where one clicks.

    Everything happens in the page: the decoder is in it, so that any gene can be searched and
    any place of the map decoded, and nothing is ever requested or sent.

    Parameters
    ----------
    model : Model
    data : Expression or AnnData, optional
        Samples by name: those of the training bring labels and measured expression, others are
        projected and drawn as triangles. In the units of the training data; AnnData keeps the
        colours of its labels in ``uns["<column>_colors"]``.
    labels : str, list of str, or columns by name (mapping, DataFrame)
        Columns of the data's ``obs``; or the columns themselves, one value for each training
        sample, in the model's order (then for each projected sample, in the data's).
    palette : str, list or mapping, optional
        Colours of the labels' categories, as for `fembed.pl.embedding`.
    title : str
        Shown above the map.
    measured_genes : int, optional
        How many genes carry their measured expression, the most variable first; by default as
        many as fit into 2 MB. All genes can be coloured by decoded expression.
    n_threads : int, optional
        Threads of the engine.
    save : path, optional
        Also write the page to this file, replacing an earlier one.

    Returns
    -------
    Page
        A str, the page. A notebook shows it in a frame.

    Raises
    ------
    InputError
        Labels that do not fit, data that cannot be projected, or Jinja2 not installed.

    Examples
    --------
    >>> page = fembed.pl.interactive_map(model, adata, labels="kind")
    >>> page.startswith("<!doctype html>")  # page alone, at the end of a cell, shows the map
    True
    """
    given = data
    if data is not None:
        data = as_expression(model, data)
    columns = _columns(labels)
    named = columns if isinstance(columns, list) else []
    if named and data is None:
        raise InputError(f"The label column '{named[0]}' needs data; give data with it.")
    samples = map_samples(model, data, named, palette=palette, n_threads=n_threads)
    if isinstance(columns, Mapping):
        checked = _checked_columns(columns, samples.names)
        coloured = {name: with_palette(column, palette) for name, column in checked.items()}
        samples = replace(samples, labels=coloured)
    for name in named:
        remember(given, name, samples.labels[name], palette)
    text = map_page(model, samples, title=title, measured_genes=measured_genes, n_threads=n_threads)
    if save is not None:
        atomic.replace_file(save, text.encode())
    return page.Page(text)


def map_page(model: Model, samples: MapSamples, *, title: str, **options: Any) -> str:
    """The page of `interactive_map` for samples that are at hand."""
    data = map_payload(model, samples, title=title, **options)
    return page.render("map.html", scripts=map_scripts(), title=title, data=map_data(data))


def map_scripts() -> dict[str, str]:
    """The scripts that the map's part of a page needs."""
    return {"map": "\n".join(map(page.web_text, MAP_SCRIPTS))}


def map_data(payload: dict[str, Any]) -> Any:
    """A map's payload as text that a template leaves as it is."""
    from markupsafe import Markup

    return Markup(page.json_for_script(payload))


def _columns(labels: Any) -> Mapping[str, Any] | list[str]:
    """Names of columns, or columns by name, of what a caller may give as labels."""
    if labels is None:
        return []
    if isinstance(labels, str):
        return [labels]
    if isinstance(labels, Mapping):
        return labels
    if hasattr(labels, "columns"):  # a table
        return {str(name): one_column(labels, str(name), "The labels") for name in labels.columns}
    if hasattr(labels, "name") and hasattr(labels, "array"):  # a Series
        return {str(labels.name): labels}
    named = list(labels)
    if not all(isinstance(name, str) for name in named):
        raise InputError("The labels are values without a name; give columns by name.")
    return named


def _checked_columns(columns: Mapping[str, Any], names: Any) -> dict[str, Categories]:
    checked, n = {}, len(names)
    for name, values in columns.items():
        if not isinstance(values, Categories):
            values = categories(in_order(values, names), str(name))
        column = values
        if len(column) != n:
            raise InputError(
                f"The labels '{name}' are {len(column)} for {n} samples; give one each."
            )
        checked[str(name)] = column
    return checked
