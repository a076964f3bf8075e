"""A small model with every array, random but reproducible, for tests of files and of the model."""

from __future__ import annotations

import numpy as np

from fembed.config import FitConfig
from fembed.data.preprocess import Preprocessing
from fembed.model import Model
from fembed.parameters import Parameters, network_size

N_SAMPLES, N_GENES, N_COMPONENTS, GENE_COMPONENTS, HIDDEN = 5, 7, 2, 3, (4, 3)


def tiny_model(seed: int = 0, linear: bool = True) -> Model:
    """5 samples, 7 genes; ``linear`` says whether it has the linear skip and the gene bias."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    return Model(
        parameters=Parameters(
            sample_embedding=draw(N_SAMPLES, N_COMPONENTS),
            gene_embedding=draw(N_GENES, GENE_COMPONENTS),
            network=draw(network_size(N_COMPONENTS, GENE_COMPONENTS, HIDDEN)),
            hidden=HIDDEN,
            gene_loading=draw(N_GENES, N_COMPONENTS) if linear else None,
            gene_bias=draw(N_GENES) if linear else None,
        ),
        sample_names=np.array([f"sample {i}" for i in range(N_SAMPLES)], dtype=object),
        gene_names=np.array([f"GENE{j}" for j in range(N_GENES)], dtype=object),
        preprocessing=Preprocessing("log10"),
        config=FitConfig(),
        sample_loss=rng.random(N_SAMPLES),
        training={"seconds": 1.5, "n_steps": 3, "history": [{"step": 1, "loss": 0.25}]},
    )
