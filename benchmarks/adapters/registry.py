"""Every rival by its name: how it is made, what it needs, and the defaults it is measured at."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.adapters import Rival
from benchmarks.published_recipe import Thesis
from fembed import FitConfig, InputError


@dataclass(frozen=True)
class Entry:
    """A rival of the protocol."""

    key: str  # what the command line calls it
    shown: str  # what tables call it: all of its name, or the beginning where it has several ways
    adapter: str  # ``module:class`` in `benchmarks.adapters`
    package: str  # what has to be importable
    install: str  # and how to get it
    defaults: str  # the settings it is measured at, and whose they are
    #: Its ways to place samples, a row each, and the method of each.
    ways: dict[str, str] = field(default_factory=lambda: {"": "place"})
    most_components: int | None = None  # more are not measured
    limit: str = ""  # for this reason
    compiles: bool = False  # its first call compiles, which is not to be measured
    options: dict[str, Any] = field(default_factory=dict)  # of the adapter, beyond the defaults

    @property
    def rows(self) -> tuple[str, ...]:
        """What tables call its results."""
        return tuple(f"{self.shown} {way}".strip() for way in self.ways)

    def why_not(self, n_components: int | None = None) -> str:
        """Why it cannot be measured (in so many dimensions); empty if it can."""
        if self.most_components and n_components and n_components > self.most_components:
            return self.limit
        if importlib.util.find_spec(self.package) is None:
            return f"{self.package} is not installed: {self.install}"
        return ""

    def about(self) -> dict[str, Any]:
        """For the file of cases."""
        return {"defaults": self.defaults, "options": self.options}

    def make(self, n_components: int, seed: int, n_threads: int) -> Rival:
        module, name = self.adapter.split(":")
        made: Rival = getattr(importlib.import_module(f"benchmarks.adapters.{module}"), name)(
            n_components, seed, n_threads, **self.options
        )
        return made

    def with_options(self, suffix: str, **options: Any) -> Entry:
        """The same rival with other settings, under a name that says so."""
        return replace(
            self,
            shown=f"{self.shown} {suffix}".strip(),
            options={**self.options, **options},
        )


SCIKIT = "pip install scikit-learn"
TORCH = "pip install torch==2.13.0"
BENCH = 'pip install "fembed[bench]"'

_ENTRIES = (
    Entry(
        *("fembed", "fembed", "factorized:Factorized", "fembed", "pip install ."),
        "the default fit; no setting depends on the data set or the dimension",
    ),
    Entry(
        *("pca", "PCA", "libraries:Pca", "sklearn", SCIKIT),
        "scikit-learn's, exact; missing entries are the training means (so for all below)",
    ),
    Entry(
        *("umap", "UMAP", "libraries:Umap", "umap", BENCH),
        "umap-learn's: 15 neighbours, least distance 0.1; new samples by `transform`",
        compiles=True,
    ),
    Entry(
        *("opentsne", "openTSNE", "libraries:OpenTsne", "openTSNE", BENCH),
        "its own: perplexity 30, PCA start, 250 + 500 iterations; new samples by `transform`",
        most_components=2,
        limit="its authors advise against more than two dimensions",
    ),
    Entry(
        *("pacmap", "PaCMAP", "libraries:Pacmap", "pacmap", BENCH),
        "PaCMAP's: 10 neighbours, 100 principal components first; new samples by `transform`",
        compiles=True,
    ),
    Entry(
        *("nmf", "NMF", "libraries:Nmf", "sklearn", SCIKIT),
        "scikit-learn's: coordinate descent, 200 iterations; shifted to be non-negative",
    ),
    Entry(
        *("autoencoder", "autoencoder", "autoencoder:Autoencoder", "torch", TORCH),
        "genes-100-50-50-d and back, ReLU, Adam 1e-3, batches of 32, at most 500 epochs, "
        "ended by a held-out tenth; it has no authors",
    ),
    Entry(
        *("trofimov", "Trofimov 2020", "trofimov:Trofimov", "torch", TORCH),
        "the published Python code's: 250-75-50-25-10 (tanh), sigmoid x range, RMSprop 1e-3, "
        "weight decay 1e-5, 10,000 pairs a batch, 10 epochs; plain PyTorch",
        options={"epochs": 10.0},
    ),
    Entry(
        *("thesis", "thesis", "thesis:ThesisRecipe", "fembed", "pip install ."),
        "the Julia recipe's: 100-50-50, gene embedding 50, Adam 5e-3, 4 profiles a batch, "
        "100,000 iterations, and 10,000 to place new samples; the same steps in our engine",
        ways={"1.0": "from_random", "B": "place"},
    ),
)
RIVALS = {entry.key: entry for entry in _ENTRIES}


def chosen(keys: list[str]) -> list[Entry]:
    """The rivals of these names; InputError for one that is unknown."""
    for key in keys:
        if key not in RIVALS:
            raise InputError(f"There is no rival {key!r}; choose among {', '.join(RIVALS)}.")
    return [RIVALS[key] for key in dict.fromkeys(keys)]


def otherwise(entry: Entry, iterations: int, epochs: float) -> Entry:
    """The published recipes at other settings than their own, under a name that says so."""
    if entry.key == "thesis" and iterations != Thesis.iterations:
        return entry.with_options(f"({iterations:,} iterations)", iterations=iterations)
    if entry.key == "trofimov" and epochs != entry.options["epochs"]:
        return entry.with_options(f"({epochs:g} epochs)", epochs=epochs)
    return entry


def variant(text: str) -> Entry:
    """``NAME:option=value,...`` as fembed with other options of `FitConfig`, for an ablation."""
    name, _, given = text.partition(":")
    options = dict(part.split("=", 1) for part in given.split(",") if "=" in part)
    if not name or not options:
        raise InputError(
            f"The variant {text!r} is not of the form NAME:option=value,option=value, such as "
            "'small blocks:block_samples=16,block_genes=64'."
        )
    typed = {key: _value(value) for key, value in options.items()}
    FitConfig.from_dict(typed)  # refuses what is unknown or impossible, before hours of work
    entry = RIVALS["fembed"].with_options(f"({name})", **typed)
    return replace(entry, defaults=f"the default fit but for {given.replace(',', ', ')}")


def _value(text: str) -> Any:
    """A number, a list of widths (100-50), true, false or a word."""
    if text in ("true", "false"):
        return text == "true"
    if "-" in text and all(part.isdigit() for part in text.split("-")):
        return tuple(int(part) for part in text.split("-"))
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
