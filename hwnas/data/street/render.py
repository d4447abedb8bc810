"""From a scene to a photograph and its labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image

from hwnas.data.street.buildings import draw_building, draw_skyline
from hwnas.data.street.canvas import Camera, Canvas
from hwnas.data.street.cars import MODELS, draw_car
from hwnas.data.street.furniture import (
    draw_bollard,
    draw_bush,
    draw_fence,
    draw_lamp,
    draw_sign,
    draw_signal,
    draw_tree,
)
from hwnas.data.street.ground import TILE, noise_tile, paint_background
from hwnas.data.street.people import draw_cyclist, draw_person
from hwnas.data.street.scene import Scene, Thing

DRAW: dict[str, Callable[[Canvas, Thing], None]] = {
    **dict.fromkeys(MODELS, draw_car),
    **dict.fromkeys(("fence0", "fence1", "fence2"), draw_fence),
    "tree": draw_tree,
    "bush": draw_bush,
    "lamp": draw_lamp,
    "sign": draw_sign,
    "signal": draw_signal,
    "bollard": draw_bollard,
    "person": draw_person,
    "cyclist": draw_cyclist,
}

GRAIN = np.array([0.025, 0.03, 0.05, 0.05, 0.03, 0.02, 0.16, 0.008, 0.05, 0.05, 0.02], np.float32)
"""How rough each class's surfaces are, as a share of their brightness."""


def render(scene: Scene, size_hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The picture (H, W, 3) uint8 and its labels (H, W) uint8.

    Things are drawn at twice the size and averaged, so that their edges are soft.
    """
    height, width = size_hw
    picture, ground = paint_background(scene, size_hw)
    twice = (2 * width, 2 * height)
    canvas = Canvas(
        Image.fromarray(picture).resize(twice, Image.Resampling.NEAREST),
        Image.fromarray(ground).resize(twice, Image.Resampling.NEAREST),
        Camera(scene.view, (2 * height, 2 * width)),
        scene.light,
    )
    draw_skyline(canvas, scene.seed)
    edge = max(abs(scene.street.edge(-1)), scene.street.edge(1))
    behind = [thing for thing in scene.things if thing.kind == "tree" and abs(thing.x) > edge]
    # A house is behind all that stands on the street, and behind the houses before it.
    backdrop = [(house.near, house) for house in scene.buildings] + [(thing.z, thing) for thing in behind]
    for _, each in sorted(backdrop, key=lambda entry: -entry[0]):
        if isinstance(each, Thing):
            DRAW[each.kind](canvas, each)
        else:
            draw_building(canvas, each, scene.street)
    hidden = set(map(id, behind))
    front = [thing for thing in scene.things if id(thing) not in hidden]
    for thing in sorted(front, key=lambda thing: -thing.z):
        DRAW[thing.kind](canvas, thing)
    labels = np.array(canvas.labels)[1::2, 1::2]
    return _photograph(np.asarray(canvas.picture.reduce(2)), labels, scene), np.ascontiguousarray(labels)


def _photograph(picture: np.ndarray, labels: np.ndarray, scene: Scene) -> np.ndarray:
    """What surfaces and a camera add: grain, a dark rim, exposure, a colour cast, noise, and a little softness."""
    height, width = labels.shape
    rng = np.random.default_rng([scene.seed, 1])
    rows, columns = np.arange(height), np.arange(width)
    shift = rng.integers(0, TILE, 2)
    grain = noise_tile(0.7)[(rows[:, None] + shift[0]) & (TILE - 1), (columns[None, :] + shift[1]) & (TILE - 1)]
    down, across = ((rows - height / 2) / height) ** 2, ((columns - width / 2) / width) ** 2
    rim = 1 - rng.uniform(0.05, 0.3) * (down[:, None] + across[None, :]).astype(np.float32)
    factor = (1 + grain * GRAIN[labels]) * rim
    # Exposure, the colour cast and saturation are one matrix.
    saturation = float(rng.uniform(-0.2, 0.15))
    mix = ((1 + saturation) * np.eye(3) - saturation / 3) * (1 + rng.normal(0, 0.025, 3)) * rng.uniform(0.9, 1.2)
    color = picture.astype(np.float32) @ mix.astype(np.float32)
    color *= factor[..., None]
    strength = 2.2 if scene.light.night else 1.0
    color += _sensor_noise(rng, (height, width, 1)) * np.float32(rng.uniform(1, 3) * strength)
    color += _sensor_noise(rng, (height, width, 3)) * np.float32(rng.uniform(0.5, 2) * strength)
    return np.clip(color, 0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def _noise_pool() -> np.ndarray:
    return np.random.default_rng(20260102).standard_normal(1 << 19, np.float32)


def _sensor_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal noise, cut from a pool at a random place: drawing it anew would take a third of all the time."""
    pool = _noise_pool()
    count = math.prod(shape)
    start = int(rng.integers(len(pool)))
    return np.take(pool, np.arange(start, start + count), mode="wrap").reshape(shape)
