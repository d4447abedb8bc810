"""Houses: fronts with windows and shops, side walls, roofs."""

from __future__ import annotations

import numpy as np

from hwnas.data.street.canvas import NEAR_M, Canvas
from hwnas.data.street.scene import Building, Color, Label, Street

WINDOWS_M = 46.0
"""Houses farther away than this have bands of windows, not windows."""
PANES_M = 18.0
"""Windows nearer than this have bars and mirror the sky in part."""
DEEP_M = 11.0
BOARDS: tuple[Color, ...] = ((156, 34, 38), (28, 74, 120), (34, 96, 62), (212, 160, 48), (60, 60, 64), (120, 40, 110))


def draw_skyline(canvas: Canvas, seed: int) -> None:
    """Far houses and trees along the horizon, so that the road does not end in the sky."""
    rng = np.random.default_rng(seed)
    camera = canvas.camera
    width = camera.size_hw[1]
    ground = camera.horizon + 3
    x = -0.05 * width
    while x < 1.05 * width:
        step = width * float(rng.uniform(0.02, 0.07))
        tall = camera.focal * float(rng.uniform(5, 19)) / 170
        if rng.random() < 0.45:
            fill = canvas.lit((74, 96, 62), None, 150)
            for _ in range(4):
                center = (x + step * float(rng.random()), ground - tall * float(rng.uniform(0.1, 0.4)))
                canvas.ellipse(center, (step * 0.45, tall * 0.45), fill, Label.TREE)
            top = ground - tall * 0.3
            canvas.polygon([(x, ground), (x + step, ground), (x + step, top), (x, top)], fill, Label.TREE)
        else:
            gray = float(rng.uniform(110, 185))
            corners = [(x, ground), (x + step, ground), (x + step, ground - tall), (x, ground - tall)]
            canvas.polygon(corners, canvas.lit((gray, gray * 0.95, gray * 0.9), None, 160), Label.BUILDING)
        x += step * 0.9


def draw_building(canvas: Canvas, house: Building, street: Street) -> None:
    """One house; call from the farthest to the nearest of a side."""
    x = street.edge(house.side) + house.side * house.setback
    back = x + house.side * DEEP_M
    rng = np.random.default_rng(house.seed)
    near, far, top = house.near, house.far, house.height
    # The wall that faces the camera, seen where the next house is lower or there is a gap.
    wall = [(x, 0.0, near), (back, 0.0, near), (back, top, near), (x, top, near)]
    canvas.face(wall, house.wall, (0, 0, -1), Label.BUILDING)
    if house.gable:
        ridge, rise = x + house.side * DEEP_M / 2, top + DEEP_M * 0.32
        gable = [(x, top, near), (back, top, near), (ridge, rise, near)]
        canvas.face(gable, house.wall, (0, 0, -1), Label.BUILDING)
        slope = [(x, top, near), (x, top, far), (ridge, rise, far), (ridge, rise, near)]
        canvas.face(slope, house.roof, (-house.side * 0.55, 0.83, 0), Label.BUILDING)
        if rng.random() < 0.6:
            z = float(rng.uniform(near + 0.5, far - 0.5))
            left, right, low, high = ridge - 0.4, ridge + 0.4, rise - 1, rise + 1
            stack = [(left, low, z), (right, low, z), (right, high, z), (left, high, z)]
            canvas.face(stack, (118, 72, 58), (0, 0, -1), Label.BUILDING)
    front = _Front(canvas, house, x)
    front.rectangle(near, far, 0, top, house.wall)
    if front.visible:
        front.draw_details(rng)


