"""What a model or a data file holds, as plain facts and as lines of text."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fembed.data import account
from fembed.data.backed import Backed
from fembed.data.chunks import row_chunks
from fembed.output.streams import escaped, say

if TYPE_CHECKING:
    import pandas as pd

    from fembed.data.expression import Expression
    from fembed.data.names import Names
    from fembed.evaluation import Evaluation, GeneSetScores
    from fembed.inference.annotation import Annotation
    from fembed.inference.projection import Projection
    from fembed.model import Model
    from fembed.sweeps import Sweep

Facts = dict[str, Any]


def is_model(path: str | Path) -> bool:
    """Whether ``path`` is meant to be a model: a folder with one of a model's two files."""
    # os.path is used because pathlib's is_file raises for an impossible path; its reader says why.
    names = ("model.json", "model.safetensors")
    return any(os.path.isfile(os.path.join(path, name)) for name in names)


#: What the squared errors of a training are called where they are deviances of counts.
OF_COUNTS = {
    "mse": "mean_deviance",
    "held_out_mse": "held_out_deviance",
    "explained_variance": "explained_deviance",
}


def training_facts(model: Model) -> Facts:
    """How the training went, under the names of ``Model.training`` and in reading order."""
    training = model.training
    names = (
        "missing_share",
        "passes",
        "steps",
        "seconds",
        "pairs_per_second",
        "mse",
        "held_out_mse",
        "n_held_out",
        "explained_variance",
        "pca_explained_variance",
        "stopped",
    )
    known = {name: training[name] for name in names if training.get(name) is not None}
    if model.count_model is not None:
        known = {OF_COUNTS.get(name, name): value for name, value in known.items()}
    layers = {"layers": model.preprocessing.told()} if model.preprocessing.layers else {}
    effects = model.batch_effects
    batches = {} if effects is None else {"batches": effects.told()}
    return {"samples": model.n_samples, "genes": model.n_genes, **layers, **batches, **known}


def model_facts(model: Model) -> Facts:
    """What a model is, and how its training went."""
    return {
        "kind": "model",
        "components": model.n_components,
        "gene_components": model.gene_components,
        "hidden": "-".join(map(str, model.parameters.hidden)),
        "recipe": model.config.recipe,
        "transform": model.preprocessing.transform,
        **({"likelihood": model.config.likelihood} if model.config.likelihood else {}),
        "seed": model.config.seed,
        **training_facts(model),
        "first_samples": list(model.sample_names[:3]),
        "first_genes": list(model.gene_names[:3]),
        **({"labels": list(model.labels)} if model.labels else {}),
    }


def data_facts(expression: Expression) -> Facts:
    """What a data file holds, how it was interpreted, and the transform that fits its values."""
    lowest, highest = np.inf, -np.inf
    for rows in row_chunks(*expression.values.shape):
        block = expression.values[rows]
        observed = block[np.isfinite(block)]
        lowest = min(lowest, float(observed.min(initial=np.inf)))
        highest = max(highest, float(observed.max(initial=-np.inf)))
    facts: Facts = {
        "kind": "data",
        "samples": expression.n_samples,
        "genes": expression.n_genes,
        "missing_share": expression.missing_share,
        "first_samples": list(expression.sample_names[:3]),
        "first_genes": list(expression.gene_names[:3]),
    }
    if lowest <= highest:
        facts |= {"lowest": lowest, "highest": highest}
    facts |= account.facts(expression)
    if expression.obs is not None:
        facts["label_columns"] = [str(name) for name in expression.obs.columns]
    return facts


def taken_facts(samples: Expression | Backed) -> Facts:
    """How the data were interpreted, for the summary of a command that has read them."""
    if isinstance(samples, Backed):
        return {"data": samples.origin}
    return {"data": samples.origin, **account.facts(samples)}


def projection_facts(projection: Projection) -> Facts:
    """How well new samples could be placed."""
    return {
        "samples": len(projection.sample_names),
        "genes_matched": projection.n_genes_matched,
        "genes_of_model": projection.n_genes_model,
        "median_loss": float(np.median(projection.loss)),
        "highest_outlier_score": float(np.max(projection.outlier)),
    }


def annotation_facts(found: Annotation, truth: Names | None) -> Facts:
    """How many samples have which label, and how well the labels are where the truth is known."""
    facts: Facts = {
        "samples": len(found.sample_names),
        "labels": len(found.names),
        "called_unknown": int(found.unknown.sum()),
        "median_probability": float(np.median(found.probability)),
    }
    p_value = found.projection.p_value
    if p_value is not None and np.isnan(p_value).any():
        facts["without_p_value"] = int(np.isnan(p_value).sum())
    if truth is not None:
        known = found.agreement(truth)
        facts |= {
            "compared_with_true_labels": known["samples"],
            "accuracy": known["accuracy"],
            "calibration_error": known["calibration_error"],
        }
        if known["others"]:
            facts |= {
                "samples_of_other_labels": known["others"],
                "of_them_called_unknown": known["unknown_others"],
            }
    return facts


_TITLES = {
    "mse": "MSE",
    "old_mse_before": "MSE of old samples before",
    "old_mse": "MSE of old samples",
    "new_mse_before": "MSE of new samples before",
    "new_mse": "MSE of new samples",
    "drift": "drift of old samples",
    "drift_95": "drift of 95% of them, at most",
    "held_out_mse": "validation MSE",
    "held_out_deviance": "validation deviance, placed by other genes",
    "n_held_out": "validation size",
    "missing_share": "missing entries",
    "pairs_per_second": "pairs per second",
    "pca_explained_variance": "explained by PCA of the same dimension",
}


