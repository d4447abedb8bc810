"""Sky and ground: computed for each pixel, not drawn, for the sake of their textures."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from hwnas.data.street.canvas import NEAR_M, Camera, clip_near
from hwnas.data.street.scene import Label, Scene, Street

TILE = 256


@lru_cache(maxsize=4)
def noise_tile(fall: float) -> np.ndarray:
    """A tile (256, 256) float32 of noise that repeats without a seam, mean 0, deviation 1; amplitude ~ 1/frequency**fall."""
    rng = np.random.default_rng(20260101)
    frequency = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.fftfreq(TILE)[None, :]) * TILE
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(rng.standard_normal((TILE, TILE))) / frequency**fall
    spectrum[0, 0] = 0
    tile = np.real(np.fft.ifft2(spectrum))
    return (tile / tile.std()).astype(np.float32)


def _look_up(tile: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return tile[x.astype(np.int32) & (TILE - 1), y.astype(np.int32) & (TILE - 1)]


def paint_background(scene: Scene, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Sky above, ground below the horizon: picture (H, W, 3) uint8 and labels (H, W) uint8."""
    height, width = camera.size_hw
    first = int(np.floor(camera.horizon)) + 1
    picture = np.empty((height, width, 3), np.uint8)
    labels = np.empty((height, width), np.uint8)
    picture[:first] = _sky(scene, camera, first)
    labels[:first] = Label.SKY
    picture[first:], labels[first:] = _ground(scene, camera, first)
    return picture, labels


