"""People on foot and on bicycles: flat figures that face the camera, drawn in metres at their own depth."""

from __future__ import annotations

import numpy as np

from hwnas.data.street.canvas import Canvas, Pixel
from hwnas.data.street.scene import Color, Label, Thing

CLOTHES: tuple[Color, ...] = (
    (34, 38, 54), (60, 60, 64), (150, 40, 44), (44, 80, 140), (206, 200, 188), (58, 96, 66), (200, 150, 60),
    (110, 84, 66), (160, 110, 150), (226, 120, 50), (84, 104, 124), (24, 24, 26),
)  # fmt: skip
SKIN: tuple[Color, ...] = ((224, 180, 150), (196, 146, 112), (140, 96, 70), (96, 64, 48), (236, 200, 176))
HAIR: tuple[Color, ...] = ((30, 24, 22), (70, 46, 32), (140, 104, 60), (110, 108, 106), (20, 20, 22))


class _Figure:
    """Draws in metres to the right of and above a foot point; light and haze as at that point."""

    def __init__(self, canvas: Canvas, foot: tuple[Pixel, float], size: float, label: Label) -> None:
        self.canvas, self.label = canvas, label
        (self._column, self._row), self.depth = foot
        self.pixels_per_m = canvas.camera.focal / self.depth * size

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Metres to pixels."""
        return self._column + x * self.pixels_per_m, self._row - y * self.pixels_per_m

    def shape(self, color: Color, *points: tuple[float, float]) -> None:
        """A filled polygon."""
        self.canvas.polygon([self.at(*p) for p in points], self.canvas.lit(color, None, self.depth), self.label)

    def limb(self, color: Color, width: float, *points: tuple[float, float]) -> None:
        """A bent line, ``width`` metres thick."""
        fill = self.canvas.lit(color, None, self.depth)
        self.canvas.line([self.at(*p) for p in points], width * self.pixels_per_m, fill, self.label)

    def round(self, color: Color | None, x: float, y: float, rx: float, ry: float) -> None:
        """A filled ellipse; without a colour only the label is set."""
        fill = None if color is None else self.canvas.lit(color, None, self.depth)
        radii = (rx * self.pixels_per_m, ry * self.pixels_per_m)
        self.canvas.ellipse(self.at(x, y), radii, fill, self.label)


def draw_person(canvas: Canvas, thing: Thing) -> None:
    """Someone standing or walking; ``thing.size`` is the height in metres."""
    rng = np.random.default_rng(thing.seed)
    foot = canvas.camera.foot(thing.x, thing.z)
    if foot is None:
        return
    figure = _Figure(canvas, foot, thing.size / 1.75, Label.PERSON)
    top, legs = _choose(CLOTHES, rng), _choose(CLOTHES, rng)
    skin, hair = _choose(SKIN, rng), _choose(HAIR, rng)
    stride = float(rng.uniform(0.02, 0.3)) * (1 if rng.random() < 0.7 else 0.15)
    wide = float(rng.uniform(0.19, 0.26)) * (0.7 + 0.3 * abs(np.cos(thing.heading)))
    dark: Color = (legs[0] * 0.75, legs[1] * 0.75, legs[2] * 0.75)
    figure.limb(dark, 0.16, (-0.05, 0.88), (-stride * 0.7, 0.45), (-stride, 0.04))
    figure.limb(legs, 0.17, (0.05, 0.88), (stride * 0.5, 0.46), (stride * 0.9, 0.04))
    figure.limb((30, 28, 28), 0.09, (-stride - 0.05, 0.04), (-stride + 0.09, 0.03))
    figure.limb((30, 28, 28), 0.09, (stride * 0.9 - 0.05, 0.04), (stride * 0.9 + 0.1, 0.03))
    hem = float(rng.choice([0.85, 0.85, 0.6]))
    figure.shape(
        top, (-wide, 1.42), (-wide * 0.85, hem), (wide * 0.85, hem), (wide, 1.42), (wide * 0.5, 1.5), (-wide * 0.5, 1.5)
    )
    sleeve: Color = (top[0] * 0.86, top[1] * 0.86, top[2] * 0.86)
    swing = stride * 0.8
    figure.limb(sleeve, 0.10, (-wide, 1.4), (-wide - 0.05 + swing * 0.4, 1.12), (-wide + swing, 0.88))
    figure.limb(sleeve, 0.10, (wide, 1.4), (wide + 0.05 - swing * 0.4, 1.12), (wide - swing, 0.88))
    if rng.random() < 0.3:
        figure.shape(
            _choose(CLOTHES, rng), (wide - 0.06, 1.0), (wide + 0.2, 1.0), (wide + 0.2, 0.7), (wide - 0.06, 0.7)
        )
    figure.limb(skin, 0.1, (0, 1.48), (0, 1.58))
    figure.round(hair, 0, 1.655, 0.105, 0.125)
    if rng.random() < 0.6:
        figure.round(skin, 0.015, 1.625, 0.08, 0.095)


def draw_cyclist(canvas: Canvas, thing: Thing) -> None:
    """A rider and the bicycle; the wheels' whole discs are labelled, as annotators do."""
    rng = np.random.default_rng(thing.seed)
    foot = canvas.camera.foot(thing.x, thing.z)
    if foot is None:
        return
    figure = _Figure(canvas, foot, thing.size, Label.CYCLIST)
    away = thing.heading + np.arctan2(thing.x - canvas.camera.view.x, thing.z) * -1
    long = max(abs(float(np.sin(away))), 0.16)  # how much of the bicycle's length is seen
    ahead = 1.0 if np.sin(away) >= 0 else -1.0
    reach = long * ahead
    metal, top, legs = _choose(CLOTHES, rng), _choose(CLOTHES, rng), _choose(CLOTHES, rng)
    skin = _choose(SKIN, rng)
    for hub in (-0.52 * reach, 0.52 * reach):
        _wheel(figure, hub, long)
    crank, saddle, bars = (0.0, 0.3), (-0.2 * reach, 0.92), (0.38 * reach, 1.0)
    figure.limb(metal, 0.045, (-0.52 * reach, 0.34), crank, (0.36 * reach, 0.82), saddle, crank)
    figure.limb(metal, 0.045, (-0.52 * reach, 0.34), saddle)
    figure.limb(metal, 0.045, (0.52 * reach, 0.34), bars)
    figure.limb((40, 40, 42), 0.05, (bars[0] - 0.28 * (1 - long), 1.04), (bars[0] + 0.28 * (1 - long), 1.04))
    hip, shoulder = (-0.18 * reach, 1.0), (0.14 * reach, 1.48)
    figure.limb(legs, 0.16, hip, (0.22 * reach - 0.09 * (1 - long), 0.72), (0.02 * reach - 0.1 * (1 - long), 0.2))
    figure.limb(legs, 0.16, hip, (0.26 * reach + 0.1 * (1 - long), 0.86), (0.06 * reach + 0.11 * (1 - long), 0.44))
    wide = 0.14 + 0.09 * (1 - long)
    figure.shape(
        top, (hip[0] - wide * 0.8, hip[1] - 0.05), (hip[0] + wide * 0.8, hip[1] - 0.05),
        (shoulder[0] + wide, shoulder[1]), (shoulder[0] - wide, shoulder[1]),
    )  # fmt: skip
    for side in (-1, 1):
        elbow = (0.3 * reach + side * 0.24 * (1 - long), 1.2)
        figure.limb(
            top, 0.09, (shoulder[0] + side * wide * 0.8, 1.44), elbow, (bars[0] + side * 0.2 * (1 - long), 1.04)
        )
    figure.round(skin, shoulder[0] + 0.05 * reach, 1.62, 0.09, 0.11)
    helmet = _choose(CLOTHES if rng.random() < 0.6 else HAIR, rng)
    figure.round(helmet, shoulder[0] + 0.04 * reach, 1.69, 0.12, 0.09)


def _wheel(figure: _Figure, hub: float, long: float) -> None:
    figure.round(None, hub, 0.34, max(0.34 * long, 0.05), 0.34)
    turn = np.linspace(0, 2 * np.pi, 15)
    rim = [(hub + max(0.33 * long, 0.03) * float(np.cos(t)), 0.34 + 0.33 * float(np.sin(t))) for t in turn]
    figure.limb((24, 24, 26), 0.05, *rim)


def _choose(options: tuple[Color, ...], rng: np.random.Generator) -> Color:
    return options[int(rng.integers(len(options)))]
