"""Scenes drawn at random: streets, houses, traffic, people, weather."""

from __future__ import annotations

import numpy as np

from hwnas.data.street.scene import Building, Color, Light, Scene, Street, Thing, View

WALLS: tuple[Color, ...] = (
    (150, 84, 66), (168, 104, 80), (124, 72, 60), (214, 200, 172), (226, 216, 196), (190, 176, 150), (150, 150, 150),
    (120, 124, 130), (198, 186, 200), (206, 172, 128), (176, 196, 190), (232, 226, 220), (104, 96, 92), (190, 140, 110),
    (140, 110, 90), (220, 190, 140),
)  # fmt: skip
ROOFS: tuple[Color, ...] = ((110, 62, 48), (74, 72, 78), (92, 82, 76), (130, 76, 58), (60, 62, 70))


def sample_scene(rng: np.random.Generator) -> Scene:
    """A scene drawn at random. Every class is put into every scene; some may hide behind others."""
    light = _sample_light(rng)
    street = _sample_street(rng)
    lane = street.half_width / max(street.lanes / 2, 1)
    view = View(
        x=float(rng.uniform(0.25, 0.6) * lane + rng.normal(0, 0.25)),
        height=float(rng.uniform(1.25, 1.75)),
        yaw=float(np.clip(rng.normal(0, 0.07), -0.2, 0.2)),
        focal=float(rng.uniform(0.95, 1.25)),
        horizon=float(np.clip(rng.normal(0.47, 0.035), 0.38, 0.56)),
        curve=float(rng.normal(0, 0.0011)),
    )
    buildings = tuple(_sample_side(-1, street, rng) + _sample_side(1, street, rng))
    things = tuple(_sample_things(street, view, rng))
    return Scene(view, light, street, buildings, things, _seed(rng))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(0, 2**32))


def _vary(color: Color, rng: np.random.Generator, amount: float = 14) -> Color:
    shift = rng.normal(0, amount)
    red, green, blue = (float(np.clip(value + shift + rng.normal(0, amount / 3), 8, 250)) for value in color)
    return red, green, blue


def _pick(options: tuple[Color, ...], rng: np.random.Generator) -> Color:
    return options[int(rng.integers(len(options)))]


def _sample_light(rng: np.random.Generator) -> Light:
    weather = rng.choice(
        ["clear", "cloudy", "overcast", "golden", "dusk", "mist"], p=[0.28, 0.22, 0.2, 0.14, 0.08, 0.08]
    )
    elevation = {"golden": rng.uniform(0.16, 0.4), "dusk": 0.05}.get(str(weather), rng.uniform(0.5, 1.15))
    azimuth = rng.uniform(0, 2 * np.pi)
    to_sun = (
        float(np.cos(elevation) * np.sin(azimuth)),
        float(np.sin(elevation)),
        float(np.cos(elevation) * np.cos(azimuth)),
    )
    table: dict[str, tuple[Color, Color, Color, Color, float, tuple[float, float]]] = {
        # sun, ambient, sky above, sky at the horizon, clouds, haze
        "clear": ((0.72, 0.68, 0.60), (0.46, 0.50, 0.57), (70, 128, 208), (190, 214, 236), 0.25, (220, 500)),
        "cloudy": ((0.48, 0.46, 0.42), (0.55, 0.57, 0.61), (96, 140, 196), (206, 216, 226), 0.75, (160, 400)),
        "overcast": ((0.08, 0.08, 0.08), (0.74, 0.76, 0.79), (172, 178, 186), (216, 218, 221), 0.35, (110, 260)),
        "golden": ((0.95, 0.62, 0.32), (0.40, 0.40, 0.46), (104, 134, 186), (252, 208, 148), 0.45, (120, 300)),
        "dusk": ((0.04, 0.03, 0.03), (0.38, 0.37, 0.45), (48, 58, 104), (196, 130, 106), 0.4, (150, 300)),
        "mist": ((0.05, 0.05, 0.05), (0.72, 0.73, 0.74), (196, 199, 202), (212, 213, 214), 0.1, (38, 75)),
    }
    sun, ambient, top, low, cloud, haze = table[str(weather)]
    return Light(
        to_sun=to_sun,
        sun=sun,
        ambient=ambient,
        sky_top=_vary(top, rng, 8),
        sky_low=_vary(low, rng, 6),
        cloud=float(np.clip(cloud + rng.normal(0, 0.12), 0, 1)),
        haze_m=float(rng.uniform(*haze)),
        night=weather == "dusk",
    )


