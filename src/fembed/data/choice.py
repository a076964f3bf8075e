"""Some of many samples or genes, where all would take too long."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def even_choice(total: int, most: int) -> NDArray[np.intp]:
    """All of ``total`` things, or ``most`` of them at even distances."""
    chosen: NDArray[np.intp] = np.linspace(0, total - 1, min(total, most)).round().astype(np.intp)
    return chosen
