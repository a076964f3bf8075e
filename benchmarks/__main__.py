"""``python -m benchmarks COMMAND``: one command a question, see benchmarks/README.md."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cohorts import COHORTS, DATA_SETS, FOLDER
from benchmarks.report import RESULTS
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


def numbers(text: str, least: int = 1) -> tuple[int, ...]:
    """``2,8`` as (2, 8)."""
    try:
        found = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        found = ()
    if not found or min(found) < least:
        raise typer.BadParameter(f"{text!r} is not a list of whole numbers such as 2,8")
    return found


def data_sets(text: str) -> tuple[str, ...]:
    """Names with commas, each of a known data set."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [name for name in found if name not in DATA_SETS]
    if unknown or not found:
        raise typer.BadParameter(f"{text!r} is not a list of {', '.join(DATA_SETS)}")
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


@app.command()
def protocol(
    rivals: Annotated[
        str, typer.Option(help="Names with commas; see --list-rivals.")
    ] = "fembed,pca,umap,opentsne,pacmap,nmf,autoencoder",
    variant: Annotated[
        list[str] | None,
        typer.Option(help="fembed otherwise: NAME:option=value,... (again for more of them)."),
    ] = None,
    data: Annotated[str, typer.Option(help="Data sets, with commas.")] = ",".join(DATA_SETS),
    folder: Annotated[Path, typer.Option(help="Where their files are.")] = FOLDER,
    dims: Annotated[str, typer.Option(help="Dimensions of the map.")] = "2,4,8,16,32,64",
    folds: Annotated[int, typer.Option(min=2, help="Parts that the samples are cut into.")] = 5,
    most_folds: Annotated[
        int | None, typer.Option(min=1, help="Measure only the first so many of them.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Of folds and rivals.")] = "0,1,2",
    workers: Annotated[int, typer.Option(min=1, help="Cases at a time.")] = 1,
    threads: Threads = 2,
    iterations: Annotated[
        int, typer.Option(min=10, help="Of the thesis recipe's training.")
    ] = 100_000,
    in_engine: Annotated[
        bool, typer.Option("--in-engine", help="The thesis recipe in fembed's engine: hours less.")
    ] = False,
    epochs: Annotated[float, typer.Option(help="Of the published Python model.")] = 10.0,
    most_genes: Annotated[
        int | None, typer.Option(min=2, help="A trial on so many genes, kept apart.")
    ] = None,
    cases: Annotated[Path, typer.Option(help="Where every case is kept when it is done.")] = RESULTS
    / "protocol.jsonl",
    redo: Annotated[
        bool, typer.Option("--redo", help="Drop these rivals' cases first, on all data.")
    ] = False,
    only_report: Annotated[
        bool, typer.Option("--only-report", help="Measure nothing; sum up what is there.")
    ] = False,
    list_rivals: Annotated[
        bool, typer.Option("--list-rivals", help="Show the rivals and leave.")
    ] = False,
    output: Output = None,
) -> None:
    """Maps of new samples by fembed and its rivals; can be stopped and taken up again."""
    from benchmarks.adapters import registry
    from benchmarks.protocol import ProtocolOptions, run

    if list_rivals:
        for entry in registry.RIVALS.values():
            print(
                f"{entry.key:12s} {entry.defaults}{f' ({why})' if (why := entry.why_not()) else ''}"
            )
        raise typer.Exit
    entries = registry.chosen([part.strip() for part in rivals.split(",") if part.strip()])
    entries = [registry.otherwise(entry, iterations, in_engine, epochs) for entry in entries]
    entries += [registry.variant(text) for text in variant or []]
    options = ProtocolOptions(
        rivals=tuple(entries),
        data=data_sets(data),
        folder=folder,
        dims=numbers(dims),
        folds=folds,
        most_folds=most_folds,
        seeds=numbers(seeds, least=0),
        workers=workers,
        threads=threads,
        most_genes=most_genes,
        cases=cases,
        redo=redo,
        only_report=only_report,
    )
    raise typer.Exit(run(options, output))