def _sample_street(rng: np.random.Generator) -> Street:
    lanes = int(rng.choice([2, 2, 2, 3, 4]))
    crossing = rng.random() < 0.45
    gray = rng.uniform(78, 128)
    return Street(
        half_width=lanes * float(rng.uniform(1.6, 1.85)) + (1.0 if lanes == 2 else 0.2),
        pavement_left=float(rng.uniform(2.6, 5.5)),
        pavement_right=float(rng.uniform(2.6, 5.5)),
        lanes=lanes,
        crossing_z=float(rng.uniform(14, 45)) if crossing else 0.0,
        crossing_width=float(rng.uniform(7, 11)),
        zebra=bool(rng.random() < 0.5),
        verge=float(rng.choice([0, 0, 0.35, 0.5])),
        asphalt=_vary((gray, gray, gray + 4), rng, 5),
        paving=_vary(_pick(((158, 152, 146), (140, 138, 136), (172, 158, 144), (150, 124, 112)), rng), rng, 8),
        seed=_seed(rng),
    )


def _sample_side(side: int, street: Street, rng: np.random.Generator) -> list[Building]:
    """A row of houses with gaps, where trees and sky are seen; denser in some streets than in others."""
    gap_chance = rng.choice([0.08, 0.2, 0.45])
    tall = rng.choice([1.0, 1.0, 1.6])
    same = _pick(WALLS, rng) if rng.random() < 0.3 else None
    result = []
    z = float(rng.uniform(-6, 2))
    while z < 115:
        width = float(rng.uniform(6, 15))
        if street.crossing_z and z < street.crossing_z + street.crossing_width and z + width > street.crossing_z:
            z = street.crossing_z + street.crossing_width + 0.5
            continue
        if rng.random() < gap_chance:
            z += float(rng.uniform(4, 12))
            continue
        floors = int(np.clip(round(rng.gamma(5, 0.62) * tall), 1, 9))
        floor_m = float(rng.uniform(2.7, 3.5))
        glass = float(rng.uniform(0.75, 0.92) if rng.random() < 0.15 else rng.uniform(0.38, 0.62))
        result.append(
            Building(
                side=side,
                near=z,
                far=z + width,
                height=floors * floor_m + 0.6,
                setback=float(rng.choice([0, 0, 0, rng.uniform(0.5, 4)])),
                wall=_vary(same or _pick(WALLS, rng), rng),
                roof=_vary(_pick(ROOFS, rng), rng),
                gable=bool(floors <= 4 and rng.random() < 0.6),
                shop=bool(rng.random() < 0.45),
                floor_m=floor_m,
                bay_m=float(rng.uniform(1.8, 3.2)),
                glass=glass,
                seed=_seed(rng),
            )
        )
        z += width + (float(rng.uniform(0.5, 3)) if rng.random() < 0.15 else 0.0)
    return result


def _sample_things(street: Street, view: View, rng: np.random.Generator) -> list[Thing]:
    return [
        *_traffic(street, view, rng),
        *_parked(street, rng),
        *_greenery(street, rng),
        *_furniture(street, rng),
        *_fences(street, rng),
        *_people(street, view, rng),
    ]


def _traffic(street: Street, view: View, rng: np.random.Generator) -> list[Thing]:
    """Cars in the lanes; they keep right, the camera too. At least one is near enough to be told apart."""
    lane = street.half_width / max(street.lanes / 2, 1)
    things = []
    for side in (-1, 1):
        z = float(rng.uniform(6, 16) if side < 0 else rng.uniform(9, 26))
        for _ in range(int(rng.integers(1, 4))):
            heading = (0.0 if side > 0 else np.pi) + rng.normal(0, 0.03)
            kind = str(rng.choice(["sedan", "hatch", "suv", "van", "bus"], p=[0.34, 0.28, 0.2, 0.12, 0.06]))
            x = side * lane * rng.uniform(0.45, 0.6)
            things.append(Thing(kind, float(x), z, float(rng.uniform(0.94, 1.06)), float(heading), _seed(rng)))
            z += float(rng.uniform(9, 30))
    if street.crossing_z and rng.random() < 0.6:
        x = float(rng.uniform(-8, 8))
        z = street.crossing_z + street.crossing_width * rng.uniform(0.3, 0.7)
        heading = np.pi / 2 * rng.choice([-1, 1]) + rng.normal(0, 0.05)
        things.append(Thing(str(rng.choice(["sedan", "hatch", "suv"])), x, float(z), 1.0, float(heading), _seed(rng)))
    return things


def _parked(street: Street, rng: np.random.Generator) -> list[Thing]:
    things = []
    for side in (-1, 1):
        if rng.random() > 0.6:
            continue
        z = float(rng.uniform(5, 14))
        while z < 70:
            crossing = street.crossing_z and abs(z - street.crossing_z - street.crossing_width / 2) < 10
            if rng.random() < 0.7 and not crossing:
                kind = str(rng.choice(["sedan", "hatch", "suv", "van"], p=[0.35, 0.35, 0.2, 0.1]))
                x = side * (street.half_width - 1.05 + rng.normal(0, 0.08))
                heading = (0.0 if side > 0 else np.pi) + rng.normal(0, 0.03)
                things.append(Thing(kind, float(x), z, float(rng.uniform(0.94, 1.06)), float(heading), _seed(rng)))
            z += float(rng.uniform(5.4, 8))
    return things


