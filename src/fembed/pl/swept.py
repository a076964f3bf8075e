"""All figures of a sweep, written into its folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fembed.pl import heatmap, panels

if TYPE_CHECKING:
    from fembed.sweeps import Sweep

ACCURACIES = ("network_accuracy", "held_out_knn_accuracy", "knn_accuracy")
ENDINGS = ("png", "pdf")


def draw_sweep(sweep: Sweep, folder: str | os.PathLike[str], *, limits: Any = None) -> list[Path]:
    """Write ``density``, ``scatter`` and a heat map per measured accuracy, as .png and .pdf.

    Parameters
    ----------
    sweep : Sweep
    folder : path
    limits : (low, high), or a pair of them, optional
        Limits of all maps; by default they hold 99 % of every model's samples.

    Returns
    -------
    list of Path
        The files; none of maps where no case has two components.

    Raises
    ------
    InputError
        Matplotlib is missing, or a file cannot be written.
    """
    written = []
    has_map = any(
        case.embedding is not None and case.embedding.shape[1] >= 2 for case in sweep.cases
    )
    for ending in ENDINGS:
        if has_map:
            for name, draw in (("density", panels.density_grid), ("scatter", panels.scatter_grid)):
                written.append(Path(folder) / f"{name}.{ending}")
                draw(sweep, limits=limits, save=written[-1])
        for measure in ACCURACIES:
            if np.isfinite(list(sweep.measure(measure).values())).any():
                written.append(Path(folder) / f"{measure}.{ending}")
                heatmap.accuracy_table(sweep, measure=measure, save=written[-1])
    return written