def _sky(scene: Scene, camera: Camera, rows: int) -> np.ndarray:
    """(rows, W, 3) uint8, computed at half size: it has no edges."""
    light = scene.light
    width = camera.size_hw[1]
    half = (max(rows // 2, 1), max(width // 2, 1))
    up = ((camera.horizon - 2 * np.arange(half[0], dtype=np.float32)) / camera.focal).clip(0.004, None)[:, None]
    across = ((2 * np.arange(half[1], dtype=np.float32) - camera.center) / camera.focal)[None, :]
    mix = np.exp(-up * 3.2)[..., None]
    color = np.array(light.sky_top, np.float32) * (1 - mix) + np.array(light.sky_low, np.float32) * mix
    color = np.broadcast_to(color, (*half, 3)).copy()
    # Clouds lie in a plane above, so that they shrink towards the horizon.
    shift = np.random.default_rng(scene.seed).uniform(0, TILE, 2)
    clouds = _look_up(noise_tile(1.6), across / (up + 0.25) * 60 + shift[0] + TILE, 40 / (up + 0.25) + shift[1])
    cover = np.clip((clouds - 1.6 + 3.0 * light.cloud) * 0.5, 0, 1) * np.clip(up * 6, 0, 1) * 0.8
    white = np.array(light.sky_low, np.float32) * 0.6 + (50 if light.night else 100)
    shade = 1 - 0.10 * np.clip(clouds, 0, 2)
    color += cover[..., None] * (white * shade[..., None] - color)
    sun = light.to_sun
    forward = sun[0] * camera.sin + sun[2] * camera.cos
    if forward > 0.1:
        x, y = (sun[0] * camera.cos - sun[2] * camera.sin) / forward, sun[1] / forward
        near = np.exp(-((across - x) ** 2 + (up - y) ** 2) * 7)[..., None]
        color += near * np.array(light.sun, np.float32) * 150
    small = Image.fromarray(np.clip(color, 0, 255).astype(np.uint8))
    return np.asarray(small.resize((width, rows), Image.Resampling.BILINEAR))


def _ground(scene: Scene, camera: Camera, first: int) -> tuple[np.ndarray, np.ndarray]:
    height, width = camera.size_hw
    rows = np.arange(first, height) + 0.5
    x, z = camera.ground(np.maximum(rows, camera.horizon + 0.5), np.arange(width) + 0.5)
    street = scene.street
    shift = np.random.default_rng(street.seed).uniform(0, TILE, 4).astype(np.float32) + 16 * TILE
    fine = _look_up(noise_tile(0.35), x * 24 + shift[0], z * 9 + shift[1]) * (1 / (1 + z / 9))
    coarse = _look_up(noise_tile(1.3), x * 7 + shift[2], z * 3 + shift[3])
    labels, on_road, grass = _ground_labels(street, x, z)
    road = np.array(street.asphalt, np.float32)
    paving = np.array(street.paving, np.float32)
    color = np.where(on_road[..., None], road, paving)
    color[grass] = (92, 118, 58)
    color *= (1 + 0.075 * fine + np.where(on_road, 0.05, 0.035) * coarse)[..., None]
    _pave(color, street, x, z, ~on_road & ~grass)
    _mark_lanes(color, street, x, z, on_road)
    shadow = _shadows(scene, camera)[first:]
    light = scene.light
    facing = np.float32(light.to_sun[1]) * (1 - shadow.astype(np.float32) / 255)
    occlusion = 1 - 0.22 * shadow.astype(np.float32) / 255
    bright = (
        np.array(light.ambient, np.float32) * occlusion[..., None] + np.array(light.sun, np.float32) * facing[..., None]
    )
    color *= bright
    haze = (1 - np.exp(-z / np.float32(light.haze_m)))[..., None]
    color += haze * (np.array(light.sky_low, np.float32) - color)
    return np.clip(color, 0, 255).astype(np.uint8), labels


def _ground_labels(street: Street, x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    on_road = np.abs(x) < street.half_width
    if street.crossing_z:
        on_road |= (z > street.crossing_z) & (z < street.crossing_z + street.crossing_width)
    labels = np.where(on_road, np.uint8(Label.ROAD), np.uint8(Label.PAVEMENT))
    inner_left = street.edge(-1) + street.verge * street.pavement_left
    inner_right = street.edge(1) - street.verge * street.pavement_right
    grass = ~on_road & ((x < inner_left) | (x > inner_right)) if street.verge else np.zeros_like(on_road)
    # Past the house fronts there are gardens; the class of plants is the tree's.
    grass |= ~on_road & ((x < street.edge(-1) - 1) | (x > street.edge(1) + 1))
    labels[grass] = Label.TREE
    return labels, on_road, grass


def _pave(color: np.ndarray, street: Street, x: np.ndarray, z: np.ndarray, paved: np.ndarray) -> None:
    """Joints between slabs, and the kerb."""
    near = 1 / (1 + (z / 14) ** 2)
    joints = ((x * 1.25) % 1 < 0.07) | ((z * 0.8) % 1 < 0.05)
    color *= (1 - 0.16 * near * (joints & paved))[..., None]
    distance = np.abs(x) - street.half_width
    color *= (1 + 0.20 * (paved & (distance < 0.16)))[..., None]
    color *= (1 - 0.22 * (~paved & (distance < 0) & (distance > -0.14)))[..., None]


def _mark_lanes(color: np.ndarray, street: Street, x: np.ndarray, z: np.ndarray, on_road: np.ndarray) -> None:
    along = np.abs(x) < street.half_width
    free = np.ones_like(along)
    if street.crossing_z:
        free = (z < street.crossing_z - 1) | (z > street.crossing_z + street.crossing_width + 1)
    dash = (z % 6) < 3
    paint = np.abs(x) < 0.07 if street.lanes == 4 else (np.abs(x) < 0.07) & dash
    if street.lanes > 2:
        lane = street.half_width / (street.lanes / 2)
        paint |= (np.abs(np.abs(x) - lane) < 0.06) & dash
    paint |= np.abs(np.abs(x) - street.half_width + 0.35) < 0.05
    paint &= free
    start = street.crossing_z - 4.5 if street.crossing_z else 16.0
    if street.zebra:
        paint = np.where((z > start) & (z < start + 3), ((x + 50) % 1.0) < 0.5, paint)
    if street.crossing_z:
        paint |= (z > start - 1.1) & (z < start - 0.7) & (x > 0)
    paint &= along & on_road
    wear = np.float32(0.72)
    color += (paint * wear)[..., None] * (np.array((226, 226, 220), np.float32) - color)


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
    return np.asarray(sheet.filter(ImageFilter.BoxBlur(max(height // 180, 1))))


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
    for share in np.linspace(0, 1, 4):
        corners = _rectangle(x + share * reach[0], z + share * reach[1], *half)
        _fill_ground(draw, camera, corners, strength)
    across = np.array([-reach[1], reach[0]])
    across = across / max(float(np.hypot(*across)), 1e-6) * max(half)
    sweep = [
        (x - across[0], z - across[1]),
        (x + across[0], z + across[1]),
        (x + reach[0] + across[0], z + reach[1] + across[1]),
        (x + reach[0] - across[0], z + reach[1] - across[1]),
    ]
    _fill_ground(draw, camera, sweep, strength)


def _fill_ground(draw: ImageDraw.ImageDraw, camera: Camera, corners: list[tuple[float, float]], value: int) -> None:
    points = np.array([(x, 0.0, z) for x, z in corners])
    seen = clip_near(camera.to_camera(points))
    if len(seen) >= 3 and seen[:, 2].max() > NEAR_M:
        draw.polygon([(float(a), float(b)) for a, b in np.clip(camera.to_pixels(seen), -4000, 8000)], fill=value)
