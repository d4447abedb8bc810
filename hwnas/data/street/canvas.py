"""A camera and a canvas: polygons in metres onto a picture and its labels at once, nearer ones over farther ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from hwnas.data.street.scene import Color, Label, Light, View

NEAR_M = 0.6
"""Nothing nearer than this is drawn."""

Point = tuple[float, float, float]
Pixel = tuple[float, float]
Paint = tuple[int, int, int]


class Camera:
    """Projects points in metres to pixels (column, row); verticals stay vertical (no pitch or roll).

    Points are plain tuples: polygons have four corners, and numpy would take ten times as long over them.
    """

    def __init__(self, view: View, size_hw: tuple[int, int]) -> None:
        height, width = size_hw
        self.view = view
        self.size_hw = size_hw
        self.focal = view.focal * max(height, 0.75 * width)
        self.center = width / 2
        self.horizon = view.horizon * height
        self.cos, self.sin = math.cos(view.yaw), math.sin(view.yaw)

    def to_camera(self, point: Point) -> Point:
        """World to camera axes (right, up, forward), the road's bend included."""
        x = point[0] + self.view.curve * point[2] * point[2] - self.view.x
        return x * self.cos - point[2] * self.sin, point[1] - self.view.height, x * self.sin + point[2] * self.cos

    def to_pixel(self, point: Point) -> Pixel:
        """A point in camera axes, in front of the camera, to (column, row)."""
        scale = self.focal / point[2]
        return self.center + point[0] * scale, self.horizon - point[1] * scale

    def see(self, points: Sequence[Point]) -> tuple[list[Pixel], float] | None:
        """A polygon of world points in pixels, and its mean depth; None if nothing of it is in the picture."""
        seen = [self.to_camera(point) for point in points]
        if min(point[2] for point in seen) < NEAR_M:
            seen = clip_near(seen)
            if len(seen) < 3:
                return None
        pixels = [self.to_pixel(point) for point in seen]
        columns = [column for column, _ in pixels]
        if max(columns) < 0 or min(columns) > self.size_hw[1]:
            return None
        return pixels, sum(point[2] for point in seen) / len(seen)

    def foot(self, x: float, z: float) -> tuple[Pixel, float] | None:
        """A point on the ground in pixels, and its depth; None behind the camera."""
        point = self.to_camera((x, 0.0, z))
        return (self.to_pixel(point), point[2]) if point[2] > 1 else None

    def ground(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the pixels (rows below the horizon) see the ground: x and z, (rows, columns) float32."""
        depth = (self.focal * self.view.height / (rows - self.horizon)).astype(np.float32)[:, None]
        right = depth * ((columns - self.center) / self.focal).astype(np.float32)[None, :]
        z = depth * np.float32(self.cos) - right * np.float32(self.sin)
        x = right * np.float32(self.cos) + depth * np.float32(self.sin) + np.float32(self.view.x)
        return x - np.float32(self.view.curve) * z * z, z


class Canvas:
    """A picture and its labels. Colours are of the surface; light and haze are put on here."""

    def __init__(self, picture: Image.Image, labels: Image.Image, camera: Camera, light: Light) -> None:
        self.camera = camera
        self.light = light
        self.picture = picture
        self.labels = labels
        self._paint = ImageDraw.Draw(picture)
        self._mark = ImageDraw.Draw(labels)

    def lit(self, color: Color, normal: Point | None, depth: float) -> Paint:
        """A surface's colour under the light, seen from ``depth`` metres; without a normal it is lit from all sides."""
        light = self.light
        facing = 0.45
        if normal is not None:
            sun = light.to_sun
            facing = max(sun[0] * normal[0] + sun[1] * normal[1] + sun[2] * normal[2], 0.0)
        clear = math.exp(-depth / light.haze_m)
        (ar, ag, ab), (sr, sg, sb), (hr, hg, hb) = light.ambient, light.sun, light.sky_low
        return (
            min(int(color[0] * min(ar + sr * facing, 1.25) * clear + hr * (1 - clear)), 255),
            min(int(color[1] * min(ag + sg * facing, 1.25) * clear + hg * (1 - clear)), 255),
            min(int(color[2] * min(ab + sb * facing, 1.25) * clear + hb * (1 - clear)), 255),
        )

    def glow(self, color: Color, depth: float) -> Paint:
        """A colour that shines by itself: only haze is put on."""
        clear = math.exp(-depth / self.light.haze_m)
        red, green, blue = (
            int(c * clear + low * (1 - clear)) for c, low in zip(color, self.light.sky_low, strict=True)
        )
        return red, green, blue

    def face(
        self, points: Sequence[Point], color: Color, normal: Point | None, label: Label | None, *, shine: bool = False
    ) -> None:
        """A flat polygon of world points, cut off in front of the camera. ``label`` None leaves labels alone."""
        seen = self.camera.see(points)
        if seen:
            fill = self.glow(color, seen[1]) if shine else self.lit(color, normal, seen[1])
            self.polygon(seen[0], fill, label)

    def polygon(self, pixels: Sequence[Pixel], fill: Paint | None, label: Label | None) -> None:
        """A polygon of pixels, colour as it is; ``fill`` None leaves the picture alone."""
        if fill is not None:
            self._paint.polygon(pixels, fill=fill)
        if label is not None:
            self._mark.polygon(pixels, fill=int(label))

    def ellipse(self, center: Pixel, radii: Pixel, fill: Paint | None, label: Label | None) -> None:
        """An upright ellipse in pixels."""
        (x, y), a, b = center, max(radii[0], 0.5), max(radii[1], 0.5)
        box = (x - a, y - b, x + a, y + b)
        if fill is not None:
            self._paint.ellipse(box, fill=fill)
        if label is not None:
            self._mark.ellipse(box, fill=int(label))

    def line(self, ends: Sequence[Pixel], width: float, fill: Paint | None, label: Label | None) -> None:
        """A line through pixels; at least two wide, since pictures are drawn at twice their size."""
        thick = max(round(width), 2)
        joint = "curve" if len(ends) > 2 and thick > 4 else None
        if fill is not None:
            self._paint.line(ends, fill=fill, width=thick, joint=joint)
        if label is not None:
            self._mark.line(ends, fill=int(label), width=thick, joint=joint)


def clip_near(points: Sequence[Point]) -> list[Point]:
    """The part of a polygon in camera axes that lies beyond ``NEAR_M`` (Sutherland and Hodgman, 1974)."""
    kept: list[Point] = []
    for place, here in enumerate(points):
        after = points[(place + 1) % len(points)]
        if here[2] >= NEAR_M:
            kept.append(here)
        if (here[2] >= NEAR_M) != (after[2] >= NEAR_M):
            share = (NEAR_M - here[2]) / (after[2] - here[2])
            kept.append((here[0] + share * (after[0] - here[0]), here[1] + share * (after[1] - here[1]), NEAR_M))
    return kept


def patch(corners: Sequence[Point], left: float, low: float, right: float, high: float) -> list[Point]:
    """A rectangle within a quad of corners (left low, right low, right high, left high), in shares 0..1."""
    return [_within(corners, u, v) for u, v in ((left, low), (right, low), (right, high), (left, high))]


def _within(corners: Sequence[Point], u: float, v: float) -> Point:
    a, b, c, d = corners
    x, y, z = ((1 - v) * ((1 - u) * a[axis] + u * b[axis]) + v * ((1 - u) * d[axis] + u * c[axis]) for axis in range(3))
    return x, y, z