class _Front:
    """The side of a house that faces the street: a plane at ``x``."""

    def __init__(self, canvas: Canvas, house: Building, x: float) -> None:
        self.canvas, self.house, self.x = canvas, house, x
        self.normal = (-float(house.side), 0.0, 0.0)
        camera = canvas.camera
        # Where the front comes into the picture's side, less a margin for the camera's turn.
        seen = abs(x - camera.view.x) * camera.focal / (camera.size_hw[1] * 0.75) - 2
        self.near = max(house.near, NEAR_M, seen)
        self.visible = house.far - self.near > 1
        self.depth = camera.to_camera((x, 0.0, self.near))[2]

    def rectangle(self, near: float, far: float, low: float, high: float, color: Color, *, shine: bool = False) -> None:
        """From z ``near`` to ``far`` and y ``low`` to ``high``."""
        x = self.x
        points = [(x, low, near), (x, low, far), (x, high, far), (x, high, near)]
        self.canvas.face(points, color, self.normal, Label.BUILDING, shine=shine)

    def draw_details(self, rng: np.random.Generator) -> None:
        """Windows, doors, a shop, the eaves."""
        house = self.house
        red, green, blue = house.wall
        self.rectangle(self.near, house.far, house.height - 0.35, house.height, (red * 0.78, green * 0.78, blue * 0.78))
        first = 1 if house.shop else 0
        floors = max(int(house.height / house.floor_m), 1)
        if house.shop:
            self._draw_shop(rng)
        if self.depth > WINDOWS_M:
            for floor in range(first, floors):
                low = floor * house.floor_m + 0.9
                self.rectangle(self.near, house.far, low, low + 1.3, (red * 0.62, green * 0.64, blue * 0.68))
            return
        frame: Color = (232, 230, 224) if rng.random() < 0.6 else (64, 58, 54)
        bays = max(int((house.far - house.near) / house.bay_m), 1)
        bay = (house.far - house.near) / bays
        half = bay * house.glass / 2
        door = int(rng.integers(bays))
        large = house.glass > 0.7
        for floor in range(first, floors):
            low = floor * house.floor_m + (0.35 if large else 0.85)
            high = (floor + 1) * house.floor_m - (0.2 if large else 0.45)
            tints, nights = rng.uniform(0.55, 1.15, bays).tolist(), rng.random(bays).tolist()
            for place in range(bays):
                middle = house.near + (place + 0.5) * bay
                if middle - half < self.near:
                    continue
                if floor == 0 and place == door:
                    self.rectangle(middle - 0.55, middle + 0.55, 0, 2.2, (88, 52, 40))
                    continue
                lit = self.canvas.light.night and nights[place] < 0.4
                self._draw_window(middle, half, low, high, tints[place], frame, lit)

    def _draw_window(
        self, middle: float, half: float, low: float, high: float, tint: float, frame: Color, lit: bool
    ) -> None:
        # Windows mirror the sky, dimly.
        light = self.canvas.light
        glass = [tint * (0.30 * top + 0.12 * base + 12) for top, base in zip(light.sky_top, light.sky_low, strict=True)]
        pane: Color = (255.0, 206.0, 130.0) if lit else (glass[0], glass[1], glass[2])
        if self.depth < 30:
            self.rectangle(middle - half - 0.09, middle + half + 0.09, low - 0.1, high + 0.09, frame)
        self.rectangle(middle - half, middle + half, low, high, pane, shine=lit)
        if middle < PANES_M:
            sky = [min(value * 1.35 + 18, 255.0) for value in pane]
            self.rectangle(middle - half, middle, (low + high) / 2, high, (sky[0], sky[1], sky[2]))
            self.rectangle(middle - 0.04, middle + 0.04, low, high, frame)

    def _draw_shop(self, rng: np.random.Generator) -> None:
        house, night = self.house, self.canvas.light.night
        board = BOARDS[int(rng.integers(len(BOARDS)))]
        self.rectangle(self.near, house.far, 0.0, 2.5, (62, 62, 66))
        z = house.near + 0.4
        while z + 1.2 < house.far:
            wide, tint = float(rng.uniform(1.4, 2.8)), float(rng.uniform(0.5, 1.15))
            color: Color = (70 * tint, 80 * tint, 92 * tint)
            if night or rng.random() < 0.25:
                color = (220 * tint, 205 * tint, 168 * tint)
            if z > self.near:
                self.rectangle(z, min(z + wide, house.far - 0.2), 0.45, 2.3, color, shine=night)
            z += wide + 0.25
        self.rectangle(self.near, house.far, 2.5, 3.15, board)
        if rng.random() < 0.35:  # an awning, out over the pavement
            out = self.x + self.normal[0] * 1.3
            cloth = [(self.x, 2.9, self.near), (self.x, 2.9, house.far), (out, 2.3, house.far), (out, 2.3, self.near)]
            self.canvas.face(cloth, board, (self.normal[0] * 0.4, 0.9, 0), Label.BUILDING)
