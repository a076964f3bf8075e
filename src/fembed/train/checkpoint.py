"""A fit that is killed and taken up again ends with the bits of one that was not.

What is cheap and follows from data, options and seed (units, what is held out, initialization) is
done again; what training has made of it is kept in one file, replaced every so often. A position in
the stream of blocks is one number, so nothing random has a state of its own.
"""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fembed.config import FitConfig
from fembed.data.expression import Expression
from fembed.data.preprocess import Preprocessing
from fembed.errors import DataWarning, InputError
from fembed.files import arrayfile, atomic, paths
from fembed.files.manifest import Arrays, Document, PathLike, plain
from fembed.files.schema import Record, check, nullable, number, several, text, truth, whole
from fembed.model import Model
from fembed.parameters import MAX_VALUE
from fembed.train import batch_columns
from fembed.train.batch_shifts import Design
from fembed.train.early_stopping import EarlyStopping
from fembed.train.result import TrainingLog
from fembed.train.trainer import Trainer, TrainingState

KIND = "checkpoint"
#: The field of a model's training that says which fit it is of.
FIT = "fit_sha256"
#: Seconds between two states that are kept; a shorter fit keeps none.
SECONDS = 60.0

_POSITIVE = number(0.0)
#: The document, beside what `fembed.files.manifest` says and checks of it. Its names are those of
#: schema version 2, whatever the code calls them, so that earlier files can be read.
DOCUMENT = Record(
    {
        "about": Record({}, {}, other=True),
        "loop": Record(
            {
                "step": whole(),
                "position": whole(),
                "history": several(Record({}, {}, other=True)),
                "seconds": _POSITIVE,
                "engine_seconds": _POSITIVE,
                "pairs": whole(),
                "held_out": nullable(_POSITIVE),
            },
            {},
        ),
        "held_out": Record({"watched": truth}, {"best": _POSITIVE, "step": whole()}),
        "stage": Record(
            {
                "waited": whole(),
                "stopped": nullable(text),
                "cooldown_begin": whole(),
                "cooldown_steps": whole(),
                "joined": truth,
                "ellipse_factor": nullable(_POSITIVE),
            },
            {
                "reference_score": nullable(several(_POSITIVE)),
                "independent_genes": nullable(number(above=0.0)),
            },
        ),
    },
    {},
    other=True,
)


@dataclass
class Stage:
    """How far a recipe has come, beside what the trainer and early stopping know.

    Attributes
    ----------
    stopped : str, optional
        Why the first part ended; None while it lasts.
    cooldown_begin, cooldown_steps : int
        Of the last part, once the first has ended.
    joined : bool
        Whether the held-out samples take part.
    ellipse_factor : float, optional
        The ellipses' factor, measured before the held-out samples take part.
    reference_score : list of float, optional
        Their novelty scores, likewise.
    independent_genes : float, optional
        Of the residual factors, likewise; zero where these do not help.
    """

    stopped: str | None = None
    cooldown_begin: int = 0
    cooldown_steps: int = 0
    joined: bool = False
    ellipse_factor: float | None = None
    reference_score: list[float] | None = None
    independent_genes: float | None = None


class Checkpoint:
    """The file of one fit, which knows what fit it is of.

    Parameters
    ----------
    path
        A file that may exist already; then the fit goes on from it.
    about
        What must be the same for that, by the words that a message uses.

    Raises
    ------
    InputError
        The file is of another fit, is no checkpoint, or cannot be written.
    """

    def __init__(self, path: PathLike, about: Mapping[str, Any]) -> None:
        self.path = paths.check_input(path, KIND)
        self._about = plain(about)
        self._kept_at = time.perf_counter()
        self._told = ""
        self._found: tuple[Arrays, Document] | None = None
        if self.path.exists():
            self._found = arrayfile.read_file(self.path, KIND)
            check(self._found[1], DOCUMENT, str(self.path))
            self._refuse_other(self._found[1])
        else:
            arrayfile.check_file(self.path, KIND)

    def _refuse_other(self, document: Document) -> None:
        kept = document["about"]
        for name in self._about | kept:
            if kept.get(name) != self._about.get(name):
                raise InputError(
                    f"{self.path} is of a fit with {name} other than here; remove it, or go on "
                    "with that fit."
                )

    def attach(self, trainer: Trainer, stopping: EarlyStopping, stage: Stage) -> None:
        """Load what the file holds, if it exists, and keep the state from now on."""
        if self._found is not None:
            arrays, document = self._found
            _check_state(arrays, document, trainer, stopping, self.path)
            _load_state(arrays, document, trainer, stopping, stage)
            self._found = None
        trainer.after_call = lambda: self._keep(trainer, stopping, stage)

    def _keep(self, trainer: Trainer, stopping: EarlyStopping, stage: Stage) -> None:
        if time.perf_counter() - self._kept_at < SECONDS:
            return
        arrays, document = _state(trainer, stopping, stage)
        self._kept_at = time.perf_counter()
        try:
            arrayfile.write_file(self.path, arrays, {"about": self._about, **document}, KIND)
        except InputError as error:  # a full disk now need not be one at the end
            if str(error) != self._told:  # once, not every minute of a night
                self._told = str(error)
                warnings.warn(
                    f"The state of the training was not kept: {error}", DataWarning, stacklevel=3
                )


