"""The README's picture: a map of TCGA samples, with held-out patients placed in it.

    python docs/images/map.py [the data set tcga_11_cohorts.h5ad]

One patient in five is held out. Colour is the cohort; circles are training samples, triangles are
held-out ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anndata
import matplotlib
import numpy as np

matplotlib.use("Agg")

import fembed

OUTPUT = Path(__file__).with_name("map.png")
DATA = Path(__file__).parents[3] / "shared" / "data" / "tcga_11_cohorts.h5ad"


def main(data: Path) -> None:
    """Fit, place, draw."""
    samples = anndata.read_h5ad(data)
    patients = samples.obs["patient"].astype(str)
    unique = np.unique(patients)
    chosen = np.random.default_rng(0).choice(unique, len(unique) // 5, replace=False)
    held_out = np.isin(patients, chosen)
    training, new = samples[~held_out].copy(), samples[held_out].copy()
    fembed.tl.fit(training, transform="none")
    fembed.tl.project(new, training, covariance=False)
    fembed.pl.projection(training, new, color="cohort", save=OUTPUT)
    print(f"{OUTPUT}: {training.n_obs} training and {new.n_obs} held-out samples")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
