"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="An expression matrix: a text table of any format (also .gz, .bz2, .zip), .h5ad, "
        ".zarr, .parquet, .npy, .npz, .h5, a 10x folder, or a folder or quoted pattern of files "
        "with one sample each.",
    ),
]
NewData = Annotated[
    str | None,
    typer.Argument(
        metavar="[DATA]",
        help="An expression matrix, as fit takes it; not needed if --with gives another layer.",
        show_default=False,
    ),
]
ModelFolder = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="The folder of a model: the output of fit, for example."),
]
Layer = Annotated[
    str | None, typer.Option(help="For .h5ad and .zarr: read this layer instead of X.")
]
UseRaw = Annotated[
    bool, typer.Option("--use-raw", help="For .h5ad and .zarr: read raw instead of X.")
]
Transpose = Annotated[
    bool | None,
    typer.Option(
        "--transpose/--no-transpose",
        help="Read the file as genes x samples, or as samples x genes; by default its format or "
        "its names decide.",
        show_default=False,
    ),
]
TxToGene = Annotated[
    str | None,
    typer.Option(
        "--tx2gene",
        metavar="FILE",
        help="For DATA of transcripts: sum them to genes by this table of transcripts and their "
        "genes.",
    ),
]
QueryTransform = Annotated[
    str | None,
    typer.Option(
        "--transform",
        metavar="match",
        help="match: if the genes' means say that DATA is in other units than the training data "
        "(log2, log10 or natural logarithms, counts per million, counts), convert it first. By "
        "default it is only warned of.",
    ),
]
GeneMap = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="A table of two columns (.csv, .tsv): the name of a gene in DATA, and in the model.",
    ),
]
With = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="[NAME=]FILE",
        help="Another measurement of the samples, such as protein=prot.csv: a layer that is called "
        "NAME, or else as its file. May be repeated.",
    ),
]
WithTransform = Annotated[
    list[str] | None,
    typer.Option(
        "--with-transform",
        metavar="NAME=TRANSFORM",
        help="The transform of a layer of --with; by default its values decide.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(help="Number of threads; by default OMP_NUM_THREADS or all processors."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that already exist.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show neither progress nor a summary.")]
Label = Annotated[
    list[str] | None, typer.Option(help="A column of obs to copy into the table; may be repeated.")
]
TableOutput = Annotated[
    str, typer.Option("--output", "-o", help="A .csv, .tsv (also .gz), .parquet or .h5ad file.")
]
SampleData = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="An expression matrix. Training samples, found by name, get their labels and measured "
        "expression from it; other samples are placed in the map.",
    ),
]
ShownLabel = Annotated[
    list[str] | None, typer.Option("--label", help="A column of obs to colour by; may be repeated.")
]
Palette = Annotated[
    str | None,
    typer.Option(help="A colour map of matplotlib for the labels' categories, such as tab20."),
]
Backend = Annotated[
    str, typer.Option(help="Where the work runs: local (processes on this machine) or dask.")
]
Scheduler = Annotated[
    str | None, typer.Option(help="The address of a Dask cluster, such as tcp://10.0.0.1:8786.")
]
WorkerCount = Annotated[
    int | None,
    typer.Option("--n-workers", help="Number of local processes; by default cores / threads."),
]
CaseThreads = Annotated[
    int | None, typer.Option("--n-threads", help="Threads per fit; by default cores / workers.")
]
Epochs = Annotated[
    float | None, typer.Option(help="Passes over the matrix; by default chosen from the data.")
]
Groups = Annotated[
    str | None,
    typer.Option(
        help="A column, such as the patient; samples that share a value are never divided between "
        "training and test."
    ),
]
Hidden = Annotated[str, typer.Option(help="Widths of the network's hidden layers.")]
Iterations = Annotated[
    int | None, typer.Option(help="Number of training steps, instead of --epochs.")
]
LearningRate = Annotated[
    float | None, typer.Option(help="Learning rate of the network and the genes; by default 0.005.")
]
LogJson = Annotated[
    str | None, typer.Option(help="Write one JSON object per line to this file; - is stdout.")
]
Recipe = Annotated[
    str,
    typer.Option(
        help="How to train: fast (this project's recipe) or published (the thesis chapter's)."
    ),
]
Scale = Annotated[
    str,
    typer.Option(
        help="Units of the written values: input (those of the training data) or model (the "
        "transformed scale)."
    ),
]
Transform = Annotated[
    str | None,
    typer.Option(
        help="log10: log10(x + 1), for TPM and other linear values; cpm: counts per million, then "
        "log10(x + 1), for raw counts; none: for values that are on a log scale, centred or within "
        "0..1 already. By default log10, and nothing with the likelihood counts.",
        show_default=False,
    ),
]
Batch = Annotated[
    list[str] | None,
    typer.Option(
        "--batch",
        metavar="COLUMN",
        help="The column of obs with the samples' batches, which are batches of the model: their "
        "shifts are removed. May be repeated, once for each batch column of the model.",
    ),
]
Covariate = Annotated[
    list[str] | None,
    typer.Option(
        "--covariate",
        metavar="COLUMN",
        help="A column of obs with a covariate of the model, whose effect is removed. May be "
        "repeated.",
    ),
]
InBatch = Annotated[
    list[str] | None,
    typer.Option(
        "--in-batch",
        metavar="NAME",
        help="Give expression as it would be measured in this batch of the model, or none for the "
        "common level. May be repeated, once for each batch column of the model.",
    ),
]
