"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help=".h5ad, .zarr, .csv or .tsv (also .gz), .parquet, .npy, .npz, .h5 or a 10x folder; "
        "samples x genes.",
    ),
]
ModelFolder = Annotated[str, typer.Argument(metavar="MODEL", help="A folder that fit wrote.")]
Layer = Annotated[str | None, typer.Option(help="Of an .h5ad or .zarr: this layer, not X.")]
Raw = Annotated[bool, typer.Option("--raw", help="Of an .h5ad or .zarr: raw, not X.")]
Transpose = Annotated[bool, typer.Option("--transpose", help="The file is genes x samples.")]
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
    str | None, typer.Option(help="Of a Dask cluster: its address, such as tcp://10.0.0.1:8786.")
]
WorkerCount = Annotated[
    int | None,
    typer.Option("--workers", help="Local processes; by default cores / threads. Each holds data."),
]
CaseThreads = Annotated[
    int | None, typer.Option("--threads", help="Threads a case; by default cores / workers.")
]
