"""``fembed demo``: the tour."""

from __future__ import annotations

from typing import Annotated

import typer

from fembed.commands.arguments import Quiet, Threads
from fembed.terminal import TrainingBar, errors_told


@errors_told()
def demo(
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Keep model and tables in this new folder.")
    ] = None,
    components: Annotated[int, typer.Option(help="Dimensions of the map.")] = 2,
    epochs: Annotated[
        float | None, typer.Option(help="Passes over the matrix; by default chosen by the data.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split and of the training.")] = 0,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """The whole job on 700 blood cells that scanpy ships: train, place a held-out fifth."""
    from fembed import demo as tour
    from fembed.commands import describe, options

    config = options.config(n_components=components, epochs=epochs, seed=seed, n_threads=threads)
    tour.check_output(output)
    cells = tour.read_cells()
    with TrainingBar(quiet) as bar:
        result = tour.tour(cells, config, progress=bar)
    if output is not None:
        tour.save(result, output)
    describe.show(result.facts, quiet)
