"""Sky and ground: computed for each pixel, not drawn, for the sake of their textures."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from hwnas.data.street.canvas import Camera
from hwnas.data.street.scene import Label, Scene, Street

TILE = 256


@lru_cache(maxsize=4)
def noise_tile(fall: float) -> np.ndarray:
    """A tile (256, 256) float32 of seamless noise, mean 0, deviation 1; its amplitude falls as 1 / frequency**fall."""
    rng = np.random.default_rng(20260101)
    frequency = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.fftfreq(TILE)[None, :]) * TILE
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(rng.standard_normal((TILE, TILE))) / frequency**fall
    spectrum[0, 0] = 0
    tile = np.real(np.fft.ifft2(spectrum))
    return np.asarray(tile / tile.std(), np.float32)


def _look_up(tile: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(tile[x.astype(np.int32) & (TILE - 1), y.astype(np.int32) & (TILE - 1)])


def paint_background(scene: Scene, size_hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Sky above, ground below the horizon: picture (H, W, 3) uint8 and labels (H, W) uint8."""
    camera = Camera(scene.view, size_hw)
    height, width = size_hw
    first = int(np.floor(camera.horizon)) + 1
    picture = np.empty((height, width, 3), np.uint8)
    labels = np.empty((height, width), np.uint8)
    picture[:first] = _sky(scene, camera, first)
    labels[:first] = Label.SKY
    picture[first:], labels[first:] = _ground(scene, camera, first)
    return picture, labels


def _sky(scene: Scene, camera: Camera, rows: int) -> np.ndarray:
    """(rows, W, 3) uint8."""
    light = scene.light
    width = camera.size_hw[1]
    up = ((camera.horizon - np.arange(rows, dtype=np.float32)) / camera.focal).clip(0.004, None)[:, None]
    across = ((np.arange(width, dtype=np.float32) - camera.center) / camera.focal)[None, :]
    mix = np.exp(-up * 3.2)[..., None]
    gradient = np.array(light.sky_top, np.float32) * (1 - mix) + np.array(light.sky_low, np.float32) * mix
    # Clouds lie in a plane above, so that they shrink towards the horizon.
    shift = np.random.default_rng(scene.seed).uniform(0, TILE, 2).astype(np.float32)
    away = 1 / (up + np.float32(0.25))
    clouds = _look_up(noise_tile(1.6), across * away * 60 + shift[0] + TILE, 40 * away + shift[1])
    cover = np.clip((clouds - np.float32(1.6 - 3.0 * light.cloud)) * 0.5, 0, 1) * (0.8 * np.clip(up * 6, 0, 1))
    white = np.array(light.sky_low, np.float32) * 0.6 + np.float32(50 if light.night else 100)
    shade = 1 - 0.10 * np.clip(clouds, 0, 2)
    color = gradient + cover[..., None] * (white * shade[..., None] - gradient)
    sun = light.to_sun
    forward = sun[0] * camera.sin + sun[2] * camera.cos
    if forward > 0.1:
        x, y = np.float32((sun[0] * camera.cos - sun[2] * camera.sin) / forward), np.float32(sun[1] / forward)
        near = np.exp(-((across - x) ** 2 + (up - y) ** 2) * 7)[..., None]
        color += near * (np.array(light.sun, np.float32) * 150)
    return np.asarray(np.clip(color, 0, 255), np.uint8)


