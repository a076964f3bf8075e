"""The palettes' promises, measured: distances of colours for normal and colour-blind readers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fembed.pl.palette import FAMILY_SIZE, FEW, MANY, MISSING, colours, palette, styles

# Full dichromacy on linear RGB: Machado, Oliveira and Fernandes (2009), table of severity 1.0.
SIGHTS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def oklab(hexes: tuple[str, ...], sight: np.ndarray) -> np.ndarray:
    """Ottosson (2020): https://bottosson.github.io/posts/oklab/."""
    rgb = np.array([[int(text[k : k + 2], 16) / 255 for k in (1, 3, 5)] for text in hexes])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ sight.T, 0.0, 1.0)
    to_cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.cbrt(linear @ to_cones.T) @ to_lab.T


def distances(hexes: tuple[str, ...], sight: str) -> np.ndarray:
    lab = oklab(hexes, SIGHTS[sight])
    return np.linalg.norm(lab[:, None] - lab[None], axis=-1)


@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_that_share_a_marker_differ_for_every_sight(sight: str) -> None:
    apart = distances(MANY, sight)
    styled = palette(len(MANY))
    for a, b in itertools.combinations(range(len(MANY)), 2):
        if styled[a].marker == styled[b].marker:
            assert apart[a, b] > 0.10, (MANY[a], MANY[b])


def test_all_33_colours_differ_for_normal_sight() -> None:
    apart = distances(MANY, "normal")[np.triu_indices(len(MANY), 1)]
    assert len(apart) == 33 * 32 / 2 and apart.min() > 0.08


@pytest.mark.parametrize("sight", SIGHTS)
def test_few_colours_differ_for_every_sight(sight: str) -> None:
    assert distances(FEW, sight)[np.triu_indices(len(FEW), 1)].min() > 0.07


def test_every_colour_stands_out_on_white() -> None:
    lightness = oklab((*FEW, *MANY), SIGHTS["normal"])[:, 0]
    assert lightness.max() < 0.82


def test_no_two_styles_are_alike_up_to_231() -> None:
    assert len(set(palette(231))) == 231
    assert [style.marker for style in palette(8)] == ["o"] * 8
    assert palette(FAMILY_SIZE + 1)[-1].marker == "^"
    assert colours(33) == list(MANY)


def test_missing_labels_are_grey_and_last() -> None:
    found = styles(["NA", "b", "a", "b"])
    assert list(found) == ["b", "a", "NA"]
    assert found["NA"] == MISSING
    assert found["b"].colour == FEW[0] and found["a"].colour == FEW[1]
