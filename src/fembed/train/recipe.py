"""What the two recipes come to for data of a given size: blocks, steps and learning rates."""

from __future__ import annotations

from dataclasses import dataclass

from fembed.config import FitConfig

#: Learning rate of the samples over that of the network and the genes, in the fast recipe.
SAMPLE_RATE_FACTOR = 10.0
#: The same of a map that starts at a neighbour embedding, which a higher rate would unmake.
LAYOUT_RATE_FACTOR = 0.3
#: Share of the fast recipe's steps in which the learning rates fall to zero.
COOLDOWN = 0.4
#: Steps over which the learning rates rise at the start of the fast recipe; a short schedule
#: takes a tenth of its own.
WARMUP_STEPS = 500
#: The fast recipe's default number of steps: 5.5 passes, but at least and at most so many.
FAST_PASSES, FAST_LEAST_STEPS, FAST_MOST_STEPS = 5.5, 5_000, 120_000
#: Where samples are moved out of local minima, as shares of all steps. Not of a map
#: that starts at a neighbour embedding: reseating would unmake it.
RESEATING = (0.05, 0.15, 0.3, 0.45)


@dataclass(frozen=True)
class Plan:
    """The schedule of one fit.

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


def plan(config: FitConfig, n_samples: int, n_genes: int) -> Plan:
    """The plan of ``config`` for a matrix of n_samples x n_genes."""
    fast = config.recipe == "fast"
    block_samples = min(config.block_samples or (32 if fast else 4), n_samples)
    block_genes = min(config.block_genes or (128 if fast else n_genes), n_genes)
    per_pass = group_count(n_samples, block_samples) * group_count(n_genes, block_genes)
    if config.iterations is not None:
        n_steps = config.iterations
    elif config.epochs is not None:
        n_steps = max(1, round(config.epochs * per_pass))
    elif fast:
        n_steps = min(max(round(FAST_PASSES * per_pass), FAST_LEAST_STEPS), FAST_MOST_STEPS)
    else:
        n_steps = 100_000
    rate = config.learning_rate or 5e-3
    neighbours = config.starts_at_tsne(n_samples)
    factor = LAYOUT_RATE_FACTOR if neighbours else SAMPLE_RATE_FACTOR
    default_validation = 0.1 if fast else 0.0
    validation = config.validation_fraction
    if validation is None:
        validation = default_validation
    # Fewer than this, and one sample more or less would decide when to stop.
    too_few = n_samples * validation < 4
    return Plan(
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
        reseats=() if neighbours else tuple(round(share * n_steps) for share in RESEATING),
    )


def group_count(total: int, size: int) -> int:
    """Groups of about ``size`` that ``total`` things are cut into, none left over."""
    return -(-total // size)
