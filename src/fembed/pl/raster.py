"""Points by the million as an image: counted, averaged or mixed in the pixels that they fall in.

A million points take well under a second, and what lies on top of what no longer matters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Limits = tuple[tuple[float, float], tuple[float, float]]

#: More points than this are drawn as pixels.
MAX_POINTS = 50_000
#: Pixels across an image: about 0.8 points of type each in a map of page width.
SIDE = 420


class Pixels:
    """The pixel of every point in an image of ``shape`` (rows from below) over ``limits``."""

    def __init__(self, points: Float, limits: Limits, shape: tuple[int, int]) -> None:
        self.limits, self.shape = limits, shape
        rows, columns = shape
        column, row = (
            np.floor((points[:, k] - low) / (high - low) * size).astype(np.intp)
            for k, ((low, high), size) in enumerate(zip(limits, (columns, rows), strict=True))
        )
        self.inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        self.index = (row * columns + column)[self.inside]

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """For ``imshow(..., origin="lower")``."""
        return (*self.limits[0], *self.limits[1])

    def sums(self, weights: Float | None = None, chosen: NDArray[np.bool_] | None = None) -> Float:
        """Per pixel the number of points, or the sum of their ``weights``; of all or the chosen."""
        index = self.index
        if weights is not None:
            weights = weights[self.inside]
        if chosen is not None:
            kept = chosen[self.inside]
            index = index[kept]
            weights = None if weights is None else weights[kept]
        total = np.bincount(index, weights, minlength=self.shape[0] * self.shape[1])
        return total.reshape(self.shape).astype(np.float64)


def mixed(pixels: Pixels, codes: NDArray[np.intp], colours: Float) -> Float:
    """RGBA: the colours (k x 3, 0 to 1) of the points' categories, mixed by how many there are."""
    total = pixels.sums()
    mix = np.zeros((*pixels.shape, 3))
    for channel in range(
        3
    ):  # and not category by category, of which there may be as many as points
        mix[..., channel] = pixels.sums(colours[codes, channel])
    image = np.zeros((*pixels.shape, 4))
    image[..., :3] = mix / np.maximum(total, 1)[..., None]
    image[..., 3] = opacity(total)
    return image


def averaged(pixels: Pixels, values: Float) -> Float:
    """Mean of the points' observed values per pixel, NaN where there are none."""
    observed = np.isfinite(values)
    count = pixels.sums(chosen=observed)
    mean = pixels.sums(np.where(observed, values, 0.0), observed) / np.maximum(count, 1)
    mean[count == 0] = np.nan
    return mean


def opacity(count: Float, least: float = 0.45) -> Float:
    """0 where nothing is, then from ``least`` up to 1 with the logarithm of the count."""
    most = np.log1p(np.percentile(count[count > 0], 99)) if (count > 0).any() else 1.0
    share = np.minimum(1.0, np.log1p(count) / max(most, 1e-9))
    return np.where(count > 0, least + (1.0 - least) * share, 0.0)


def image_shape(limits: Limits) -> tuple[int, int]:
    """Rows and columns of square pixels, `SIDE` along the longer side."""
    (x0, x1), (y0, y1) = limits
    width, height = x1 - x0, y1 - y0
    longest = max(width, height)
    return max(1, round(SIDE * height / longest)), max(1, round(SIDE * width / longest))
