"""Figures of a model and its samples.

Names are loaded when they are first used, so that importing this package is quick and asks for
no drawing library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fembed.pl.aberrations import aberrant as aberrant
    from fembed.pl.aberrations import volcano as volcano
    from fembed.pl.agreement import confusion as confusion
    from fembed.pl.agreement import reliability as reliability
    from fembed.pl.curves import accuracy_by_dimension as accuracy_by_dimension
    from fembed.pl.curves import training_curve as training_curve
    from fembed.pl.genes import gene_map as gene_map
    from fembed.pl.heatmap import accuracy_table as accuracy_table
    from fembed.pl.hexagons import density as density
    from fembed.pl.interactive import interactive_map as interactive_map
    from fembed.pl.landscapes import gene_landscape as gene_landscape
    from fembed.pl.landscapes import similarity_landscape as similarity_landscape
    from fembed.pl.maps import embedding as embedding
    from fembed.pl.panels import density_grid as density_grid
    from fembed.pl.panels import scatter_grid as scatter_grid
    from fembed.pl.placed import projection as projection
    from fembed.pl.quality import distance_preservation as distance_preservation
    from fembed.pl.quality import reconstruction as reconstruction

_HOME = {
    "aberrant": "aberrations",
    "accuracy_by_dimension": "curves",
    "accuracy_table": "heatmap",
    "confusion": "agreement",
    "density": "hexagons",
    "density_grid": "panels",
    "distance_preservation": "quality",
    "embedding": "maps",
    "gene_landscape": "landscapes",
    "gene_map": "genes",
    "interactive_map": "interactive",
    "projection": "placed",
    "reconstruction": "quality",
    "reliability": "agreement",
    "scatter_grid": "panels",
    "similarity_landscape": "landscapes",
    "training_curve": "curves",
    "volcano": "aberrations",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fembed.pl' has no attribute {name!r}")
    found = getattr(importlib.import_module(f"fembed.pl.{_HOME[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
