"""What is refused before a training begins, and a model that is of no use after it."""

from __future__ import annotations

import warnings

import numpy as np

from fembed.config import FitConfig
from fembed.data import layers
from fembed.data.chunks import gene_limits
from fembed.data.expression import Expression
from fembed.data.memory import available_bytes
from fembed.engine import Float32
from fembed.errors import DataWarning, InputError, TrainingError
from fembed.model import Model
from fembed.parameters import network_size
from fembed.train.schedule import Schedule

#: Training holds the parameters, two moments of each, and the same of the best state so far.
BYTES_PER_PARAMETER = 6 * 4
#: The order in which a pass visits its blocks takes so much memory per block.
BYTES_PER_BLOCK = 130
#: The engine counts the weights of a network in 32 bits.
MAX_WEIGHTS = 2**31 - 1
#: The largest difference within a gene is at least this: squares of smaller ones leave 32-bit
#: floats.
MIN_SPAN = 1e-12


def check_trained(model: Model, schedule: Schedule) -> None:
    """Raise TrainingError for a model that is of no use."""
    try:
        model.check()
    except InputError as error:
        reason = f"{str(error)[0].lower()}{str(error)[1:]}"
        raise TrainingError(
            f"The training ended in a model of no use: {reason.rstrip('.')}; choose a learning "
            f"rate below {schedule.network_rate:g}, or give values in other units."
        ) from error


def check_data(expression: Expression, config: FitConfig) -> None:
    """Raise InputError for data on which no such model can be trained."""
    expression.check()
    layers.check_shared(expression)
    if expression.n_samples <= config.n_components:
        raise InputError(
            f"{expression.origin} has {expression.n_samples} samples, too few for "
            f"{config.n_components} components; ask for at most {expression.n_samples - 1}."
        )


def check_memory(config: FitConfig, schedule: Schedule, n_samples: int, n_genes: int) -> None:
    """Refuse parameters that there is no room for before any of them is made."""
    d, e = config.n_components, config.gene_components
    n_network = network_size(d, e, config.hidden)
    n_parameters = n_samples * d + n_genes * (e + d + 1) + n_network
    needed = BYTES_PER_PARAMETER * n_parameters + BYTES_PER_BLOCK * schedule.blocks_per_pass
    available = available_bytes() if needed > 1e8 else None
    if n_network > MAX_WEIGHTS or (available is not None and needed > available):
        raise InputError(
            f"A model with {e} gene components and hidden layers of "
            f"{'-'.join(map(str, config.hidden))} in blocks of {schedule.block_samples} x "
            f"{schedule.block_genes} needs {1e-9 * needed:.3g} GB of memory for its training, more "
            "than there is; choose fewer gene_components, narrower hidden layers or larger blocks."
        )


def check_constant(values: Float32, expression: Expression) -> None:
    """Raise InputError for constant genes, or warn of them in the name of `fembed.fit`'s caller."""
    low, high = gene_limits(values)
    span = float(np.max(high.astype(np.float64) - low))
    if 0.0 < span < MIN_SPAN:
        raise InputError(
            f"No gene in {expression.origin} differs between samples by more than {span:.1g} on "
            "the model's scale, which is too little for 32-bit floats; give values in smaller "
            "units."
        )
    constant = np.flatnonzero(low == high)
    if constant.size == values.shape[1]:
        raise InputError(
            f"All genes in {expression.origin} are constant, so there is nothing to learn; "
            "give samples that differ."
        )
    if constant.size:
        warnings.warn(
            f"{constant.size} gene(s) in {expression.origin} are constant, such as "
            f"'{expression.gene_names[constant[0]]}'; they carry nothing about the samples.",
            DataWarning,
            stacklevel=3,
        )