def lines(facts: Mapping[str, Any]) -> list[str]:
    """``facts`` as aligned lines of text."""
    titles = [_TITLES.get(name, name.replace("_", " ")) for name in facts]
    width = max(map(len, titles))
    return [
        f"{title:<{width}}  {escaped(_text(name, value))}"
        for title, (name, value) in zip(titles, facts.items(), strict=True)
    ]


def _text(name: str, value: Any) -> str:
    if name == "missing_share":
        return f"{value:.2%}"
    if name == "pairs_per_second":
        return f"{value / 1e6:.2f} million"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, float):
        return f"{value:,.1f}" if name in ("seconds", "passes") else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and name != "seed" else str(value)


def evaluation_lines(found: Evaluation) -> list[str]:
    """The summary of an evaluation, and its main measure's differences from the baselines."""
    main = found.measures[0]
    rows = [["method", "dimension", *found.measures]]
    for row in found.summary().to_dict("records"):
        values = [f"{row[name]:.3f} ± {row[f'{name}_se']:.3f}" for name in found.measures]
        rows.append([row["method"], _dimension(row["dimension"]), *values])
    text = _aligned(rows)
    differences = found.differences()
    differences = differences[differences["measure"] == main]
    if len(differences):
        title = f"difference in {main}"
        rows = [["fembed minus", "dimension", title, "95 % interval"]]
        rows += [
            [
                row["baseline"],
                _dimension(row["dimension"]),
                f"{row['difference']:+.3f} ± {row['standard_error']:.3f}",
                f"{row['low']:+.3f} to {row['high']:+.3f}",
            ]
            for row in differences.to_dict("records")
        ]
        text += ["", *_aligned(rows)]
    told = found.folds_told()
    return [
        *text,
        *_by_held_out_group(found),
        "",
        f"Mean ± standard error (Nadeau and Bengio's, for overlapping training sets) of {told}",
    ]


def _by_held_out_group(found: Evaluation) -> list[str]:
    """The main measure of every method, a line for each group that was held out."""
    if not found.holds_out_groups:
        return []
    main, folds = found.measures[0], found.folds
    if folds["fold"].max() > MOST_GROUPS_SHOWN:
        return []
    rows = [["held out", "tested", "unseen label"]]
    for (method, dimension), _ in folds.groupby(["method", "dimension"], sort=False, dropna=False):
        size = _dimension(dimension)
        rows[0].append(method if size == "-" else f"{method} {size}-D")
    for group, part in folds.groupby("held_out", sort=False):
        first, measured = part.iloc[0], part[main]  # the methods, in one order in every fold
        counts = [str(first["n_test"]), str(first["n_unseen"])]
        rows.append([str(group), *counts, *(f"{value:.3f}" for value in measured)])
    return ["", f"{main} by group", *_aligned(rows)]


def sweep_lines(found: Sweep) -> list[str]:
    """One row per case: its options, loss and accuracies."""
    from fembed.sweeps.options import option_text

    measured = ("loss", "held_out_loss", *MEASURED_ACCURACIES)
    shown = [name for name in measured if found.table[name].notna().any()]
    options = list(found.grid.values)
    rows = [[name.replace("_", " ") for name in (*options, *shown)]]
    for row in found.table.to_dict("records"):
        values = [
            f"{row[name]:.3f}" if row[name] == row[name] else row["failure"][:30] or "-"
            for name in shown
        ]
        rows.append([*(option_text(row[name]) for name in options), *values])
    return _aligned(rows)


#: With more held-out groups, the table by group is in the folder only.
MOST_GROUPS_SHOWN = 30
MEASURED_ACCURACIES = ("knn_accuracy", "held_out_knn_accuracy", "network_accuracy")


def table_lines(table: pd.DataFrame) -> list[str]:
    """A heading and a line for each row, numbers with three digits after the point."""
    rows = [[str(name).replace("_", " ") for name in table.columns]]
    for row in table.itertuples(index=False):
        rows.append([f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row])
    return _aligned(rows)


def gene_set_lines(found: GeneSetScores) -> list[str]:
    """The areas under the curve of every method, and what gene vectors have more than each."""
    titles = {"knn_auc": "AUC by near genes", "linear_auc": "AUC by a linear function"}
    rows = [["method", *titles.values()]]
    for row in found.summary().to_dict("records"):
        areas = [_with_error(row[name], row[f"{name}_se"], ".3f") for name in titles]
        rows.append([row["method"], *areas])
    gaps: dict[str, list[str]] = {}
    for row in found.differences().to_dict("records"):
        shown = _with_error(row["difference"], row["standard_error"], "+.3f")
        gaps.setdefault(row["baseline"], ["-"] * len(titles))[
            list(titles).index(row["measure"])
        ] = shown
    differences = [["gene vectors minus", *titles.values()], *([k, *v] for k, v in gaps.items())]
    count = int(found.summary()["n_sets"].iloc[0])
    told = f"Mean ± standard error of {count} gene set{'s' * (count != 1)}"
    return [*_aligned(rows), "", *_aligned(differences), "", told]


def _with_error(value: float, error: float, digits: str) -> str:
    if value != value:
        return "-"
    return f"{value:{digits}} ± {error:.3f}" if error == error else f"{value:{digits}}"


def _dimension(value: Any) -> str:
    return "-" if str(value) in ("None", "<NA>", "nan") else str(int(value))


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    rows = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def show(facts: Facts, quiet: bool) -> None:
    """Print facts as lines, unless the user wants quiet."""
    if not quiet:
        say("\n".join(lines(facts)))
