"""Trees, lamps, signs, traffic lights, bollards and fences."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hwnas.data.street.canvas import Canvas, Paint, Pixel, Point
from hwnas.data.street.scene import Color, Label, Thing

LEAVES: tuple[Color, ...] = ((74, 110, 46), (58, 92, 48), (96, 122, 54), (120, 124, 50), (52, 82, 56), (138, 100, 44))
METAL: tuple[Color, ...] = ((92, 94, 96), (58, 62, 60), (128, 130, 130), (52, 70, 58))


def draw_tree(canvas: Canvas, thing: Thing) -> None:
    """A trunk and a crown of many clumps of leaves, lighter towards the sun."""
    rng = np.random.default_rng(thing.seed)
    foot = canvas.camera.foot(thing.x, thing.z)
    if foot is None or foot[1] < 2.5:
        return
    (x, y), depth = foot
    scale = canvas.camera.focal / depth * thing.size
    trunk, tall, wide = float(rng.uniform(1.9, 2.7)), float(rng.uniform(3.2, 5.2)), float(rng.uniform(1.5, 2.6))
    lean = float(rng.normal(0, 0.12))
    bark = canvas.lit((88, 70, 54), None, depth)
    top = (x + lean * scale, y - (trunk + tall * 0.4) * scale)
    canvas.line([(x, y), top], 0.27 * scale, bark, Label.TREE)
    if scale > 12:
        for across, up in rng.uniform((-0.7, 0.4), (0.7, 0.8), (3, 2)).tolist():
            end = (top[0] + across * wide * scale, y - (trunk + tall * up) * scale)
            canvas.line([(x + lean * 0.6 * scale, y - trunk * 0.9 * scale), end], 0.12 * scale, bark, Label.TREE)
    middle = (x + lean * scale, y - (trunk + tall * 0.5) * scale)
    _draw_clumps(canvas, middle, (wide * scale, tall * 0.52 * scale), depth, rng)


def draw_bush(canvas: Canvas, thing: Thing) -> None:
    """A low clump."""
    rng = np.random.default_rng(thing.seed)
    foot = canvas.camera.foot(thing.x, thing.z)
    if foot is None or foot[1] < 2:
        return
    (x, y), depth = foot
    scale = canvas.camera.focal / depth * thing.size
    _draw_clumps(canvas, (x, y - 0.5 * scale), (1.0 * scale, 0.55 * scale), depth, rng)


def _draw_clumps(canvas: Canvas, middle: Pixel, radii: Pixel, depth: float, rng: np.random.Generator) -> None:
    """Leaves in an ellipse: each clump lit by where on the crown it sits, the light ones over the dark."""
    leaf = np.array(LEAVES[int(rng.integers(len(LEAVES)))])
    camera, light = canvas.camera, canvas.light
    # Far trees are a few pixels high and need few clumps.
    count = int(np.clip(radii[1] * 0.75, 8, 80))
    angle = rng.uniform(0, 2 * np.pi, count)
    out = np.sqrt(np.linspace(0.05, 1.0, count))
    bumpy = 1 + 0.14 * np.sin(angle * 3 + rng.uniform(0, 6)) + 0.10 * np.sin(angle * 7 + rng.uniform(0, 6))
    dx, dy = out * bumpy * np.cos(angle), out * bumpy * np.sin(angle)
    size = rng.uniform(0.17, 0.34, count) * (1.25 - 0.55 * out) * min(1 + 6 / count, 1.6)
    right = light.to_sun[0] * camera.cos - light.to_sun[2] * camera.sin
    toward = dx * right + dy * max(light.to_sun[1], 0.35)
    shade = np.clip(0.72 + 0.34 * toward + rng.normal(0, 0.09, count), 0.35, 1.45)
    clear = float(np.exp(-depth / light.haze_m))
    bright = leaf * (np.array(light.ambient) + 0.45 * np.array(light.sun)) * clear
    colors = np.clip(shade[:, None] * bright + np.array(light.sky_low) * (1 - clear), 0, 255).astype(int).tolist()
    order = np.argsort(toward + 0.5 * rng.random(count)).tolist()
    columns = (middle[0] + dx * radii[0] * 0.86).tolist()
    rows = (middle[1] - dy * radii[1] * 0.86).tolist()
    wide, tall = (size * radii[0] * 1.1).tolist(), (size * radii[1]).tolist()
    for place in order:
        red, green, blue = colors[place]
        canvas.ellipse((columns[place], rows[place]), (wide[place], tall[place]), (red, green, blue), Label.TREE)


class _Post:
    """An upright metal post at a thing's place, and drawing relative to it in metres."""

    def __init__(self, canvas: Canvas, thing: Thing, height: float, width: float, color: Color) -> None:
        self.canvas = canvas
        foot = canvas.camera.foot(thing.x, thing.z)
        self.visible = foot is not None and foot[1] > 2
        if foot is not None and self.visible:
            (self._column, self._row), self.depth = foot
            self.scale = canvas.camera.focal / self.depth
            self.fill = canvas.lit(color, None, self.depth)
            canvas.line([self.at(0, 0), self.at(0, height)], width * self.scale, self.fill, Label.POLE)

    def at(self, x: float, y: float) -> Pixel:
        return self._column + x * self.scale, self._row - y * self.scale

    def shape(self, points: Sequence[Pixel], color: Color, *, shine: bool = False) -> None:
        """A sign's polygon, (n, 2) metres."""
        fill = self.canvas.glow(color, self.depth) if shine else self.canvas.lit(color, (0, 0.3, -0.9), self.depth)
        self.canvas.polygon([self.at(x, y) for x, y in points], fill, Label.SIGN)


