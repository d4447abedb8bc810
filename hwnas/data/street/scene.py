"""What is in a street scene: where everything stands, how the light falls. Drawn by the modules beside this one.

World: x to the right, y up, z forward from the camera, metres; the road runs along z. Everything that has details of
its own to draw carries a ``seed``, so that a scene looks the same at every image size.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

Color = tuple[float, float, float]
"""Red, green, blue, 0..255 for surfaces, 0..1 for light."""


class Label(IntEnum):
    """The classes, in the order of their labels."""

    ROAD = 0
    PAVEMENT = 1
    BUILDING = 2
    FENCE = 3
    POLE = 4
    SIGN = 5
    TREE = 6
    SKY = 7
    PERSON = 8
    CYCLIST = 9
    CAR = 10


@dataclass(frozen=True)
class Light:
    """The hour and the weather. ``to_sun`` is a unit vector; ``haze_m`` the distance at which 63% is haze."""

    to_sun: tuple[float, float, float]
    sun: Color
    ambient: Color
    sky_top: Color
    sky_low: Color
    cloud: float
    haze_m: float
    night: bool


@dataclass(frozen=True)
class View:
    """The camera: its place across the road and height, turn (radians), focal length and horizon in image heights."""

    x: float
    height: float
    yaw: float
    focal: float
    horizon: float
    curve: float
    """The road's bend: a point at z is moved to the right by ``curve * z**2``."""


@dataclass(frozen=True)
class Street:
    """The ground: half the road's width, the pavements, the lanes, and a crossing road (0: none) at ``crossing_z``."""

    half_width: float
    pavement_left: float
    pavement_right: float
    lanes: int
    crossing_z: float
    crossing_width: float
    zebra: bool
    verge: float
    """Grass (as a share of the pavement's width) between pavement and buildings."""
    asphalt: Color
    paving: Color
    seed: int

    def edge(self, side: int) -> float:
        """x of the house fronts on a side (-1 left, +1 right)."""
        return side * (self.half_width + (self.pavement_left if side < 0 else self.pavement_right))


@dataclass(frozen=True)
class Building:
    """A house from z ``near`` to ``far``, ``height`` up to its eaves, its front ``setback`` behind the pavement."""

    side: int
    near: float
    far: float
    height: float
    setback: float
    wall: Color
    roof: Color
    gable: bool
    shop: bool
    floor_m: float
    bay_m: float
    glass: float
    seed: int


@dataclass(frozen=True)
class Thing:
    """Anything that stands on the street: ``kind`` says what; ``heading`` is its turn about y, 0 = along +z."""

    kind: str
    x: float
    z: float
    size: float
    heading: float
    seed: int


@dataclass(frozen=True)
class Scene:
    view: View
    light: Light
    street: Street
    buildings: tuple[Building, ...]
    things: tuple[Thing, ...]
    seed: int
