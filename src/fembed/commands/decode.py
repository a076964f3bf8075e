"""``fembed decode``: expression anywhere in the map."""

from __future__ import annotations

from typing import Annotated

import typer

from fembed.commands import arguments as args
from fembed.output.terminal import errors_told


@errors_told()
def decode(
    model: args.ModelFolder,
    points: Annotated[
        str,
        typer.Argument(
            metavar="POINTS",
            help="Coordinates in the map: a .csv, .tsv or .parquet with the columns fembed_1, "
            "fembed_2, ..., or an .h5ad with obsm['X_fembed'].",
        ),
    ],
    output: args.TableOutput,
    genes: Annotated[
        str | None, typer.Option(help="Decode only these genes, NAME,NAME,...; by default all.")
    ] = None,
    scale: Annotated[
        str,
        typer.Option(
            help="Units of the written values: input (those of the training data) or model (the "
            "transformed scale); of a model of counts also cpm (counts per million) or log "
            "(log10(cpm + 1)).",
        ),
    ] = "input",
    depth: Annotated[
        float | None,
        typer.Option(
            help="Of a model of counts: what the expected counts of a sample add up to; by default "
            "each point has the size of the median training sample."
        ),
    ] = None,
    in_batch: args.InBatch = None,
    n_threads: args.Threads = None,
    overwrite: args.Overwrite = False,
    quiet: args.Quiet = False,
) -> None:
    """Predict expression at POINTS in the map of MODEL: one row per point, one column per gene."""
    import numpy as np

    from fembed import store
    from fembed.commands import describe, options
    from fembed.commands import points as points_table
    from fembed.data.transforms import MILLION
    from fembed.errors import InputError
    from fembed.output import tables

    options.check_choice("--scale", scale, ("input", "model", "cpm", "log"))
    if depth is not None and scale != "input":
        raise InputError("--depth is for counts; leave it out, or --scale.")
    place = tables.check_output(output, overwrite, sources=[points], model=model)
    options.check_threads(n_threads)
    trained = store.load(model)
    names, coordinates = points_table.read(points, trained.n_components)
    rows = trained.gene_rows(options.gene_names(genes)) if genes is not None else None
    if depth is not None or scale in ("cpm", "log"):
        total = MILLION if depth is None else depth
        values = trained.expected_counts(coordinates, total, rows, n_threads)
        if scale == "log":
            values = np.log10(values + np.float32(1.0))
    else:
        values = trained.decode(coordinates, rows, n_threads, in_batch=in_batch)
        of_scale = trained.preprocessing
        values = (of_scale.invert if scale == "input" else of_scale.unweighted)(values, rows)
    beyond = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if beyond.size:
        raise InputError(
            f"The point '{names[beyond[0]]}' in {points} lies so far from the map that its "
            "expression is beyond the range of 32-bit floats; give points in or near the map."
        )
    gene_names = trained.gene_names if rows is None else trained.gene_names[rows]
    tables.write(tables.ExpressionTable(names, gene_names, values), place)
    describe.show({"points": len(names), "genes": len(gene_names), "table": output}, quiet)
