"""What needs a closer look: each check is a verdict and the numbers behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fembed.model import Model
from fembed.pl.categories import Categories
from fembed.pl.samples import MapSamples
from fembed.train.diagnostics import dead_unit_share

#: Above this share of dead units `fembed.fit` warns, too.
DEAD_SHARE = 0.5
#: Scores of the outlier scale that are suspicious; see `fembed.Projection`.
OUTLIER = 5.0
#: A held-out error this much above the training's is more than the usual gap.
OVERFIT = 1.5
#: A batch effect is worth a look where neighbours share their batch this much more often than
#: their labels explain, and more often than in 99 of 100 shuffles.
BATCH_EXCESS, BATCH_P = 0.10, 0.01
N_NEIGHBORS, N_SHUFFLES = 15, 199
_LISTED = 10


@dataclass(frozen=True)
class Check:
    """One check: ``fine`` or not, in a sentence, perhaps with a table of the samples concerned."""

    title: str
    fine: bool
    text: str
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = field(default_factory=list)


def all_checks(
    model: Model,
    samples: MapSamples,
    batch: Categories | None,
    label: Categories | None,
    batch_name: str,
) -> list[Check]:
    """The checks that can be made, those that need a look first."""
    checks = [dead_units(model), badly_fitting(samples)]
    checks += [check for check in (overfitting(model), newcomers(samples)) if check is not None]
    if batch is not None:
        checks.append(batch_effect(samples, batch, label, batch_name))
    return sorted(checks, key=lambda check: check.fine)


def dead_units(model: Model) -> Check:
    """Units of the last hidden layer that are never active."""
    share = dead_unit_share(model.parameters)
    text = f"{share:.0%} of the network's last hidden units are never active"
    fine = share <= DEAD_SHARE
    advice = "." if fine else "; train again with a lower learning rate."
    return Check("Dead units", fine, text + advice)


def badly_fitting(samples: MapSamples) -> Check:
    """Samples whose loss lies far above the training samples'."""
    order = np.argsort(-samples.outlier, kind="stable")
    bad = order[samples.outlier[order] > OUTLIER]
    if not bad.size:
        highest = samples.outlier.max(initial=0.0)
        text = f"None: the highest outlier score is {highest:.1f}, and {OUTLIER:g} is suspicious."
        return Check("Samples that fit badly", True, text)
    text = (
        f"{bad.size:,} of {len(samples):,} samples have an outlier score above {OUTLIER:g}: their "
        "expression is unlike what the map can say. They may be of another kind, of another "
        "processing, or of poor quality."
    )
    if bad.size > _LISTED:
        text += f" The {_LISTED} highest:"
    label = next(iter(samples.labels.values()), None)
    rows = [
        [
            str(samples.names[i]),
            "projected" if samples.projected[i] else "training",
            *([] if label is None else [str(label.texts[i])]),
            f"{samples.loss[i]:.3g}",
            f"{samples.outlier[i]:.1f}",
        ]
        for i in bad[:_LISTED]
    ]
    columns = [] if label is None else [next(iter(samples.labels))]
    header = ["sample", "kind", *columns, "loss", "outlier score"]
    return Check("Samples that fit badly", False, text, header, rows)


def overfitting(model: Model) -> Check | None:
    """The error on held-out samples or entries against the training's; None without them."""
    held_out, mse = model.training.get("held_out_mse"), model.training.get("mse")
    if held_out is None or not mse or model.count_model is not None:
        return None  # the two deviances of counts are those of other genes
    ratio = float(held_out) / float(mse)
    what = "entries" if model.config.validation_entries else "samples"
    text = (
        f"The mean squared error is {float(mse):.3g} on the training samples and "
        f"{float(held_out):.3g} on held-out {what} ({ratio:.2f} times as much)"
    )
    if ratio <= OVERFIT:
        return Check("Overfitting", True, text + ".")
    advice = "; expect new samples to fit less well, or train with fewer components."
    return Check("Overfitting", False, text + advice)