def _ground(scene: Scene, camera: Camera, first: int) -> tuple[np.ndarray, np.ndarray]:
    height, width = camera.size_hw
    rows = np.arange(first, height) + 0.5
    x, z = camera.ground(np.maximum(rows, camera.horizon + 0.3), np.arange(width) + 0.5)
    street = scene.street
    shift = np.random.default_rng(street.seed).uniform(0, TILE, 4).astype(np.float32) + 16 * TILE
    fine = _look_up(noise_tile(0.35), x * 24 + shift[0], z * 9 + shift[1]) / (1 + z / 9)
    coarse = _look_up(noise_tile(1.3), x * 7 + shift[2], z * 3 + shift[3])
    road, grass = _ground_kinds(street, x, z)
    labels = np.where(road, np.uint8(Label.ROAD), np.where(grass, np.uint8(Label.TREE), np.uint8(Label.PAVEMENT)))
    surfaces = np.zeros((max(Label) + 1, 3), np.float32)
    surfaces[Label.ROAD], surfaces[Label.PAVEMENT], surfaces[Label.TREE] = street.asphalt, street.paving, (92, 118, 58)
    factor = 1 + 0.075 * fine + np.where(road, np.float32(0.05), np.float32(0.035)) * coarse
    # A pixel shows this many metres of the ground across and along: lines narrower than it fade instead of flickering.
    across, along = z / np.float32(camera.focal), z * z / np.float32(camera.focal * scene.view.height)
    factor *= _pave(street, x, z, road, grass, across, along)
    color = surfaces[labels] * factor[..., None]
    paint = np.float32(0.72) * _lane_paint(street, x, z, road, across, along)
    color += paint[..., None] * (np.array((226, 226, 220), np.float32) - color)
    shadow = _shadows(scene, camera)[first:].astype(np.float32)[..., None] / 255
    light = scene.light
    sun = np.array(light.sun, np.float32) * np.float32(light.to_sun[1])
    color *= np.array(light.ambient, np.float32) * (1 - np.float32(0.22) * shadow) + sun * (1 - shadow)
    haze = (1 - np.exp(-z / np.float32(light.haze_m)))[..., None]
    color += haze * (np.array(light.sky_low, np.float32) - color)
    return np.clip(color, 0, 255).astype(np.uint8), labels


