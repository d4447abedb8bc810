"""Houses: fronts with windows and shops, side walls, roofs."""

from __future__ import annotations

import numpy as np

from hwnas.data.street.canvas import NEAR_M, Canvas
from hwnas.data.street.scene import Building, Color, Label, Street

DETAIL_M = 48.0
"""Houses farther away than this have floors of windows, not windows."""
DEEP_M = 11.0


def draw_skyline(canvas: Canvas, seed: int) -> None:
    """Far houses and trees along the horizon, so that the road does not end in the sky."""
    rng = np.random.default_rng(seed)
    camera = canvas.camera
    width = camera.size_hw[1]
    x = -0.05 * width
    while x < 1.05 * width:
        step = width * rng.uniform(0.02, 0.07)
        tall = camera.focal * rng.uniform(5, 19) / 170
        ground = camera.horizon + 3
        if rng.random() < 0.45:
            fill = canvas.lit((74, 96, 62), None, 150)
            for _ in range(4):
                center = (x + step * rng.random(), ground - tall * rng.uniform(0.1, 0.4))
                canvas.ellipse(center, (step * 0.45, tall * 0.45), fill, Label.TREE)
            corners = np.array(
                [(x, ground), (x + step, ground), (x + step, ground - tall * 0.3), (x, ground - tall * 0.3)]
            )
            canvas.polygon(corners, fill, Label.TREE)
        else:
            gray = rng.uniform(110, 185)
            corners = np.array([(x, ground), (x + step, ground), (x + step, ground - tall), (x, ground - tall)])
            canvas.polygon(corners, canvas.lit((gray, gray * 0.95, gray * 0.9), None, 160), Label.BUILDING)
        x += step * 0.9


def draw_building(canvas: Canvas, house: Building, street: Street) -> None:
    """One house; call from the farthest to the nearest of a side."""
    front = street.edge(house.side) + house.side * house.setback
    back = front + house.side * DEEP_M
    inward = (-float(house.side), 0.0, 0.0)
    rng = np.random.default_rng(house.seed)
    near, far, top = house.near, house.far, house.height
    # The wall that faces the camera, seen where the next house is lower or there is a gap.
    wall = np.array([(front, 0, near), (back, 0, near), (back, top, near), (front, top, near)])
    canvas.face(wall, house.wall, (0, 0, -1), Label.BUILDING)
    if house.gable:
        ridge = house.side * DEEP_M / 2 + front
        rise = top + DEEP_M * 0.32
        canvas.face(
            np.array([(front, top, near), (back, top, near), (ridge, rise, near)]),
            house.wall,
            (0, 0, -1),
            Label.BUILDING,
        )
        slope = np.array([(front, top, near), (front, top, far), (ridge, rise, far), (ridge, rise, near)])
        canvas.face(slope, house.roof, (-house.side * 0.55, 0.83, 0), Label.BUILDING)
        if rng.random() < 0.6:
            _chimney(canvas, house, ridge, rise, rng)
    facade = np.array([(front, 0, near), (front, 0, far), (front, top, far), (front, top, near)])
    canvas.face(facade, house.wall, inward, Label.BUILDING)
    _details(canvas, house, front, inward, rng)


def _chimney(canvas: Canvas, house: Building, ridge: float, rise: float, rng: np.random.Generator) -> None:
    z = rng.uniform(house.near + 0.5, house.far - 0.5)
    stack = np.array(
        [(ridge - 0.4, rise - 1, z), (ridge + 0.4, rise - 1, z), (ridge + 0.4, rise + 1, z), (ridge - 0.4, rise + 1, z)]
    )
    canvas.face(stack, (118, 72, 58), (0, 0, -1), Label.BUILDING)