def newcomers(samples: MapSamples) -> Check | None:
    """Whether the projected samples as a whole fit like the training samples."""
    if not samples.projected.any():
        return None
    median = float(np.median(samples.outlier[samples.projected]))
    text = f"The {samples.projected.sum():,} projected samples have a median outlier score of"
    if median <= 2.0:
        return Check(
            "Projected samples", True, f"{text} {median:.1f}, close to the training samples' 0."
        )
    text += (
        f" {median:.1f} where the training samples have 0: most of them fit less well, as samples "
        "of another batch, platform or tissue do."
    )
    return Check("Projected samples", False, text)


def batch_effect(
    samples: MapSamples, batch: Categories, label: Categories | None, batch_name: str
) -> Check:
    """Whether neighbours in the map share their batch more often than their labels explain.

    Among a sample's nearest neighbours of its own label, the share of its own batch is compared
    with the share of that batch in the label; batches shuffled within labels show what chance would
    give.
    """
    title = f"Batch effect of {batch_name}"
    rows = np.flatnonzero(~samples.projected)
    batch_code = batch.codes[rows]
    label_code = np.zeros(len(rows), np.intp) if label is None else label.codes[rows]
    counts = np.zeros((label_code.max() + 1, len(batch.names)), int)
    np.add.at(counts, (label_code, batch_code), 1)
    mixed = (counts > 0).sum(axis=1) > 1
    inside = np.flatnonzero(mixed[label_code])
    if not inside.size:
        n_batches = len(np.unique(batch_code))
        text = (
            "There is one batch only."
            if n_batches < 2
            else "Every label comes from one batch alone, so the two cannot be told apart."
        )
        return Check(title, n_batches < 2, text)
    excess, p = _batch_excess(samples.coordinates[rows], batch_code, label_code, counts, inside)
    own = "" if label is None else " of its own label"
    text = (
        f"Of a sample's nearest neighbours in the map{own}, the share that has its "
        f"{batch_name}, too, is {100 * abs(excess):.1f} percentage points "
        f"{'above' if excess >= 0 else 'below'} chance (p = {p:.3f}, {N_SHUFFLES} shuffles; "
        f"{inside.size:,} of {len(rows):,} samples can be compared)."
    )
    found = excess > BATCH_EXCESS and p <= BATCH_P
    if found:
        text += " Part of the map's structure may come from the batches."
    if inside.size < len(rows):
        text += " The others' labels come from one batch alone: there, nothing can be said."
    return Check(title, not found, text)


def _batch_excess(
    points: NDArray[Any],
    batch: NDArray[np.intp],
    label: NDArray[np.intp],
    counts: NDArray[np.intp],
    inside: NDArray[np.intp],
) -> tuple[float, float]:
    """Mean observed less expected share of the own batch, and its one-sided p value."""
    from sklearn.neighbors import NearestNeighbors

    k = min(N_NEIGHBORS, len(points) - 1)
    near = NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)[inside]
    alike = label[near] == label[inside][:, None]
    comparable = alike.any(axis=1)
    near, alike, rows = near[comparable], alike[comparable], inside[comparable]
    if not rows.size:
        return 0.0, 1.0
    size = counts[label[rows]].sum(axis=1) - 1

    def excess(codes: NDArray[np.intp]) -> float:
        same = (codes[near] == codes[rows][:, None]) & alike
        expected = (counts[label[rows], codes[rows]] - 1) / size
        return float((same.sum(axis=1) / alike.sum(axis=1) - expected).mean())

    rng = np.random.default_rng(0)
    order = np.argsort(label, kind="stable")
    observed, reached = excess(batch), 1
    for _ in range(N_SHUFFLES):
        # Sorted by label and then at random: every label keeps its own batches.
        shuffled = np.empty_like(batch)
        shuffled[order] = batch[np.lexsort((rng.random(len(batch)), label))]
        reached += excess(shuffled) >= observed
    return observed, reached / (N_SHUFFLES + 1)
