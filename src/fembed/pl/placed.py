"""New samples among the training samples, each with the ellipse that its genes leave open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fembed.errors import InputError
from fembed.inference.projection import SUSPICIOUS
from fembed.pl import canvas, marks
from fembed.pl.canvas import PAGE_WIDTH, SavePath
from fembed.pl.categories import Categories, categories, joined
from fembed.pl.chosen import Palette, remember, with_palette
from fembed.pl.legends import legend_beside
from fembed.pl.naming import Entries, name_categories
from fembed.pl.palette import Style
from fembed.pl.points import BASIS, axis_names, colouring, coordinates, plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Float = NDArray[np.float64]

COVARIANCE = "X_fembed_covariance"
Ellipses = Literal["auto", "all", "outliers", "none"]
_ELLIPSES: tuple[Ellipses, ...] = ("auto", "all", "outliers", "none")
#: Of more samples than this, ellipses would cover each other.
_MAX_ELLIPSES = 40
TRAINING, PROJECTED = "training", "projected"
_BY_KIND = "\0kind"  # the title of no column
_KIND_STYLES = {TRAINING: Style("#9aa3ad"), PROJECTED: Style(canvas.OTHER)}


@canvas.drawing()
def projection(
    training: Any,
    projected: Any,
    color: Any = None,
    projected_color: Any = None,
    *,
    palette: Palette | None = None,
    covariance: Any = None,
    confidence: float = 0.95,
    ellipses: Ellipses = "auto",
    basis: str = BASIS,
    components: tuple[int, int] = (1, 2),
    title: str | None = None,
    ax: Axes | None = None,
    save: SavePath | None = None,
) -> Axes:
    """Training samples as circles, projected ones as triangles with confidence ellipses.

    Parameters
    ----------
    training : Model, AnnData or array n x d
    projected : Projection, AnnData or array k x d
        A Projection brings its covariances; AnnData may have ``obsm["X_fembed_covariance"]``.
    color, projected_color : str or values, optional
        Categories of the training samples and of the projected ones, as for
        `fembed.pl.embedding`. A name in ``color`` holds for both where both are AnnData. Without
        them, projected samples are told from training samples by colour.
    palette : str, list or mapping, optional
        Colours of categories, as for `fembed.pl.embedding`.
    covariance : array k x d x d, optional
        Instead of the projected data's own. Samples whose covariance is not finite (too few
        observed genes) are drawn without an ellipse and counted in the figure.
    confidence : float
        Share of the normal distribution within an ellipse. It holds the noise of the genes, not
        the uncertainty of the model; see `fembed.Projection`.
    ellipses : {"auto", "all", "outliers", "none"}
        Whose ellipses are drawn: those of all projected samples, of suspicious ones (an outlier
        score above 5, which a Projection and ``obs["fembed_outlier"]`` bring), or none. By default
        of all up to 40 samples, and of the suspicious ones among more.
    basis, components, title, ax, save
        As for `fembed.pl.embedding`.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        As `fembed.pl.embedding`; or for covariances of another shape.

    Examples
    --------
    >>> placed = fembed.project(model, counts.iloc[:5])
    >>> axes = fembed.pl.projection(model, placed)
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence!r}; choose a share between 0 and 1.")
    old = plane(training, basis, components)
    new = plane(projected, basis, components)
    if ellipses not in _ELLIPSES:
        raise InputError(f"ellipses is {ellipses!r}; choose {', '.join(_ELLIPSES)}.")
    spread = _covariances(projected, covariance, basis, components)
    outlined = _outlined(projected, len(new), ellipses)
    if not outlined.any():
        spread = None
    kinds = _both_kinds(training, projected, color, projected_color, (len(old), len(new)), palette)
    by_kind = kinds.title == _BY_KIND
    extent = np.ptp(np.concatenate([old, new]), axis=0)
    ax = canvas.axes_for(ax, save, PAGE_WIDTH, canvas.map_height(extent))
    canvas.name_axes(ax, axis_names(basis, components))
    chosen = _KIND_STYLES if by_kind else kinds.styles()
    area = canvas.point_area(len(old) + len(new))
    rows = np.arange(len(kinds))
    of_old, of_new = kinds.take(rows[: len(old)]), kinds.take(rows[len(old) :])
    _draw_training(ax, old, of_old, chosen, area)
    _draw_projected(ax, new, of_new, chosen, area)
    if spread is not None:
        n_without = _draw_ellipses(
            ax, new[outlined], spread[outlined], of_new.take(outlined), chosen, confidence
        )
        if n_without:
            canvas.note(
                ax, f"{n_without:,} without an ellipse (too few genes)", "lower right",
                color=canvas.SOFT,
            )  # fmt: skip
    canvas.entitle(ax, title)
    entries = _entries(by_kind, (len(old), len(new)), None if spread is None else confidence)
    if by_kind:
        legend_beside(ax, *entries, fixed=len(entries.labels))
    else:
        # Samples placed nowhere near their own kind do not decide where its name stands.
        plain = {name: Style(chosen[name].colour, "s") for name in kinds.names}
        around = np.concatenate([old, new])
        name_categories(ax, old, of_old, "auto", plain, first=entries, around=around)
    return canvas.finished(ax, save)


def _outlined(projected: Any, n: int, ellipses: Ellipses) -> NDArray[np.bool_]:
    """Whose ellipses are drawn."""
    if ellipses == "none":
        return np.zeros(n, bool)
    if ellipses == "all" or (ellipses == "auto" and n <= _MAX_ELLIPSES):
        return np.ones(n, bool)
    score = getattr(projected, "outlier", None)
    if score is None and "fembed_outlier" in getattr(projected, "obs", ()):
        score = projected.obs["fembed_outlier"]
    if score is None:
        if ellipses == "outliers":
            raise InputError(
                "The projected samples bring no outlier scores, so their ellipses cannot be "
                "chosen; give what fembed.project returns, or ellipses='all'."
            )
        return np.zeros(n, bool)
    return np.asarray(np.asarray(score, np.float64) > SUSPICIOUS)


