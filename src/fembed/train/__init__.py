"""Training: from an expression matrix to a model.

From top to bottom, each calls those below: `run` has the whole fit; `fast` and `published` are its
two recipes, `counts` the fast one for counts, and `extend` goes on with a finished model;
`checkpoint` keeps and loads their state; `early_stopping` trains until what `validation` holds out
is predicted no better; `trainer` takes the steps, on the blocks that `blocks` deals out.

Before the steps, `training_samples` chooses those of a large matrix, `schedule` says how many steps
there are, `units` brings values to mean square one, and `initialization` (of counts, `count_start`)
makes the first parameters. After them, `coordinates` moves samples to where they fit best and fixes
the gauge, and `diagnostics` measures the outcome; `result` is what is handed back.
"""

from fembed.train.result import Progress
from fembed.train.run import agreed_transform, fit
from fembed.train.training_samples import trained_on

__all__ = ["Progress", "agreed_transform", "fit", "trained_on"]
