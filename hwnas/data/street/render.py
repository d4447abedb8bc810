"""From a scene to a photograph and its labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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
    """The picture (H, W, 3) uint8 and its labels (H, W) uint8. Drawn at twice the size and averaged, so edges are soft."""
    camera = Camera(scene.view, (2 * size_hw[0], 2 * size_hw[1]))
    canvas = Canvas(*paint_background(scene, camera), camera, scene.light)
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
    tile = noise_tile(0.7)
    grain = tile[(rows[:, None] + shift[0]) & (TILE - 1), (columns[None, :] + shift[1]) & (TILE - 1)]
    down, across = (rows - height / 2) / height, (columns - width / 2) / width
    rim = 1 - rng.uniform(0.05, 0.3) * (down[:, None] ** 2 + across[None, :] ** 2)
    exposure = float(rng.uniform(0.85, 1.15))
    factor = ((1 + grain * GRAIN[labels]) * rim * exposure).astype(np.float32)
    cast = (1 + rng.normal(0, 0.025, 3)).astype(np.float32)
    color = picture * factor[..., None] * cast
    gray = color.mean(2, keepdims=True)
    color += np.float32(rng.uniform(-0.25, 0.12)) * (color - gray)
    dark = 2.2 if scene.light.night else 1.0
    color += rng.standard_normal((height, width, 1), np.float32) * np.float32(rng.uniform(1, 3) * dark)
    color += rng.standard_normal((height, width, 3), np.float32) * np.float32(rng.uniform(0.5, 2) * dark)
    return np.clip(color, 0, 255).astype(np.uint8)
