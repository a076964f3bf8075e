"""Options of the command line, checked; messages name the option, not a field of FitConfig."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fembed.config import MAX_THREADS, MAX_WORKERS, FitConfig, checked_whole, is_number
from fembed.errors import InputError
from fembed.parallel import Workers

if TYPE_CHECKING:
    from fembed.data.expression import Expression
    from fembed.files.atomic import Place
    from fembed.sweeps.options import Grid
    from fembed.train.training_samples import TrainingSamples


def config(*, hidden: str = "100,50,50", **fields: Any) -> FitConfig:
    """The FitConfig of a command's options; ``hidden`` is ``"100,50,50"``, say.

    Raises
    ------
    InputError
        For an impossible value; the message begins with the option.
    """
    try:
        widths = tuple(int(width) for width in hidden.split(","))
    except ValueError:
        raise InputError(
            f"--hidden is '{hidden}'; give whole numbers with commas between, such as 100,50,50."
        ) from None
    try:
        return FitConfig(hidden=widths, **fields)
    except InputError as error:
        name, _, rest = str(error).partition(" ")
        if name not in fields and name != "hidden":
            raise
        raise InputError(f"--{name.replace('_', '-')} {rest}") from None


def check_threads(n_threads: int | None) -> None:
    """Raise InputError for an impossible number of threads."""
    config(n_threads=n_threads)


def workers(
    backend: str, scheduler: str | None, n_workers: int | None, n_threads: int | None
) -> Workers:
    """Where cases run; InputError for an impossible choice, in the words of the options."""
    check_choice("--backend", backend, ("local", "dask"))
    for option, value, most in (
        ("--n-workers", n_workers, MAX_WORKERS),
        ("--n-threads", n_threads, MAX_THREADS),
    ):
        if value is not None:
            checked_whole(option, value, 1, most)
    if backend == "dask" and scheduler is None:
        raise InputError("--backend dask needs --scheduler ADDRESS, such as tcp://10.0.0.1:8786.")
    if backend == "dask" and n_workers is not None:
        raise InputError("--n-workers is for local processes; a Dask cluster has its own.")
    if backend == "local" and scheduler is not None:
        raise InputError("--scheduler is for a Dask cluster; give --backend dask too.")
    return Workers(backend, scheduler, n_workers, n_threads)  # type: ignore[arg-type]  # checked


def training_samples(text: str | None) -> TrainingSamples:
    """A number of samples of at least two, or ``"all"``; InputError for anything else."""
    if text is None:
        return None
    if text == "all":
        return "all"
    return checked_whole("--training-samples", int(text) if text.isdecimal() else text, 2, 2**31)


def target_sum(text: str | None) -> Any:
    """``"1e4"`` as a number, ``"median"`` itself; InputError for anything else."""
    if text is None or text == "median":
        return text
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not (is_number(number) and number > 0):
        raise InputError(f"--target-sum is '{text}'; give a number above 0 such as 1e4, or median.")
    return number


def whole_numbers(option: str, text: str) -> list[int]:
    """``"2,8,32"`` as numbers of at least 1; InputError names the option."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise InputError(
            f"{option} is '{text}'; give whole numbers from 1 up with commas between, such as 2,8."
        )
    return numbers


def gene_names(text: str) -> list[str]:
    """``"TP53,EGFR"`` as names; InputError for none, or the same twice."""
    names = [name for word in text.split(",") if (name := word.strip())]
    if not names:
        raise InputError("--genes names no gene; give NAME,NAME,... or leave it out for all genes.")
    return different("--genes", names)


def different(option: str, genes: Sequence[str]) -> list[str]:
    """The names of genes that an option gives; InputError if one is there twice."""
    twice = [name for name, count in Counter(genes).items() if count > 1]
    if twice:
        raise InputError(f"{option} names '{twice[0]}' twice; name every gene once.")
    return list(genes)


