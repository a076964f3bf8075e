"""The folder of an evaluation: its tables, settings and figures; whether it may be replaced."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fembed.errors import InputError
from fembed.files import atomic
from fembed.files.atomic import Place
from fembed.files.manifest import plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_TABLES = ("folds", "summary", "differences", "predictions", "confusion")


def check(path: str | os.PathLike[str], overwrite: bool = False) -> Place:
    """Raise InputError if an evaluation cannot be saved as ``path``: to know before long work.

    Only a folder that `write` wrote is replaced, and only if nothing else was put there.
    """
    place = atomic.place(path)
    if not place.taken:
        return place
    if not overwrite:
        raise InputError(f"{path} exists already; use --overwrite to replace it.")
    folder = place.target
    if not (folder / "folds.csv").is_file() or not (folder / "settings.json").is_file():
        raise InputError(f"{path} is not an evaluation's folder, so it is not replaced.")
    ours = {*(f"{name}.csv" for name in _TABLES), "settings.json"}
    for entry in sorted(folder.iterdir()):
        if entry.name not in ours and entry.suffix not in (".png", ".svg"):
            raise InputError(
                f"{path} holds other files than an evaluation (such as '{entry.name}'), so it is "
                "not replaced."
            )
    return place


def write(
    place: Place,
    tables: Mapping[str, pd.DataFrame],
    settings: Mapping[str, Any],
    figures: Mapping[str, Figure],
) -> None:
    """Write all of it or nothing: tables as .csv, ``settings.json``, figures as .png and .svg."""
    files: dict[str, atomic.Content] = {
        f"{name}.csv": table.to_csv(index=False).encode() for name, table in tables.items()
    }
    told = plain(dict(settings))
    files["settings.json"] = json.dumps(told, indent=2, default=str).encode()
    for name, drawn in figures.items():
        for kind in ("png", "svg"):
            stream = io.BytesIO()
            drawn.savefig(stream, format=kind, dpi=200)
            files[f"{name}.{kind}"] = stream.getvalue()
    atomic.replace_folder(place, files)
