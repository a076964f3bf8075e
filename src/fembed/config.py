"""Every option of a fit, described once, with its default and where the default comes from."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

from fembed.errors import InputError

Recipe = Literal["fast", "published"]
RECIPES: tuple[Recipe, ...] = ("fast", "published")

Start = Literal["neighbours", "components"]
STARTS: tuple[Start, ...] = ("neighbours", "components")
#: Barnes-Hut t-SNE is for up to three dimensions, and few samples have no neighbourhoods.
MOST_NEIGHBOUR_COMPONENTS, LEAST_NEIGHBOUR_SAMPLES = 3, 20

MAX_COMPONENTS = 128
MAX_HIDDEN_LAYERS = 32
MAX_THREADS = 256


@dataclass(frozen=True)
class FitConfig:
    """Options of a fit; ``None`` stands for the recipe's own default.

    Attributes
    ----------
    n_components : int, 1 to 128
        Dimensions of the sample embedding. Two make a map.
    gene_components : int
        Dimensions of the gene embedding (50, the published default).
    hidden : tuple of int
        Widths of the network's hidden layers (100-50-50, the thesis chapter's).
    recipe : {"fast", "published"}
        "fast" is this project's own: spectral start, blocks, three learning rates, reseating,
        gauge, stopping by data. "published" is the thesis chapter's model to the letter: random
        start, no linear skip, whole profiles, one learning rate.
    start : {"neighbours", "components"}, optional
        Where the fast recipe starts. "neighbours": at a t-SNE layout, which keeps related samples
        together; the default for maps (up to three components, from 20 samples). "components":
        at the principal components; the default above, and the only one there.
    epochs : float, optional
        Passes over all entries of the matrix. Default: chosen by the size of the data and, in
        the fast recipe, ended earlier when held-out samples stop improving.
    iterations : int, optional
        Steps instead of epochs (the published recipe: 100,000).
    block_samples, block_genes : int, optional
        Size of a step's block. Fast: 32 samples x 128 genes. Published: 4 whole profiles (the
        chapter's text; its stored runs say 10).
    learning_rate : float, optional
        Of the network and the genes: 5e-3 in both recipes (the chapter's text; its stored runs
        say 1e-2). The fast recipe moves samples ten times as fast, but 0.3 times in maps that
        start at neighbours.
    weight_decay : float
        Coupled L2: Adam sees ``gradient + weight_decay * value`` (0, the chapter's best).
    validation : float, optional
        Share held out to choose when to stop. Fast: share of the samples (0.1), which join for
        the last part of the training. With ``validation_entries`` it is a share of the entries.
        0 trains the whole schedule.
    validation_entries : bool
        Hold out a share of the single entries of the matrix instead of whole samples. All of
        them are kept out; those of at most 256 samples are looked at.
    seed : int
        Of everything random. The same seed and data give the same bits on one machine.
    n_threads : int, optional
        Threads of the engine; all processors by default.
    """

    n_components: int = 2
    gene_components: int = 50
    hidden: tuple[int, ...] = (100, 50, 50)
    recipe: Recipe = "fast"
    start: Start | None = None
    epochs: float | None = None
    iterations: int | None = None
    block_samples: int | None = None
    block_genes: int | None = None
    learning_rate: float | None = None
    weight_decay: float = 0.0
    validation: float | None = None
    validation_entries: bool = False
    seed: int = 0
    n_threads: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        self._check_recipe()
        self._check_sizes()
        self._check_training()

    def _check_recipe(self) -> None:
        if self.recipe not in RECIPES:
            raise InputError(
                f"The recipe {self.recipe!r} is not known; choose 'fast' or 'published'."
            )
        if self.start is not None and self.start not in STARTS:
            raise InputError(
                f"start is {self.start!r}; choose 'neighbours' or 'components', or leave it out."
            )
        if self.start is not None and self.recipe == "published":
            raise InputError("start is for the fast recipe; the published one starts at random.")
        if self.start == "neighbours" and self.n_components > MOST_NEIGHBOUR_COMPONENTS:
            raise InputError(
                f"start is 'neighbours', which is for at most {MOST_NEIGHBOUR_COMPONENTS} "
                "components; leave it out."
            )
        if self.epochs is not None and self.iterations is not None:
            raise InputError("Both epochs and iterations are given; choose one of them.")

    def _check_sizes(self) -> None:
        if not _whole(self.n_components, 1, MAX_COMPONENTS):
            raise InputError(
                f"n_components is {self.n_components!r}; choose a whole number from 1 to "
                f"{MAX_COMPONENTS}."
            )
        for name in ("gene_components", "block_samples", "block_genes", "iterations"):
            value = getattr(self, name)
            if value is not None and not _whole(value, 1):
                raise InputError(f"{name} is {value!r}; choose a whole number of at least 1.")
        if self.n_threads is not None and not _whole(self.n_threads, 1, MAX_THREADS):
            raise InputError(
                f"n_threads is {self.n_threads!r}; choose a whole number from 1 to {MAX_THREADS}."
            )
        if not 1 <= len(self.hidden) <= MAX_HIDDEN_LAYERS or not all(
            _whole(width, 1) for width in self.hidden
        ):
            raise InputError(
                f"hidden is {self.hidden!r}; give 1 to {MAX_HIDDEN_LAYERS} layer widths of at "
                "least 1, such as 100,50,50."
            )
        if not _whole(self.seed, 0):
            raise InputError(f"seed is {self.seed!r}; choose a whole number of at least 0.")

    def _check_training(self) -> None:
        if self.epochs is not None and not (_number(self.epochs) and self.epochs > 0):
            raise InputError(f"epochs is {self.epochs!r}; choose a number above 0.")
        if self.learning_rate is not None and not (
            _number(self.learning_rate) and 0 < self.learning_rate <= 1
        ):
            raise InputError(
                f"learning_rate is {self.learning_rate!r}; choose a number above 0 and at most 1."
            )
        if not (_number(self.weight_decay) and self.weight_decay >= 0):
            raise InputError(f"weight_decay is {self.weight_decay!r}; choose a number from 0 up.")
        if self.validation is not None and not (
            _number(self.validation) and 0 <= self.validation < 0.9
        ):
            raise InputError(
                f"validation is {self.validation!r}; choose a share from 0 up to below 0.9."
            )

    def starts_at_neighbours(self, n_samples: int) -> bool:
        """Whether a fit of so many samples starts at a neighbour embedding."""
        if self.recipe != "fast" or n_samples < LEAST_NEIGHBOUR_SAMPLES:
            return False
        if self.start is not None:
            return self.start == "neighbours"
        return self.n_components <= MOST_NEIGHBOUR_COMPONENTS

    def to_dict(self) -> dict[str, Any]:
        """The options as JSON-able values."""
        return {**dataclasses.asdict(self), "hidden": list(self.hidden)}

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> FitConfig:
        """The inverse of `to_dict`; InputError names an unknown or impossible option."""
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(options) - known)
        if unknown:
            raise InputError(f"The option {unknown[0]!r} is not known to this version of fembed.")
        try:
            return cls(**{**options, "hidden": tuple(options.get("hidden", cls.hidden))})
        except TypeError:
            raise InputError(f"The option hidden is {options['hidden']!r}, not a list.") from None


def _whole(value: Any, low: int, high: float = math.inf) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
