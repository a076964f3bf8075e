"""Factorized embeddings of expression matrices: train a map, place new samples in it.

Names are loaded when they are first used, so that ``import fembed`` is quick and light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fembed import pl as pl
    from fembed import pp as pp
    from fembed import tl as tl
    from fembed.config import FitConfig as FitConfig
    from fembed.data.expression import Expression as Expression
    from fembed.data.preprocess import Preprocessing as Preprocessing
    from fembed.data.readers import read as read
    from fembed.engine import using as using
    from fembed.errors import DataWarning as DataWarning
    from fembed.errors import InputError as InputError
    from fembed.errors import TrainingError as TrainingError
    from fembed.errors import WorkerError as WorkerError
    from fembed.estimator import FactorizedEmbedding as FactorizedEmbedding
    from fembed.evaluation import Evaluation as Evaluation
    from fembed.evaluation import GeneSetScores as GeneSetScores
    from fembed.evaluation import evaluate as evaluate
    from fembed.evaluation import evaluate_genes as evaluate_genes
    from fembed.inference import AberrantGenes as AberrantGenes
    from fembed.inference import Annotation as Annotation
    from fembed.inference import Genes as Genes
    from fembed.inference import Imputation as Imputation
    from fembed.inference import Projection as Projection
    from fembed.inference import aberrant_genes as aberrant_genes
    from fembed.inference import add_genes as add_genes
    from fembed.inference import annotate as annotate
    from fembed.inference import calibrate as calibrate
    from fembed.inference import extend as extend
    from fembed.inference import genes as genes
    from fembed.inference import impute as impute
    from fembed.inference import project as project
    from fembed.model import Model as Model
    from fembed.parallel import Workers as Workers
    from fembed.store import load as load
    from fembed.sweeps import Sweep as Sweep
    from fembed.sweeps import sweep as sweep
    from fembed.train import fit as fit

    __version__: str

_HOME = {
    "AberrantGenes": "inference",
    "Annotation": "inference",
    "DataWarning": "errors",
    "Evaluation": "evaluation",
    "Expression": "data.expression",
    "FactorizedEmbedding": "estimator",
    "FitConfig": "config",
    "GeneSetScores": "evaluation",
    "Genes": "inference",
    "Imputation": "inference",
    "InputError": "errors",
    "Model": "model",
    "Preprocessing": "data.preprocess",
    "Projection": "inference",
    "Sweep": "sweeps",
    "TrainingError": "errors",
    "WorkerError": "errors",
    "Workers": "parallel",
    "aberrant_genes": "inference",
    "add_genes": "inference",
    "annotate": "inference",
    "calibrate": "inference",
    "evaluate": "evaluation",
    "evaluate_genes": "evaluation",
    "extend": "inference",
    "fit": "train",
    "genes": "inference",
    "impute": "inference",
    "load": "store",
    "project": "inference",
    "read": "data.readers",
    "sweep": "sweeps",
    "using": "engine",
}

#: Modules that are names themselves: ``fembed.pl.embedding``.
_PACKAGES = ("pl", "pp", "tl")

__all__ = ["__version__", *_HOME, *_PACKAGES]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        found: Any = version("fembed")
    elif name in _HOME:
        found = getattr(importlib.import_module(f"fembed.{_HOME[name]}"), name)
    elif name in _PACKAGES:
        found = importlib.import_module(f"fembed.{name}")
    else:
        raise AttributeError(f"module 'fembed' has no attribute {name!r}")
    globals()[name] = found  # the next look-up finds it without this function
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