def _greenery(street: Street, rng: np.random.Generator) -> list[Thing]:
    things = []
    for side in (-1, 1):
        spacing = float(rng.choice([8, 13, 20, 34]))
        z = float(rng.uniform(7, 12 + spacing))
        while z < 90:
            x = side * (street.half_width + rng.uniform(0.7, 1.3))
            things.append(Thing("tree", float(x), z, float(rng.uniform(0.75, 1.3)), 0.0, _seed(rng)))
            z += spacing * float(rng.uniform(0.8, 1.4))
        for _ in range(int(rng.integers(1, 5))):  # behind the houses' line, seen through gaps
            x = side * (abs(street.edge(side)) + rng.uniform(1, 9))
            things.append(
                Thing("tree", float(x), float(rng.uniform(12, 100)), float(rng.uniform(0.9, 1.7)), 0, _seed(rng))
            )
        for _ in range(int(rng.integers(0, 3))):
            x = street.edge(side) - side * 0.5
            things.append(
                Thing("bush", float(x), float(rng.uniform(6, 40)), float(rng.uniform(0.5, 1.1)), 0, _seed(rng))
            )
    return things


def _furniture(street: Street, rng: np.random.Generator) -> list[Thing]:
    things = []
    lamp_z = float(rng.uniform(6, 14))
    lamp_gap = float(rng.uniform(14, 24))
    lamp_height = float(rng.uniform(5, 8.5))
    both = rng.random() < 0.5
    first = int(rng.choice([-1, 1]))
    for number in range(6):
        for side in (first, -first) if both else (first,):
            x = side * (street.half_width + 0.45)
            things.append(Thing("lamp", x, lamp_z + number * lamp_gap, lamp_height, float(-side), _seed(rng)))
    for number in range(int(rng.integers(2, 6))):
        side = 1 if number == 0 else int(rng.choice([-1, 1]))
        x = side * (street.half_width + rng.uniform(0.3, 0.9))
        z = rng.uniform(7, 13) if number == 0 else rng.uniform(8, 40)
        things.append(Thing("sign", float(x), float(z), float(rng.uniform(0.8, 1.25)), 0.0, _seed(rng)))
    if street.crossing_z:
        for side in (-1, 1):
            x = side * (street.half_width + 0.5)
            things.append(Thing("signal", float(x), street.crossing_z - 1.5, 1.0, 0.0, _seed(rng)))
    for side in (-1, 1):
        if rng.random() < 0.25:
            start = float(rng.uniform(6, 20))
            for number in range(int(rng.integers(3, 8))):
                x = side * (street.half_width + 0.35)
                things.append(Thing("bollard", float(x), start + 1.7 * number, 1.0, 0.0, _seed(rng)))
    return things


def _fences(street: Street, rng: np.random.Generator) -> list[Thing]:
    """Runs of fence panels, 2 m each, at the kerb or along the house line; ``size`` is the panel's height."""
    things = []
    for number in range(int(rng.integers(1, 4))):
        side = int(rng.choice([-1, 1]))
        kerb = rng.random() < 0.4
        x = side * (street.half_width + 0.25) if kerb else street.edge(side) - side * 0.15
        start = float(rng.uniform(5, 12) if number == 0 else rng.uniform(8, 40))
        style, height = int(rng.integers(3)), float(rng.uniform(0.9, 1.6))
        for panel in range(int(rng.integers(3, 12))):
            z = start + 2 * panel
            if (
                not street.crossing_z
                or abs(z - street.crossing_z - street.crossing_width / 2) > street.crossing_width / 2
            ):
                things.append(Thing(f"fence{style}", float(x), z, height, 0.0, _seed(rng)))
    return things


def _people(street: Street, view: View, rng: np.random.Generator) -> list[Thing]:
    things = []
    for number in range(int(rng.integers(4, 12))):
        side = int(rng.choice([-1, 1]))
        x = side * rng.uniform(street.half_width + 0.5, abs(street.edge(side)) - 0.3)
        if number > 0 and rng.random() < 0.12:
            x = rng.uniform(-street.half_width, street.half_width)
        z = rng.uniform(7, 13) if number == 0 else rng.uniform(7, 45)
        size = rng.normal(1.72, 0.09) if rng.random() < 0.88 else rng.uniform(1.0, 1.4)
        things.append(Thing("person", float(x), float(z), float(size), float(rng.uniform(0, 2 * np.pi)), _seed(rng)))
    for number in range(int(rng.integers(1, 4))):
        side = int(rng.choice([-1, 1]))
        x = side * (street.half_width - rng.uniform(0.6, 2.4))
        z = rng.uniform(6, 11) if number == 0 else rng.uniform(8, 40)
        heading = (0.0 if side > 0 else np.pi) + rng.normal(0, 0.35)
        things.append(Thing("cyclist", float(x), float(z), float(rng.normal(1.0, 0.05)), float(heading), _seed(rng)))
    return things