def grid(weight_decay: str | None, gene_components: str | None, others: Sequence[str]) -> Grid:
    """The grid of a sweep's options: the two usual ones, and OPTION=V1,V2,... of any other."""
    from fembed.sweeps.options import Grid

    usual = {"weight_decay": weight_decay, "gene_components": gene_components}
    words = [(option, text) for option, text in usual.items() if text is not None]
    for text in others:
        option, equals, values = text.partition("=")
        if not equals or not values:
            raise InputError(f"--grid is '{text}'; give OPTION=V1,V2,... such as seed=0,1,2.")
        words.append((option, values))
    if not words:
        raise InputError(
            "There is nothing to vary; give --weight-decay 0,1e-6, --gene-components 10,50 or "
            "--grid OPTION=V1,V2,...."
        )
    return Grid.parse(words)


def limits(text: str | None) -> tuple[float, float] | None:
    """``"-5,5"`` as two numbers; InputError for anything else."""
    if text is None:
        return None
    try:
        low, high = (float(word) for word in text.split(","))
    except ValueError:
        low = high = 0.0
    if not (is_number(low) and is_number(high) and low < high):
        raise InputError(f"--limits is '{text}'; give LOW,HIGH such as -5,5.")
    return low, high


def label_columns(
    label: str | None, time: str | None, event: str | None, task: str | None
) -> list[str]:
    """The columns of what is predicted: one, or time and event."""
    if (time is None) != (event is None):
        raise InputError("Survival needs both --time and --event; give the other one too.")
    if time is not None and event is not None:
        if label is not None or task not in (None, "survival"):
            raise InputError("--time and --event are for survival; leave out --label and --task.")
        return [time, event]
    if task == "survival":
        raise InputError("Survival needs --time COLUMN and --event COLUMN.")
    if label is None:
        raise InputError("Give --label COLUMN (or --time and --event for survival).")
    return [label]


def check_choice(option: str, value: str, choices: Sequence[str]) -> None:
    """Raise InputError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise InputError(f"{option} is '{value}'; choose {' or '.join(choices)}.")


def check_request(
    output: str,
    endings: Sequence[str],
    data: str | None,
    columns: Sequence[str],
    *,
    model: str,
    overwrite: bool,
) -> tuple[str, Place]:
    """The ending of ``output`` and its place; InputError for what could not be shown or written.

    This is checked before anything is read; the columns are looked up once the data are read.
    """
    name = Path(output).name.lower()
    ending = next((end for end in endings if name.endswith(end)), None)
    if ending is None:
        known = " or ".join(endings)
        raise InputError(f"{output} has an unknown ending; give a file that ends in {known}.")
    if columns and data is None:
        raise InputError(f"The column '{columns[0]}' is read from the data; give --data FILE too.")
    from fembed.output import tables

    sources = [] if data is None else [data]
    return ending, tables.check_beside_model(output, model, overwrite, sources)


def figure_places(
    figures: Mapping[str, str | None],
    *,
    outputs: Mapping[str, Place],
    model: str,
    sources: Sequence[str],
    overwrite: bool,
) -> dict[str, Place]:
    """Where figures go, by their options; those that are not wanted are left out.

    Raises
    ------
    InputError
        A figure could not be drawn or written, or would replace another output.
    """
    from fembed.output import tables
    from fembed.pl import canvas

    places = {}
    for option, path in figures.items():
        if path is None:
            continue
        canvas.check_installed()
        canvas.check_output(path)
        place = tables.check_beside_model(path, model, overwrite, sources)
        places[option] = place
        refuse_same({**outputs, **places}, option)
    return places


def refuse_same(outputs: Mapping[str, Place], option: str) -> None:
    """Raise InputError if the output of ``option`` is also that of another option."""
    from fembed.files import paths

    here = outputs[option]
    for other, place in outputs.items():
        if other != option and paths.same(here.target, place.target):
            raise InputError(f"{option} and {other} are the same file, {here.path}; give two.")


def read_data(
    data: str | None,
    *,
    layer: str | None,
    use_raw: bool,
    transpose: bool | None,
    tx2gene: str | None,
) -> Expression | None:
    """The data, or None where no file was given."""
    if data is None:
        return None
    from fembed.data import readers

    return readers.read(data, layer=layer, use_raw=use_raw, transpose=transpose, tx2gene=tx2gene)
