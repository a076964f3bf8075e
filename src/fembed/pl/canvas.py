"""Where figures are drawn and how they are written: axes given or made, one style, safe text."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fembed.errors import InputError
from fembed.files import atomic
from fembed.pl import names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: A path, or the place of one that a command has looked at before its long work.
SavePath = str | os.PathLike[str] | atomic.Place

#: Inches of a printed page's text, for which all sizes of type are chosen.
PAGE_WIDTH = 7.1
INK, SOFT, LINE = "#1f2530", "#5b6470", "#c3c8ce"
OURS, OTHER = "#0072B2", "#D55E00"  # Okabe and Ito's blue and vermilion
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,  # letters stay letters in a vector program
    "svg.fonttype": "none",
    "text.usetex": False,  # names are no programs
}
DOTS_PER_INCH = 200
#: What text in a map stands on. (A halo of matplotlib's turns letters into shapes, which nobody can
#: edit in a vector program.)
GROUND: dict[str, Any] = {
    "facecolor": "white", "edgecolor": "none", "alpha": 0.7, "boxstyle": "square,pad=0.12",
}  # fmt: skip
#: Names are not mathematics: what stands between two dollar signs is drawn as it is.
PLAIN: dict[str, Any] = {"parse_math": False}


def check_installed() -> None:
    """Raise InputError unless the packages that figures need are there."""
    import importlib.util

    if importlib.util.find_spec("matplotlib") is None:
        raise InputError(
            'Figures need matplotlib, which is not installed; run: pip install "fembed[plot]".'
        )


@contextmanager
def drawing() -> Iterator[None]:
    """The style of all figures, for a with statement or as a decorator."""
    check_installed()
    import matplotlib as mpl

    # Not rc_context, which puts back every setting: the first figure of a notebook makes the
    # backend interactive, and no later figure would be shown.
    before = {name: mpl.rcParams[name] for name in STYLE}
    mpl.rcParams.update(STYLE)
    try:
        with quiet_about_glyphs():
            yield
    finally:
        mpl.rcParams.update(before)


@contextmanager
def quiet_about_glyphs() -> Iterator[None]:
    """No warning about a name in a script that the font lacks; it is drawn as boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def axes_for(ax: Axes | None, save: SavePath | None, width: float, height: float) -> Axes:
    """``ax``, or the axes of a new figure of ``width`` x ``height`` inches."""
    return new_figure(save, width, height).subplots() if ax is None else ax


def new_figure(save: SavePath | None, width: float, height: float) -> Figure:
    """A new figure: pyplot's, which shows it, or one of its own where it is only saved.

    pyplot keeps its figures until they are closed, which a loop over ``save=`` would never do.
    """
    size = (width, height)
    if save is not None:
        check_output(save)
        from matplotlib.figure import Figure

        return Figure(figsize=size, layout="constrained")
    from matplotlib import pyplot

    return pyplot.figure(figsize=size, layout="constrained")


def check_output(save: SavePath) -> str:
    """The ending (without dot) of a figure's file; InputError for one that cannot be written."""
    from matplotlib.backend_bases import FigureCanvasBase

    path = save.path if isinstance(save, atomic.Place) else save
    ending = Path(path).suffix.removeprefix(".").lower()
    known = FigureCanvasBase.get_supported_filetypes()
    if ending not in known:
        raise InputError(
            f"The figure {os.fspath(path)} has an unknown ending; give a file that ends in .png, "
            ".pdf or .svg."
        )
    return ending


def finished(ax: Axes, save: SavePath | None) -> Axes:
    """``ax``, its figure written to ``save`` (if given): complete or not at all."""
    if save is not None:
        write(ax.get_figure(root=True), save)
    return ax


def write(figure: Figure, save: SavePath, tight: bool = False) -> None:
    """Write a figure, replacing an earlier file once the new one is complete.

    ``tight`` makes the page as large as what is drawn, where no layout engine cares for it.
    """
    ending = check_output(save)
    box = {"bbox_inches": "tight", "pad_inches": 0.03} if tight else {}
    content = io.BytesIO()
    with quiet_about_glyphs():
        figure.savefig(content, format=ending, dpi=DOTS_PER_INCH, **box)
    atomic.replace_file(save, content.getbuffer())