@app.command()
def time_to_quality(
    threads: Threads = 2,
    data: Annotated[str, typer.Option(help="The data set.")] = "tcga_11_cohorts",
    folder: Annotated[Path, typer.Option(help="Where its file is.")] = FOLDER,
    components: Annotated[int, typer.Option(min=1, help="Dimensions of the map.")] = 2,
    iterations: Annotated[
        int, typer.Option(min=10, help="Of the published recipe in our engine.")
    ] = 100_000,
    torch_iterations: Annotated[
        int, typer.Option(min=1, help="Of both sides, to compare their curves and speeds.")
    ] = 1_000,
    full_torch: Annotated[
        bool, typer.Option("--full-torch", help="All iterations in plain PyTorch too: hours.")
    ] = False,
    fast_steps: Annotated[
        str, typer.Option(help="Lengths of the fast fits, beside the default one.")
    ] = "100,200,400,800,1600,3200",
    most_genes: Annotated[int | None, typer.Option(min=2, help="A trial on so many genes.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the fold and of all that is random.")] = 0,
    state: Annotated[Path, typer.Option(help="Where a run that is stopped goes on from.")] = RESULTS
    / "published-run.npz",
    output: Output = None,
) -> None:
    """Loss and held-out accuracy against seconds: the published recipe and the fast one."""
    from benchmarks.time_to_quality import QualityTimeOptions, run

    options = QualityTimeOptions(
        data=data_sets(data)[0],
        folder=folder,
        n_components=components,
        iterations=iterations,
        torch_iterations=torch_iterations,
        full_torch=full_torch,
        fast_steps=numbers(fast_steps),
        threads=threads,
        seed=seed,
        most_genes=most_genes,
        state=state,
    )
    raise typer.Exit(run(options, output))


@app.command()
def scale(
    threads: Threads = 2,
    parts: Annotated[
        str, typer.Option(help="growth, rates, small (1,000 x 60,600), large (10,344 x 19,962).")
    ] = "growth,rates,small,large",
    samples: Annotated[int, typer.Option(min=16, help="Of the largest matrix.")] = 10_344,
    genes: Annotated[int, typer.Option(min=16, help="Of the largest matrix.")] = 19_962,
    published: Annotated[
        str, typer.Option(help="Samples and genes of the workload that took 72 hours.")
    ] = "1000,60600",
    halvings: Annotated[int, typer.Option(min=1, help="Of the samples, and of the genes.")] = 4,
    epochs: Annotated[float, typer.Option(help="Passes of a fit whose growth is measured.")] = 1.0,
    components: Annotated[str, typer.Option(help="Dimensions.")] = "2,4,8,16,32,64",
    gene_components: Annotated[
        str, typer.Option(help="Sizes of the gene embedding.")
    ] = "2,10,25,50,75,100,1000",
    iterations: Annotated[
        int, typer.Option(min=1, help="Of the published recipe on the two workloads.")
    ] = 100_000,
    state: Annotated[
        Path, typer.Option(help="Folder where runs that are stopped go on from.")
    ] = RESULTS,
    output: Output = None,
) -> None:
    """Seconds and memory by size on simulated data, and the two published workloads."""
    from benchmarks.scale import PARTS, ScaleOptions, run

    wanted = tuple(part.strip() for part in parts.split(",") if part.strip())
    if not wanted or set(wanted) - set(PARTS):
        raise typer.BadParameter(f"{parts!r} is not a list of {', '.join(PARTS)}")
    shape = numbers(published)
    if len(shape) != 2:
        raise typer.BadParameter(f"{published!r} is not a number of samples and one of genes")
    options = ScaleOptions(
        parts=wanted,
        n_samples=samples,
        n_genes=genes,
        halvings=halvings,
        epochs=epochs,
        components=numbers(components),
        gene_components=numbers(gene_components),
        threads=threads,
        published=(shape[0], shape[1]),
        iterations=iterations,
        state=state,
    )
    raise typer.Exit(run(options, output))


