"""The folder of a sweep: each finished case is on disk at once, so that a killed run goes on.

``sweep.json`` says what the cases have in common; ``cases/`` has one file per finished case, named
by a digest of its options; ``models/`` has the models under the same names. The table and the
figures are made anew at the end of every run.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed import store
from fembed.config import FitConfig
from fembed.errors import InputError
from fembed.files import arrayfile, atomic, paths, temporary
from fembed.files.atomic import Place
from fembed.files.manifest import PathLike, plain
from fembed.files.schema import Record, nullable, number, parsed, several, shown_json, text
from fembed.files.schema import check as check_document
from fembed.sweeps.case import MEASURES, CaseResult, Shared

KIND = "sweep case"
SETTINGS = "sweep.json"

#: How a message calls a setting that differs from that of another run.
_CALLED = {
    "data_sha256": "data (matrix, names, labels or groups)",
    "label": "label",
    "group": "group",
    "transform": "transform",
    "held_out": "choice of held-out samples",
    "classifier_steps": "number of classifier steps",
    "fold_seed": "seed of the folds",
    "fembed": "version of fembed",
}


#: The document of a finished case, beside what `fembed.files.manifest` says and checks of it.
CASE = Record(
    {
        "config": Record({}, {}, other=True),  # `FitConfig` checks its options
        "measures": Record(dict.fromkeys(MEASURES, nullable(number())), {}, other=True),
        "warnings": several(text),
        "failure": text,
    },
    {},
    other=True,
)


class SweepFolder:
    """Where the cases of one sweep are kept."""

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)

    def open(self, settings: dict[str, Any]) -> None:
        """Make the folder, or make sure that it is one of the same settings.

        Raises
        ------
        InputError
            It is a file, holds something else, or was made with other settings.
        """
        known = check(self.path)
        if not known.taken:
            text = json.dumps({"format": "fembed sweep", **settings}, indent=2)
            try:
                atomic.replace_file(known, text.encode())
            except atomic.KeptElsewhere as late:  # another sweep began there just now
                atomic.discard(late.kept)
        _refuse_other(_read_settings(known.target), settings, self.path)
        for folder in (self.path, self.path / "cases", self.path / "models"):
            temporary.clear(folder)

    def finished(self, config: FitConfig, n_samples: int) -> CaseResult | None:
        """What is stored of a case of so many samples; None where it has not finished."""
        path = self._case_path(config)
        if not path.is_file():
            return None
        arrays, document = arrayfile.read_file(path, KIND)
        again = f"{path}; delete it, and its case will be run again"
        check_document(document, CASE, again)
        if FitConfig.from_dict(document["config"]) != config:
            raise InputError(f"{path} is of another case; delete it, and its case will be run.")
        measures = {name: document["measures"][name] for name in MEASURES}
        embedding = arrays.get("sample_embedding")
        if (embedding is None) != bool(document["failure"]) or (
            embedding is not None and not _is_map(embedding, n_samples, config.n_components)
        ):
            raise InputError(f"{again}: the array 'sample_embedding' is no map of the samples.")
        return CaseResult(config, measures, embedding, document["warnings"], document["failure"])

    def store(self, result: CaseResult, keep_model: bool) -> None:
        """Write a case, its model first: what has a case file is complete."""
        if result.model is not None and keep_model:
            store.save(result.model, self.model_path(result.config), overwrite=True)
        result.model = None  # a sweep of large models must not keep them all in memory
        document = {
            "config": result.config.to_dict(),
            "measures": result.measures,
            "warnings": result.warnings,
            "failure": result.failure,
        }
        embedding = result.embedding
        arrays = {} if embedding is None else {"sample_embedding": embedding}
        arrayfile.write_file(self._case_path(result.config), arrays, document, KIND)

    def model_path(self, config: FitConfig) -> Path:
        """Where the model of a case is, or would be."""
        return self.path / "models" / case_name(config)

    def _case_path(self, config: FitConfig) -> Path:
        return self.path / "cases" / f"{case_name(config)}.safetensors"


def case_name(config: FitConfig) -> str:
    """A name of the case's options: the same in every run, however the grid is cut."""
    text = json.dumps(config.identity(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check(path: PathLike) -> Place:
    """Where the settings go; InputError if no sweep can be kept at ``path``.

    For a check before long work.
    """
    folder = paths.resolved(path)
    if os.path.isfile(folder):
        raise InputError(f"{path} is a file, but a sweep is a folder; give another path.")
    place = atomic.place(folder / SETTINGS)
    atomic.place(folder / "models" / ("0" * 16) / "model.safetensors")  # the longest name
    if folder.is_dir() and not place.taken:
        foreign = sorted(entry.name for entry in folder.iterdir())
        if foreign:
            raise InputError(
                f"{path} holds files that are not of a sweep (such as '{foreign[0]}'); give a new "
                "folder."
            )
    if place.taken:
        _read_settings(place.target)
    return place


def settings_of(
    shared: Shared, label: str, group: str | None, groups: NDArray[Any] | None, fold_seed: int
) -> dict[str, Any]:
    """What cases must have in common to stand in one table."""
    from fembed import __version__

    settings = {
        "fembed": __version__,
        "data": shared.expression.origin,
        "data_sha256": shared.expression.digest(shared.labels, [] if groups is None else groups),
        "label": label,
        "group": group,
        "transform": shared.preprocessing.transform,
        "held_out": shared.protocol.held_out,
        "classifier_steps": shared.protocol.classifier_steps,
        "fold_seed": fold_seed,
    }
    return dict(plain(settings))


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        found = parsed(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise InputError(f"{path} cannot be read ({reason}); give a new folder.") from error
    if not isinstance(found, dict) or found.get("format") != "fembed sweep":
        raise InputError(f"{path} is not of a sweep; give a new folder.")
    return found


def _is_map(embedding: NDArray[Any], n_samples: int, n_components: int) -> bool:
    """Finite places of all samples."""
    return (
        embedding.shape == (n_samples, n_components)
        and embedding.dtype == np.float32
        and bool(np.isfinite(embedding).all())
    )


def _refuse_other(stored: dict[str, Any], wanted: dict[str, Any], path: Path) -> None:
    for name, called in _CALLED.items():
        if stored.get(name) != wanted[name]:
            details = ""
            if name != "data_sha256":
                there, here = shown_json(stored.get(name)), shown_json(wanted[name])
                details = f" ({there} there, {here} here)"
            raise InputError(
                f"The sweep in {path} was made with another {called}{details}; give a new folder, "
                "or the settings of that sweep to go on with it."
            )
