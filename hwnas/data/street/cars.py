"""Cars, vans and buses: a side profile drawn out across the width, with windows, wheels and lamps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwnas.data.street.canvas import Canvas, patch
from hwnas.data.street.scene import Color, Label, Thing

PAINTS: tuple[Color, ...] = (
    (200, 202, 206), (236, 236, 236), (40, 42, 46), (96, 100, 106), (158, 30, 34), (34, 62, 126), (28, 84, 62),
    (150, 152, 156), (66, 70, 82), (190, 160, 60), (120, 54, 40), (84, 128, 176), (210, 206, 192),
)  # fmt: skip


@dataclass(frozen=True)
class Model:
    """``profile``: (z, y) from the rear bumper's foot over the roof to the front's, with what each face between two
    points is: body or glass. The cabin is what is above ``belt``."""

    profile: tuple[tuple[float, float], ...]
    glass: tuple[int, ...]
    belt: float
    half_width: float
    wheel: float
    axles: tuple[float, ...]


MODELS = {
    "sedan": Model(
        ((-2.15, 0.3), (-2.2, 0.72), (-2.1, 0.98), (-1.6, 1.02), (-0.95, 1.4), (0.35, 1.42), (1.05, 0.98), (2.0, 0.8), (2.2, 0.6), (2.15, 0.3)),
        (3, 5), 0.95, 0.88, 0.32, (-1.35, 1.35),
    ),
    "hatch": Model(
        ((-1.85, 0.3), (-1.9, 0.7), (-1.85, 1.0), (-1.55, 1.44), (0.3, 1.48), (1.0, 1.0), (1.75, 0.84), (1.95, 0.6), (1.9, 0.3)),
        (2, 4), 0.98, 0.86, 0.31, (-1.2, 1.25),
    ),
    "suv": Model(
        ((-2.15, 0.4), (-2.2, 0.8), (-2.15, 1.12), (-1.95, 1.68), (0.4, 1.72), (1.0, 1.14), (2.05, 1.0), (2.25, 0.75), (2.2, 0.4)),
        (2, 4), 1.1, 0.94, 0.38, (-1.35, 1.4),
    ),
    "van": Model(
        ((-2.5, 0.4), (-2.55, 1.15), (-2.5, 2.05), (-2.3, 2.1), (1.4, 2.1), (2.05, 1.25), (2.5, 1.05), (2.6, 0.7), (2.5, 0.4)),
        (1, 4), 1.2, 1.0, 0.36, (-1.6, 1.7),
    ),
    "bus": Model(
        ((-5.2, 0.4), (-5.25, 1.3), (-5.2, 2.9), (-5.0, 3.05), (5.0, 3.05), (5.2, 2.9), (5.25, 1.1), (5.2, 0.4)),
        (1, 5), 1.25, 1.27, 0.5, (-3.2, 3.0),
    ),
}  # fmt: skip


def draw_car(canvas: Canvas, thing: Thing) -> None:
    """One vehicle; ``thing.heading`` 0 drives away from the camera."""
    model = MODELS[thing.kind]
    rng = np.random.default_rng(thing.seed)
    body = PAINTS[int(rng.integers(len(PAINTS)))]
    if thing.kind == "bus":
        body = ((176, 34, 36), (230, 180, 60), (60, 120, 80), (220, 222, 224))[int(rng.integers(4))]
    shell = _Shell(canvas, thing, model, body)
    if shell.depth < 3.2:  # within the camera's own car
        return
    shell.draw_wheels_behind()
    for place in shell.faces_far_to_near():
        shell.draw_face(place)
    shell.draw_side()


class _Shell:
    """A vehicle in place: its profile's points on both sides, in world axes."""

    def __init__(self, canvas: Canvas, thing: Thing, model: Model, body: Color) -> None:
        self.canvas, self.model, self.body = canvas, model, body
        self._size, self._cos, self._sin = thing.size, float(np.cos(thing.heading)), float(np.sin(thing.heading))
        self._at = np.array([thing.x, 0.0, thing.z])
        z, y = np.array(model.profile).T
        half = np.where(
            y > model.belt + 0.15, model.half_width * (0.95 if model.half_width > 0.95 else 0.8), model.half_width
        )
        self.sides = {side: self.place(np.stack([side * half, y, z], -1)) for side in (-1, 1)}
        self.eye = np.array([canvas.camera.view.x, canvas.camera.view.height, 0.0])
        self.depth = float(canvas.camera.to_camera(self._at)[2])
        self.scale = canvas.camera.focal / max(self.depth, 1.0)
        to_eye = self.eye - self._at
        across = to_eye[0] * self._cos - to_eye[2] * self._sin
        self.near_side = 1 if across > 0 else -1

    def place(self, local: np.ndarray) -> np.ndarray:
        """Car axes (right, up, ahead) to world."""
        local = local * self._size
        x = local[..., 0] * self._cos + local[..., 2] * self._sin
        z = -local[..., 0] * self._sin + local[..., 2] * self._cos
        return np.stack([x, local[..., 1], z], -1) + self._at

    def _turned(self, normal: tuple[float, float, float]) -> tuple[float, float, float]:
        x, y, z = normal
        return x * self._cos + z * self._sin, y, -x * self._sin + z * self._cos

    def _quad(self, place: int) -> np.ndarray:
        left, right = self.sides[-1], self.sides[1]
        return np.array([left[place], right[place], right[place + 1], left[place + 1]])

    def _normal(self, place: int) -> tuple[float, float, float]:
        (z0, y0), (z1, y1) = self.model.profile[place : place + 2]
        length = float(np.hypot(z1 - z0, y1 - y0))
        return self._turned((0.0, (z1 - z0) / length, -(y1 - y0) / length))

    def faces_far_to_near(self) -> list[int]:
        """The faces of the profile that look towards the camera."""
        seen = []
        for place in range(len(self.model.profile) - 1):
            middle = self._quad(place).mean(0)
            if float(np.dot(self.eye - middle, self._normal(place))) > 0:
                seen.append((-float(np.linalg.norm(self.eye - middle)), place))
        return [place for _, place in sorted(seen)]

    def draw_face(self, place: int) -> None:
        """One face across the car: bonnet, screen, roof, boot or bumper, with lamps on the ends."""
        quad, normal = self._quad(place), self._normal(place)
        self.canvas.face(quad, self.body, normal, Label.CAR)
        if place in self.model.glass:
            self.canvas.face(patch(quad, 0.07, 0.08, 0.93, 0.92), self._glass(), normal, Label.CAR)
            return
        last = len(self.model.profile) - 2
        if self.scale > 8 and place in (0, 1):
            self._tail(quad, normal, place)
        elif self.scale > 8 and place in (last, last - 1):
            self._nose(quad, normal, place == last)

    def _glass(self) -> Color:
        red, green, blue = (0.22 * low + 14 for low in self.canvas.light.sky_low)
        return red, green, blue

    def _tail(self, quad: np.ndarray, normal: tuple[float, float, float], place: int) -> None:
        face = self.canvas.face
        if place == 0:
            face(patch(quad, 0.0, 0.0, 1.0, 0.3), (44, 44, 46), normal, Label.CAR)
            face(patch(quad, 0.36, 0.5, 0.64, 0.85), (224, 196, 70), normal, Label.CAR)
        else:
            red = (205.0, 28.0, 26.0)
            shine = self.canvas.light.night
            face(patch(quad, 0.02, 0.15, 0.2, 0.75), red, normal, Label.CAR, shine=shine)
            face(patch(quad, 0.8, 0.15, 0.98, 0.75), red, normal, Label.CAR, shine=shine)

    def _nose(self, quad: np.ndarray, normal: tuple[float, float, float], low: bool) -> None:
        face = self.canvas.face
        if low:  # from the top down: the profile ends at the front's foot
            face(patch(quad, 0.25, 0.1, 0.75, 0.5), (36, 36, 38), normal, Label.CAR)
            face(patch(quad, 0.36, 0.55, 0.64, 0.85), (232, 232, 228), normal, Label.CAR)
        shine = self.canvas.light.night
        white = (255.0, 250.0, 226.0) if shine else (224.0, 228.0, 232.0)
        span = (0.0, 0.3) if low else (0.45, 1.0)
        face(patch(quad, 0.03, span[0], 0.22, span[1]), white, normal, Label.CAR, shine=shine)
        face(patch(quad, 0.78, span[0], 0.97, span[1]), white, normal, Label.CAR, shine=shine)

    def draw_wheels_behind(self) -> None:
        """What is seen of the tyres below the ends, and of the far side's."""
        half, radius = self.model.half_width, self.model.wheel
        for axle in self.model.axles:
            for side in (-1, 1):
                x0, x1 = side * (half - 0.24), side * (half - 0.02)
                tyre = np.array([(x0, 0, axle), (x1, 0, axle), (x1, radius * 1.6, axle), (x0, radius * 1.6, axle)])
                self.canvas.face(self.place(tyre), (26, 26, 28), None, Label.CAR)

    def draw_side(self) -> None:
        """The side towards the camera, if it is seen at all."""
        side = self.near_side
        outline = self.sides[side]
        normal = self._turned((float(side), 0.0, 0.0))
        if float(np.dot(self.eye - outline.mean(0), normal)) <= 0:
            return
        self.canvas.face(outline, self.body, normal, Label.CAR)
        if self.scale < 5:
            return
        self._side_windows(side, normal)
        z0, z1 = self.model.profile[1][0], self.model.profile[-2][0]
        x = side * self.model.half_width
        sill = np.array([(x, 0.3, z0), (x, 0.3, z1), (x, 0.42, z1), (x, 0.42, z0)])
        self.canvas.face(self.place(sill), (50, 50, 52), normal, Label.CAR)
        for axle in self.model.axles:
            self._wheel(x, axle, self.model.wheel * 1.12, (30, 30, 32), normal)
            self._wheel(x, axle, self.model.wheel, (20, 20, 22), normal)
            self._wheel(x, axle, self.model.wheel * 0.58, (158, 160, 164), normal)

    def _wheel(self, x: float, axle: float, radius: float, color: Color, normal: tuple[float, float, float]) -> None:
        turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        rim = np.stack(
            [np.full(14, x * 1.01), self.model.wheel + radius * np.sin(turn), axle + radius * np.cos(turn)], -1
        )
        rim[:, 1] = np.maximum(rim[:, 1], 0)
        self.canvas.face(self.place(rim), color, normal, Label.CAR)

    def _side_windows(self, side: int, normal: tuple[float, float, float]) -> None:
        """Panes between the belt and the roof, with pillars left between them."""
        z, y = np.array(self.model.profile).T
        roof = float(y.max()) - 0.1
        belt = self.model.belt + 0.06
        first, last = _span_at(z, y, belt)
        upper_first, upper_last = _span_at(z, y, roof)
        if self.model.half_width > 0.98 and len(self.model.axles) == 2 and roof < 2.2 and first < -2:
            first = upper_first = 0.35  # a van has windows in its cab only
        panes = max(round((last - first) / 1.35), 1)
        if roof > 2.5:
            panes = 7
        x = side * self.model.half_width * 0.9
        for pane in range(panes):
            a, b = pane / panes + 0.025, (pane + 1) / panes - 0.025
            low = [first + (last - first) * share for share in (a, b)]
            high = [upper_first + (upper_last - upper_first) * share for share in (a, b)]
            points = np.array([(x, belt, low[0]), (x, belt, low[1]), (x, roof, high[1]), (x, roof, high[0])])
            self.canvas.face(self.place(points), self._glass(), normal, Label.CAR)


def _span_at(z: np.ndarray, y: np.ndarray, height: float) -> tuple[float, float]:
    """The first and last z at which the profile is as high as ``height``, with a pillar's width left at both ends."""
    crossings = []
    for place in range(len(z) - 1):
        if (y[place] - height) * (y[place + 1] - height) <= 0 and y[place] != y[place + 1]:
            share = (height - y[place]) / (y[place + 1] - y[place])
            crossings.append(float(z[place] + share * (z[place + 1] - z[place])))
    return min(crossings) + 0.12, max(crossings) - 0.12
