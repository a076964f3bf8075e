"""``python -m benchmarks kernel|train|project|quality``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cohorts import COHORTS
from fembed.errors import InputError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Threads = Annotated[int, typer.Option(min=1, help="Threads of the engine and of its rivals.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="The JSON file; benchmarks/results/<name>.json if not."),
]
Data = Annotated[Path, typer.Option(help="The matrix; tcga_11_cohorts.h5ad for the bars.")]


def numbers(text: str) -> tuple[int, ...]:
    """``2,8`` as (2, 8)."""
    try:
        found = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        found = ()
    if not found or min(found) < 1:
        raise typer.BadParameter(f"{text!r} is not a list of whole numbers such as 2,8")
    return found


@app.callback()
def main() -> None:
    """Measure fembed against its bars; a table and a JSON file each."""


@app.command()
def kernel(
    threads: Threads = 2,
    samples: Annotated[int, typer.Option(min=64, help="Samples simulated.")] = 10_344,
    genes: Annotated[int, typer.Option(min=256, help="Genes simulated.")] = 19_962,
    repeats: Annotated[int, typer.Option(min=1, help="Of step and product.")] = 15,
    torch_repeats: Annotated[int, typer.Option(min=1, help="Of fembed and PyTorch.")] = 5,
    gene_components: Annotated[
        str, typer.Option(help="Gene embeddings at which PyTorch is the rival.")
    ] = "100,1000",
    every_isa: Annotated[
        bool, typer.Option("--every-isa", help="All instruction sets, not only the best.")
    ] = False,
    output: Output = None,
) -> None:
    """The block step against OpenBLAS' product and against plain PyTorch."""
    from benchmarks.kernel import KernelOptions, run

    options = KernelOptions(
        n_samples=samples,
        n_genes=genes,
        threads=threads,
        repeats=repeats,
        torch_repeats=torch_repeats,
        gene_components=numbers(gene_components),
        every_isa=every_isa,
    )
    raise typer.Exit(run(options, output))


@app.command()
def train(
    threads: Threads = 2,
    samples: Annotated[int, typer.Option(min=64, help="Samples simulated.")] = 10_344,
    genes: Annotated[int, typer.Option(min=256, help="Genes simulated.")] = 19_962,
    epochs: Annotated[float, typer.Option(help="Passes over the simulated matrix.")] = 6.0,
    repeats: Annotated[int, typer.Option(min=1, help="Of the command on real data.")] = 3,
    data: Data = COHORTS,
    output: Output = None,
) -> None:
    """A fit as a whole: speed, memory, and the command on real data."""
    from benchmarks.train import TrainOptions, run

    options = TrainOptions(
        n_samples=samples,
        n_genes=genes,
        epochs=epochs,
        threads=threads,
        repeats=repeats,
        data=data,
    )
    raise typer.Exit(run(options, output))


@app.command()
def project(
    threads: Threads = 2,
    dims: Annotated[str, typer.Option(help="Dimensions of the map.")] = "2,8,32",
    new: Annotated[int, typer.Option(min=1, help="Samples to place.")] = 1_000,
    epochs: Annotated[float, typer.Option(help="Of the model's short training.")] = 3.0,
    repeats: Annotated[int, typer.Option(min=1, help="Of the placing.")] = 3,
    data: Data = COHORTS,
    output: Output = None,
) -> None:
    """Samples placed a second."""
    from benchmarks.project import ProjectOptions, run

    options = ProjectOptions(
        dims=numbers(dims), n_new=new, epochs=epochs, threads=threads, repeats=repeats, data=data
    )
    raise typer.Exit(run(options, output))


@app.command()
def quality(
    threads: Threads = 2,
    data: Data = COHORTS,
    label: Annotated[str, typer.Option(help="Column of the classes.")] = "label",
    group: Annotated[str, typer.Option(help="Column whose groups stay together.")] = "patient",
    dims: Annotated[str, typer.Option(help="Dimensions of the map.")] = "2,8",
    seeds: Annotated[int, typer.Option(min=1, help="Repeats of all folds, each seeded anew.")] = 1,
    output: Output = None,
) -> None:
    """Accuracy on held-out samples: fembed, PCA and UMAP."""
    from benchmarks.quality import QualityOptions, run

    options = QualityOptions(
        data=data, label=label, group=group, dims=numbers(dims), seeds=seeds, threads=threads
    )
    raise typer.Exit(run(options, output))


if __name__ == "__main__":
    try:
        app()
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
