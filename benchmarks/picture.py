"""The README's picture: a map of TCGA samples, with held-out patients placed in it.

    python -m benchmarks.picture

One patient in five is held out. Colour is the cohort; normal tissue is light, tumours are dark;
held-out samples are triangles.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import fembed
from benchmarks.cohorts import COHORTS

OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "images" / "map.png"


def hold_out_patients(patients: NDArray[np.object_], seed: int = 0) -> NDArray[np.bool_]:
    """True for the samples of a fifth of the patients."""
    unique = np.unique(patients)
    chosen = np.random.default_rng(seed).choice(unique, len(unique) // 5, replace=False)
    return np.isin(patients, chosen)


def draw(
    training: NDArray[np.float32],
    placed: NDArray[np.float32],
    cohorts: tuple[NDArray[np.object_], NDArray[np.object_]],
    tumours: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    output: Path,
) -> None:
    """Scatter both sets, one colour a cohort, its name at its tumours' median."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.lines import Line2D

    figure, axes = plt.subplots(figsize=(9, 6.2), dpi=150)
    palette = plt.get_cmap("tab20")
    names = sorted(set(cohorts[0]))
    handles = []
    for k, name in enumerate(names):
        colour = palette(2 * k) if k < 10 else (0.1, 0.1, 0.1)
        sets = zip((training, placed), cohorts, tumours, ("o", "^"), (11, 26), strict=True)
        for points, cohort, tumour, marker, size in sets:
            for is_tumour, alpha in ((False, 0.35), (True, 0.9)):
                rows = (cohort == name) & (tumour == is_tumour)
                axes.scatter(
                    points[rows, 0],
                    points[rows, 1],
                    s=size,
                    marker=marker,
                    color=colour,
                    alpha=alpha,
                    linewidths=0.5 if marker == "^" else 0,
                    edgecolors="black" if marker == "^" else "none",
                )
        handles.append(Line2D([], [], marker="o", linestyle="", color=colour, label=name))
    grey = (0.4, 0.4, 0.4)
    handles += [
        Line2D([], [], marker="o", linestyle="", color=grey, label="tumour"),
        Line2D([], [], marker="o", linestyle="", color=grey, alpha=0.35, label="normal tissue"),
        Line2D(
            [], [], marker="^", linestyle="", color=grey, markeredgecolor="black", label="held out"
        ),
    ]
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    axes.set(xlabel="fembed_1", ylabel="fembed_2")
    axes.set_aspect("equal", adjustable="datalim")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(output, bbox_inches="tight")


def main() -> None:
    """Fit, place, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT)
    output = parser.parse_args().output
    expression = fembed.read(COHORTS)
    assert expression.obs is not None
    held_out = hold_out_patients(expression.labels("patient"))
    cohort = expression.labels("cohort")
    tumour = expression.labels("tissue") == "tumor"
    new = fembed.Expression.adopt(
        expression.values[held_out].copy(),
        expression.sample_names[held_out],
        expression.gene_names,
    )
    training = fembed.Expression.adopt(
        expression.values[~held_out].copy(),
        expression.sample_names[~held_out],
        expression.gene_names,
    )
    model = fembed.fit(training, transform="none")
    placed = fembed.project(model, new)
    draw(
        model.sample_embedding,
        placed.sample_embedding,
        (cohort[~held_out], cohort[held_out]),
        (tumour[~held_out], tumour[held_out]),
        output,
    )
    print(f"{output}: {len(training.values)} training and {len(new.values)} held-out samples")


if __name__ == "__main__":
    main()
