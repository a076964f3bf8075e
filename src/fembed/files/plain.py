"""What JSON can hold, and what a path may be."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from fembed.errors import readable

PathLike = str | os.PathLike[str]


def json_text(value: Any) -> str:
    """``value`` as one line of JSON, all in ASCII and without a control character."""
    # JSON leaves DEL as it is, the one character of these.
    return json.dumps(plain(value), allow_nan=False).replace("\x7f", "\\u007f")


def plain(value: Any) -> Any:
    """``value`` as plain JSON, which every document is made of.

    NumPy numbers and arrays become Python's, non-finite ones null, and texts readable: what is
    written is to be read again, by us and by others, also where it names a file of any bytes.
    """
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, Mapping):
        return {readable(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
