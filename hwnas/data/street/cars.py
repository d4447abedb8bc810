"""Cars, vans and buses: a side profile drawn out across the width, with windows, wheels and lamps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hwnas.data.street.canvas import Canvas, Point, patch
from hwnas.data.street.scene import Color, Label, Thing

PAINTS: tuple[Color, ...] = (
    (200, 202, 206), (236, 236, 236), (40, 42, 46), (96, 100, 106), (158, 30, 34), (34, 62, 126), (28, 84, 62),
    (150, 152, 156), (66, 70, 82), (190, 160, 60), (120, 54, 40), (84, 128, 176), (210, 206, 192),
)  # fmt: skip


@dataclass(frozen=True)
class Model:
    """``profile``: (z, y) from the rear bumper's foot over the roof to the front's; ``glass``: which faces between two
    of its points are windows. The cabin is what is above ``belt``; a van has side windows in its cab only.
    """

    profile: tuple[tuple[float, float], ...]
    glass: tuple[int, ...]
    belt: float
    half_width: float
    wheel: float
    axles: tuple[float, ...]
    cab_only: bool = False


def _profile(points: str) -> tuple[tuple[float, float], ...]:
    """``"-2.1,0.3 -2.2,0.7"`` → ((-2.1, 0.3), (-2.2, 0.7))."""
    pairs = (point.split(",") for point in points.split())
    return tuple((float(z), float(y)) for z, y in pairs)


SEDAN = "-2.15,0.3 -2.2,0.72 -2.1,0.98 -1.6,1.02 -0.95,1.4 0.35,1.42 1.05,0.98 2.0,0.8 2.2,0.6 2.15,0.3"
HATCH = "-1.85,0.3 -1.9,0.7 -1.85,1.0 -1.55,1.44 0.3,1.48 1.0,1.0 1.75,0.84 1.95,0.6 1.9,0.3"
SUV = "-2.15,0.4 -2.2,0.8 -2.15,1.12 -1.95,1.68 0.4,1.72 1.0,1.14 2.05,1.0 2.25,0.75 2.2,0.4"
VAN = "-2.5,0.4 -2.55,1.15 -2.5,2.05 -2.3,2.1 1.4,2.1 2.05,1.25 2.5,1.05 2.6,0.7 2.5,0.4"
BUS = "-5.2,0.4 -5.25,1.3 -5.2,2.9 -5.0,3.05 5.0,3.05 5.2,2.9 5.25,1.1 5.2,0.4"
MODELS = {
    "sedan": Model(_profile(SEDAN), (3, 5), 0.95, 0.88, 0.32, (-1.35, 1.35)),
    "hatch": Model(_profile(HATCH), (2, 4), 0.98, 0.86, 0.31, (-1.2, 1.25)),
    "suv": Model(_profile(SUV), (2, 4), 1.1, 0.94, 0.38, (-1.35, 1.4)),
    "van": Model(_profile(VAN), (1, 4), 1.2, 1.0, 0.36, (-1.6, 1.7), cab_only=True),
    "bus": Model(_profile(BUS), (1, 5), 1.25, 1.27, 0.5, (-3.2, 3.0)),
}


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
    shell.draw_tyres()
    for place in shell.faces_far_to_near():
        shell.draw_face(place)
    shell.draw_side()


class _Shell:
    """A vehicle in place: its profile's points on both sides, in world axes."""

    def __init__(self, canvas: Canvas, thing: Thing, model: Model, body: Color) -> None:
        self.canvas, self.model, self.body = canvas, model, body
        self._size, self._cos, self._sin = thing.size, math.cos(thing.heading), math.sin(thing.heading)
        self._x, self._z = thing.x, thing.z
        narrow = 0.95 if model.half_width > 0.95 else 0.8
        self.sides = {
            side: [
                self.place((side * model.half_width * (narrow if y > model.belt + 0.15 else 1), y, z))
                for z, y in model.profile
            ]
            for side in (-1, 1)
        }
        view = canvas.camera.view
        self.eye = (view.x - view.curve * thing.z**2, view.height, 0.0)  # the road's bend moves the car, not its axes
        self.depth = canvas.camera.to_camera((thing.x, 0.0, thing.z))[2]
        self.scale = canvas.camera.focal / max(self.depth, 1.0)
        across = (self.eye[0] - thing.x) * self._cos - (self.eye[2] - thing.z) * self._sin
        self.near_side = 1 if across > 0 else -1

    def place(self, local: Point) -> Point:
        """Car axes (right, up, ahead) to world."""
        x, y, z = (value * self._size for value in local)
        return x * self._cos + z * self._sin + self._x, y, -x * self._sin + z * self._cos + self._z

    def _turned(self, normal: Point) -> Point:
        x, y, z = normal
        return x * self._cos + z * self._sin, y, -x * self._sin + z * self._cos

    def _quad(self, place: int) -> list[Point]:
        left, right = self.sides[-1], self.sides[1]
        return [left[place], right[place], right[place + 1], left[place + 1]]

    def _normal(self, place: int) -> Point:
        (z0, y0), (z1, y1) = self.model.profile[place : place + 2]
        length = math.hypot(z1 - z0, y1 - y0)
        return self._turned((0.0, (z1 - z0) / length, -(y1 - y0) / length))

    def _to_eye(self, points: Sequence[Point]) -> Point:
        x, y, z = (self.eye[axis] - sum(point[axis] for point in points) / len(points) for axis in range(3))
        return x, y, z

    def faces_far_to_near(self) -> list[int]:
        """The faces of the profile that look towards the camera."""
        seen = []
        for place in range(len(self.model.profile) - 1):
            to_eye = self._to_eye(self._quad(place))
            if _dot(to_eye, self._normal(place)) > 0:
                seen.append((-_dot(to_eye, to_eye), place))
        return [place for _, place in sorted(seen)]

    def draw_face(self, place: int) -> None:
        """One face across the car: bonnet, screen, roof, boot or bumper, with lamps on the ends."""
        quad, normal = self._quad(place), self._normal(place)
        self.canvas.face(quad, self.body, normal, Label.CAR)
        if self.scale < 6:
            return
        last = len(self.model.profile) - 2
        if place in self.model.glass:
            self.canvas.face(patch(quad, 0.07, 0.08, 0.93, 0.92), self._glass(), normal, Label.CAR)
        elif place in (0, 1):
            self._draw_tail(quad, normal, place)
        elif place in (last, last - 1):
            self._draw_nose(quad, normal, place == last)

    def _glass(self) -> Color:
        red, green, blue = (0.22 * low + 14 for low in self.canvas.light.sky_low)
        return red, green, blue

    def _draw_tail(self, quad: list[Point], normal: Point, place: int) -> None:
        face = self.canvas.face
        if place == 0:
            face(patch(quad, 0.0, 0.0, 1.0, 0.3), (44, 44, 46), normal, Label.CAR)
            face(patch(quad, 0.36, 0.5, 0.64, 0.85), (224, 196, 70), normal, Label.CAR)
        else:
            shine = self.canvas.light.night
            face(patch(quad, 0.02, 0.15, 0.2, 0.75), (205, 28, 26), normal, Label.CAR, shine=shine)
            face(patch(quad, 0.8, 0.15, 0.98, 0.75), (205, 28, 26), normal, Label.CAR, shine=shine)

    def _draw_nose(self, quad: list[Point], normal: Point, low: bool) -> None:
        face = self.canvas.face
        if low:  # from the top down: the profile ends at the front's foot
            face(patch(quad, 0.25, 0.1, 0.75, 0.5), (36, 36, 38), normal, Label.CAR)
            face(patch(quad, 0.36, 0.55, 0.64, 0.85), (232, 232, 228), normal, Label.CAR)
        shine = self.canvas.light.night
        white = (255.0, 250.0, 226.0) if shine else (224.0, 228.0, 232.0)
        start, end = (0.0, 0.3) if low else (0.45, 1.0)
        face(patch(quad, 0.03, start, 0.22, end), white, normal, Label.CAR, shine=shine)
        face(patch(quad, 0.78, start, 0.97, end), white, normal, Label.CAR, shine=shine)

    def draw_tyres(self) -> None:
        """What is seen of the tyres below the body."""
        half, top = self.model.half_width, self.model.wheel * 1.6
        for axle in self.model.axles:
            for side in (-1, 1):
                x0, x1 = side * (half - 0.24), side * (half - 0.02)
                tyre = [(x0, 0.0, axle), (x1, 0.0, axle), (x1, top, axle), (x0, top, axle)]
                self.canvas.face([self.place(point) for point in tyre], (26, 26, 28), None, Label.CAR)

    def draw_side(self) -> None:
        """The side towards the camera, if it is seen at all."""
        side = self.near_side
        outline = self.sides[side]
        normal = self._turned((float(side), 0.0, 0.0))
        if _dot(self._to_eye(outline), normal) <= 0:
            return
        self.canvas.face(outline, self.body, normal, Label.CAR)
        if self.scale < 7:
            return
        self._draw_windows(side, normal)
        z0, z1 = self.model.profile[1][0], self.model.profile[-2][0]
        x = side * self.model.half_width
        sill = [(x, 0.3, z0), (x, 0.3, z1), (x, 0.42, z1), (x, 0.42, z0)]
        self.canvas.face([self.place(point) for point in sill], (50, 50, 52), normal, Label.CAR)
        for axle in self.model.axles:
            self._draw_wheel(x, axle, self.model.wheel * 1.1, (20, 20, 22), normal)
            self._draw_wheel(x, axle, self.model.wheel * 0.58, (158, 160, 164), normal)

    def _draw_wheel(self, x: float, axle: float, radius: float, color: Color, normal: Point) -> None:
        rim = []
        for place in range(14):
            turn = 2 * math.pi * place / 14
            y = max(self.model.wheel + radius * math.sin(turn), 0.0)
            rim.append(self.place((x * 1.01, y, axle + radius * math.cos(turn))))
        self.canvas.face(rim, color, normal, Label.CAR)

    def _draw_windows(self, side: int, normal: Point) -> None:
        """Panes between the belt and the roof, with pillars left between them."""
        roof = max(y for _, y in self.model.profile) - 0.1
        belt = self.model.belt + 0.06
        first, last = _span_at(self.model.profile, belt)
        upper_first, upper_last = _span_at(self.model.profile, roof)
        panes = max(round((last - first) / 1.35), 1)
        if self.model.cab_only:
            first = upper_first = 0.35
            panes = 1
        x = side * self.model.half_width * 0.9
        for pane in range(panes):
            a, b = pane / panes + 0.025, (pane + 1) / panes - 0.025
            low = [first + (last - first) * share for share in (a, b)]
            high = [upper_first + (upper_last - upper_first) * share for share in (a, b)]
            points = [(x, belt, low[0]), (x, belt, low[1]), (x, roof, high[1]), (x, roof, high[0])]
            self.canvas.face([self.place(point) for point in points], self._glass(), normal, Label.CAR)


def _dot(one: Point, other: Point) -> float:
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]


def _span_at(profile: Sequence[tuple[float, float]], height: float) -> tuple[float, float]:
    """The first and last z at which the profile is as high as ``height``, with a pillar's width left at both ends."""
    crossings = []
    for (z0, y0), (z1, y1) in pairwise(profile):
        if (y0 - height) * (y1 - height) <= 0 and y0 != y1:
            crossings.append(z0 + (height - y0) / (y1 - y0) * (z1 - z0))
    return min(crossings) + 0.12, max(crossings) - 0.12
