"""``fembed report``: one page about a model."""

from __future__ import annotations

from typing import Annotated

import typer

from fembed.commands import arguments as args
from fembed.output.terminal import errors_told


@errors_told()
def report(
    model: args.ModelFolder,
    output: Annotated[str, typer.Option("--output", "-o", help="The page: an .html file.")],
    data: args.SampleData = None,
    label: args.ShownLabel = None,
    batch: Annotated[
        str | None, typer.Option(help="A column of obs with the batches, to check their effect.")
    ] = None,
    umap: Annotated[
        bool, typer.Option("--umap", help="Compare with UMAP beside PCA (the extra umap).")
    ] = False,
    title: Annotated[str | None, typer.Option(help="A title of the page.")] = None,
    palette: args.Palette = None,
    n_threads: args.Threads = None,
    layer: args.Layer = None,
    use_raw: args.UseRaw = False,
    transpose: args.Transpose = None,
    tx2gene: args.TxToGene = None,
    overwrite: args.Overwrite = False,
    quiet: args.Quiet = False,
) -> None:
    """Write one page about MODEL: map, training, quality compared with PCA, checks, settings."""
    from pathlib import Path

    from fembed import store
    from fembed.commands import describe, options
    from fembed.errors import InputError
    from fembed.evaluation.methods import umap_class
    from fembed.files import atomic
    from fembed.pl.chosen import colour_map
    from fembed.report import report_page

    columns = [*(label or []), *([batch] if batch is not None else [])]
    _, place = options.check_request(
        output, (".html",), data, columns, model=model, overwrite=overwrite
    )
    options.check_threads(n_threads)
    if palette is not None:
        colour_map(palette)
    if umap:
        if data is None:
            raise InputError("--umap compares maps of the data; give --data.")
        umap_class()  # says at once if it is not installed
    trained = store.load(model)
    expression = options.read_data(
        data, layer=layer, use_raw=use_raw, transpose=transpose, tx2gene=tx2gene
    )
    text = report_page(
        trained,
        expression,
        labels=label or [],
        batch=batch,
        palette=palette,
        umap=umap,
        title=title or f"Report: {Path(model).absolute().name}",
        model_path=model,
        n_threads=n_threads,
    )
    atomic.replace_file(place, text.encode())
    describe.show({"page": output, "megabytes": round(len(text.encode()) / 1e6, 1)}, quiet)
