"""A camera and a canvas: polygons in metres onto a picture and its labels at once, nearer ones over farther ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from hwnas.data.street.scene import Color, Label, Light, View

NEAR_M = 0.6
"""Nothing nearer than this is drawn."""


class Camera:
    """Projects points (..., 3) in metres to pixels (..., 2) and depths; verticals stay vertical (no pitch or roll)."""

    def __init__(self, view: View, size_hw: tuple[int, int]) -> None:
        height, width = size_hw
        self.view = view
        self.size_hw = size_hw
        self.focal = view.focal * max(height, 0.75 * width)
        self.center = width / 2
        self.horizon = view.horizon * height
        self.cos, self.sin = float(np.cos(view.yaw)), float(np.sin(view.yaw))

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points to camera axes (right, up, forward), the road's bend included."""
        x = points[..., 0] + self.view.curve * points[..., 2] ** 2 - self.view.x
        z = points[..., 2]
        return np.stack(
            [x * self.cos - z * self.sin, points[..., 1] - self.view.height, x * self.sin + z * self.cos], -1
        )

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Points in camera axes, in front of the camera, to (column, row)."""
        scale = self.focal / points[..., 2]
        return np.stack([self.center + points[..., 0] * scale, self.horizon - points[..., 1] * scale], -1)

    def ground(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the pixels (rows below the horizon) see the ground: x and z, (rows, columns) float32."""
        depth = (self.focal * self.view.height / (rows - self.horizon)).astype(np.float32)[:, None]
        right = depth * ((columns - self.center) / self.focal).astype(np.float32)[None, :]
        z = depth * np.float32(self.cos) - right * np.float32(self.sin)
        x = right * np.float32(self.cos) + depth * np.float32(self.sin) + np.float32(self.view.x)
        return x - np.float32(self.view.curve) * z * z, z


class Canvas:
    """A picture and its labels. Colours are of the surface; light and haze are put on here."""

    def __init__(self, picture: np.ndarray, labels: np.ndarray, camera: Camera, light: Light) -> None:
        self.camera = camera
        self.light = light
        self.picture = Image.fromarray(picture)
        self.labels = Image.fromarray(labels)
        self._paint = ImageDraw.Draw(self.picture)
        self._mark = ImageDraw.Draw(self.labels)
        self._sun = np.array(light.to_sun)

    def lit(self, color: Color, normal: Sequence[float] | None, depth: float) -> tuple[int, int, int]:
        """A surface's colour under the light, seen from ``depth`` metres; without a normal it is lit from all sides."""
        facing = 0.45 if normal is None else max(float(np.dot(self._sun, normal)), 0.0)
        haze = 1 - np.exp(-depth / self.light.haze_m)
        return self._mix(color, facing, haze)

    def _mix(self, color: Color, facing: float, haze: float) -> tuple[int, int, int]:
        light = self.light
        red, green, blue = (
            min(int(c * min(a + s * facing, 1.25) * (1 - haze) + low * haze), 255)
            for c, a, s, low in zip(color, light.ambient, light.sun, light.sky_low, strict=True)
        )
        return red, green, blue

    def glow(self, color: Color, depth: float) -> tuple[int, int, int]:
        """A colour that shines by itself: only haze is put on."""
        haze = 1 - np.exp(-depth / self.light.haze_m)
        red, green, blue = (int(c * (1 - haze) + low * haze) for c, low in zip(color, self.light.sky_low, strict=True))
        return red, green, blue

    def face(
        self,
        points: np.ndarray,
        color: Color,
        normal: Sequence[float] | None,
        label: Label | None,
        *,
        shine: bool = False,
    ) -> None:
        """A flat polygon of world points (n, 3), cut off in front of the camera. ``label`` None leaves labels alone."""
        seen = clip_near(self.camera.to_camera(points))
        if len(seen) < 3:
            return
        depth = float(seen[:, 2].mean())
        fill = self.glow(color, depth) if shine else self.lit(color, normal, depth)
        self.polygon(self.camera.to_pixels(seen), fill, label)

    def polygon(self, pixels: np.ndarray, fill: tuple[int, int, int] | None, label: Label | None) -> None:
        """A polygon of pixels (n, 2), colour as it is; ``fill`` None leaves the picture alone."""
        corners = [(float(x), float(y)) for x, y in np.clip(pixels, -4000, 8000)]
        if fill is not None:
            self._paint.polygon(corners, fill=fill)
        if label is not None:
            self._mark.polygon(corners, fill=int(label))

    def ellipse(
        self, center: Sequence[float], radii: Sequence[float], fill: tuple[int, int, int] | None, label: Label | None
    ) -> None:
        """An upright ellipse in pixels."""
        x, y = float(center[0]), float(center[1])
        a, b = max(float(radii[0]), 0.5), max(float(radii[1]), 0.5)
        box = (x - a, y - b, x + a, y + b)
        if fill is not None:
            self._paint.ellipse(box, fill=fill)
        if label is not None:
            self._mark.ellipse(box, fill=int(label))

    def line(
        self, ends: Sequence[Sequence[float]], width: float, fill: tuple[int, int, int] | None, label: Label | None
    ) -> None:
        """A line through pixels; at least two wide, since pictures are drawn at twice their size."""
        corners = [(float(x), float(y)) for x, y in ends]
        thick = max(round(width), 2)
        if fill is not None:
            self._paint.line(corners, fill=fill, width=thick, joint="curve")
        if label is not None:
            self._mark.line(corners, fill=int(label), width=thick, joint="curve")

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The picture (H, W, 3) and the labels (H, W), uint8."""
        return np.array(self.picture), np.array(self.labels)


def clip_near(points: np.ndarray) -> np.ndarray:
    """The part of a polygon in camera axes (n, 3) that lies beyond ``NEAR_M`` (Sutherland and Hodgman, 1974)."""
    inside = points[:, 2] >= NEAR_M
    if inside.all():
        return points
    if not inside.any():
        return points[:0]
    kept = []
    for place in range(len(points)):
        here, after = points[place], points[(place + 1) % len(points)]
        if here[2] >= NEAR_M:
            kept.append(here)
        if (here[2] >= NEAR_M) != (after[2] >= NEAR_M):
            share = (NEAR_M - here[2]) / (after[2] - here[2])
            kept.append(here + share * (after - here))
    return np.array(kept)


def patch(corners: np.ndarray, left: float, low: float, right: float, high: float) -> np.ndarray:
    """A rectangle within a quad (4, 3) of corners (left low, right low, right high, left high), in shares 0..1."""
    u = np.array([left, right, right, left])[:, None]
    v = np.array([low, low, high, high])[:, None]
    bottom = corners[0] + u * (corners[1] - corners[0])
    top = corners[3] + u * (corners[2] - corners[3])
    return bottom + v * (top - bottom)
