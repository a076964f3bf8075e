"""The options ``--with`` and ``--with-transform``: several measurements of the samples."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fembed.data.layers import check_name
from fembed.errors import InputError

if TYPE_CHECKING:
    from fembed.data.backed import Backed
    from fembed.data.expression import Expression
    from fembed.data.preprocess import Preprocessing
    from fembed.model import Model

#: Endings that stand behind another one.
_PACKED = (".gz", ".bz2", ".xz", ".zip")


def files(words: Sequence[str] | None) -> dict[str, str]:
    """The file of every ``--with`` by the name of its layer.

    A text that is a file as a whole is one, whatever its name holds. Of another, the part before an
    equals sign is the layer's name: before the first one behind which there is a file.

    Raises
    ------
    InputError
        A layer without a name, with an impossible one, or given twice.
    """
    found = [_name_and_file(word) for word in words or []]
    for name, count in Counter(name for name, _ in found).items():
        if count > 1:
            both = " and ".join(file for other, file in found if other == name)
            raise InputError(f"The layer '{name}' is given twice ({both}); give each layer once.")
    return dict(found)


def sources(*groups: str | Mapping[str, str] | None) -> list[str]:
    """The paths that a command reads, which no output may replace."""
    paths: list[str] = []
    for group in groups:
        if group is not None:
            paths += [group] if isinstance(group, str) else group.values()
    return paths


def transforms(words: Sequence[str] | None, given: Mapping[str, str]) -> dict[str, Any]:
    """The transform of every ``--with-transform`` by the name of its layer, one of ``given``."""
    from fembed.data.transforms import check_transform

    found: dict[str, str] = {}
    for word in words or []:
        name, equals, transform = word.rpartition("=")
        if not equals:
            raise InputError(f"--with-transform is '{word}'; give NAME=TRANSFORM.")
        if name not in given:
            there = ", ".join(given) or "none"
            raise InputError(
                f"--with-transform names the layer '{name}', but the layers of --with are {there}."
            )
        if name in found:
            raise InputError(f"--with-transform names the layer '{name}' twice; do it once.")
        check_transform(transform)
        found[name] = transform
    return found


def first_name(data: str, others: Mapping[str, str]) -> str:
    """What the layer of DATA is called: as its file, with other signs for blanks and colons."""
    stem = "".join("_" if sign.isspace() or sign == ":" else sign for sign in _stem(data))
    name = stem or "data"
    if name in others:
        raise InputError(
            f"The layer '{name}' is given twice ({data}, which is called after its file, and "
            f"{others[name]}); give the other another name: --with NAME={others[name]}."
        )
    return name


def read(name: str, data: str | None, others: Mapping[str, str], **how: Any) -> Expression:
    """DATA, and the layers beside it; ``how`` are the options of `fembed.read` for DATA."""
    from fembed.data import readers
    from fembed.data.expression import Expression

    first = {} if data is None else {name: readers.read(data, **how)}
    if not others and data is not None:
        return first[name]
    return Expression.of(first | {other: readers.read(file) for other, file in others.items()})


def large(
    data: str | None,
    others: Mapping[str, str],
    *,
    layer: str | None,
    use_raw: bool,
    transpose: bool | None,
    tx2gene: str | None,
) -> Backed | None:
    """DATA, if it is large and its rows can be read alone; otherwise it is to be read whole."""
    from fembed.data import readers

    if data is None or others or transpose or tx2gene is not None:
        return None
    return readers.backed(data, layer=layer, use_raw=use_raw)


def check(model: Model, path: str, data: str | None, others: Mapping[str, str]) -> None:
    """Raise InputError, before anything is read, for samples that a model cannot take."""
    names = model.preprocessing.layer_names
    if data is None and not others:
        hint = f", or a layer with --with (there are {', '.join(names)})" if names else ""
        raise InputError(f"DATA is missing; give the samples{hint}.")
    for name, file in others.items():
        if not names:
            raise InputError(
                f"{path} was fitted on one matrix and has no layers, so --with {name}={file} has "
                "no place in it; give the samples as DATA."
            )
        if name not in names:
            raise InputError(
                f"{path} has no layer '{name}' (--with {file}); its layers are "
                f"{', '.join(names)}: give NAME=FILE."
            )
        if data is not None and name == names[0]:
            raise InputError(
                f"The layer '{name}' is given twice ({data} and {file}); give each layer once."
            )


def read_for(model: Model, data: str | None, others: Mapping[str, str], **how: Any) -> Expression:
    """New samples with the names that the model has; `check` has seen them."""
    from fembed.inference.matching import as_expression

    names = model.preprocessing.layer_names
    found = read(names[0] if names else "", data, others, **how)
    return as_expression(model, found) if others else found


def chosen(
    expression: Expression, preprocessing: Preprocessing, given: Mapping[str, str]
) -> list[str]:
    """A sentence for every layer whose transform was chosen by its values."""
    from fembed.data import account
    from fembed.data.layers import columns_of

    told = []
    layers = list(zip(columns_of(expression), preprocessing.layers, strict=True))
    for (part, columns), layer in layers[1:]:
        if layer.name not in given:
            units = account.units_of(expression.values[:, columns], part.source.units)
            told.append(
                f"{part.origin} looks like {units}, so its transform is {layer.transform} "
                f"(another: --with-transform {layer.name}=...)."
            )
    return told


def _name_and_file(word: str) -> tuple[str, str]:
    if "=" not in word or os.path.lexists(word):
        return check_name(_stem(word), f"give --with NAME='{word}'"), word
    parts = word.split("=")
    splits = [("=".join(parts[:k]), "=".join(parts[k:])) for k in range(1, len(parts))]
    name, file = next((pair for pair in splits if os.path.lexists(pair[1])), splits[0])
    if not file:
        raise InputError(f"--with is '{word}', without a file; give NAME=FILE.")
    return check_name(name), file


def _stem(path: str) -> str:
    """The name of a file without its endings."""
    name = Path(path).name
    for ending in _PACKED:
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    return Path(name).stem
