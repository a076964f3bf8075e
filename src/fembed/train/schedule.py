"""The schedule of a fit: steps, rates and blocks of its recipe for data of a given size."""

from __future__ import annotations

from dataclasses import dataclass

from fembed.config import FitConfig

#: The published learning rate of the network and the genes, in both recipes.
LEARNING_RATE = 5e-3
#: The fast recipe moves samples so many times as fast as the network and the genes ...
SAMPLE_RATE_FACTOR = 10.0
#: ... but slowly in a map that starts at t-SNE, which a higher rate would unmake.
TSNE_RATE_FACTOR = 0.3
#: The learning rates of the fast recipe fall to zero over this share of its steps.
COOLDOWN = 0.4
#: They rise over so many steps at the start; a short schedule takes a tenth of its own.
WARMUP_STEPS = 500
#: The fast recipe takes so many passes by default ...
FAST_PASSES = 5.5
#: ... but small data get at least so many steps,
FAST_MIN_STEPS = 5_000
#: and large data at most so many.
FAST_MAX_STEPS = 120_000
#: The published recipe takes so many steps by default.
PUBLISHED_STEPS = 100_000
#: Samples are moved out of local minima after these shares of all steps. A map that starts at a
#: neighbour embedding has no such moments, since reseating would unmake it.
RESEATING = (0.05, 0.15, 0.3, 0.45)
#: The fast recipe holds out this share by default.
FAST_VALIDATION = 0.1
#: With fewer held-out samples than this, one more or less would decide when to stop.
MIN_VALIDATION_SAMPLES = 4


@dataclass(frozen=True)
class Schedule:
    """How many steps on which blocks, at which learning rates, and what is held out meanwhile.

    Attributes
    ----------
    block_samples, block_genes : int
        Size of a block, at most the data's.
    blocks_per_pass : int
        Steps that see every entry once.
    n_steps : int
        Steps of the whole schedule.
    network_rate, gene_rate, sample_rate : float
        Highest learning rates.
    validation : float
        Share held out.
    by_entries : bool
        Hold out entries rather than samples.
    lazy : bool
        Adam leaves rows alone that a block does not touch.
    reseats : tuple of int
        The steps after which samples are moved out of local minima.
    """

    block_samples: int
    block_genes: int
    blocks_per_pass: int
    n_steps: int
    network_rate: float
    gene_rate: float
    sample_rate: float
    validation: float
    by_entries: bool
    lazy: bool
    reseats: tuple[int, ...] = ()


def schedule_of(config: FitConfig, n_samples: int, n_genes: int) -> Schedule:
    """The schedule by ``config`` for a matrix of n_samples x n_genes."""
    fast = config.recipe == "fast"
    block_samples = min(config.block_samples or (32 if fast else 4), n_samples)
    block_genes = min(config.block_genes or (128 if fast else n_genes), n_genes)
    per_pass = group_count(n_samples, block_samples) * group_count(n_genes, block_genes)
    n_steps = _n_steps(config, per_pass)
    rate = config.learning_rate or LEARNING_RATE
    tsne = config.starts_at_tsne(n_samples)
    factor = TSNE_RATE_FACTOR if tsne else SAMPLE_RATE_FACTOR
    validation = config.validation_fraction
    if validation is None:
        validation = FAST_VALIDATION if fast else 0.0
    too_few = n_samples * validation < MIN_VALIDATION_SAMPLES
    return Schedule(
        block_samples=block_samples,
        block_genes=block_genes,
        blocks_per_pass=per_pass,
        n_steps=n_steps,
        network_rate=rate,
        gene_rate=rate,
        sample_rate=min(1.0, rate * factor) if fast else rate,
        validation=validation,
        by_entries=config.validation_entries or not fast or too_few,
        lazy=fast,
        reseats=() if tsne else tuple(round(share * n_steps) for share in RESEATING),
    )


def _n_steps(config: FitConfig, blocks_per_pass: int) -> int:
    if config.iterations is not None:
        return config.iterations
    if config.epochs is not None:
        return max(1, round(config.epochs * blocks_per_pass))
    if config.recipe == "fast":
        return min(max(round(FAST_PASSES * blocks_per_pass), FAST_MIN_STEPS), FAST_MAX_STEPS)
    return PUBLISHED_STEPS


def group_count(total: int, size: int) -> int:
    """Groups of about ``size`` that ``total`` things are cut into, none left over."""
    return -(-total // size)