def name_axes(ax: Axes, called: Sequence[str]) -> None:
    """Name the two axes of a map and make them equal, since distances in a map mean something."""
    label_axes(ax, *called)
    ax.set_aspect("equal", adjustable="datalim")


def label_axes(ax: Axes, across: str, up: str) -> None:
    """Write at the axes what they are, no longer than they are."""
    figure = ax.get_figure(root=True)
    box = ax.get_window_extent()
    size = STYLE["axes.labelsize"]
    ax.set_xlabel(names.shortened(across, box.width / figure.dpi, size), **PLAIN)
    ax.set_ylabel(names.shortened(up, box.height / figure.dpi, size), **PLAIN)


def entitle(ax: Axes, title: str | None, size: float | None = None, lines: int = 2) -> None:
    """A title above ``ax``, no wider than the axes or, where they are alone, than the figure.

    A title's own line breaks stay.
    """
    figure = ax.get_figure(root=True)
    size = STYLE["axes.titlesize"] if size is None else size
    parts = str(title or "").split("\n")[:6]
    room = ax.bbox.width / figure.dpi
    if max(names.width(names.plain(part), size) for part in parts) > room:
        figure.draw_without_rendering()  # the layout settles where the axes are
        room = ax.bbox.width / figure.dpi
        if all(other is ax or _is_bar(other) for other in figure.axes):
            room = (figure.bbox.width - ax.bbox.x0) / figure.dpi - 0.1
    text = "\n".join(names.wrapped(part, room, size, lines) for part in parts)
    ax.set_title(text, loc="left", fontsize=size, **PLAIN)


def _is_bar(ax: Axes) -> bool:
    return getattr(ax, "_colorbar", None) is not None


def map_height(extent: Any, width: float = 5.4) -> float:
    """Inches for a figure whose map is ``width`` inches wide, so that equal axes waste no space."""
    across, up = (float(side) for side in extent)
    return float(np.clip(width * up / max(across, 1e-12) + 0.7, 3.2, 5.6))


def point_area(n: int) -> float:
    """Area of a point in square points: a map of ``n`` stays neither empty nor black."""
    return float(np.clip(14_000 / max(n, 1), 2.0, 26.0))


def colour_bar(
    ax: Axes, mappable: Any, label: str, *, inside: bool = False, extend: str = "neither"
) -> Any:
    """A slim colour bar beside ``ax``, or filling ``ax`` itself."""
    place = {"cax": ax} if inside else {"ax": ax, "shrink": 0.75, "aspect": 22, "pad": 0.015}
    bar = ax.get_figure().colorbar(mappable, extend=extend, **place)
    bar.outline.set_visible(False)
    high = (1.0 if inside else 0.75) * ax.bbox.height / ax.get_figure(root=True).dpi
    bar.set_label(names.wrapped(label, high, STYLE["axes.labelsize"]), **PLAIN)
    return bar


def count_bar(ax: Axes, mappable: Any, label: str, *, inside: bool = False) -> Any:
    """A colour bar of counts on a logarithmic scale, with whole numbers at its ticks."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    bar = colour_bar(ax, mappable, label, inside=inside)
    bar.locator = LogLocator(subs=(1.0, 2.0, 5.0) if mappable.norm.vmax < 500 else (1.0,))
    bar.formatter = StrMethodFormatter("{x:,.0f}")
    bar.minorlocator = NullLocator()
    bar.update_ticks()
    return bar


def note(ax: Axes, text: str, corner: str = "upper left", **options: Any) -> None:
    """A few words in a corner of the axes, readable on whatever is drawn there."""
    vertical, horizontal = corner.split()
    ax.text(
        0.02 if horizontal == "left" else 0.98,
        0.98 if vertical == "upper" else 0.02,
        text,
        transform=ax.transAxes,
        ha=horizontal,
        va="top" if vertical == "upper" else "bottom",
        bbox=GROUND,
        zorder=10,
        **{"fontsize": 7, **PLAIN, **options},
    )
