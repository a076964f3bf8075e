"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="An expression matrix: a text table of any format (also .gz, .bz2, .zip), .h5ad, "
        ".zarr, .parquet, .npy, .npz, .h5, a 10x folder, or a folder or quoted pattern of files of "
        "one sample each.",
    ),
]
ModelFolder = Annotated[str, typer.Argument(metavar="MODEL", help="A folder that fit wrote.")]
Layer = Annotated[str | None, typer.Option(help="Of an .h5ad or .zarr: this layer, not X.")]
UseRaw = Annotated[bool, typer.Option("--use-raw", help="Of an .h5ad or .zarr: raw, not X.")]
Transpose = Annotated[
    bool | None,
    typer.Option(
        "--transpose/--no-transpose",
        help="The file is genes x samples, or is not; by default as its format or its names say.",
        show_default=False,
    ),
]
TxToGene = Annotated[
    str | None,
    typer.Option(
        "--tx2gene",
        metavar="FILE",
        help="DATA are transcripts, summed to genes by this table of transcripts and their genes.",
    ),
]
Threads = Annotated[
    int | None, typer.Option(help="Threads; OMP_NUM_THREADS or all processors by default.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")]
Label = Annotated[
    list[str] | None, typer.Option(help="A column of obs to carry into the table; repeatable.")
]
TableOutput = Annotated[
    str, typer.Option("--output", "-o", help="A .csv, .tsv (also .gz), .parquet or .h5ad file.")
]
SampleData = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Samples by name: the training's bring labels and measured expression, others are "
        "placed in the map.",
    ),
]
ShownLabel = Annotated[
    list[str] | None, typer.Option("--label", help="A column of obs to colour by; repeatable.")
]
Backend = Annotated[
    str, typer.Option(help="Where cases run: local (processes of this machine) or dask.")
]
Scheduler = Annotated[
    str | None, typer.Option(help="The address of a Dask cluster, such as tcp://10.0.0.1:8786.")
]
WorkerCount = Annotated[
    int | None,
    typer.Option("--n-workers", help="Local processes; by default cores / threads."),
]
CaseThreads = Annotated[
    int | None, typer.Option("--n-threads", help="Threads per case; by default cores / workers.")
]
Epochs = Annotated[
    float | None, typer.Option(help="Passes over the matrix; by default chosen by the data.")
]
Groups = Annotated[
    str | None, typer.Option(help="Samples that share this (a patient) are tested together.")
]
Hidden = Annotated[str, typer.Option(help="Widths of the hidden layers.")]
Iterations = Annotated[int | None, typer.Option(help="Steps, instead of epochs.")]
LearningRate = Annotated[
    float | None, typer.Option(help="Learning rate of the network and the genes (0.005).")
]
LogJson = Annotated[
    str | None, typer.Option(help="One JSON object per line to this file; - is stdout.")
]
Recipe = Annotated[str, typer.Option(help="fast or published.")]
Scale = Annotated[
    str, typer.Option(help="input: the units of the training data; model: the model's scale.")
]
Transform = Annotated[
    str,
    typer.Option(help="log10 (of x + 1), cpm (then log10), or none: log, centred or 0..1 values."),
]