def _state(
    trainer: Trainer, stopping: EarlyStopping, stage: Stage
) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and the document of a file, which `_load_state` goes on from."""
    now, best = trainer.state(), stopping.best_state
    arrays = _named("loop.", now.arrays)
    held_out: dict[str, Any] = {"watched": best is not None}
    if best is not None:
        arrays |= _named("best.", best.arrays)
        held_out |= {"best": stopping.best_loss, "step": best.step}
    if stopping.held_out.places is not None:
        arrays["best.places"] = stopping.held_out.places
    document = {
        "loop": {"step": now.step, **asdict(trainer.log_to_keep())},
        "held_out": held_out,
        "stage": {"waited": stopping.waited, **asdict(stage)},
    }
    return arrays, document


def _load_state(
    arrays: Arrays, document: Document, trainer: Trainer, stopping: EarlyStopping, stage: Stage
) -> None:
    """Go on where `_state` was taken."""
    facts, best, how_far = dict(document["loop"]), document["held_out"], dict(document["stage"])
    state = TrainingState(_under(arrays, "loop."), facts.pop("step"))
    trainer.load_state(state, TrainingLog(**facts))
    of_best = _under(arrays, "best.")
    stopping.held_out.places = of_best.pop("places", None)
    stopping.waited = how_far.pop("waited")
    if best["watched"]:
        stopping.best_loss = best["best"]
        stopping.best_state = TrainingState(of_best, best["step"])
    for name, value in how_far.items():
        setattr(stage, name, value)


def about(
    expression: Expression,
    preprocessing: Preprocessing,
    config: FitConfig,
    calibrate: bool,
    design: Design | None = None,
) -> dict[str, Any]:
    """What two runs must have in common to be one fit; the number of threads need not be."""
    from fembed import __version__

    of_batches = {} if design is None else {"batches": batch_columns.digest(design)}
    return {
        **of_batches,
        "a version of fembed": __version__,
        "data": expression.digest(),
        "a transform": preprocessing.to_dict(),
        "options": config.identity(),
        "a calibration": calibrate,
    }


def _check_state(
    arrays: Arrays, document: Document, trainer: Trainer, stopping: EarlyStopping, path: Path
) -> None:
    """Raise InputError unless this is a state of such a fit, with steps that it can have."""
    watched = document["held_out"]["watched"]
    if watched and not {"best", "step"} <= set(document["held_out"]):
        raise _unsound(path, "the field 'held_out.best' or 'held_out.step' is absent")
    stage, last = document["stage"], trainer.schedule.n_steps
    steps = (document["loop"]["step"], stage["cooldown_begin"], stage["cooldown_steps"])
    if max(steps) > last or stage["cooldown_begin"] + stage["cooldown_steps"] > last:
        raise _unsound(path, f"a step is beyond the last, {last}")
    needed = _named("loop.", trainer.state().arrays)
    if watched:
        needed |= _named("best.", trainer.state().arrays)
        if stopping.held_out.entries is None:
            rows = stopping.held_out.evaluated_samples
            needed["best.places"] = trainer.parameters.sample_embedding[rows]
    for name, like in needed.items():
        array = arrays.get(name)
        if array is None:
            raise _unsound(path, f"the array '{name}' is absent")
        if array.shape != like.shape or array.dtype != like.dtype:
            there, wanted = f"{array.dtype} {array.shape}", f"{like.dtype} {like.shape}"
            raise _unsound(path, f"the array '{name}' is {there}, not {wanted}")
        # Second moments are of squares.
        largest = MAX_VALUE**2 if ".second." in name else MAX_VALUE
        if not (np.abs(array) <= largest).all():
            raise _unsound(
                path, f"the array '{name}' holds a value that is not finite or too large"
            )


def _unsound(path: Path, what: str) -> InputError:
    return InputError(f"{path}: {what}; remove the file, and the fit begins anew.")


def digest(about: Mapping[str, Any]) -> str:
    """SHA-256 of what `about` says, which a model keeps so that it is known again."""
    text = json.dumps(plain(about), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def is_of(
    model: Model,
    expression: Expression,
    preprocessing: Preprocessing,
    config: FitConfig,
    calibrate: bool = True,
    design: Design | None = None,
) -> bool:
    """Whether ``model`` is the result of a fit of these data by these options."""
    of_fit = about(expression, preprocessing, config, calibrate, design)
    return (
        len(model.sample_names) == expression.n_samples  # it may have been extended since
        and len(model.gene_names) == expression.n_genes
        and model.training.get(FIT) == digest(of_fit)
    )


def discard(path: Path, model: Model) -> None:
    """Remove the checkpoint of the fit that made ``model``; one of another fit is left alone."""
    if path.is_file():
        try:
            document = arrayfile.read_file(path, KIND)[1]
        except InputError:  # a later version's, say: not ours, which was read or written just now
            return
        if digest(document.get("about", {})) != model.training.get(FIT):
            return
    atomic.discard(path)


def _named(prefix: str, arrays: Arrays) -> Arrays:
    return {prefix + name: array for name, array in arrays.items()}


def _under(arrays: Arrays, prefix: str) -> Arrays:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