def ellipse_axes(covariance: Float, confidence: float) -> tuple[Float, Float, Float]:
    """Full widths, full heights and angles (degrees) of the confidence ellipses, k each."""
    values, vectors = np.linalg.eigh(covariance)
    radii = np.sqrt(-2.0 * np.log1p(-confidence) * np.maximum(values, 0.0))  # chi-squared of 2
    angles = np.degrees(np.arctan2(vectors[:, 1, 1], vectors[:, 0, 1]))
    return 2.0 * radii[:, 1], 2.0 * radii[:, 0], angles


def _covariances(
    projected: Any, given: Any, basis: str, components: tuple[int, int]
) -> Float | None:
    if given is None:
        given = getattr(projected, "covariance", None)
        if hasattr(projected, "obsm"):
            given = projected.obsm.get(COVARIANCE)
    if given is None:
        return None
    array = np.asarray(given, np.float64)
    n, d = coordinates(projected, basis).shape
    if array.shape == (n, d * d):  # tables keep matrices as rows
        array = array.reshape(n, d, d)
    if array.shape != (n, d, d):
        raise InputError(
            f"The covariances have shape {array.shape}; give {n} x {d} x {d}, one matrix for each "
            "projected sample."
        )
    chosen = np.array(components) - 1
    return array[:, chosen[:, None], chosen[None, :]]


def _both_kinds(
    training: Any,
    projected: Any,
    color: Any,
    projected_color: Any,
    counts: tuple[int, int],
    palette: Palette | None,
) -> Categories:
    """The category of every sample, training samples first; without any, which of both it is."""
    if color is None and projected_color is None:
        codes = np.repeat(np.array([0, 1], np.intp), counts)
        return Categories((TRAINING, PROJECTED), codes, _BY_KIND)
    if projected_color is None and isinstance(color, str) and hasattr(projected, "obs_names"):
        projected_color = color
    parts = []
    for data, chosen, n in (
        (training, color, counts[0]),
        (projected, projected_color, counts[1]),
    ):
        found = colouring(data, chosen, n, keep=False)
        if found is None:
            found = categories([None] * n)
        if not isinstance(found, Categories):
            raise InputError(
                "Numbers cannot tell training from projected samples; colour by categories."
            )
        parts.append(found)
    both = with_palette(joined(parts), palette)
    remember(training, color, both, palette)
    remember(projected, projected_color, both, palette)
    return both


def _faces(kinds: Categories, chosen: Mapping[str, Style], opacity: float) -> NDArray[np.float64]:
    from matplotlib import colors

    each = np.array([colors.to_rgba(chosen[name].colour, opacity) for name in kinds.names])
    return each.reshape(-1, 4)[kinds.codes]


def _draw_training(
    ax: Axes, points: Float, kinds: Categories, chosen: Mapping[str, Style], area: float
) -> None:
    order = marks.drawing_order(kinds)
    # Paler than the projected ones, which are what this figure is about.
    faces = _faces(kinds.take(order), chosen, 0.5)
    marks.draw_markers(ax, points[order], ["o"] * len(order), faces, area)


def _draw_projected(
    ax: Axes, points: Float, kinds: Categories, chosen: Mapping[str, Style], area: float
) -> None:
    order = marks.drawing_order(kinds, seed=1)
    faces = _faces(kinds.take(order), chosen, 1.0)
    marks.draw_markers(
        ax, points[order], ["^"] * len(order), faces, max(14.0, 1.6 * area),
        edgecolors=canvas.INK, linewidths=0.4, zorder=5,
    )  # fmt: skip


def _draw_ellipses(
    ax: Axes,
    points: Float,
    covariance: Float,
    kinds: Categories,
    chosen: Mapping[str, Style],
    confidence: float,
) -> int:
    """Draw them and return how many samples have none."""
    from matplotlib.collections import EllipseCollection

    finite = np.asarray(np.isfinite(covariance).all(axis=(1, 2)))
    if finite.any():
        widths, heights, angles = ellipse_axes(covariance[finite], confidence)
        edges = _faces(kinds.take(finite), chosen, 0.9)
        ax.add_collection(
            EllipseCollection(
                widths, heights, angles, units="xy", offsets=points[finite],
                offset_transform=ax.transData, facecolors="none", edgecolors=edges,
                linewidths=0.7, zorder=4,
            )
        )  # fmt: skip
    return int((~finite).sum())


def _entries(by_kind: bool, counts: tuple[int, int], confidence: float | None) -> Entries:
    """What the legend says of the markers."""
    from matplotlib.lines import Line2D

    colours = [style.colour if by_kind else canvas.SOFT for style in _KIND_STYLES.values()]
    entries: list[Any] = [
        Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=size)
        for marker, colour, size in zip("o^", colours, (4.5, 5.5), strict=True)
    ]
    labels = [TRAINING, PROJECTED]
    numbers: list[int | None] = [*counts]
    if confidence is not None:
        entries.append(
            Line2D(
                [], [], linestyle="none", marker="o", markersize=7.5, fillstyle="none",
                color=colours[1], markeredgewidth=0.7,
            )
        )  # fmt: skip
        labels.append(f"{confidence:.0%} confidence")
        numbers.append(None)
    return Entries(entries, labels, numbers)
