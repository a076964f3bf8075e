"""Every option of a fit, described once, with its default and where the default comes from."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from fembed.errors import InputError, shown

Recipe = Literal["fast", "published"]
RECIPES: tuple[Recipe, ...] = ("fast", "published")

LikelihoodName = Literal["least-squares", "normal", "counts"]
LIKELIHOODS: tuple[LikelihoodName, ...] = ("least-squares", "normal", "counts")

Init = Literal["tsne", "pca"]
INITS: tuple[Init, ...] = ("tsne", "pca")
#: Barnes-Hut t-SNE works in up to three dimensions.
MAX_TSNE_COMPONENTS = 3
#: With fewer samples, t-SNE has no neighbourhoods to keep together.
MIN_TSNE_SAMPLES = 20

#: Options, and their values, in models, checkpoints and sweeps up to schema version 2.
FORMER_NAMES = {"start": "init", "validation": "validation_fraction"}
FORMER_INITS = {"neighbours": "tsne", "components": "pca"}

MAX_COMPONENTS = 128
MAX_HIDDEN_LAYERS = 32
MAX_THREADS, MAX_WORKERS = 256, 1024
#: Width of a hidden layer and of the gene embedding: about the genes of the largest matrices.
MAX_WIDTH = 100_000
#: Beyond these a training would not end in a lifetime, or its numbers would leave 32-bit floats.
MAX_STEPS, MAX_EPOCHS, MAX_WEIGHT_DECAY = 10**12, 10**9, 1000
#: Seeds beyond this are refused by some generators of random numbers.
MAX_SEED = 2**63 - 1
#: scikit-learn's generators, which make folds, take 32 bits; each repeat adds one.
MAX_FOLD_SEED, MAX_REPEATS = 2**32 - 1001, 1000
#: Larger whole numbers are refused: not all of them can be turned into a float.
MAX_INTEGER = 2**63


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
        gauge, stopping by data. "published" is the thesis chapter's model as published: random
        start, no linear skip, whole profiles, one learning rate.
    init : {"tsne", "pca"}, optional
        Where the fast recipe starts. "tsne": at a t-SNE layout, which keeps related samples
        together; the default for maps (up to three components, from 20 samples). "pca": at the
        principal components; the default above, and the only one there.
    likelihood : {"least-squares", "normal", "counts"}, optional
        What samples are placed by. "least-squares", the default: by the squared error over the
        genes. "normal": by the likelihood of map, residual factors, and a noise of its own for
        each gene; of the fast recipe only. "counts": the values are raw counts, and the whole
        training is by their likelihood, the negative binomial; of the fast recipe only.
    epochs : float, optional
        Passes over all entries of the matrix. Default: chosen by the size of the data and, in
        the fast recipe, ended earlier when held-out samples stop improving.
    iterations : int, optional
        Steps instead of epochs (the published recipe: 100,000).
    block_samples, block_genes : int, optional
        Size of a step's block. Fast: 32 samples x 128 genes. Published: 4 whole profiles (the
        chapter's text; its stored runs say 10).
    learning_rate : float, optional
        Learning rate of the network and the genes: 5e-3 in both recipes (the chapter's text; its
        stored runs say 1e-2). The fast recipe moves samples ten times as fast, but 0.3 times as
        fast in maps that start at t-SNE.
    weight_decay : float
        Coupled L2 penalty: Adam sees ``gradient + weight_decay * value`` (0, the chapter's best).
    validation_fraction : float, optional
        Share held out to choose when to stop. Fast: share of the samples (0.1), which join for
        the last part of the training. With ``validation_entries`` it is a share of the entries.
        0 trains the whole schedule.
    validation_entries : bool
        Hold out a share of the single entries of the matrix instead of whole samples. All of them
        are kept out of the training; the loss is measured on those of at most 256 samples.
    seed : int
        Seed of all random numbers. The same seed and data give the same bits on one machine.
    n_threads : int, optional
        Threads of the engine; all processors by default.

    Examples
    --------
    >>> config = fembed.FitConfig(n_components=8, weight_decay=1e-6)
    >>> config.n_components, config.init
    (8, None)
    """

    n_components: int = 2
    gene_components: int = 50
    hidden: tuple[int, ...] = (100, 50, 50)
    recipe: Recipe = "fast"
    init: Init | None = None
    likelihood: LikelihoodName | None = None
    epochs: float | None = None
    iterations: int | None = None
    block_samples: int | None = None
    block_genes: int | None = None
    learning_rate: float | None = None
    weight_decay: float = 0.0
    validation_fraction: float | None = None
    validation_entries: bool = False
    seed: int = 0
    n_threads: int | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _native(getattr(self, field.name)))
        self._check_recipe()
        self._check_sizes()
        self._check_training()
        for name in _REAL:
            value = getattr(self, name)
            if value is not None:
                # 1 and 1.0, or 0.0 and -0.0, are one option, also where they are written.
                object.__setattr__(self, name, float(value) + 0.0)

    def _check_recipe(self) -> None:
        if self.recipe not in RECIPES:
            raise InputError(
                f"The recipe {shown(self.recipe)} is not known; choose 'fast' or 'published'."
            )
        if self.init is not None and self.init not in INITS:
            raise InputError(
                f"init is {shown(self.init)}; choose 'tsne' or 'pca', or leave it out."
            )
        if self.init is not None and self.recipe == "published":
            raise InputError("init is for the fast recipe; the published one starts at random.")
        if self.likelihood is not None and self.likelihood not in LIKELIHOODS:
            raise InputError(
                f"likelihood is {shown(self.likelihood)}; choose 'least-squares', 'normal' or "
                "'counts', or leave it out."
            )
        if self.likelihood in ("normal", "counts") and self.recipe == "published":
            raise InputError(
                f"The likelihood '{self.likelihood}' is for the fast recipe; the published one is "
                "that of least squares."
            )
        if self.epochs is not None and self.iterations is not None:
            raise InputError("Both epochs and iterations are given; choose one of them.")

    def _check_sizes(self) -> None:
        for name, low, high in _WHOLE:
            value, optional = getattr(self, name), getattr(type(self), name) is None
            if not (value is None and optional):
                checked_whole(name, value, low, high)
        if (
            not isinstance(self.hidden, tuple)
            or not 1 <= len(self.hidden) <= MAX_HIDDEN_LAYERS
            or not all(is_whole(width, 1, MAX_WIDTH) for width in self.hidden)
        ):
            raise InputError(
                f"hidden is {shown(self.hidden)}; give 1 to {MAX_HIDDEN_LAYERS} layer widths from "
                f"1 to {MAX_WIDTH}, such as 100,50,50."
            )
        if self.init == "tsne" and self.n_components > MAX_TSNE_COMPONENTS:
            raise InputError(
                f"init is 'tsne', which is for at most {MAX_TSNE_COMPONENTS} components; leave it "
                "out."
            )

    def _check_training(self) -> None:
        epochs, rate, decay = self.epochs, self.learning_rate, self.weight_decay
        if epochs is not None and not (is_number(epochs) and 0 < epochs <= MAX_EPOCHS):
            raise InputError(
                f"epochs is {shown(epochs)}; choose a number above 0 and at most {MAX_EPOCHS}."
            )
        if rate is not None and not (is_number(rate) and 0 < rate <= 1):
            raise InputError(
                f"learning_rate is {shown(rate)}; choose a number above 0 and at most 1."
            )
        if not (is_number(decay) and 0 <= decay <= MAX_WEIGHT_DECAY):
            raise InputError(
                f"weight_decay is {shown(decay)}; choose a number from 0 to {MAX_WEIGHT_DECAY}."
            )
        share = self.validation_fraction
        if share is not None and not (is_number(share) and 0 <= share < 0.9):
            raise InputError(
                f"validation_fraction is {shown(share)}; choose a share from 0 up to below 0.9."
            )
        if not isinstance(self.validation_entries, bool):
            raise InputError(
                f"validation_entries is {shown(self.validation_entries)}; choose True or False."
            )

    def starts_at_tsne(self, n_samples: int) -> bool:
        """Whether a fit of so many samples starts at a t-SNE layout."""
        if self.recipe != "fast" or n_samples < MIN_TSNE_SAMPLES:
            return False
        if self.init is not None:
            return self.init == "tsne"
        return self.n_components <= MAX_TSNE_COMPONENTS

    @property
    def takes_counts(self) -> bool:
        """Whether values are counts, with the likelihood of counts."""
        return self.likelihood == "counts"

    @property
    def places_by_likelihood(self) -> bool:
        """Whether samples are placed by the likelihood, where residual factors help."""
        return self.likelihood == "normal"

    def to_dict(self) -> dict[str, Any]:
        """The options as JSON-able values."""
        return {**dataclasses.asdict(self), "hidden": list(self.hidden)}

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> FitConfig:
        """The inverse of `to_dict`, also of options as they were called up to schema version 2.

        Raises
        ------
        InputError
            For an unknown or impossible option, which it names.
        """
        now = {FORMER_NAMES.get(name, name): value for name, value in options.items()}
        if isinstance(options.get("start"), str):
            now["init"] = FORMER_INITS.get(options["start"], options["start"])
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(now) - known)
        if unknown:
            raise InputError(f"The option {unknown[0]!r} is not known to this version of fembed.")
        return cls(**now)

    def identity(self) -> dict[str, Any]:
        """What tells two fits apart, for digests: all options but the number of threads.

        Names and values are those of schema versions 1 and 2, so that sweeps and checkpoints
        written under them are recognised.
        """
        former = {new: old for old, new in FORMER_NAMES.items()}
        options = {former.get(name, name): value for name, value in self.to_dict().items()}
        inits = {new: old for old, new in FORMER_INITS.items()}
        options["start"] = inits.get(options["start"])
        del options["n_threads"]
        if self.likelihood in (None, "least-squares"):
            del options["likelihood"]
        return options

    @classmethod
    def of(cls, config: FitConfig | None, **options: Any) -> FitConfig:
        """``config``, or the defaults, with some options changed.

        Raises
        ------
        InputError
            For an option that does not exist or is impossible.
        """
        if config is not None:
            checked_kind("config", config, cls, "a fembed.FitConfig, or leave it out")
        known = [field.name for field in dataclasses.fields(cls)]
        for name in options:
            if name not in known:
                raise InputError(
                    f"There is no option {name!r}; the options are {', '.join(known)}."
                )
        return dataclasses.replace(config or cls(), **options)


