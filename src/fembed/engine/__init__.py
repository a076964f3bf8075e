"""The engines: native code on processors, or PyTorch on graphics processors, behind the same calls.

Begin with `calls`, which says what an engine computes, and `interface`, which says with what.
`native` and `on_torch` are the two engines, and `choice` says which of them works. No caller needs
to know it.
"""

from fembed.engine.calls import decode, gradients, solve, squared_distances, train
from fembed.engine.choice import asked, carried, chosen, together, using
from fembed.engine.interface import (
    BETA1,
    BETA2,
    EPSILON,
    AdamOptions,
    AdamState,
    Blocks,
    Float32,
    Indices,
    Solution,
    SolveOptions,
    Steps,
)
from fembed.engine.native import ISAS

__all__ = [
    "BETA1",
    "BETA2",
    "EPSILON",
    "ISAS",
    "AdamOptions",
    "AdamState",
    "Blocks",
    "Float32",
    "Indices",
    "Solution",
    "SolveOptions",
    "Steps",
    "asked",
    "carried",
    "chosen",
    "decode",
    "gradients",
    "solve",
    "squared_distances",
    "together",
    "train",
    "using",
]
