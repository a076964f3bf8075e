"""``fembed demo``: the tour."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from fembed.commands import arguments as args
from fembed.output.terminal import TrainingBar, errors_told


@errors_told()
def demo(
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", help="Keep the model, the tables and the report in this new folder."
        ),
    ] = None,
    n_components: Annotated[int, typer.Option(help="Dimensions of the map.")] = 2,
    epochs: args.Epochs = None,
    seed: Annotated[int, typer.Option(help="Seed of the split and of the training.")] = 0,
    n_threads: args.Threads = None,
    browser: Annotated[
        bool, typer.Option("--open", help="Open the report in the browser.")
    ] = False,
    quiet: args.Quiet = False,
) -> None:
    """Show fembed on 700 blood cells: train a map, place a held-out fifth, write a report."""
    import webbrowser

    from fembed import demo as tour
    from fembed.commands import describe, options
    from fembed.files import atomic
    from fembed.pl import canvas, page
    from fembed.report import report_page

    config = options.config(
        n_components=n_components, epochs=epochs, seed=seed, n_threads=n_threads
    )
    place = None if output is None else tour.check_output(output)
    page.check_installed()  # before the training, as what it draws with
    canvas.check_installed()
    cells = tour.read_cells()
    with TrainingBar(quiet) as bar:
        result = tour.tour(cells, config, callback=bar)
    title = "fembed demo: 700 blood cells"
    report = report_page(
        result.model, cells, labels=[tour.LABELS], title=title, n_threads=n_threads
    )
    path = Path(output or tempfile.mkdtemp(prefix="fembed_demo_")).absolute() / tour.REPORT
    if place is None:
        atomic.replace_file(path, report.encode())
    else:
        tour.save(result, report, place)
    describe.show({**result.facts, "report": str(path)}, quiet)
    if browser:
        webbrowser.open(path.as_uri())
