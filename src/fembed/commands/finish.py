"""The outputs of a fit: checked before it starts, and written so that a kill loses none of them.

The model is written first, then the table; then the checkpoint is removed. After a kill, the same
command finishes what is absent: without a model it trains, from the checkpoint if there is one;
with a model of this very fit (it holds the fit's checksum) it writes the other outputs and trains
nothing.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fembed import store
from fembed.errors import InputError
from fembed.files import arrayfile, atomic, paths, temporary
from fembed.output import tables
from fembed.output.log import check_log
from fembed.train import checkpoint

if TYPE_CHECKING:
    from fembed.config import FitConfig
    from fembed.data.expression import Expression
    from fembed.data.preprocess import Preprocessing
    from fembed.model import Model
    from fembed.train.batch_shifts import Design


@dataclass(frozen=True)
class FitOutputs:
    """Where a fit writes.

    Attributes
    ----------
    model, table : Place
        ``table`` is None if no table is wanted, or if a run that was killed has written it already.
    checkpoint : Path
    unfinished : bool
        Whether there is a model already, perhaps of this fit, but another output is missing.
    """

    model: atomic.Place
    table: atomic.Place | None
    checkpoint: Path
    unfinished: bool

    def finished(
        self,
        expression: Expression,
        preprocessing: Preprocessing,
        config: FitConfig,
        labels: Sequence[str],
        design: Design | None = None,
    ) -> Model | None:
        """The model that is there, if it is of this very fit; None where there is none.

        Raises
        ------
        InputError
            The model is of another fit, and may not be replaced.
        """
        if not self.unfinished:
            return None
        model = store.load(self.model.path)
        same = checkpoint.is_of(model, expression, preprocessing, config, design=design)
        if not (same and set(labels) <= set(model.labels)):
            store.check_output(self.model.path)
        return model

    def write(self, model: Model, table: Callable[[], tables.Table]) -> None:
        """Write the model and the table, and remove the checkpoint; InputError for what cannot be.

        ``table`` makes the table once the model is safe, since that may take long.

        What another process wrote meanwhile is not replaced: the outputs of this fit are then kept
        under other names, which the error lists.
        """
        told: list[InputError] = []
        try:
            if not self.unfinished:
                store.save(model, self.model)
        except atomic.KeptElsewhere as error:
            told.append(error)
        except InputError as error:
            if not self.checkpoint.exists():
                raise
            raise InputError(
                f"{str(error).rstrip('.')}; the training is kept in {self.checkpoint}, from which "
                "the same command resumes."
            ) from error
        try:
            if self.table is not None:
                tables.write(table(), self.table)
        except InputError as error:  # reported together with the model's error
            told.append(error)
        if all(isinstance(error, atomic.KeptElsewhere) for error in told):
            checkpoint.discard(self.checkpoint, model)
        if told:
            raise _all_told(told)


def _all_told(errors: Sequence[InputError]) -> InputError:
    """One error that reports the errors of several outputs and names every place."""
    if len(errors) == 1:
        return errors[0]
    late = [error for error in errors if isinstance(error, atomic.KeptElsewhere)]
    if len(late) < len(errors):
        return InputError("; ".join(str(error).rstrip(".") for error in errors) + ".")
    written = " and ".join(paths.shown_path(error.path) for error in late)
    kept = " and ".join(str(error.kept) for error in late)
    return InputError(
        f"Another process wrote {written} while this one worked, and they were not replaced; the "
        f"results of this one are kept as {kept}: rename them, or remove them."
    )


def save(model: Model, place: atomic.Place) -> None:
    """Write a model that took long to make, for commands that keep no checkpoint as a fit does.

    Where its place cannot be written after all (the disk is full), the model is kept in the
    system's folder for temporary files, if that can be written, and the error says where.

    Raises
    ------
    InputError
        The model is not in its place.
    """
    try:
        store.save(model, place)
    except atomic.KeptElsewhere:
        raise
    except InputError as error:
        kept = _kept_aside(model, place.target.name)
        if kept is None:
            raise
        raise InputError(
            f"{str(error).rstrip('.')}; the model is kept as {kept} for now: move it from there."
        ) from error


def _kept_aside(model: Model, name: str) -> Path | None:
    """Where the model is now; None if it could not be written there either."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="fembed_"))
    except OSError:
        return None
    try:
        store.save(model, folder / name)
    except InputError:
        temporary.remove(folder)
        return None
    return folder / name


def check(
    model: str,
    embedding: str | None,
    log: str | None,
    *,
    labels: Sequence[str],
    n_components: int,
    sources: Sequence[str],
    overwrite: bool,
) -> FitOutputs:
    """Raise InputError if a fit could not write one of its outputs, before the long training."""
    paths.check_name(model, "model")
    kept = Path(model.rstrip("/\\") + ".checkpoint")
    unfinished = (
        not overwrite
        and paths.is_model(Path(os.path.realpath(model)))
        and (os.path.exists(kept) or (embedding is not None and not os.path.lexists(embedding)))
    )
    place = atomic.place(model, "model") if unfinished else store.check_output(model, overwrite)
    arrayfile.check_file(kept, "checkpoint")
    table = None
    if embedding is not None:
        tables.check_label_names(labels, n_components)
        there = unfinished and os.path.lexists(embedding)  # written before the kill
        table = tables.check_output(embedding, overwrite or there, sources=sources, model=model)
        table = None if there else table
    if log is not None and embedding is not None and paths.same(log, embedding):
        raise InputError(f"--embedding and --log-json are both {log}; give two paths.")
    outputs = [path for path in (model, embedding, kept) if path is not None]
    check_log(log, overwrite=overwrite, sources=sources, outputs=outputs)
    return FitOutputs(place, table, kept, unfinished)
