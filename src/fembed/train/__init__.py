"""Training: from an expression matrix to a model.

`run` is the whole fit. It asks `recipe` for the schedule, `start` for the first parameters and
`heldout` for what is kept back; `loop` takes the steps on the blocks that `blocks` deals out;
`reseat` and `gauge` move samples and turn the map; `genes` solves what steps left noisy.
"""

from fembed.train.loop import Progress
from fembed.train.run import fit

__all__ = ["Progress", "fit"]
