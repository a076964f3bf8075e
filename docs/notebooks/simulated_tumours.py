"""Tumours that nobody had: expression of ten types, two samples per patient, for the notebooks.

A type is a place on a curved surface of programs, as in real expression: types are related, and no
plane holds them all. A patient shifts both of their samples the same way, so that two samples of
one patient know each other; whoever tests on one and trains on the other is told more than they
would be of a new patient.
"""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd

TYPES = tuple("ABCDEFGHIJ")


def simulated_tumours(
    n_patients: int = 160, n_genes: int = 400, patient_effect: float = 0.25, seed: int = 0
) -> anndata.AnnData:
    """Log-scale expression (2 * n_patients x n_genes) with ``type`` and ``patient`` in ``obs``."""
    rng = np.random.default_rng(seed)
    n_programs = 24
    types = np.arange(n_patients) % len(TYPES)
    places = rng.normal(size=(len(TYPES), 3))  # relatives lie near each other
    into_programs = rng.normal(size=(3, n_programs))
    patient = places[types] + patient_effect * rng.normal(size=(n_patients, 3))
    activity = np.tanh(np.repeat(patient, 2, axis=0) @ into_programs)
    own = 0.4 * rng.normal(size=(n_patients, n_programs))  # of a patient, of no type
    activity = activity + np.repeat(own, 2, axis=0)
    activity = activity + 0.1 * rng.normal(size=activity.shape)  # of a sample
    loading = rng.gamma(1.0, 0.5, size=(n_programs, n_genes)) * rng.choice((-1, 1), n_genes)
    loading *= rng.random((n_programs, n_genes)) < 0.15
    expression = rng.uniform(1, 5, n_genes) + activity @ loading
    expression += 0.5 * rng.normal(size=expression.shape)
    names = [f"P{p:03d}-{sample}" for p in range(n_patients) for sample in "AB"]
    obs = pd.DataFrame(
        {
            "type": pd.Categorical(np.repeat(np.array(TYPES)[types], 2)),
            "patient": np.repeat([f"P{p:03d}" for p in range(n_patients)], 2),
        },
        index=names,
    )
    genes = pd.DataFrame(index=[f"GENE{j}" for j in range(n_genes)])
    return anndata.AnnData(np.maximum(expression, 0).astype(np.float32), obs=obs, var=genes)
