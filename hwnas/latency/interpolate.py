"""Times of keys that were not measured, from measured ones of the same op at other channels and resolutions.

The model of an op (and of all its parameters that are not sizes) is monotone: more channels or pixels, in or out, never
cost less. It starts from a law, a sum of the products that multiplications and bytes grow with, none with a negative
factor. On the lattice of the measured channels and resolutions, what the nearest measured kernels deviate from
the law is carried over; the lattice is made monotone, as the mean of the least monotone lattice above it and the
greatest below; between its points times are interpolated linearly in each size, and outside of it the law goes on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.errors import TableError
from hwnas.latency.keys import LatencyKey, parse_key
from hwnas.ops.spec import OPS

Floats = np.ndarray[Any, np.dtype[np.float64]]

SIZE_PARAMS = frozenset({"channels", "height", "width", "classes"})
"""Parameters that only say how large the output is."""
MAX_CHANNEL_RATIO = 2.5
MAX_PIXEL_RATIO = 5.0
MOST_CHANNELS, MOST_PIXELS = 12, 8
"""Points of the lattice along one axis; of more measured values, as many are taken, evenly."""
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
        self.places = np.array([place(key) for key, _ in members])
        self.measured = np.log([ms for _, ms in members])
        self.factors = _nonnegative_fit(_law_terms(self.places), np.exp(self.measured))
        most = (MOST_CHANNELS, MOST_CHANNELS, MOST_PIXELS, MOST_PIXELS)
        self.axes = [_thinned(np.unique(values), count) for values, count in zip(self.places.T, most, strict=True)]
        self.lattice = _monotone(self._lattice())

    def ms(self, key: LatencyKey) -> float:
        wanted = np.array(place(key))
        offsets = np.abs(self.places - wanted)
        limits = np.log([MAX_CHANNEL_RATIO, MAX_CHANNEL_RATIO, MAX_PIXEL_RATIO, MAX_PIXEL_RATIO]) + 1e-9
        if not (offsets <= limits).all(axis=1).any():
            raise TableError(
                f"{key.text} is too far from every measured kernel of its kind to be interpolated",
                MISSING,
            )
        inside = np.array([np.clip(value, axis[0], axis[-1]) for value, axis in zip(wanted, self.axes, strict=True)])
        beyond = float(self._law(wanted[None])[0] - self._law(inside[None])[0])
        between = _multilinear(np.exp(self.lattice), [np.exp(axis) for axis in self.axes], np.exp(inside))
        return between * math.exp(beyond)

    def _law(self, places: Floats) -> Floats:
        """Logarithm of the law at places (N, 4)."""
        return np.log(_law_terms(places) @ self.factors)

    def _lattice(self) -> Floats:
        """Logarithms of milliseconds at every point of the lattice; as measured where that was."""
        shape = [len(axis) for axis in self.axes]
        points = np.stack([grid.ravel() for grid in np.meshgrid(*self.axes, indexing="ij")], axis=1)
        residual = self.measured - self._law(self.places)
        distance = np.zeros((len(points), len(self.measured)))
        for own, measured in zip(points.T, self.places.T, strict=True):
            distance += np.abs(own[:, None] - measured[None, :])
        nearest = np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]
        weight = 1.0 / (np.take_along_axis(distance, nearest, axis=1) + 0.05) ** 2
        carried = (weight * residual[nearest]).sum(axis=1) / weight.sum(axis=1)
        known = distance.min(axis=1) < 1e-9
        carried[known] = residual[nearest[known, 0]]
        return np.asarray((self._law(points) + carried).reshape(shape))


def _thinned(values: Floats, count: int) -> Floats:
    """``values``, or ``count`` of them from the first to the last."""
    if len(values) <= count:
        return values
    return np.asarray(values[np.linspace(0, len(values) - 1, count).round().astype(int)])


def _monotone(values: Floats) -> Floats:
    """Non-decreasing along every axis: the mean of the least such array above ``values`` and the greatest below."""
    above, below = values, values
    for axis in range(values.ndim):
        above = np.maximum.accumulate(above, axis=axis)
        below = np.flip(np.minimum.accumulate(np.flip(below, axis), axis=axis), axis)
    return np.asarray((above + below) / 2)


def _multilinear(values: Floats, axes: list[Floats], at: Floats) -> float:
    """``values`` on the grid of ``axes``, interpolated ``at`` a point within it; monotone if they are."""
    for axis, wanted in zip(axes, at, strict=True):
        upper = min(int(np.searchsorted(axis, wanted)), len(axis) - 1)
        lower = max(upper - 1, 0)
        share = (wanted - axis[lower]) / (axis[upper] - axis[lower]) if upper > lower else 0.0
        values = values[lower] + share * (values[upper] - values[lower])
    return float(values)


def kind(key: LatencyKey) -> str:
    """What must be equal between two keys for one to be interpolated from the other."""
    rest = {name: value for name, value in key.params.items() if name not in SIZE_PARAMS}
    return f"{key.op}/{len(key.input_shapes)}/{sorted(rest.items())!r}"


def place(key: LatencyKey) -> tuple[float, float, float, float]:
    """Log of input channels (of all inputs), output channels, input pixels and output pixels."""
    shapes = list(key.input_shapes)
    channels_out, height_out, width_out = OPS.get(key.op).infer_shape(shapes, key.params)
    _, height, width = shapes[0]
    sizes = sum(shape[0] for shape in shapes), channels_out, height * width, height_out * width_out
    channels_in, out, pixels_in, pixels_out = map(math.log, sizes)
    return channels_in, out, pixels_in, pixels_out


def _law_terms(places: Floats) -> Floats:
    """What latency grows with at places (N, 4): a constant, multiplications of dense, pointwise and depthwise parts,
    feature maps and weights, (N, terms)."""
    channels_in, channels_out, pixels_in, pixels_out = np.exp(places).T
    terms = [
        np.ones(len(places)),
        channels_in * channels_out * pixels_out / 1e6,
        channels_in**2 * pixels_in / 1e6,
        channels_out**2 * pixels_out / 1e6,
        channels_in * pixels_in / 1e6,
        channels_out * pixels_out / 1e6,
        channels_in * channels_out / 1e6,
    ]
    return np.stack(terms, axis=1)


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
