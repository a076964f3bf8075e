"""``fembed plot``: the map as an interactive page or as a picture."""

from __future__ import annotations

from typing import Annotated

import typer

from fembed.commands import arguments as args
from fembed.output.terminal import errors_told


@errors_told()
def plot(
    model: args.ModelFolder,
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="An interactive page (.html), or .png, .pdf or .svg."),
    ],
    data: args.SampleData = None,
    label: args.ShownLabel = None,
    title: Annotated[str | None, typer.Option(help="A title above the map.")] = None,
    palette: args.Palette = None,
    n_threads: args.Threads = None,
    layer: args.Layer = None,
    use_raw: args.UseRaw = False,
    transpose: args.Transpose = None,
    tx2gene: args.TxToGene = None,
    overwrite: args.Overwrite = False,
    quiet: args.Quiet = False,
) -> None:
    """Draw the map of MODEL: an interactive page in one file (.html), or a picture."""
    from pathlib import Path

    from fembed import store
    from fembed.commands import describe, options
    from fembed.files import atomic
    from fembed.pl.chosen import colour_map
    from fembed.pl.interactive import map_page
    from fembed.pl.samples import map_samples
    from fembed.report.figures import map_file

    endings = (".html", ".png", ".pdf", ".svg")
    ending, place = options.check_request(
        output, endings, data, label or [], model=model, overwrite=overwrite
    )
    options.check_threads(n_threads)
    if palette is not None:
        colour_map(palette)
    trained = store.load(model)
    expression = options.read_data(
        data, layer=layer, use_raw=use_raw, transpose=transpose, tx2gene=tx2gene
    )
    samples = map_samples(trained, expression, label or [], palette=palette, n_threads=n_threads)
    title = title if title is not None else Path(model).absolute().name
    if ending == ".html":
        content = map_page(trained, samples, title=title, n_threads=n_threads).encode()
    else:
        content = map_file(samples, ending.removeprefix("."), title)
    atomic.replace_file(place, content)
    facts = {"samples": len(samples), "of_them_projected": int(samples.projected.sum())}
    describe.show({**facts, "map": output}, quiet)