def draw_lamp(canvas: Canvas, thing: Thing) -> None:
    """A street lamp; ``heading`` ±1 is where its arm points, ``size`` its height."""
    rng = np.random.default_rng(thing.seed)
    metal = METAL[int(thing.size * 10) % len(METAL)]  # all lamps of a street are alike
    post = _Post(canvas, thing, thing.size, 0.15, metal)
    if not post.visible:
        return
    arm = 1.3 * thing.heading
    ends = [post.at(0, thing.size - 0.1), post.at(arm * 0.5, thing.size + 0.2), post.at(arm, thing.size + 0.22)]
    canvas.line(ends, 0.09 * post.scale, post.fill, Label.POLE)
    head: Color = (255, 226, 170) if canvas.light.night else (196, 198, 196)
    fill = canvas.glow(head, post.depth) if canvas.light.night else canvas.lit(head, None, post.depth)
    canvas.ellipse(post.at(arm * 1.12, thing.size + 0.17), (0.34 * post.scale, 0.11 * post.scale), fill, Label.POLE)
    if rng.random() < 0.25:  # a bin or a box on the post
        canvas.line([post.at(0, 0.75), post.at(0, 1.25)], 0.34 * post.scale, post.fill, Label.POLE)


def draw_sign(canvas: Canvas, thing: Thing) -> None:
    """A traffic sign on a post: round, triangular, square, or a board of directions."""
    rng = np.random.default_rng(thing.seed)
    height = float(rng.uniform(2.2, 2.8))
    post = _Post(canvas, thing, height, 0.1, METAL[0])
    if not post.visible:
        return
    kind = str(rng.choice(["round", "round", "blue", "triangle", "square", "board"]))
    radius = 0.42 * thing.size
    y = height - 0.1
    if kind == "board":
        wide, tall = 1.5 * thing.size, 0.7 * thing.size
        color: Color = (24, 92, 66) if rng.random() < 0.5 else (28, 66, 140)
        post.shape(_box(0, y, wide / 2 + 0.04, tall / 2 + 0.04), (235, 235, 235))
        post.shape(_box(0, y, wide / 2, tall / 2), color)
        for line in range(2):
            post.shape(
                _box(rng.uniform(-0.15, 0.15), y + tall * (0.22 - 0.42 * line), wide * 0.3, 0.06), (235, 235, 235)
            )
        return
    corners = {"triangle": 3, "square": 4}.get(kind, 14)
    turn = {"triangle": np.pi / 2, "square": np.pi / 4}.get(kind, 0.0)
    rim: Color = {"blue": (235, 238, 240), "square": (240, 240, 240)}.get(kind, (196, 26, 34))
    inner: Color = {"blue": (26, 80, 168), "square": (28, 92, 176), "triangle": (244, 240, 232)}.get(
        kind, (242, 242, 240)
    )
    post.shape(_regular(corners, radius, turn, y), rim)
    post.shape(_regular(corners, radius * (0.86 if kind in ("blue", "square") else 0.7), turn, y), inner)
    mark: Color = (240, 240, 240) if kind in ("blue", "square") else (30, 30, 34)
    post.shape(_box(rng.uniform(-0.05, 0.05), y - 0.02, radius * 0.13, radius * rng.uniform(0.2, 0.42)), mark)
    if rng.random() < 0.35:
        post.shape(_box(0, y - radius - 0.22, radius * 0.8, 0.14), (238, 238, 234))


