"""The README's picture: a map of TCGA samples, with held-out patients placed in it.

    python docs/images/map.py [the data set tcga_11_cohorts.h5ad]

One patient in five is held out. Colour is the cohort; normal tissue is light, tumours are dark;
held-out samples are triangles.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D

import fembed

OUTPUT = Path(__file__).with_name("map.png")
DATA = Path(__file__).parents[3] / "shared" / "data" / "tcga_11_cohorts.h5ad"
GREY = (0.4, 0.4, 0.4)


def main(data: Path) -> None:
    """Fit, place, draw."""
    expression = fembed.read(data)
    patients = expression.labels("patient")
    unique = np.unique(patients)
    chosen = np.random.default_rng(0).choice(unique, len(unique) // 5, replace=False)
    held_out = np.isin(patients, chosen)
    training, new = (
        fembed.Expression.adopt(
            expression.values[rows].copy(), expression.sample_names[rows], expression.gene_names
        )
        for rows in (~held_out, held_out)
    )
    model = fembed.fit(training, transform="none")
    places = np.empty((len(held_out), 2), np.float32)
    places[~held_out] = model.sample_embedding
    places[held_out] = fembed.project(model, new).sample_embedding
    tumour = expression.labels("tissue") == "tumor"
    draw(places, expression.labels("cohort"), tumour, held_out, OUTPUT)
    print(f"{OUTPUT}: {(~held_out).sum()} training and {held_out.sum()} held-out samples")


def draw(
    places: NDArray[np.float32],
    cohort: NDArray[Any],
    tumour: NDArray[np.bool_],
    held_out: NDArray[np.bool_],
    output: Path,
) -> None:
    """Scatter training and held-out samples, one colour a cohort."""
    figure, axes = plt.subplots(figsize=(9, 6.2), dpi=150)
    handles = []
    for k, name in enumerate(sorted(set(cohort))):
        colour = plt.get_cmap("tab20")(2 * k) if k < 10 else (0.1, 0.1, 0.1)
        for is_new, look in (
            (False, {"s": 11, "marker": "o", "linewidths": 0, "edgecolors": "none"}),
            (True, {"s": 26, "marker": "^", "linewidths": 0.5, "edgecolors": "black"}),
        ):
            for is_tumour, alpha in ((False, 0.35), (True, 0.9)):
                rows = (cohort == name) & (tumour == is_tumour) & (held_out == is_new)
                axes.scatter(*places[rows].T, color=colour, alpha=alpha, **look)
        handles.append(_handle(name, color=colour))
    handles += [
        _handle("tumour"),
        _handle("normal tissue", alpha=0.35),
        _handle("held out", marker="^", markeredgecolor="black"),
    ]
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    axes.set(xlabel="fembed_1", ylabel="fembed_2")
    axes.set_aspect("equal", adjustable="datalim")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(output, bbox_inches="tight")


def _handle(label: str, **look: Any) -> Line2D:
    return Line2D([], [], **({"marker": "o", "linestyle": "", "color": GREY} | look), label=label)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
