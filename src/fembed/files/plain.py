"""What JSON can hold, and what a path may be."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

PathLike = str | os.PathLike[str]


def json_text(value: Any) -> str:
    """``value`` as one line of JSON, all in ASCII and without a control character."""
    # JSON leaves DEL as it is, the one character of these.
    return json.dumps(plain(value), allow_nan=False).replace("\x7f", "\\u007f")


def plain(value: Any) -> Any:
    """``value`` as plain JSON: NumPy numbers and arrays become Python's, non-finite ones null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