def draw_signal(canvas: Canvas, thing: Thing) -> None:
    """A traffic light."""
    rng = np.random.default_rng(thing.seed)
    post = _Post(canvas, thing, 3.2, 0.13, (60, 62, 64))
    if not post.visible:
        return
    post.shape(_box(0, 2.95, 0.22, 0.55), (26, 26, 28))
    lit = int(rng.integers(3))
    colors: tuple[Color, ...] = ((250, 40, 36), (252, 176, 40), (40, 226, 110))
    for place, color in enumerate(colors):
        dim: Color = (color[0] * 0.25, color[1] * 0.25, color[2] * 0.25)
        post.shape(_regular(10, 0.125, 0, 3.3 - 0.34 * place), color if place == lit else dim, shine=place == lit)


def draw_bollard(canvas: Canvas, thing: Thing) -> None:
    """A short post."""
    post = _Post(canvas, thing, 0.95, 0.17, (44, 46, 48))
    if post.visible:
        canvas.line(
            [post.at(0, 0.72), post.at(0, 0.82)], 0.17 * post.scale, canvas.lit((220, 220, 214), None, post.depth), None
        )


def draw_fence(canvas: Canvas, thing: Thing) -> None:
    """A panel 2 m long along the road: 0 railings (seen through, but labelled whole), 1 boards, 2 a wall with rails."""
    x, z, height = thing.x, thing.z, thing.size
    side = -1.0 if thing.x > 0 else 1.0
    normal = (side, 0.0, 0.0)
    near, far = canvas.camera.foot(x, z - 1), canvas.camera.foot(x, z + 1)
    if near is None or far is None:
        return
    depth = (near[1] + far[1]) / 2
    seen = canvas.camera.see(_panel(x, z - 1, z + 1, 0, height))
    if seen is None:
        return
    pixels = seen[0]
    if thing.kind == "fence1":
        canvas.polygon(pixels, canvas.lit((136, 104, 72), normal, depth), Label.FENCE)
        for board in range(8):
            if depth < 30:
                start = z - 1 + board * 0.25
                canvas.face(_panel(x, start, start + 0.05, 0, height), (92, 68, 48), normal, Label.FENCE)
        return
    canvas.polygon(pixels, None, Label.FENCE)
    low = 0.0
    if thing.kind == "fence2":
        low = height * 0.45
        canvas.face(_panel(x, z - 1, z + 1, 0, low), (150, 122, 104), normal, Label.FENCE)
    metal: Color = (46, 52, 50) if thing.kind == "fence0" else (70, 70, 74)
    fill = canvas.lit(metal, normal, depth)
    scale = canvas.camera.focal / depth
    for y in (low + 0.08, height - 0.05):
        _draw_rail(canvas, (x, y, z - 1), (x, y, z + 1), 0.05 * scale, fill)
    bars = 13 if depth < 16 else 7 if depth < 40 else 0
    for place in range(bars):
        at = z - 1 + 2 * place / (bars - 1)
        _draw_rail(canvas, (x, low, at), (x, height, at), 0.03 * scale, fill)


def _draw_rail(canvas: Canvas, start: Point, end: Point, width: float, fill: Paint) -> None:
    camera = canvas.camera
    canvas.line([camera.to_pixel(camera.to_camera(start)), camera.to_pixel(camera.to_camera(end))], width, fill, None)


def _panel(x: float, near: float, far: float, low: float, high: float) -> list[Point]:
    return [(x, low, near), (x, low, far), (x, high, far), (x, high, near)]


def _box(x: float, y: float, half_width: float, half_height: float) -> list[Pixel]:
    w, h = half_width, half_height
    return [(x - w, y - h), (x + w, y - h), (x + w, y + h), (x - w, y + h)]


def _regular(corners: int, radius: float, turn: float, y: float) -> list[Pixel]:
    angles = [turn + 2 * math.pi * place / corners for place in range(corners)]
    return [(radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]