def checked_whole(name: str, value: Any, low: int, high: int) -> int:
    """``value`` as an int; InputError, naming the option, unless it is whole and within limits."""
    if not is_whole(value, low, high):
        raise InputError(f"{name} is {shown(value)}; choose a whole number from {low} to {high}.")
    return int(value)


def checked_kind(name: str, value: Any, kind: type, call: str) -> None:
    """Raise InputError, naming the argument, unless ``value`` is a ``kind``; ``call`` makes one."""
    if not isinstance(value, kind):
        raise InputError(f"{name} is {shown(value)}; give {call}.")


def is_whole(value: Any, low: int, high: float = math.inf) -> bool:
    """Whether ``value`` is a whole number (not True or False) from ``low`` to ``high``."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and low <= value <= high


def is_number(value: Any) -> bool:
    """Whether ``value`` is a finite number (not True or False)."""
    if isinstance(value, int | np.integer):
        return not isinstance(value, bool) and abs(int(value)) <= MAX_INTEGER
    return isinstance(value, float | np.floating) and math.isfinite(value)


def _native(value: Any) -> Any:
    """NumPy numbers as Python's, which JSON can hold, and a list of widths as a tuple."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(_native(item) for item in value)
    return value.item() if isinstance(value, np.generic) else value


#: Whole options with their limits.
_WHOLE = (
    ("n_components", 1, MAX_COMPONENTS),
    ("gene_components", 1, MAX_WIDTH),
    ("block_samples", 1, MAX_STEPS),
    ("block_genes", 1, MAX_STEPS),
    ("iterations", 1, MAX_STEPS),
    ("n_threads", 1, MAX_THREADS),
    ("seed", 0, MAX_SEED),
)
_REAL = ("epochs", "learning_rate", "weight_decay", "validation_fraction")
