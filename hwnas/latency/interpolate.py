"""Times of keys that were not measured, from measured ones of the same op at other channels and resolutions.

The model of an op (and of all its parameters that are not sizes) is monotone: a constant, multiply-accumulates, bytes
moved and weight bytes, none with a negative factor. What its nearest measured neighbours deviate from it is carried
over, and the result is kept between the measured kernels that are smaller and those that are larger in every respect.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.errors import TableError
from hwnas.latency.features import key_size
from hwnas.latency.keys import LatencyKey, parse_key

Floats = np.ndarray[Any, np.dtype[np.float64]]

SIZE_PARAMS = frozenset({"channels", "height", "width", "classes"})
"""Parameters that only say how large the output is."""
MAX_CHANNEL_RATIO = 2.5
MAX_PIXEL_RATIO = 5.0
NEIGHBOURS = 4
LEAST_ENTRIES = 2
MISSING = "measure it: `hwnas profile --missing -o TABLE`, with --genotype GENOTYPE for one network"


class Interpolator:
    """Built from measured keys; answers for any key that is near enough to some of them."""

    def __init__(self, measured_ms: Mapping[str, float]) -> None:
        self._members: dict[str, list[tuple[LatencyKey, float]]] = {}
        for text, ms in measured_ms.items():
            key = parse_key(text)
            self._members.setdefault(kind(key), []).append((key, ms))
        self._groups: dict[str, _Group] = {}

    def ms(self, key: LatencyKey) -> float:
        """The time of a key in milliseconds, positive; a key too far from all measured ones is a TableError."""
        own = kind(key)
        members = self._members.get(own, [])
        if len(members) < LEAST_ENTRIES:
            raise TableError(
                f"the latency table has no entry for {key.text}, and {len(members) or 'none'} of its kind",
                MISSING,
            )
        if own not in self._groups:
            self._groups[own] = _Group(members)
        return self._groups[own].ms(key)


class _Group:
    """The measured keys that differ in sizes only."""

    def __init__(self, members: list[tuple[LatencyKey, float]]) -> None:
        self.sizes = np.array([_amounts(key) for key, _ in members])
        self.places = np.array([place(key) for key, _ in members])
        self.measured = np.array([ms for _, ms in members])
        self.factors = _nonnegative_fit(self.sizes, self.measured)
        self.residual = np.log(self.measured / (self.sizes @ self.factors))

    def ms(self, key: LatencyKey) -> float:
        offsets = np.abs(self.places - np.array(place(key)))
        limits = np.log([MAX_CHANNEL_RATIO, MAX_CHANNEL_RATIO, MAX_PIXEL_RATIO, MAX_PIXEL_RATIO]) + 1e-9
        if not (offsets <= limits).all(axis=1).any():
            raise TableError(
                f"{key.text} is too far from every measured kernel of its kind to be interpolated",
                MISSING,
            )
        distance = offsets.sum(axis=1)
        nearest = np.argsort(distance, kind="stable")[:NEIGHBOURS]
        weight = 1.0 / (distance[nearest] + 0.05) ** 2
        residual = float(weight @ self.residual[nearest] / weight.sum())
        value = float(np.array(_amounts(key)) @ self.factors) * math.exp(residual)
        return self.bounded(value, np.array(_amounts(key)))

    def bounded(self, value: float, amounts: Floats) -> float:
        """``value`` between the measured kernels below and above it in every amount, where those do not conflict."""
        below = self.measured[(self.sizes <= amounts * (1 + 1e-9)).all(axis=1)]
        above = self.measured[(self.sizes >= amounts * (1 - 1e-9)).all(axis=1)]
        low = float(below.max()) if len(below) else 0.0
        high = float(above.min()) if len(above) else math.inf
        return min(max(value, low), high) if low <= high else value


def kind(key: LatencyKey) -> str:
    """What must be equal between two keys for one to be interpolated from the other."""
    rest = {name: value for name, value in key.params.items() if name not in SIZE_PARAMS}
    return f"{key.op}/{len(key.input_shapes)}/{sorted(rest.items())!r}"


def _amounts(key: LatencyKey) -> tuple[float, float, float, float]:
    size = key_size(key)
    return 1.0, size.macs / 1e6, (size.input_bytes + size.output_bytes) / 1e6, size.weight_bytes / 1e6


def place(key: LatencyKey) -> tuple[float, float, float, float]:
    """Log of input channels, output channels, input pixels and output pixels."""
    channels, height, width = key.input_shapes[0]
    channels_out = key.params.get("channels", key.params.get("classes", channels))
    assert isinstance(channels_out, int)
    out_pixels = key_size(key).output_bytes / 4 / channels_out
    return math.log(channels), math.log(channels_out), math.log(height * width), math.log(out_pixels)


def _nonnegative_fit(sizes: Floats, measured: Floats) -> Floats:
    """Non-negative least squares on relative error, by trying every set of factors that may be positive."""
    rows = sizes / measured[:, None]
    best, best_error = np.zeros(sizes.shape[1]), math.inf
    for count in range(1, sizes.shape[1] + 1):
        if count > len(measured):
            break
        for chosen in itertools.combinations(range(sizes.shape[1]), count):
            factors, *_ = np.linalg.lstsq(rows[:, chosen], np.ones(len(rows)), rcond=None)
            error = float(np.square(rows[:, chosen] @ factors - 1.0).sum())
            if (factors >= 0).all() and factors.any() and error < best_error - 1e-12:
                best, best_error = np.zeros(sizes.shape[1]), error
                best[list(chosen)] = factors
    if (sizes @ best > 0).all():
        return best
    scale = np.zeros(sizes.shape[1])
    scale[0] = float(np.exp(np.log(measured).mean()))
    return scale