def _details(
    canvas: Canvas, house: Building, front: float, inward: tuple[float, float, float], rng: np.random.Generator
) -> None:
    """Windows, doors, a shop, the eaves: all flat on the front, drawn on what of it is in view."""
    camera = canvas.camera
    near = max(house.near, _first_in_view(canvas, front))
    if house.far - near < 1:
        return
    depth = float(camera.to_camera(np.array([front, 0.0, near]))[2])
    eaves = tuple(value * 0.78 for value in house.wall)
    _strip(canvas, front, near, house.far, house.height - 0.35, house.height, (eaves[0], eaves[1], eaves[2]), inward)
    floors = max(int(house.height / house.floor_m), 1)
    ground_floor = 1 if house.shop else 0
    if house.shop:
        _shop(canvas, house, front, near, inward, rng)
    if depth > DETAIL_M:
        for floor in range(ground_floor, floors):
            low = floor * house.floor_m + 0.9
            _strip(canvas, front, near, house.far, low, low + 1.3, (92, 98, 110), inward)
        return
    bays = max(int((house.far - house.near) / house.bay_m), 1)
    bay = (house.far - house.near) / bays
    glass = _glass(canvas)
    frame: Color = (232, 230, 224) if rng.random() < 0.6 else (64, 58, 54)
    door = int(rng.integers(bays))
    for floor in range(ground_floor, floors):
        low = floor * house.floor_m + (0.85 if house.glass < 0.7 else 0.35)
        high = (floor + 1) * house.floor_m - (0.45 if house.glass < 0.7 else 0.2)
        for place in range(bays):
            middle = house.near + (place + 0.5) * bay
            half = bay * house.glass / 2
            tint = rng.uniform(0.55, 1.15)
            shines = canvas.light.night and rng.random() < 0.4
            if middle - half < near:
                continue
            if floor == 0 and place == door:
                _rectangle(canvas, front, middle - 0.55, middle + 0.55, 0, 2.2, (88, 52, 40), inward)
                continue
            _rectangle(canvas, front, middle - half - 0.09, middle + half + 0.09, low - 0.1, high + 0.09, frame, inward)
            pane = (255.0, 206.0, 130.0) if shines else (glass[0] * tint, glass[1] * tint, glass[2] * tint)
            _rectangle(canvas, front, middle - half, middle + half, low, high, pane, inward, shine=shines)
            if depth < 22:
                _rectangle(canvas, front, middle - 0.04, middle + 0.04, low, high, frame, inward)
                sky = tuple(min(value * 1.35 + 18, 255) for value in pane)
                _rectangle(
                    canvas,
                    front,
                    middle - half,
                    middle - 0.08,
                    (low + high) / 2,
                    high,
                    (sky[0], sky[1], sky[2]),
                    inward,
                )


def _first_in_view(canvas: Canvas, front: float) -> float:
    """The z at which a front comes into the picture's side (or the camera's near plane), less a margin."""
    camera = canvas.camera
    side = abs(front - camera.view.x)
    return max(NEAR_M, side * camera.focal / (camera.size_hw[1] * 0.75) - 2)


def _glass(canvas: Canvas) -> Color:
    """Windows mirror the sky, dimly."""
    red, green, blue = (
        0.30 * top + 0.12 * low + 12 for top, low in zip(canvas.light.sky_top, canvas.light.sky_low, strict=True)
    )
    return red, green, blue


def _shop(
    canvas: Canvas,
    house: Building,
    front: float,
    near: float,
    inward: tuple[float, float, float],
    rng: np.random.Generator,
) -> None:
    colors: tuple[Color, ...] = (
        (156, 34, 38),
        (28, 74, 120),
        (34, 96, 62),
        (212, 160, 48),
        (60, 60, 64),
        (120, 40, 110),
    )
    board = colors[int(rng.integers(len(colors)))]
    _strip(canvas, front, near, house.far, 0.0, 2.5, (62, 62, 66), inward)
    z = house.near + 0.4
    while z + 1.2 < house.far:
        wide = float(rng.uniform(1.4, 2.8))
        lit = canvas.light.night or rng.random() < 0.25
        tint = rng.uniform(0.5, 1.3)
        color = (220.0 * tint, 205.0 * tint, 168.0 * tint) if lit else (70 * tint, 80 * tint, 92 * tint)
        if z > near:
            pane = (min(color[0], 255.0), min(color[1], 255.0), min(color[2], 255.0))
            _rectangle(
                canvas, front, z, min(z + wide, house.far - 0.2), 0.45, 2.3, pane, inward, shine=canvas.light.night
            )
        z += wide + 0.25
    _strip(canvas, front, near, house.far, 2.5, 3.15, board, inward)
    if rng.random() < 0.35:  # an awning, out over the pavement
        out = front + inward[0] * 1.3
        cloth = np.array([(front, 2.9, near), (front, 2.9, house.far), (out, 2.3, house.far), (out, 2.3, near)])
        canvas.face(cloth, board, (inward[0] * 0.4, 0.9, 0), Label.BUILDING)


def _strip(
    canvas: Canvas,
    x: float,
    near: float,
    far: float,
    low: float,
    high: float,
    color: Color,
    normal: tuple[float, float, float],
) -> None:
    _rectangle(canvas, x, near, far, low, high, color, normal)


def _rectangle(
    canvas: Canvas,
    x: float,
    near: float,
    far: float,
    low: float,
    high: float,
    color: Color,
    normal: tuple[float, float, float],
    *,
    shine: bool = False,
) -> None:
    """A rectangle on the plane x; labels are left alone, since the front's are already right."""
    points = np.array([(x, low, near), (x, low, far), (x, high, far), (x, high, near)])
    label = Label.BUILDING if high > 3.3 or low < 0.01 else None
    canvas.face(points, color, normal, label, shine=shine)