def _ground_kinds(street: Street, x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where there is road, and where grass; the rest is paved."""
    road = np.abs(x) < street.half_width
    if street.crossing_z:
        road |= (z > street.crossing_z) & (z < street.crossing_z + street.crossing_width)
    # Past the house fronts there are gardens; the class of plants is the tree's.
    left = street.edge(-1) + (street.verge * street.pavement_left if street.verge else -1)
    right = street.edge(1) - (street.verge * street.pavement_right if street.verge else -1)
    return road, ~road & ((x < left) | (x > right))


def _band(distance: np.ndarray, half: float, pixel: np.ndarray) -> np.ndarray:
    """How much of a pixel, ``pixel`` metres wide and ``distance`` from a line's middle, the line covers: 0..1."""
    return np.asarray(np.clip((half - distance) / pixel + 0.5, 0, np.minimum(1, 2 * half / pixel)))


def _pave(
    street: Street,
    x: np.ndarray,
    z: np.ndarray,
    road: np.ndarray,
    grass: np.ndarray,
    across: np.ndarray,
    along: np.ndarray,
) -> np.ndarray:
    """Brightness of joints between slabs, of the kerb and of the gutter."""
    joints = np.maximum(_band(_to_grid(x, 0.8), 0.03, across), _band(_to_grid(z, 1.25), 0.03, along))
    factor = np.where(road | grass, np.float32(1), 1 - np.float32(0.17) * joints)
    kerb = np.abs(x) - street.half_width
    factor *= 1 + 0.22 * _band(np.abs(kerb - 0.08), 0.08, across) * ~road
    factor *= 1 - 0.22 * _band(np.abs(kerb + 0.08), 0.08, across) * road
    return factor


def _to_grid(value: np.ndarray, step: float) -> np.ndarray:
    """Distance to the nearest multiple of ``step``."""
    return np.abs(value - np.float32(step) * np.round(value / np.float32(step)))


def _lane_paint(
    street: Street, x: np.ndarray, z: np.ndarray, road: np.ndarray, across: np.ndarray, along: np.ndarray
) -> np.ndarray:
    """How much of each pixel is white paint: centre line, lane lines, edges, a zebra crossing, a stop line."""
    away = np.abs(x)
    dash = _band(_to_grid(z - 1.5, 6), 1.5, along)
    paint = _band(away, 0.07, across) * (1 if street.lanes == 4 else dash)
    if street.lanes > 2:
        paint = np.maximum(paint, _band(np.abs(away - street.half_width / (street.lanes / 2)), 0.06, across) * dash)
    paint = np.maximum(paint, _band(np.abs(away - street.half_width + 0.35), 0.05, across))
    if street.crossing_z:
        paint *= (z < street.crossing_z - 1) | (z > street.crossing_z + street.crossing_width + 1)
    start = street.crossing_z - 4.5 if street.crossing_z else 16.0
    if street.zebra:
        zebra = (z > start) & (z < start + 3)
        paint = np.where(zebra, _band(_to_grid(x, 1.0), 0.25, across), paint)
    if street.crossing_z:
        paint = np.maximum(paint, _band(np.abs(z - start + 0.9), 0.2, along) * (x > 0))
    return np.asarray(paint * (road & (away < street.half_width)))


def _shadows(scene: Scene, camera: Camera) -> np.ndarray:
    """(H, W) uint8: 255 where no sun reaches the ground. Things always darken the ground that they stand on."""
    height, width = camera.size_hw
    sheet = Image.new("L", (width, height))
    draw = ImageDraw.Draw(sheet)
    sun = scene.light.to_sun
    strong = sum(scene.light.sun) > 0.5
    reach = (-sun[0] / max(sun[1], 0.15), -sun[2] / max(sun[1], 0.15))
    for house in scene.buildings if strong else ():
        front = scene.street.edge(house.side) + house.side * house.setback
        dx, dz = reach[0] * house.height, reach[1] * house.height
        if dx * house.side < 0:
            corners = [
                (front, house.near),
                (front, house.far),
                (front + dx, house.far + dz),
                (front + dx, house.near + dz),
            ]
            _fill_ground(draw, camera, corners, 255)
    for thing in scene.things:
        half_x, half_z, tall, strength = _footprint(thing.kind, thing.size)
        if abs(np.sin(thing.heading)) > 0.7 and thing.kind != "lamp":
            half_x, half_z = half_z, half_x
        if half_x > 0.3:
            _fill_ground(draw, camera, _rectangle(thing.x, thing.z, half_x, half_z), 200)
        if strong:
            _cast(draw, camera, thing.x, thing.z, (half_x, half_z), (reach[0] * tall, reach[1] * tall), strength)
        elif thing.kind == "tree":
            _fill_ground(draw, camera, _rectangle(thing.x, thing.z, 1.4 * thing.size, 1.4 * thing.size), 60)
    return np.asarray(sheet.filter(ImageFilter.BoxBlur(max(height / 220, 0.7))))


def _footprint(kind: str, size: float) -> tuple[float, float, float, int]:
    """Half extents across and along, height, and how dense the shadow is (0..255)."""
    if kind == "tree":
        return 0.2, 0.2, 4.5 * size, 190
    if kind in ("sedan", "hatch", "suv", "van", "bus"):
        return {"bus": (1.3, 5.0, 2.9, 255), "van": (1.0, 2.5, 2.0, 255)}.get(kind, (0.95, 2.2, 1.35, 255))
    if kind in ("person", "cyclist"):
        return 0.22, 0.25 if kind == "person" else 0.8, 1.6, 230
    if kind.startswith("fence"):
        return 0.05, 1.0, size * 0.8, 140
    return 0.06, 0.06, size if kind == "lamp" else 2.4, 220


def _rectangle(x: float, z: float, half_x: float, half_z: float) -> list[tuple[float, float]]:
    return [(x - half_x, z - half_z), (x + half_x, z - half_z), (x + half_x, z + half_z), (x - half_x, z + half_z)]


def _cast(
    draw: ImageDraw.ImageDraw,
    camera: Camera,
    x: float,
    z: float,
    half: tuple[float, float],
    reach: tuple[float, float],
    strength: int,
) -> None:
    """The shadow of an upright thing: its footprint swept to where its top's shadow falls."""
    if max(half) > 0.3:
        for share in (0.4, 0.7, 1.0):
            corners = _rectangle(x + share * reach[0], z + share * reach[1], *half)
            _fill_ground(draw, camera, corners, strength)
    length = max(math.hypot(*reach), 1e-6)
    a, b = -reach[1] / length * max(half), reach[0] / length * max(half)
    sweep = [(x - a, z - b), (x + a, z + b), (x + reach[0] + a, z + reach[1] + b), (x + reach[0] - a, z + reach[1] - b)]
    _fill_ground(draw, camera, sweep, strength)


def _fill_ground(draw: ImageDraw.ImageDraw, camera: Camera, corners: list[tuple[float, float]], value: int) -> None:
    seen = camera.see([(x, 0.0, z) for x, z in corners])
    if seen:
        draw.polygon(seen[0], fill=value)