@app.command()
def panels(
    threads: Threads = 2,
    data: Data = COHORTS,
    dims: Annotated[str, typer.Option(help="Dimensions of the map.")] = "2,8,16,32",
    genes: Annotated[
        str, typer.Option(help="Numbers of genes shown, beside 5 to 100 %.")
    ] = "1,5,10,25,100,250,500,1000,2500",
    percents: Annotated[str, typer.Option(help="Shares of the genes shown.")] = "5,10,25,50,75,100",
    folds: Annotated[int, typer.Option(min=1, max=5, help="Of the five, the first so many.")] = 5,
    draws: Annotated[int, typer.Option(min=1, help="Random panels of each size and fold.")] = 3,
    output: Output = None,
) -> None:
    """Accuracy and imputation error against the share of genes shown."""
    from benchmarks.panels import PanelOptions, run

    options = PanelOptions(
        data=data,
        dims=numbers(dims),
        counts=numbers(genes),
        percents=numbers(percents),
        folds=folds,
        draws=draws,
        threads=threads,
    )
    raise typer.Exit(run(options, output))


@app.command()
def masked(
    threads: Threads = 2,
    data: Data = COHORTS,
    dims: Annotated[str, typer.Option(help="Dimensions of the map.")] = "2,8",
    percents: Annotated[str, typer.Option(help="Of the entries, taken away.")] = "1,5,10,25,50",
    draws: Annotated[int, typer.Option(min=1, help="Of the entries, at each share.")] = 3,
    output: Output = None,
) -> None:
    """Error of entries taken out of the training matrix, against their share."""
    from benchmarks.masked import MaskedOptions, run

    options = MaskedOptions(
        data=data, dims=numbers(dims), percents=numbers(percents), draws=draws, threads=threads
    )
    raise typer.Exit(run(options, output))


@app.command()
def confidence(
    threads: Threads = 2,
    data: Data = COHORTS,
    dims: Annotated[str, typer.Option(help="Dimensions of the map.")] = "2,8",
    left_out: Annotated[
        str, typer.Option(help="Parts of labels whose samples are left out, one after another.")
    ] = "THCA,KIRC,PRAD",
    folds: Annotated[int, typer.Option(min=1, max=5, help="Of the five, the first so many.")] = 5,
    output: Output = None,
) -> None:
    """Coverage of ellipses, false alarms, and tumour types that training never saw."""
    from benchmarks.confidence import ConfidenceOptions, run

    options = ConfidenceOptions(
        data=data,
        dims=numbers(dims),
        left_out=tuple(part.strip() for part in left_out.split(",") if part.strip()),
        folds=folds,
        threads=threads,
    )
    raise typer.Exit(run(options, output))


@app.command()
def results(
    folder: Annotated[Path, typer.Option(help="Where the result files are.")] = RESULTS,
    page: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page; benchmarks/RESULTS.md if not.")
    ] = None,
) -> None:
    """Write RESULTS.md and its figures from the result files."""
    from benchmarks.results import PAGE, run

    raise typer.Exit(run(folder, page or PAGE))


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="The result file of before.")],
    b: Annotated[Path, typer.Argument(help="The result file of now.")],
    relative: Annotated[
        float, typer.Option(min=0.0, help="Share of A that B may be worse by.")
    ] = 0.10,
    absolute: Annotated[
        float | None,
        typer.Option(min=0.0, help="What B may be worse by; a number for each unit if not given."),
    ] = None,
) -> None:
    """Exit with 1 if something is worse by more than a relative and an absolute limit."""
    from benchmarks.compare import run

    raise typer.Exit(run(a, b, relative, absolute))


if __name__ == "__main__":
    try:
        app()
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
